//! Ridge regression on standardised features, solved exactly, with predictions for people that the fit has not seen.

use nalgebra::{Cholesky, DMatrix, DVector};

use super::TrainingError;

/// Rows that are multiplied at once: large enough for speed, small enough for memory.
const CHUNK: usize = 512;

/// Features of all rows with what is to be predicted.
pub(super) struct Problem<'a> {
    /// One row of features a sample.
    pub(super) rows: &'a [&'a [f32]],
    /// What each should give.
    pub(super) targets: &'a [f64],
    /// Which rows teach; the others are only predicted.
    pub(super) is_taught: &'a [bool],
    /// Which fold each belongs to; all samples of a person are in one.
    pub(super) folds: &'a [usize],
    /// How strongly weights are held small.
    pub(super) alpha: f64,
}

/// What was learnt.
pub(super) struct Solution {
    /// Weights on the features as they come, standardisation folded in.
    pub(super) weights: Vec<f64>,
    /// What is added.
    pub(super) bias: f64,
    /// For each row what a fit without its fold predicts.
    pub(super) held_out: Vec<f64>,
}

/// Mean and inverse deviation of each feature.
struct Scale {
    mean: Vec<f64>,
    inverse: Vec<f64>,
}

/// Sums over the rows of one fold: XᵀX, Xᵀy, Σx, Σy and the number of rows, X standardised.
struct Sums {
    gram: DMatrix<f64>,
    moment: DVector<f64>,
    features: DVector<f64>,
    targets: f64,
    count: f64,
}

/// Fits all rows, and all but each fold.
pub(super) fn solve(problem: &Problem<'_>) -> Result<Solution, TrainingError> {
    let features = problem.rows.first().map_or(0, |row| row.len());
    let taught: Vec<&[f32]> = (0..problem.rows.len())
        .filter(|&row| problem.is_taught[row])
        .map(|row| problem.rows[row])
        .collect();
    let scale = scale(&taught, features);
    let folds = problem.folds.iter().max().map_or(0, |last| last + 1);
    let sums: Vec<Sums> = (0..folds)
        .map(|fold| sums(problem, &scale, features, fold))
        .collect();
    let mut held_out = vec![0.0; problem.rows.len()];
    for fold in 0..folds {
        let others = sums
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != fold)
            .map(|(_, sums)| sums);
        let (weights, bias) = fit(others, features, problem.alpha)?;
        for (row, _) in problem
            .folds
            .iter()
            .enumerate()
            .filter(|(_, of)| **of == fold)
        {
            held_out[row] = bias
                + problem.rows[row]
                    .iter()
                    .enumerate()
                    .map(|(index, &value)| weights[index] * scale.apply(index, value))
                    .sum::<f64>();
        }
    }
    let (standardised, constant) = fit(sums.iter(), features, problem.alpha)?;
    let weights: Vec<f64> = standardised
        .iter()
        .zip(&scale.inverse)
        .map(|(weight, inverse)| weight * inverse)
        .collect();
    let shift: f64 = weights.iter().zip(&scale.mean).map(|(w, m)| w * m).sum();
    Ok(Solution {
        weights,
        bias: constant - shift,
        held_out,
    })
}

impl Scale {
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
        // A feature that never changes says nothing: its weight comes out as 0.
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

fn sums(problem: &Problem<'_>, scale: &Scale, features: usize, fold: usize) -> Sums {
    let members: Vec<usize> = (0..problem.rows.len())
        .filter(|&row| problem.folds[row] == fold && problem.is_taught[row])
        .collect();
    let mut sums = Sums {
        gram: DMatrix::zeros(features, features),
        moment: DVector::zeros(features),
        features: DVector::zeros(features),
        targets: 0.0,
        count: members.len() as f64,
    };
    for chunk in members.chunks(CHUNK) {
        // One column a sample.
        let block = DMatrix::from_fn(features, chunk.len(), |index, column| {
            scale.apply(index, problem.rows[chunk[column]][index])
        });
        let targets =
            DVector::from_iterator(chunk.len(), chunk.iter().map(|&row| problem.targets[row]));
        sums.gram.gemm(1.0, &block, &block.transpose(), 1.0);
        sums.moment.gemv(1.0, &block, &targets, 1.0);
        sums.features += block.column_sum();
        sums.targets += targets.sum();
    }
    sums
}

/// Weights on standardised features, and the constant.
fn fit<'a>(
    parts: impl Iterator<Item = &'a Sums>,
    features: usize,
    alpha: f64,
) -> Result<(Vec<f64>, f64), TrainingError> {
    let mut gram = DMatrix::zeros(features, features);
    let mut moment = DVector::zeros(features);
    let mut sum = DVector::zeros(features);
    let (mut targets, mut count) = (0.0, 0.0);
    for part in parts {
        gram += &part.gram;
        moment += &part.moment;
        sum += &part.features;
        targets += part.targets;
        count += part.count;
    }
    // Centre on the means of these rows, so that the constant is not held small.
    let mean = &sum / count;
    let middle = targets / count;
    gram.ger(-count, &mean, &mean, 1.0);
    moment -= &mean * (count * middle);
    for index in 0..features {
        gram[(index, index)] += alpha;
    }
    let solved = solve_positive(gram, moment)?;
    let bias = middle - solved.dot(&mean);
    Ok((solved.iter().copied().collect(), bias))
}

/// Columns that are eliminated at once.
const BLOCK: usize = 96;

/// Solves `matrix · x = right` for a symmetric positive definite matrix by Cholesky's method in blocks: nearly all of the work
/// is then multiplication of matrices, which is fast in debug builds too.
fn solve_positive(
    mut matrix: DMatrix<f64>,
    mut right: DVector<f64>,
) -> Result<DVector<f64>, TrainingError> {
    let size = matrix.nrows();
    for start in (0..size).step_by(BLOCK) {
        let block = BLOCK.min(size - start);
        let rest = size - start - block;
        let corner = matrix.view((start, start), (block, block)).into_owned();
        let factor = Cholesky::new(corner)
            .ok_or(TrainingError::Singular)?
            .unpack();
        matrix
            .view_mut((start, start), (block, block))
            .copy_from(&factor);
        if rest == 0 {
            break;
        }
        // Lower part of these columns: A₂₁ · L₁₁⁻ᵀ.
        let inverse = factor
            .solve_lower_triangular(&DMatrix::identity(block, block))
            .ok_or(TrainingError::Singular)?;
        let below = matrix.view((start + block, start), (rest, block)) * inverse.transpose();
        matrix
            .view_mut((start + block, start), (rest, block))
            .copy_from(&below);
        matrix
            .view_mut((start + block, start + block), (rest, rest))
            .gemm(-1.0, &below, &below.transpose(), 1.0);
    }
    let is_solved = matrix.solve_lower_triangular_mut(&mut right)
        && matrix.tr_solve_lower_triangular_mut(&mut right);
    if is_solved {
        Ok(right)
    } else {
        Err(TrainingError::Singular)
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
        let solution = solve(&Problem {
            is_taught: &vec![true; rows.len()],
            rows: &rows,
            targets: &targets,
            folds: &folds,
            alpha: 1e-6,
        })
        .unwrap();
        assert!((solution.weights[0] - 2.0).abs() < 1e-4);
        assert!((solution.weights[1] + 0.5).abs() < 1e-4);
        assert_eq!(solution.weights[2], 0.0);
        assert!((solution.bias - 0.3).abs() < 1e-3);
        for (predicted, target) in solution.held_out.iter().zip(&targets) {
            assert!((predicted - target).abs() < 1e-3);
        }
    }

    #[test]
    fn blocks_solve_what_they_are_given() {
        let size = 2 * BLOCK + 17;
        let root = DMatrix::from_fn(size, size, |row, column| {
            ((row * 31 + column * 17) % 23) as f64 / 23.0 - 0.5
        });
        let matrix = &root * root.transpose() + DMatrix::identity(size, size);
        let wanted = DVector::from_fn(size, |row, _| (row % 7) as f64 - 3.0);
        let found = solve_positive(matrix.clone(), &matrix * &wanted).unwrap();
        assert!((found - wanted).amax() < 1e-8);
    }

    #[test]
    fn a_large_alpha_leaves_the_mean() {
        let rows: Vec<Vec<f32>> = (0..50_u8).map(|index| vec![f32::from(index)]).collect();
        let targets: Vec<f64> = (0..50).map(f64::from).collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let solution = solve(&Problem {
            is_taught: &vec![true; rows.len()],
            rows: &rows,
            targets: &targets,
            folds: &vec![0; 50],
            alpha: 1e12,
        });
        // One fold only: nothing is left to fit without it.
        assert!(solution.is_err() || solution.is_ok_and(|s| s.weights[0].abs() < 1e-3));
    }
}
