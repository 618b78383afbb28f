//! The regression target of each sample: its similarity to other photos of the person.

use std::collections::BTreeMap;

use super::chain::NetworkOutputs;
use super::photos::Group;
use super::{OBJECT_TARGET, PhotoId, TrainingSample};
use faceood_engine::stats::{even_bins, interpolate, isotonic, mean};

/// Number of best similarities that a target is the mean of. A good reference is one of the
/// better photos, and a wrong label among the others does no harm.
const BEST: usize = 3;
/// Fewest web crops of a person for comparing one with the person's usual level.
const FEWEST_CROPS: usize = 4;
/// Share of the person's own level that stays in the target of a web crop.
const LEFT_OF_PERSON: f64 = 0.25;
/// Shrinkage: with this many other crops of the person, a crop's own deviation counts half.
const HALF_KNOWN: f64 = 10.0;
/// Weight of a degraded copy of a web crop, relative to the crop.
const COPY_WEIGHT: f64 = 0.2;
const BINS: usize = 24;

/// The similarity of a sample to a good reference, from its similarities to other photos of the
/// person: the mean of the best three; `None` without any.
pub fn mean_of_best(similarities: impl Iterator<Item = f64>) -> Option<f64> {
    let mut similarities: Vec<f64> = similarities.collect();
    similarities.sort_by(|a, b| b.total_cmp(a));
    similarities.truncate(BEST);
    (!similarities.is_empty()).then(|| mean(&similarities))
}

/// The similarity of each sample to a good reference; `None` if unknown.
pub(super) fn reached(samples: &[TrainingSample]) -> Vec<Option<f64>> {
    let clean: Vec<&TrainingSample> = samples.iter().filter(|sample| sample.is_clean).collect();
    let own: BTreeMap<PhotoId, &NetworkOutputs> = clean
        .iter()
        .map(|sample| (sample.photo, &sample.seen))
        .collect();
    let measured: Vec<Option<f64>> = samples
        .iter()
        .map(|sample| match sample.group {
            Group::Named | Group::Wild | Group::Press => mean_of_best(similarities(sample, &clean)),
            Group::Single | Group::Masked | Group::Object | Group::Package => None,
        })
        .collect();
    let own_similarity =
        |sample: &TrainingSample| Some(sample.seen.similarity(own.get(&sample.photo)?));
    let named = (0..samples.len()).filter(|&row| samples[row].group == Group::Named);
    let pairs = named.filter_map(|row| Some((own_similarity(&samples[row])?, measured[row]?)));
    let map = monotone_map(pairs.collect());
    samples
        .iter()
        .zip(measured)
        .map(|(sample, measured)| match sample.group {
            Group::Object => Some(OBJECT_TARGET),
            Group::Masked => None,
            Group::Single | Group::Package => {
                own_similarity(sample).map(|own| interpolate(&map, own))
            }
            Group::Named | Group::Wild | Group::Press => measured,
        })
        .collect()
}

/// What an expert learns from one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Aim {
    pub(super) similarity: f64,
    /// From 0 to 1.
    pub(super) weight: f64,
}

impl Aim {
    /// An aim of full weight.
    pub(super) const fn full(similarity: f64) -> Self {
        let weight = 1.0;
        Self { similarity, weight }
    }
}

/// The target of each web crop, with the person's other crops as references: the mean over all web
/// crops, and how much more or less similar to the others this crop is than the person's usual one.
///
/// How similar a person's photos are on the whole (by age, make-up, wrong labels) says little of
/// one of them. A part of it stays, because a person's crops are often bad together. With few
/// others a crop has less weight, and so have its copies. `None` for everything else, and for
/// people with few crops.
pub(super) fn beside_the_person(samples: &[TrainingSample]) -> Vec<Option<Aim>> {
    let clean: Vec<&TrainingSample> = samples
        .iter()
        .filter(|sample| sample.is_clean && sample.group == Group::Wild)
        .collect();
    let usual = |sample: &TrainingSample, others: &[f64]| -> Option<f64> {
        (sample.group == Group::Wild && others.len() + 1 >= FEWEST_CROPS).then(|| mean(others))
    };
    let similarities: Vec<Vec<f64>> = samples
        .iter()
        .map(|sample| match sample.group {
            Group::Wild => similarities(sample, &clean).collect(),
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
            let alone = level + apart * (count - 1.0) / (count - 2.0);
            let reached = mean_of_best(others.iter().copied())?;
            let known = others.len() as f64 / (others.len() as f64 + HALF_KNOWN);
            Some(Aim {
                similarity: alone + LEFT_OF_PERSON * (reached - alone),
                weight: known * if sample.is_clean { 1.0 } else { COPY_WEIGHT },
            })
        })
        .collect()
}

/// The similarities of a sample to the clean photos of its person, without its own photo.
fn similarities<'a>(
    sample: &'a TrainingSample,
    clean: &'a [&'a TrainingSample],
) -> impl Iterator<Item = f64> {
    let is_other =
        |other: &&&TrainingSample| other.person == sample.person && other.photo != sample.photo;
    let others = clean.iter().filter(is_other);
    others.map(|other| sample.seen.similarity(&other.seen))
}

/// A monotone map, as knots, from the first of each pair to the second: means of bins of equal
/// count, made to rise.
pub(super) fn monotone_map(mut pairs: Vec<(f64, f64)>) -> Vec<[f64; 2]> {
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let bins = even_bins(pairs.len(), BINS);
    let middle = |part: fn(&(f64, f64)) -> f64| -> Vec<f64> {
        bins.iter()
            .map(|range| mean(&pairs[range.clone()].iter().map(part).collect::<Vec<_>>()))
            .collect()
    };
    let weights: Vec<f64> = bins.iter().map(|range| range.len() as f64).collect();
    let fitted = isotonic(&middle(|pair| pair.1), &weights);
    let knots = middle(|pair| pair.0).into_iter().zip(fitted);
    knots.map(<[f64; 2]>::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use faceood_engine::cause::CauseName;

    /// A clean photo of `person` whose embedding points `degrees` away from the x axis.
    fn photo(group: Group, person: u32, number: usize, degrees: f32) -> TrainingSample {
        let (sin, cos) = degrees.to_radians().sin_cos();
        TrainingSample {
            group,
            person,
            photo: (number, 0),
            scene: 0,
            is_second_shot: false,
            is_clean: true,
            symptoms: [0.0; CauseName::LEARNT.len()],
            seen: NetworkOutputs {
                embedding: vec![cos, sin],
                norms: Vec::new(),
                features: Vec::new(),
            },
        }
    }

    #[test]
    fn a_photo_reaches_the_mean_of_its_three_best_and_a_lonely_one_nothing() {
        let mut samples: Vec<TrainingSample> = [0.0, 0.0, 0.0, 0.0, 90.0]
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
    fn how_alike_a_person_s_crops_are_on_the_whole_hardly_counts() {
        // The crops of one person differ more than those of the other; each has one that is far
        // off.
        let crops = |person: u32, first: usize, spread: f32| {
            [0.0, 1.0, 2.0, 3.0, 20.0]
                .into_iter()
                .enumerate()
                .map(move |(number, step)| {
                    photo(Group::Wild, person, first + number, step * spread)
                })
        };
        let mut samples: Vec<TrainingSample> = crops(1, 0, 1.0).chain(crops(2, 5, 3.0)).collect();
        samples.push(photo(Group::Wild, 3, 10, 0.0));
        samples.push(photo(Group::Named, 4, 11, 0.0));
        let fair = beside_the_person(&samples);
        let of = |range: std::ops::Range<usize>| -> Vec<f64> {
            range.map(|index| fair[index].unwrap().similarity).collect()
        };
        let (one, two) = (of(0..5), of(5..10));
        let level = |from: usize| mean(&of(from..from + 5));
        let own = |from: usize| {
            let best = reached(&samples);
            mean(
                &(from..from + 5)
                    .map(|index| best[index].unwrap())
                    .collect::<Vec<_>>(),
            )
        };
        assert!(
            (level(0) - level(5)).abs() <= LEFT_OF_PERSON * (own(0) - own(5)).abs() + 1e-9,
            "{one:?} {two:?}"
        );
        assert!((fair[0].unwrap().weight - 4.0 / 14.0).abs() < 1e-12);
        for of_person in [&one, &two] {
            assert!(
                of_person[..4].iter().all(|crop| *crop > of_person[4]),
                "{of_person:?}"
            );
        }
        assert_eq!(fair[10..], [None, None], "too few crops, and no crop");
    }
}
