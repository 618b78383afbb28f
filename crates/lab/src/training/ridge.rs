//! Ridge regression on standardised features, solved exactly, with held-out predictions by
//! fold.

use nalgebra::{DMatrix, DVector};

use super::TrainingError;
use super::gram::Symmetric;

/// Rows in one matrix product: large enough for speed, small enough for memory.
const CHUNK: usize = 256;
/// Divisor of the penalty on a few summary features, which thousands of others would outweigh.
const RELIEF: f64 = 500.0;

/// What to learn from the rows of features.
#[derive(Clone)]
pub(super) struct RidgeTask {
    /// For each output the target of each row.
    pub(super) targets: Vec<Vec<f64>>,
    /// Weight of each row; rows of weight 0 are only predicted.
    pub(super) weights: Vec<f64>,
    /// Penalty on large weights.
    pub(super) alpha: f64,
    /// Whether to fit an intercept. If not, the unweighted mean row maps to the mean target.
    pub(super) has_free_constant: bool,
}

/// A linear function of the raw features; it includes the standardisation.
#[derive(Clone, Debug, Default)]
pub(super) struct Linear {
    pub(super) weights: Vec<f64>,
    pub(super) bias: f64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Solution {
    pub(super) of_all: Linear,
    /// For each fold, the fit to all other rows.
    pub(super) without_fold: Vec<Linear>,
    /// The prediction for each row by a fit without its fold.
    pub(super) held_out: Vec<f64>,
}

impl Linear {
    /// `slope` times this function, and `constant`.
    pub(super) fn mapped(&self, slope: f64, constant: f64) -> Self {
        Self {
            weights: self.weights.iter().map(|weight| slope * weight).collect(),
            bias: slope * self.bias + constant,
        }
    }

    fn plus(&self, other: &Self) -> Self {
        let pairs = self.weights.iter().zip(&other.weights);
        Self {
            weights: pairs.map(|(one, other)| one + other).collect(),
            bias: self.bias + other.bias,
        }
    }
}

impl Solution {
    /// `slope` times each of its functions and predictions, and `constant`.
    pub(super) fn mapped(&self, slope: f64, constant: f64) -> Self {
        let of_folds = self.without_fold.iter();
        let held_out = self.held_out.iter();
        Self {
            of_all: self.of_all.mapped(slope, constant),
            without_fold: of_folds.map(|of| of.mapped(slope, constant)).collect(),
            held_out: held_out.map(|value| slope * value + constant).collect(),
        }
    }

    /// The sum of both.
    pub(super) fn plus(&self, other: &Self) -> Self {
        let of_folds = self.without_fold.iter().zip(&other.without_fold);
        let held_out = self.held_out.iter().zip(&other.held_out);
        Self {
            of_all: self.of_all.plus(&other.of_all),
            without_fold: of_folds.map(|(one, other)| one.plus(other)).collect(),
            held_out: held_out.map(|(one, other)| one + other).collect(),
        }
    }
}

/// A task with its rows, and mean and inverse deviation of each feature.
struct Problem<'a> {
    task: &'a RidgeTask,
    rows: &'a [&'a [f32]],
    folds: &'a [usize],
    alphas: Vec<f64>,
    mean: Vec<f64>,
    inverse: Vec<f64>,
}

/// Weighted sums over rows: XᵀY, Σx, Σy and the weights themselves, X standardised.
struct Sums {
    moment: DMatrix<f64>,
    features: DVector<f64>,
    targets: DVector<f64>,
    count: f64,
}

/// Fits all rows, and all rows without each fold; returns a solution for each output. All rows of a
/// person are in one of the `folds`. The last `relieved` features have a weaker penalty. It runs on
/// the current pool of `rayon`.
///
/// Only XᵀX is large, so there are two of it: the one of all rows, and the one that is solved.
/// A fold's part is computed a second time to subtract it again, and is not kept.
pub(super) fn solve(
    task: &RidgeTask,
    rows: &[&[f32]],
    folds: &[usize],
    relieved: usize,
) -> Result<Vec<Solution>, TrainingError> {
    let problem = Problem::new(task, rows, folds, relieved);
    let features = problem.mean.len();
    let fold_count = folds.iter().max().map_or(0, |last| last + 1);
    let mut gram = Symmetric::zeros(features);
    let sums: Vec<Sums> = (0..fold_count)
        .map(|fold| problem.sums(fold, &mut gram))
        .collect();
    let empty = Solution {
        held_out: vec![0.0; rows.len()],
        ..Solution::default()
    };
    let mut solutions = vec![empty; task.targets.len()];
    let mut of_others = Symmetric::zeros(features);
    for fold in 0..fold_count {
        of_others.copy_from(&gram);
        for chunk in problem.taught(fold).chunks(CHUNK) {
            of_others.add_product(-1.0, &problem.block(chunk).features);
        }
        let others = sums[..fold].iter().chain(&sums[fold + 1..]);
        let (weights, bias) = problem.fit(&mut of_others, others)?;
        for (output, solution) in solutions.iter_mut().enumerate() {
            let linear = problem.unfold(weights.column(output).as_slice(), bias[output]);
            solution.without_fold.push(linear);
        }
        for row in (0..rows.len()).filter(|&row| folds[row] == fold) {
            let standard = DVector::from_fn(features, |index, _| problem.standard(row, index));
            let predicted = weights.tr_mul(&standard) + &bias;
            for (solution, value) in solutions.iter_mut().zip(&predicted) {
                solution.held_out[row] = *value;
            }
        }
    }
    let (weights, bias) = problem.fit(&mut gram, sums.iter())?;
    for (output, solution) in solutions.iter_mut().enumerate() {
        solution.of_all = problem.unfold(weights.column(output).as_slice(), bias[output]);
    }
    Ok(solutions)
}

/// Rows that teach.
struct Block {
    /// One column a row, standardised, times the root of the row's weight.
    features: DMatrix<f64>,
    /// Roots of the weights.
    roots: DVector<f64>,
    /// One row each, times the root of its weight.
    targets: DMatrix<f64>,
}

impl<'a> Problem<'a> {
    fn new(
        task: &'a RidgeTask,
        rows: &'a [&'a [f32]],
        folds: &'a [usize],
        relieved: usize,
    ) -> Self {
        let features = rows.first().map_or(0, |row| row.len());
        let taught = || {
            rows.iter()
                .zip(&task.weights)
                .filter(|(_, weight)| **weight > 0.0)
        };
        let count = taught().count().max(1) as f64;
        let mut mean = vec![0.0; features];
        for (row, _) in taught() {
            for (sum, &value) in mean.iter_mut().zip(*row) {
                *sum += f64::from(value) / count;
            }
        }
        let mut variance = vec![0.0; features];
        for (row, _) in taught() {
            for (index, &value) in row.iter().enumerate() {
                variance[index] += (f64::from(value) - mean[index]).powi(2) / count;
            }
        }
        // A constant feature gets the weight 0.
        let inverse = |v: f64| if v > 1e-12 { 1.0 / v.sqrt() } else { 0.0 };
        let mut alphas = vec![task.alpha; features];
        for alpha in alphas.iter_mut().rev().take(relieved) {
            *alpha /= RELIEF;
        }
        Self {
            task,
            rows,
            folds,
            alphas,
            mean,
            inverse: variance.into_iter().map(inverse).collect(),
        }
    }

    fn standard(&self, row: usize, index: usize) -> f64 {
        (f64::from(self.rows[row][index]) - self.mean[index]) * self.inverse[index]
    }

    /// A function of standardised features as one of raw features.
    fn unfold(&self, standardised: &[f64], constant: f64) -> Linear {
        let pairs = standardised.iter().zip(&self.inverse);
        let weights: Vec<f64> = pairs.map(|(weight, inverse)| weight * inverse).collect();
        let shift: f64 = weights.iter().zip(&self.mean).map(|(w, m)| w * m).sum();
        Linear {
            bias: constant - shift,
            weights,
        }
    }

    /// The rows of one fold that teach.
    fn taught(&self, fold: usize) -> Vec<usize> {
        (0..self.rows.len())
            .filter(|&row| self.folds[row] == fold && self.task.weights[row] > 0.0)
            .collect()
    }

    fn block(&self, rows: &[usize]) -> Block {
        let (weights, targets) = (&self.task.weights, &self.task.targets);
        let roots = DVector::from_fn(rows.len(), |place, _| weights[rows[place]].sqrt());
        Block {
            features: DMatrix::from_fn(self.mean.len(), rows.len(), |index, place| {
                roots[place] * self.standard(rows[place], index)
            }),
            targets: DMatrix::from_fn(rows.len(), targets.len(), |place, output| {
                roots[place] * targets[output][rows[place]]
            }),
            roots,
        }
    }

    fn no_sums(&self) -> Sums {
        let (features, outputs) = (self.mean.len(), self.task.targets.len());
        Sums {
            moment: DMatrix::zeros(features, outputs),
            features: DVector::zeros(features),
            targets: DVector::zeros(outputs),
            count: 0.0,
        }
    }

    /// The sums of one fold; its XᵀX is added to `gram`.
    fn sums(&self, fold: usize, gram: &mut Symmetric) -> Sums {
        let mut sums = self.no_sums();
        for chunk in self.taught(fold).chunks(CHUNK) {
            let block = self.block(chunk);
            gram.add_product(1.0, &block.features);
            sums.moment.gemm(1.0, &block.features, &block.targets, 1.0);
            sums.features.gemv(1.0, &block.features, &block.roots, 1.0);
            sums.targets.gemv_tr(1.0, &block.targets, &block.roots, 1.0);
            sums.count += block.roots.norm_squared();
        }
        sums
    }

    /// Weights on standardised features, one column an output, and the constants. `gram` is XᵀX of
    /// the rows of `parts`; the solution uses it up.
    fn fit<'s>(
        &self,
        gram: &mut Symmetric,
        parts: impl Iterator<Item = &'s Sums>,
    ) -> Result<(DMatrix<f64>, DVector<f64>), TrainingError> {
        let mut all = self.no_sums();
        for part in parts {
            all.moment += &part.moment;
            all.features += &part.features;
            all.targets += &part.targets;
            all.count += part.count;
        }
        // Centre on the means of these rows, so that the penalty spares the constant. Without rows
        // everything is 0.
        let count = all.count.max(1.0);
        let mean = if self.task.has_free_constant {
            &all.features / count
        } else {
            // Standardisation has put the mean of all rows here.
            DVector::zeros(self.mean.len())
        };
        let middle = all.targets / count;
        let column = DMatrix::from_column_slice(mean.len(), 1, mean.as_slice());
        gram.add_product(-count, &column);
        all.moment.ger(-1.0, &all.features, &middle, 1.0);
        gram.add_to_diagonal(&self.alphas);
        gram.solve(&mut all.moment)?;
        let bias = middle - all.moment.tr_mul(&mean);
        Ok((all.moment, bias))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_line_is_found_and_predicted_for_unseen_folds() {
        let rows: Vec<Vec<f32>> = (0..200_u16)
            .map(|index| {
                let x = f32::from(index) / 100.0;
                vec![x, (7.0 * x).sin(), 5.0]
            })
            .collect();
        let targets: Vec<f64> = rows
            .iter()
            .map(|row| 0.3 + 2.0 * f64::from(row[0]) - 0.5 * f64::from(row[1]))
            .collect();
        let folds: Vec<usize> = (0..200).map(|index| index % 4).collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let task = RidgeTask {
            weights: vec![1.0; rows.len()],
            targets: vec![
                targets.clone(),
                targets.iter().map(|target| -target).collect(),
            ],
            alpha: 1e-6,
            has_free_constant: true,
        };
        let solution = solve(&task, &rows, &folds, 0).unwrap();
        let [solution, mirrored] = &solution[..] else {
            panic!("two outputs");
        };
        assert!((mirrored.of_all.weights[0] + 2.0).abs() < 1e-4);
        assert!((solution.of_all.weights[0] - 2.0).abs() < 1e-4);
        assert!((solution.of_all.weights[1] + 0.5).abs() < 1e-4);
        assert_eq!(solution.of_all.weights[2], 0.0);
        assert!((solution.of_all.bias - 0.3).abs() < 1e-3);
        for (predicted, target) in solution.held_out.iter().zip(&targets) {
            assert!((predicted - target).abs() < 1e-3);
        }
    }

    #[test]
    fn a_large_alpha_leaves_the_mean() {
        let rows: Vec<Vec<f32>> = (0..50_u8).map(|index| vec![f32::from(index)]).collect();
        let targets: Vec<f64> = (0..50).map(f64::from).collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let task = RidgeTask {
            weights: vec![1.0; rows.len()],
            targets: vec![targets],
            alpha: 1e12,
            has_free_constant: true,
        };
        let solution = &solve(&task, &rows, &[0; 50], 0).unwrap()[0];
        assert!(solution.of_all.weights[0].abs() < 1e-3);
        // One fold only: nothing is left to fit without it.
        assert_eq!(solution.held_out, vec![0.0; 50]);
    }
}
