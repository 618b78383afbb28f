//! What each sample should be predicted to reach: its similarity to other photos of the person.

use super::chain::Seen;
use crate::stats::{even_bins, interpolate, isotonic, mean};

/// How many of the best similarities a target is the mean of: a good reference is one of the better photos, and a wrong
/// label among the others does no harm.
const BEST: usize = 3;
/// Bins of the map from "similarity to the own clean shot" to "similarity to another photo".
const BINS: usize = 24;

/// Mean of the best similarities between `sample` and `references`; `None` without any.
pub(super) fn best_similarity<'a>(
    sample: &Seen,
    references: impl Iterator<Item = &'a Seen>,
) -> Option<f64> {
    mean_of_best(references.map(|other| sample.similarity(other)))
}

/// What a sample with these similarities to other photos of the person is taken to reach against a good reference: the mean of
/// the best of them; `None` without any.
#[must_use]
pub fn mean_of_best(similarities: impl Iterator<Item = f64>) -> Option<f64> {
    let mut similarities: Vec<f64> = similarities.collect();
    similarities.sort_by(|a, b| b.total_cmp(a));
    similarities.truncate(BEST);
    (!similarities.is_empty()).then(|| mean(&similarities))
}

/// A monotone map, as knots, from `own` (similarity to the own clean shot) to `other` (to other photos of the person).
pub(super) fn own_to_other(pairs: &[(f64, f64)]) -> Vec<[f64; 2]> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let bins = even_bins(sorted.len(), BINS);
    let middle = |part: fn(&(f64, f64)) -> f64| -> Vec<f64> {
        bins.iter()
            .map(|range| mean(&sorted[range.clone()].iter().map(part).collect::<Vec<_>>()))
            .collect()
    };
    let weights: Vec<f64> = bins.iter().map(|range| range.len() as f64).collect();
    let fitted = isotonic(&middle(|pair| pair.1), &weights);
    middle(|pair| pair.0)
        .into_iter()
        .zip(fitted)
        .map(|(own, other)| [own, other])
        .collect()
}

/// `own` on the map.
pub(super) fn mapped(map: &[[f64; 2]], own: f64) -> f64 {
    interpolate(map, own)
}
