//! What each sample should be predicted to reach: its similarity to other photos of the person.

use std::collections::BTreeMap;

use super::chain::Seen;
use super::photos::Group;
use super::{OBJECT_TARGET, PhotoId, Sample};
use crate::stats::{even_bins, interpolate, isotonic, mean};

/// How many of the best similarities a target is the mean of: a good reference is one of the better photos, and a wrong
/// label among the others does no harm.
const BEST: usize = 3;
/// Web crops that a person has at the least, for one of them to be compared with what is usual for the person.
const FEWEST_CROPS: usize = 4;
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

/// The similarity that each sample reaches against a good reference; `None` where nothing is known of it.
pub(super) fn reached(samples: &[Sample]) -> Vec<Option<f64>> {
    let clean: Vec<&Sample> = samples.iter().filter(|sample| sample.is_clean).collect();
    let own: BTreeMap<PhotoId, &Seen> = clean
        .iter()
        .map(|sample| (sample.photo, &sample.seen))
        .collect();
    let measured: Vec<Option<f64>> = samples
        .iter()
        .map(|sample| match sample.group {
            Group::Named | Group::Wild => best_similarity(
                &sample.seen,
                others(sample, &clean).map(|other| &other.seen),
            ),
            Group::Single | Group::Masked | Group::Object | Group::Package => None,
        })
        .collect();
    let own_similarity = |sample: &Sample| {
        own.get(&sample.photo)
            .map(|own| sample.seen.similarity(own))
    };
    let pairs: Vec<(f64, f64)> = samples
        .iter()
        .zip(&measured)
        .filter(|(sample, _)| sample.group == Group::Named)
        .filter_map(|(sample, measured)| Some((own_similarity(sample)?, (*measured)?)))
        .collect();
    let map = own_to_other(&pairs);
    samples
        .iter()
        .zip(measured)
        .map(|(sample, measured)| match sample.group {
            Group::Object => Some(OBJECT_TARGET),
            Group::Masked => None,
            Group::Single | Group::Package => own_similarity(sample).map(|own| mapped(&map, own)),
            Group::Named | Group::Wild => measured,
        })
        .collect()
}

/// What each web crop reaches beside the others of its person: the mean over all web crops, and how much more or less alike than the person's
/// usual crop this one is to the person's others. How alike a person's photos are on the whole (by age, make-up, wrong labels) says
/// nothing of one of them. `None` for everything else, and for people with few crops.
pub(super) fn without_the_person(samples: &[Sample]) -> Vec<Option<f64>> {
    let clean: Vec<&Sample> = samples
        .iter()
        .filter(|sample| sample.is_clean && sample.group == Group::Wild)
        .collect();
    let usual = |sample: &Sample, others: &[f64]| -> Option<f64> {
        (sample.group == Group::Wild && others.len() + 1 >= FEWEST_CROPS).then(|| mean(others))
    };
    let similarities: Vec<Vec<f64>> = samples
        .iter()
        .map(|sample| match sample.group {
            Group::Wild => others(sample, &clean)
                .map(|other| sample.seen.similarity(&other.seen))
                .collect(),
            _ => Vec::new(),
        })
        .collect();
    let mut of_people: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    let mut best = Vec::new();
    for (sample, others) in samples.iter().zip(&similarities) {
        if sample.is_clean
            && let Some(usual) = usual(sample, others)
        {
            of_people.entry(sample.person).or_default().push(usual);
            best.extend(mean_of_best(others.iter().copied()));
        }
    }
    let level = if best.is_empty() { 0.0 } else { mean(&best) };
    samples
        .iter()
        .zip(&similarities)
        .map(|(sample, others)| {
            let of_person = of_people.get(&sample.person)?;
            // The mean over the others holds a share of each other's own faults: taken off.
            let count = of_person.len() as f64;
            let apart = usual(sample, others)? - mean(of_person);
            Some(level + apart * (count - 1.0) / (count - 2.0))
        })
        .collect()
}

/// The clean photos of the same person besides this one.
fn others<'a>(sample: &'a Sample, clean: &'a [&'a Sample]) -> impl Iterator<Item = &'a Sample> {
    clean
        .iter()
        .copied()
        .filter(|other| other.person == sample.person && other.photo != sample.photo)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::build::head::CAUSES;

    /// A clean photo of `person` whose embedding points `degrees` away from the x axis.
    fn photo(group: Group, person: u32, number: usize, degrees: f32) -> Sample {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Sample {
            group,
            person,
            photo: (number, 0),
            scene: 0,
            is_second_shot: false,
            is_clean: true,
            symptoms: [0.0; CAUSES.len()],
            seen: Seen {
                embedding: vec![cos, sin],
                norms: Vec::new(),
                features: Vec::new(),
            },
        }
    }

    #[test]
    fn a_photo_reaches_the_mean_of_its_three_best_and_a_lonely_one_nothing() {
        let mut samples: Vec<Sample> = [0.0, 0.0, 0.0, 0.0, 90.0]
            .into_iter()
            .enumerate()
            .map(|(number, degrees)| photo(Group::Named, 1, number, degrees))
            .collect();
        samples.push(photo(Group::Named, 2, 5, 0.0));
        samples.push(photo(Group::Masked, 3, 6, 0.0));
        samples.push(photo(Group::Object, 4, 7, 0.0));
        let reached = reached(&samples);
        assert!((reached[0].unwrap() - 1.0).abs() < 1e-6);
        assert!(reached[4].unwrap().abs() < 1e-6);
        assert_eq!(reached[5..], [None, None, Some(OBJECT_TARGET)]);
    }

    #[test]
    fn how_alike_a_person_s_crops_are_on_the_whole_does_not_count() {
        // Two people whose crops differ more in one than in the other; each has one crop that is far off.
        let crops = |person: u32, first: usize, spread: f32| {
            [0.0, 1.0, 2.0, 3.0, 20.0]
                .into_iter()
                .enumerate()
                .map(move |(number, step)| {
                    photo(Group::Wild, person, first + number, step * spread)
                })
        };
        let mut samples: Vec<Sample> = crops(1, 0, 1.0).chain(crops(2, 5, 3.0)).collect();
        samples.push(photo(Group::Wild, 3, 10, 0.0));
        samples.push(photo(Group::Named, 4, 11, 0.0));
        let fair = without_the_person(&samples);
        let of = |range: std::ops::Range<usize>| -> Vec<f64> {
            range.map(|index| fair[index].unwrap()).collect()
        };
        let (one, two) = (of(0..5), of(5..10));
        assert!((mean(&one) - mean(&two)).abs() < 1e-9, "{one:?} {two:?}");
        for of_person in [&one, &two] {
            assert!(
                of_person[..4].iter().all(|crop| *crop > of_person[4]),
                "{of_person:?}"
            );
        }
        assert_eq!(fair[10..], [None, None], "too few crops, and no crop");
    }
}
