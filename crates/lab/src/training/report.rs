//! The report of a training run: counts, norms of clean photos, figures on held-out people, and
//! predictions for the calibration.

use std::collections::{BTreeMap, BTreeSet};

use super::photos::Group;
use super::{HeldOut, PASS, PhotoId, TrainingSample, shortened};
use faceood::stats::{auroc, mean};

/// Whether a sample belongs to a group that has figures of its own.
type Belongs<'a> = &'a dyn Fn(&TrainingSample) -> bool;

/// Mean output length of each network over the good photos as they are.
pub(super) fn clean_norms(samples: &[TrainingSample]) -> Vec<f32> {
    let clean: Vec<&TrainingSample> = samples
        .iter()
        .filter(|sample| sample.is_clean && matches!(sample.group, Group::Named | Group::Single))
        .collect();
    let networks = clean.first().map_or(0, |sample| sample.seen.norms.len());
    (0..networks)
        .map(|network| {
            let norms: Vec<f64> = clean
                .iter()
                .map(|sample| f64::from(sample.seen.norms[network]))
                .collect();
            shortened(mean(&norms), 1e3)
        })
        .collect()
}

/// Number of training samples of each kind, and of their people.
pub(super) fn counts(samples: &[TrainingSample], is_taught: &[bool]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (sample, _) in samples.iter().zip(is_taught).filter(|(_, taught)| **taught) {
        let name = match (sample.group, sample.is_clean, sample.is_covered()) {
            (Group::Object, ..) => "things",
            (Group::Masked, ..) => "masked_faces",
            (Group::Wild, true, _) => "wild_photos",
            (_, true, _) => "clean_photos",
            (_, _, true) => "covered_copies",
            _ => "degraded_copies",
        };
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    let people: BTreeSet<(u32, Option<PhotoId>)> = samples
        .iter()
        .filter(|sample| matches!(sample.group, Group::Named | Group::Wild | Group::Single))
        .map(|sample| {
            let is_single = sample.group == Group::Single;
            (sample.person, is_single.then_some(sample.photo))
        })
        .collect();
    counts.insert("people".to_owned(), people.len() as u64);
    counts
}

/// Whether a sample counts in the figures on predicted similarity of uncovered faces.
pub(super) fn is_whole_face(sample: &TrainingSample) -> bool {
    matches!(sample.group, Group::Named | Group::Wild | Group::Single)
        && !sample.is_covered()
        && !sample.is_second_shot
        // Copies of web crops are for training only: in the figures they would count a
        // bad label four times.
        && (sample.group != Group::Wild || sample.is_clean)
}

/// How well head and norm rank whole faces by whether they pass, over all and by group.
pub(super) fn figures(
    samples: &[TrainingSample],
    targets: &[Option<f64>],
    predicted: &[f64],
    clean_norms: &[f32],
    shares: &[f32],
) -> BTreeMap<String, f64> {
    let joint_norm = |sample: &TrainingSample| -> f64 {
        sample
            .seen
            .norms
            .iter()
            .zip(clean_norms)
            .zip(shares)
            .map(|((&norm, &clean), &share)| f64::from(share) * f64::from(norm / clean).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let mut figures = BTreeMap::new();
    let groups: [(&str, Belongs<'_>); 3] = [
        ("all", &|_| true),
        ("named", &|sample| sample.group == Group::Named),
        ("wild", &|sample| sample.group == Group::Wild),
    ];
    for (name, belongs) in groups {
        let chosen: Vec<usize> = (0..samples.len())
            .filter(|&index| {
                let sample = &samples[index];
                is_whole_face(sample) && belongs(sample) && targets[index].is_some()
            })
            .collect();
        let passes: Vec<bool> = chosen
            .iter()
            .map(|&index| targets[index].is_some_and(|target| target >= PASS))
            .collect();
        let by_head: Vec<f64> = chosen.iter().map(|&index| predicted[index]).collect();
        let by_norm: Vec<f64> = chosen
            .iter()
            .map(|&index| joint_norm(&samples[index]))
            .collect();
        for (signal, values) in [("head", by_head), ("norm", by_norm)] {
            if let Some(area) = auroc(&values, &passes) {
                figures.insert(format!("auroc_{signal}_{name}"), (area * 1e4).round() / 1e4);
            }
        }
    }
    figures
}

/// How often the strongest cause is the planted one (on uncovered faces with a single fault),
/// and how often a face is taken for covered.
pub(super) fn cause_figures(
    samples: &[TrainingSample],
    causes: &[Vec<f64>],
    covered: &[bool],
) -> BTreeMap<String, f64> {
    let share = |is_hit: &dyn Fn(usize) -> bool, belongs: &dyn Fn(&TrainingSample) -> bool| {
        let chosen: Vec<usize> = (0..samples.len())
            .filter(|&index| !samples[index].is_second_shot && belongs(&samples[index]))
            .collect();
        let hits = chosen.iter().filter(|&&index| is_hit(index)).count();
        (hits as f64 / chosen.len().max(1) as f64 * 1e4).round() / 1e4
    };
    let planted = |sample: &TrainingSample| {
        let mut seen = sample
            .symptoms
            .iter()
            .enumerate()
            .filter(|(_, seen)| **seen > 0.0);
        match (seen.next(), seen.next()) {
            (Some((cause, strength)), None) if *strength >= 1.0 => Some(cause),
            _ => None,
        }
    };
    let first = |index: usize| {
        (0..causes.len()).max_by(|&a, &b| causes[a][index].total_cmp(&causes[b][index]))
    };
    let is_of_good_photo = |sample: &TrainingSample| {
        matches!(sample.group, Group::Named | Group::Single | Group::Package)
    };
    let is_right = |index: usize| first(index) == planted(&samples[index]);
    let is_covered = |index: usize| covered[index];
    let figures = [
        (
            "first_cause_right",
            share(&is_right, &|sample| {
                is_of_good_photo(sample) && !sample.is_covered() && planted(sample).is_some()
            }),
        ),
        (
            "covered_copies_found",
            share(&is_covered, &|sample| {
                is_of_good_photo(sample) && sample.is_covered()
            }),
        ),
        (
            "masked_faces_found",
            share(&is_covered, &|sample| sample.group == Group::Masked),
        ),
        (
            "clean_taken_for_covered",
            share(&is_covered, &|sample| {
                is_of_good_photo(sample) && sample.is_clean
            }),
        ),
    ];
    figures.map(|(name, value)| (name.to_owned(), value)).into()
}

/// The predictions that calibration and its figures are made of.
pub(super) fn held_out(
    samples: &[TrainingSample],
    targets: &[Option<f64>],
    folds: &[usize],
    predicted: &[f64],
    covered: &[bool],
) -> HeldOut {
    let mut held_out = HeldOut::default();
    let mut first_shots: BTreeMap<(PhotoId, u32), f64> = BTreeMap::new();
    for (index, sample) in samples.iter().enumerate() {
        let signal = predicted[index];
        match (sample.group, targets[index]) {
            (Group::Object, _) => held_out.objects.push(signal),
            (Group::Masked, _) => held_out.masked.push((signal, covered[index])),
            (_, Some(target)) if is_whole_face(sample) => {
                held_out.signals.push(signal);
                held_out.similarities.push(target);
                held_out.folds.push(folds[index]);
            }
            _ => {}
        }
        if !sample.is_second_shot && sample.group != Group::Object {
            first_shots.insert((sample.photo, sample.scene), signal);
        }
    }
    for (index, sample) in samples
        .iter()
        .enumerate()
        .filter(|(_, sample)| sample.is_second_shot)
    {
        if let Some(&first) = first_shots.get(&(sample.photo, sample.scene)) {
            held_out
                .pairs
                .push((folds[index], [first, predicted[index]]));
        }
    }
    held_out
}
