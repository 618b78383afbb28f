//! Finds the subspace of a network's possible outputs from the weights of its last layer; no
//! photos are needed.

use nalgebra::DMatrix;

/// The `directions` orthonormal rows that hold most of what `weights · x + bias` can be, strongest first, row-major.
///
/// `weights` is `[length, inputs]` row-major, `bias` has `length` numbers. Where the layer's rank is at most `directions`,
/// projecting its output on these rows loses nothing: every dot product of two outputs stays what it is.
#[must_use]
pub fn principal_directions(weights: &[f32], bias: &[f32], directions: usize) -> Projection {
    let length = bias.len();
    let inputs = weights.len() / length.max(1);
    let layer = DMatrix::from_fn(length, inputs + 1, |row, column| {
        f64::from(if column < inputs {
            weights[row * inputs + column]
        } else {
            bias[row]
        })
    });
    let gram = &layer * layer.transpose();
    let eigen = gram.symmetric_eigen();
    let mut order: Vec<usize> = (0..length).collect();
    order.sort_by(|&a, &b| {
        eigen.eigenvalues[b]
            .total_cmp(&eigen.eigenvalues[a])
            .then(a.cmp(&b))
    });
    let energy = |chosen: &[usize]| -> f64 {
        chosen
            .iter()
            .map(|&index| eigen.eigenvalues[index].max(0.0))
            .sum()
    };
    let kept = energy(&order[..directions.min(length)]) / energy(&order);
    let mut rows = Vec::with_capacity(directions * length);
    for &index in order.iter().take(directions) {
        let vector = eigen.eigenvectors.column(index);
        // An eigenvector's sign is arbitrary: the largest entry is made positive, so that every build gives the same.
        let largest = vector
            .iter()
            .copied()
            .max_by(|a, b| a.abs().total_cmp(&b.abs()))
            .unwrap_or(1.0);
        let sign = largest.signum();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the graph holds f32; the solution is wider for exactness only"
        )]
        rows.extend(vector.iter().map(|value| (sign * value) as f32));
    }
    Projection { rows, kept }
}

/// Rows of a projection and what they keep.
#[derive(Clone, Debug)]
pub struct Projection {
    /// Row-major, `directions × length`.
    pub rows: Vec<f32>,
    /// Share of the layer's energy (squared singular values) that the rows hold, 0…1.
    pub kept: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_of_rank_two_is_held_by_two_orthonormal_directions() {
        // Four outputs of three inputs; rows 2 and 3 are sums of rows 0 and 1.
        let weights = [
            1.0, 2.0, 3.0, //
            0.0, 1.0, -1.0, //
            1.0, 3.0, 2.0, //
            2.0, 5.0, 5.0,
        ];
        let found = principal_directions(&weights, &[0.0; 4], 2);
        assert!((found.kept - 1.0).abs() < 1e-9);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        let (first, second) = found.rows.split_at(4);
        assert!((dot(first, first) - 1.0).abs() < 1e-6);
        assert!(dot(first, second).abs() < 1e-6);
        let output = [1.0, 0.0, 1.0, 2.0];
        let projected = dot(first, &output).hypot(dot(second, &output));
        assert!((projected - dot(&output, &output).sqrt()).abs() < 1e-5);
        let less = principal_directions(&weights, &[0.0; 4], 1);
        assert!(less.kept < 0.999);
    }
}
