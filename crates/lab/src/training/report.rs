//! The report of a training run: counts, norms of clean photos, figures on held-out people, and
//! predictions for the calibration.

use std::collections::{BTreeMap, BTreeSet};

use super::photos::Group;
use super::ridge::Solution;
use super::{HeldOut, PASS, PhotoId, TrainingSample, shortened};
use faceood_engine::stats::{auroc, mean};

/// Mean output length of each network over the good photos as they are.
pub(super) fn clean_norms(samples: &[TrainingSample]) -> Vec<f32> {
    let clean: Vec<&TrainingSample> = samples
        .iter()
        .filter(|sample| sample.is_clean && matches!(sample.group, Group::Named | Group::Single))
        .collect();
    let mean_norm = |network: usize| {
        let norms = clean.iter().map(|sample| sample.seen.norms[network]);
        shortened(mean(&norms.map(f64::from).collect::<Vec<_>>()), 1e3)
    };
    let networks = clean.first().map_or(0, |sample| sample.seen.norms.len());
    (0..networks).map(mean_norm).collect()
}

/// Number of training samples of each kind, and of their people.
pub(super) fn counts(
    samples: &[TrainingSample],
    is_taught: impl Fn(usize) -> bool,
) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut people: BTreeSet<(u32, Option<PhotoId>)> = BTreeSet::new();
    for (row, sample) in samples.iter().enumerate() {
        match sample.group {
            Group::Named | Group::Wild | Group::Press => people.insert((sample.person, None)),
            Group::Single => people.insert((sample.person, Some(sample.photo))),
            Group::Masked | Group::Object | Group::Package => false,
        };
        if !is_taught(row) {
            continue;
        }
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
    counts.insert("people".to_owned(), people.len() as u64);
    counts
}

/// Whether a sample counts in the figures on predicted similarity of uncovered faces.
pub(super) fn is_whole_face(sample: &TrainingSample) -> bool {
    matches!(sample.group, Group::Named | Group::Wild | Group::Single | Group::Press)
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
    let joint_norm = |row: usize| -> f64 {
        let norms = samples[row].seen.norms.iter().zip(clean_norms);
        let relative = norms.map(|(norm, clean)| f64::from(norm / clean).powi(2));
        let parts = relative
            .zip(shares)
            .map(|(square, &share)| f64::from(share) * square);
        parts.sum::<f64>().sqrt()
    };
    let mut figures = BTreeMap::new();
    let groups = [
        ("all", None),
        ("named", Some(Group::Named)),
        ("press", Some(Group::Press)),
        ("wild", Some(Group::Wild)),
    ];
    for (name, wanted) in groups {
        let belongs = |sample: &TrainingSample| {
            is_whole_face(sample) && wanted.is_none_or(|group| sample.group == group)
        };
        let (rows, passes): (Vec<usize>, Vec<bool>) = (0..samples.len())
            .filter(|&row| belongs(&samples[row]))
            .filter_map(|row| Some((row, targets[row]? >= PASS)))
            .unzip();
        let by_head: Vec<f64> = rows.iter().map(|&row| predicted[row]).collect();
        let by_norm: Vec<f64> = rows.iter().map(|&row| joint_norm(row)).collect();
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
    causes: &[Solution],
    covered: &[f64],
) -> BTreeMap<String, f64> {
    let mut figures = BTreeMap::new();
    let mut add =
        |name: &str, is_hit: &dyn Fn(usize) -> bool, belongs: &dyn Fn(&TrainingSample) -> bool| {
            let chosen: Vec<usize> = (0..samples.len())
                .filter(|&row| !samples[row].is_second_shot && belongs(&samples[row]))
                .collect();
            let hits = chosen.iter().filter(|&&row| is_hit(row)).count();
            let share = hits as f64 / chosen.len().max(1) as f64;
            figures.insert(name.to_owned(), (share * 1e4).round() / 1e4);
        };
    let planted = |sample: &TrainingSample| {
        let cause = sample.only_symptom();
        cause.filter(|&cause| sample.symptoms[cause] >= 1.0)
    };
    let is_right = |row: usize| {
        let logit = |cause: usize| causes[cause].held_out[row];
        let first = (0..causes.len()).max_by(|&a, &b| logit(a).total_cmp(&logit(b)));
        first == planted(&samples[row])
    };
    // More likely than not.
    let is_covered = |row: usize| covered[row] >= 0.5;
    let is_of_good_photo = |sample: &TrainingSample| {
        matches!(
            sample.group,
            Group::Named | Group::Single | Group::Press | Group::Package
        )
    };
    add("first_cause_right", &is_right, &|sample| {
        is_of_good_photo(sample) && !sample.is_covered() && planted(sample).is_some()
    });
    add("covered_copies_found", &is_covered, &|sample| {
        is_of_good_photo(sample) && sample.is_covered()
    });
    add("masked_faces_found", &is_covered, &|sample| {
        sample.group == Group::Masked
    });
    add("clean_taken_for_covered", &is_covered, &|sample| {
        is_of_good_photo(sample) && sample.is_clean
    });
    figures
}

/// The predictions that calibration and its figures are made of.
pub(super) fn held_out(
    samples: &[TrainingSample],
    targets: &[Option<f64>],
    predicted: &[f64],
    covered: &[f64],
) -> HeldOut {
    let mut held_out = HeldOut::default();
    let mut first_shots: BTreeMap<(PhotoId, u32), f64> = BTreeMap::new();
    for (row, sample) in samples.iter().enumerate() {
        let signal = predicted[row];
        match (sample.group, targets[row]) {
            (Group::Object, _) => held_out.objects.push(signal),
            (Group::Masked, _) => held_out.masked.push((signal, covered[row])),
            (_, Some(target)) if is_whole_face(sample) => {
                held_out.signals.push(signal);
                held_out.similarities.push(target);
                held_out.folds.push(sample.fold());
            }
            _ => {}
        }
        if !sample.is_second_shot && sample.group != Group::Object {
            first_shots.insert((sample.photo, sample.scene), signal);
        }
    }
    for (sample, &signal) in samples.iter().zip(predicted) {
        if sample.is_second_shot
            && let Some(&first) = first_shots.get(&(sample.photo, sample.scene))
        {
            held_out.pairs.push((sample.fold(), [first, signal]));
        }
    }
    held_out
}
