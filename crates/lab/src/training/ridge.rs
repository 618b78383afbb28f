//! Ridge regression on standardised features, solved exactly, with held-out predictions by
//! fold.

use nalgebra::{DMatrix, DVector};

use super::TrainingError;
use super::gram::Symmetric;

/// Rows in one matrix product: large enough for speed, small enough for memory.
const CHUNK: usize = 256;

/// Features of all rows with the targets.
pub(super) struct RidgeProblem<'a> {
    /// One row of features a sample.
    pub(super) rows: &'a [&'a [f32]],
    /// For each output what each row should give.
    pub(super) targets: &'a [Vec<f64>],
    /// Weight of each row; rows of weight 0 are only predicted.
    pub(super) weights: &'a [f64],
    /// Fold of each row; all samples of a person are in one fold.
    pub(super) folds: &'a [usize],
    /// How strongly weights are held small.
    pub(super) alpha: f64,
    /// Number of features at the end with a weaker penalty: divided by [`RELIEF`].
    pub(super) relieved: usize,
    /// Whether to fit an intercept. If not, the unweighted mean row maps to the mean
    /// target.
    pub(super) has_free_constant: bool,
}

/// Divisor of the penalty on a few summary features, which thousands of others would outweigh.
const RELIEF: f64 = 500.0;

/// A linear function of the raw features; it includes the standardisation.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    pub(super) weights: Vec<f64>,
    pub(super) bias: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Solution {
    /// Of all rows.
    pub(super) of_all: Linear,
    /// For each fold of the others' rows.
    pub(super) without_fold: Vec<Linear>,
    /// The prediction for each row by a fit without its fold.
    pub(super) held_out: Vec<f64>,
}

/// Mean and inverse deviation of each feature.
struct Scale {
    mean: Vec<f64>,
    inverse: Vec<f64>,
}

/// Sums over the rows of one fold, by their weights: XᵀY, Σx, Σy and the weights themselves, X standardised.
struct Sums {
    moment: DMatrix<f64>,
    features: DVector<f64>,
    targets: DVector<f64>,
    count: f64,
}

/// Fits all rows, and all rows without each fold; returns a solution for each output. It runs
/// on the current pool of `rayon`.
///
/// Only XᵀX is large, so there are two of it: the one of all rows, and the one that is solved.
/// A fold's part is computed a second time to subtract it again, and is not kept.
pub(super) fn solve(problem: &RidgeProblem<'_>) -> Result<Vec<Solution>, TrainingError> {
    let features = problem.rows.first().map_or(0, |row| row.len());
    let taught: Vec<&[f32]> = (0..problem.rows.len())
        .filter(|&row| problem.weights[row] > 0.0)
        .map(|row| problem.rows[row])
        .collect();
    let scale = scale(&taught, features);
    let folds = problem.folds.iter().max().map_or(0, |last| last + 1);
    let mut gram = Symmetric::zeros(features);
    let sums: Vec<Sums> = (0..folds)
        .map(|fold| sums(problem, &scale, features, fold, &mut gram))
        .collect();
    let outputs = problem.targets.len();
    let alphas: Vec<f64> = (0..features)
        .map(|index| {
            let is_relieved = index + problem.relieved >= features;
            problem.alpha / if is_relieved { RELIEF } else { 1.0 }
        })
        .collect();
    let mut held_out = vec![vec![0.0; problem.rows.len()]; outputs];
    let mut without_fold = vec![Vec::new(); outputs];
    let mut of_others = Symmetric::zeros(features);
    for fold in 0..folds {
        of_others.copy_from(&gram);
        for block in blocks(problem, &scale, features, fold) {
            of_others.add_product(-1.0, &block.standardised);
        }
        let others = sums
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != fold)
            .map(|(_, sums)| sums);
        let (weights, bias) = fit(&mut of_others, others, outputs, &alphas, problem)?;
        for (output, linear) in without_fold.iter_mut().enumerate() {
            linear.push(scale.unfold(weights.column(output).as_slice(), bias[output]));
        }
        for (row, _) in problem
            .folds
            .iter()
            .enumerate()
            .filter(|(_, of)| **of == fold)
        {
            let standard: DVector<f64> = DVector::from_iterator(
                features,
                problem.rows[row]
                    .iter()
                    .enumerate()
                    .map(|(index, &value)| scale.apply(index, value)),
            );
            let predicted = weights.tr_mul(&standard) + &bias;
            for (held_out, value) in held_out.iter_mut().zip(predicted.iter()) {
                held_out[row] = *value;
            }
        }
    }
    let (weights, bias) = fit(&mut gram, sums.iter(), outputs, &alphas, problem)?;
    Ok(held_out
        .into_iter()
        .zip(without_fold)
        .enumerate()
        .map(|(output, (held_out, without_fold))| Solution {
            of_all: scale.unfold(weights.column(output).as_slice(), bias[output]),
            without_fold,
            held_out,
        })
        .collect())
}

impl Scale {
    /// A function of standardised features as one of the features as they come.
    fn unfold(&self, standardised: &[f64], constant: f64) -> Linear {
        let weights: Vec<f64> = standardised
            .iter()
            .zip(&self.inverse)
            .map(|(weight, inverse)| weight * inverse)
            .collect();
        let shift: f64 = weights.iter().zip(&self.mean).map(|(w, m)| w * m).sum();
        Linear {
            bias: constant - shift,
            weights,
        }
    }

    fn apply(&self, index: usize, value: f32) -> f64 {
        (f64::from(value) - self.mean[index]) * self.inverse[index]
    }
}

fn scale(rows: &[&[f32]], features: usize) -> Scale {
    let count = rows.len().max(1) as f64;
    let mut mean = vec![0.0; features];
    for row in rows {
        for (sum, &value) in mean.iter_mut().zip(*row) {
            *sum += f64::from(value) / count;
        }
    }
    let mut variance = vec![0.0; features];
    for row in rows {
        for (index, &value) in row.iter().enumerate() {
            variance[index] += (f64::from(value) - mean[index]).powi(2) / count;
        }
    }
    let inverse = variance
        .into_iter()
        // A constant feature gets the weight 0.
        .map(|variance| {
            if variance > 1e-12 {
                1.0 / variance.sqrt()
            } else {
                0.0
            }
        })
        .collect();
    Scale { mean, inverse }
}

/// Rows of one fold that teach.
struct Block {
    /// One column a row, standardised, times the root of the row's weight.
    standardised: DMatrix<f64>,
    /// Roots of the weights.
    roots: DVector<f64>,
    /// One row each, times the root of its weight.
    targets: DMatrix<f64>,
}

/// The rows of `fold`, so many at once as memory allows.
fn blocks(
    problem: &RidgeProblem<'_>,
    scale: &Scale,
    features: usize,
    fold: usize,
) -> impl Iterator<Item = Block> {
    let members: Vec<usize> = (0..problem.rows.len())
        .filter(|&row| problem.folds[row] == fold && problem.weights[row] > 0.0)
        .collect();
    (0..members.len()).step_by(CHUNK).map(move |start| {
        let chunk = &members[start..members.len().min(start + CHUNK)];
        let roots = DVector::from_fn(chunk.len(), |place, _| problem.weights[chunk[place]].sqrt());
        let standardised = DMatrix::from_fn(features, chunk.len(), |index, place| {
            roots[place] * scale.apply(index, problem.rows[chunk[place]][index])
        });
        let targets = DMatrix::from_fn(chunk.len(), problem.targets.len(), |place, output| {
            roots[place] * problem.targets[output][chunk[place]]
        });
        Block {
            standardised,
            roots,
            targets,
        }
    })
}

/// The sums of one fold; its XᵀX is added to `gram`.
fn sums(
    problem: &RidgeProblem<'_>,
    scale: &Scale,
    features: usize,
    fold: usize,
    gram: &mut Symmetric,
) -> Sums {
    let mut sums = Sums {
        moment: DMatrix::zeros(features, problem.targets.len()),
        features: DVector::zeros(features),
        targets: DVector::zeros(problem.targets.len()),
        count: 0.0,
    };
    for block in blocks(problem, scale, features, fold) {
        gram.add_product(1.0, &block.standardised);
        sums.moment
            .gemm(1.0, &block.standardised, &block.targets, 1.0);
        sums.features
            .gemv(1.0, &block.standardised, &block.roots, 1.0);
        sums.targets.gemv_tr(1.0, &block.targets, &block.roots, 1.0);
        sums.count += block.roots.norm_squared();
    }
    sums
}

/// Weights on standardised features, one column an output, and the constants. `gram` is XᵀX of the rows of `parts`; the
/// solution uses it up.
fn fit<'a>(
    gram: &mut Symmetric,
    parts: impl Iterator<Item = &'a Sums>,
    outputs: usize,
    alphas: &[f64],
    problem: &RidgeProblem<'_>,
) -> Result<(DMatrix<f64>, DVector<f64>), TrainingError> {
    let features = alphas.len();
    let mut moment = DMatrix::zeros(features, outputs);
    let mut sum = DVector::zeros(features);
    let mut targets = DVector::zeros(outputs);
    let mut count = 0.0_f64;
    for part in parts {
        moment += &part.moment;
        sum += &part.features;
        targets += &part.targets;
        count += part.count;
    }
    // Centre on the means of these rows, so that the constant is not held small. Without rows everything is 0.
    let count = count.max(1.0);
    let mean = if problem.has_free_constant {
        &sum / count
    } else {
        // Where standardisation has put the mean of all rows.
        DVector::zeros(features)
    };
    let middle = targets / count;
    gram.add_product(
        -count,
        &DMatrix::from_column_slice(features, 1, mean.as_slice()),
    );
    moment.ger(-1.0, &sum, &middle, 1.0);
    gram.add_to_diagonal(alphas);
    gram.solve(&mut moment)?;
    let bias = middle - moment.tr_mul(&mean);
    Ok((moment, bias))
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
        let solution = solve(&RidgeProblem {
            weights: &vec![1.0; rows.len()],
            rows: &rows,
            targets: &[
                targets.clone(),
                targets.iter().map(|target| -target).collect(),
            ],
            folds: &folds,
            alpha: 1e-6,
            relieved: 0,
            has_free_constant: true,
        })
        .unwrap();
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
        let solution = solve(&RidgeProblem {
            weights: &vec![1.0; rows.len()],
            rows: &rows,
            targets: &[targets],
            folds: &vec![0; 50],
            alpha: 1e12,
            relieved: 0,
            has_free_constant: true,
        });
        let solution = &solution.unwrap()[0];
        assert!(solution.of_all.weights[0].abs() < 1e-3);
        // One fold only: nothing is left to fit without it.
        assert_eq!(solution.held_out, vec![0.0; 50]);
    }
}
