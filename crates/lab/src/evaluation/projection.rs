//! Lays embeddings out in the plane by principal components, or by t-SNE started from them,
//! which makes it deterministic. Distances in the plane are for the eye only; figures are
//! computed in all 512 dimensions.

use nalgebra::{DMatrix, SymmetricEigen};

/// Nobody can tell more points apart in a picture, and the file grows.
pub const MOST_POINTS: usize = 2000;
/// Neighbours that a point is drawn towards, at most.
const PERPLEXITY: f32 = 20.0;
/// Fewest points for t-SNE, which needs three neighbours for each unit of perplexity.
const FEWEST_FOR_TSNE: usize = 12;
/// How coarsely far points are taken together (Barnes and Hut's θ); the usual value.
const COARSENESS: f32 = 0.5;
/// Standard deviation of the start; small, as is usual.
const START_SPREAD: f32 = 1e-2;

/// How to get from many dimensions to two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProjectionMethod {
    /// t-SNE (van der Maaten 2014, Barnes and Hut's approximation): neighbours stay neighbours;
    /// distances between groups mean nothing.
    #[default]
    Tsne,
    /// Principal components: the plane in which the points scatter most.
    Pca,
}

/// One point in the plane for each of `points`, all of one length. Fewer than twelve points are
/// always placed by principal components.
pub fn project(points: &[&[f32]], method: ProjectionMethod) -> Vec<[f32; 2]> {
    let plane = principal(points);
    if method == ProjectionMethod::Pca || points.len() < FEWEST_FOR_TSNE {
        return plane;
    }
    tsne(points, &plane)
}

/// Coordinates along the two directions of largest variance.
fn principal(points: &[&[f32]]) -> Vec<[f32; 2]> {
    let count = points.len();
    let length = points.first().map_or(0, |point| point.len());
    if count < 2 || length == 0 {
        return vec![[0.0; 2]; count];
    }
    let mut rows = DMatrix::from_fn(count, length, |row, column| f64::from(points[row][column]));
    let mean = rows.row_mean();
    for mut row in rows.row_iter_mut() {
        row -= &mean;
    }
    // Two square matrices have the same eigenvalues: the smaller one is decomposed.
    let scores = if count <= length {
        let eigen = SymmetricEigen::new(&rows * rows.transpose());
        leading(&eigen.eigenvalues).map(|column| {
            let scale = eigen.eigenvalues[column].max(0.0).sqrt();
            eigen.eigenvectors.column(column) * scale
        })
    } else {
        let eigen = SymmetricEigen::new(rows.transpose() * &rows);
        leading(&eigen.eigenvalues).map(|column| &rows * eigen.eigenvectors.column(column))
    };
    // An eigenvector's sign is arbitrary: the point farthest out lies on the positive side.
    let signed = scores.map(|scores| {
        let values = scores.iter().copied();
        let far = values.max_by(|a, b| a.abs().total_cmp(&b.abs()));
        scores * far.unwrap_or(1.0).signum()
    });
    (0..count)
        .map(|row| [0, 1].map(|axis| signed[axis][row] as f32))
        .collect()
}

/// Indices of the two largest eigenvalues; twice the same if there is only one.
fn leading(eigenvalues: &nalgebra::DVector<f64>) -> [usize; 2] {
    let mut order: Vec<usize> = (0..eigenvalues.len()).collect();
    order.sort_by(|&a, &b| eigenvalues[b].total_cmp(&eigenvalues[a]));
    [order[0], order[1.min(order.len() - 1)]]
}

fn tsne(points: &[&[f32]], plane: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let square: f32 = plane.iter().map(|[x, _]| x * x).sum();
    let spread = (square / plane.len() as f32).sqrt().max(f32::MIN_POSITIVE);
    let start = plane.as_flattened().iter();
    let start: Vec<f32> = start.map(|value| value * START_SPREAD / spread).collect();
    // A third of the points can be neighbours of one.
    let perplexity = PERPLEXITY.min((points.len() - 1) as f32 / 3.0 - 0.5);
    let distance = |a: &&[f32], b: &&[f32]| -> f32 {
        let square: f32 = a.iter().zip(b.iter()).map(|(x, y)| (x - y) * (x - y)).sum();
        square.sqrt()
    };
    let fit = || {
        let mut tsne = bhtsne::tSNE::<f32, &[f32]>::new(points);
        tsne.perplexity(perplexity)
            .initial_embedding(start)
            .barnes_hut(COARSENESS, distance);
        tsne.embedding().as_chunks::<2>().0.to_vec()
    };
    // Several threads would add up in another order each time, and the smallest difference grows
    // into another picture.
    match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(alone) => alone.install(fit),
        Err(_) => plane.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    /// Three groups of `each` points in 20 dimensions, far from each other.
    fn groups(each: usize) -> Vec<Vec<f32>> {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let mut unit = || (random.next_u32() >> 8) as f32 / 16_777_216.0;
        (0..3 * each)
            .map(|index| {
                (0..20)
                    .map(|axis| unit() * 0.3 + if axis == index % 3 { 3.0 } else { 0.0 })
                    .collect()
            })
            .collect()
    }

    /// Share of points whose nearest neighbour in the plane is of the same group.
    fn together(plane: &[[f32; 2]]) -> f64 {
        let distance = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        let kept = (0..plane.len()).filter(|&point| {
            let nearest = (0..plane.len())
                .filter(|&other| other != point)
                .min_by(|&a, &b| {
                    distance(plane[point], plane[a]).total_cmp(&distance(plane[point], plane[b]))
                });
            nearest.is_some_and(|nearest| nearest % 3 == point % 3)
        });
        kept.count() as f64 / plane.len() as f64
    }

    #[test]
    fn groups_stay_together_and_the_picture_is_always_the_same() {
        let points = groups(12);
        let points: Vec<&[f32]> = points.iter().map(Vec::as_slice).collect();
        for method in [ProjectionMethod::Pca, ProjectionMethod::Tsne] {
            let plane = project(&points, method);
            assert_eq!(plane.len(), points.len());
            assert!(together(&plane) > 0.95, "{method:?}: {}", together(&plane));
            assert_eq!(plane, project(&points, method));
        }
    }

    #[test]
    fn a_crowd_is_laid_out_alike_each_time() {
        let points = groups(50);
        let points: Vec<&[f32]> = points.iter().map(Vec::as_slice).collect();
        let plane = project(&points, ProjectionMethod::Tsne);
        assert!(together(&plane) > 0.95, "{}", together(&plane));
        assert_eq!(plane, project(&points, ProjectionMethod::Tsne));
    }

    #[test]
    fn principal_components_find_the_plane_whichever_side_is_longer() {
        // Points of a tilted ellipse: variance 2 along (1, 1, 0, …), 0.5 along (1, −1, 0, …).
        for (count, length) in [(5, 40), (64, 3)] {
            let points: Vec<Vec<f32>> = (0..count)
                .map(|index| {
                    let angle = std::f32::consts::TAU * index as f32 / count as f32;
                    let (far, near) = (2.0 * angle.cos(), angle.sin());
                    let mut point = vec![0.0; length];
                    point[0] = (far + near) / 2.0_f32.sqrt();
                    point[1] = (far - near) / 2.0_f32.sqrt();
                    point
                })
                .collect();
            let points: Vec<&[f32]> = points.iter().map(Vec::as_slice).collect();
            let plane = project(&points, ProjectionMethod::Pca);
            let variance =
                |axis: usize| plane.iter().map(|at| at[axis].powi(2)).sum::<f32>() / count as f32;
            assert!((variance(0) - 2.0).abs() < 1e-3, "{}", variance(0));
            assert!((variance(1) - 0.5).abs() < 1e-3, "{}", variance(1));
        }
    }

    #[test]
    fn too_few_points_are_placed_all_the_same() {
        assert!(project(&[], ProjectionMethod::Tsne).is_empty());
        assert_eq!(
            project(&[&[1.0, 2.0]], ProjectionMethod::Tsne),
            [[0.0, 0.0]]
        );
        let two = project(&[&[0.0, 0.0], &[0.0, 2.0]], ProjectionMethod::Tsne);
        assert!((two[0][0] - two[1][0]).abs() > 1.9);
    }
}
