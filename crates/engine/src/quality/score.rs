//! The fixed curve of the contract from expected similarity to quality score.

use crate::stats::interpolate;

/// Points of similarity and score, with linear interpolation between them. Grades, policies and
/// the design's ISO table use this scale.
const CURVE: [[f64; 2]; 8] = [
    [0.0, 0.0],
    [0.215, 0.22],
    [0.35, 0.37],
    [0.52, 0.54],
    [0.64, 0.73],
    [0.72, 0.85],
    [0.75, 0.89],
    [1.0, 1.0],
];

/// The quality score of a capture with this expected similarity to a good reference.
pub fn from_similarity(similarity: f64) -> f64 {
    interpolate(&CURVE, similarity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_goes_through_the_contract_s_points() {
        for [similarity, score] in CURVE {
            assert!((from_similarity(similarity) - score).abs() < 1e-12);
        }
        assert!((from_similarity(0.58) - 0.635).abs() < 1e-9);
        assert_eq!(from_similarity(-0.4), 0.0);
        assert_eq!(from_similarity(1.7), 1.0);
    }
}
