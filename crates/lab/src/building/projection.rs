//! Finds the subspace of a network's possible outputs from the weights of its last layer; no
//! photos are needed.

use nalgebra::DMatrix;

/// The `directions` orthonormal rows that hold most of what `weights · x + bias` can be, strongest
/// first, row-major.
///
/// `weights` is `[length, inputs]` row-major, `bias` has `length` numbers. If the layer's rank is
/// at most `directions`, projecting its output on these rows loses nothing: every dot product of
/// two outputs stays as it is.
pub(super) fn principal_directions(weights: &[f32], bias: &[f32], directions: usize) -> Vec<f32> {
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
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let mut rows = Vec::with_capacity(directions * length);
    for index in order.into_iter().take(directions) {
        let vector = eigen.eigenvectors.column(index);
        // An eigenvector's sign is arbitrary. Making the largest entry positive gives every build
        // the same rows.
        let largest = vector
            .iter()
            .max_by(|a, b| a.abs().total_cmp(&b.abs()))
            .unwrap_or(&1.0);
        let sign = largest.signum();
        // The graph holds f32; the solution is wider for exactness only.
        rows.extend(vector.iter().map(|value| (sign * value) as f32));
    }
    rows
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
        // Share of the layer's energy (squared singular values) that the rows hold.
        let kept = |rows: &[f32]| {
            let layer = DMatrix::from_row_slice(4, 3, &weights.map(f64::from));
            let rows: Vec<f64> = rows.iter().copied().map(f64::from).collect();
            let rows = DMatrix::from_row_slice(rows.len() / 4, 4, &rows);
            (rows * &layer).norm_squared() / layer.norm_squared()
        };
        let found = principal_directions(&weights, &[0.0; 4], 2);
        assert!(
            (kept(&found) - 1.0).abs() < 1e-6,
            "but for the rounding of f32"
        );
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        let (first, second) = found.split_at(4);
        assert!((dot(first, first) - 1.0).abs() < 1e-6);
        assert!(dot(first, second).abs() < 1e-6);
        let output = [1.0, 0.0, 1.0, 2.0];
        let projected = dot(first, &output).hypot(dot(second, &output));
        assert!((projected - dot(&output, &output).sqrt()).abs() < 1e-5);
        let less = principal_directions(&weights, &[0.0; 4], 1);
        assert!(kept(&less) < 0.999);
    }
}
