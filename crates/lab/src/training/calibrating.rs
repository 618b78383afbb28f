//! Fits the calibration (OOD signal to score and pass probability) on held-out predictions.

use std::collections::BTreeMap;

use faceood::quality::Calibration;
use faceood::quality::calibration::{CalibrationError, Observations, PASS_SIMILARITY, Provenance};
use faceood::stats::{calibration_error, mean};

use super::{CALIBRATION, FOLDS, HeldOut};

/// Bins of equal count for the calibration error.
const ERROR_BINS: usize = 15;
/// A face that is not whole has to stay below this score.
const COVERED_SCORE: f32 = 0.40;

/// A calibration, and how good it is.
pub struct Calibrated {
    /// The calibration of all of them.
    pub of_all: Calibration,
    /// For each fold the calibration of the others.
    pub without_fold: Vec<Calibration>,
    /// Figures of calibrations on the fold that they have not seen.
    pub figures: BTreeMap<String, f64>,
}

/// Fits the calibration to predictions for held-out people, and measures calibrations fitted without each fold on that fold.
///
/// # Errors
/// Where there are too few observations.
pub fn calibrate(
    held_out: &HeldOut,
    counts: &BTreeMap<String, u64>,
    date: &str,
) -> Result<Calibrated, CalibrationError> {
    let fit = |takes: &dyn Fn(usize) -> bool| {
        Calibration::fit(
            &observations(held_out, takes),
            provenance(held_out, counts, date),
        )
    };
    let calibration = fit(&|_| true)?;
    let mut similarity = vec![0.0; held_out.signals.len()];
    let mut pass = similarity.clone();
    let mut without_fold = Vec::new();
    for fold in 0..FOLDS as usize {
        let unseen = fit(&|of| of != fold)?;
        for (index, _) in held_out
            .folds
            .iter()
            .enumerate()
            .filter(|(_, of)| **of == fold)
        {
            let signal = narrow(held_out.signals[index]);
            similarity[index] = f64::from(unseen.expected_similarity(signal));
            pass[index] = f64::from(unseen.pass_probability(signal));
        }
        without_fold.push(unseen);
    }
    let passed: Vec<f64> = held_out
        .similarities
        .iter()
        .map(|&similarity| f64::from(u8::from(similarity >= PASS_SIMILARITY)))
        .collect();
    let score = |signal: f64| calibration.score(narrow(signal));
    let gaps: Vec<f64> = similarity
        .iter()
        .zip(&held_out.similarities)
        .map(|(expected, reached)| (expected - reached).abs())
        .collect();
    let figures = [
        (
            "ece_pass",
            calibration_error(&pass, &passed, ERROR_BINS).unwrap_or_default(),
        ),
        (
            "ece_similarity",
            calibration_error(&similarity, &held_out.similarities, ERROR_BINS).unwrap_or_default(),
        ),
        ("mean_gap_similarity", mean(&gaps)),
        ("masked_below_40", {
            let low = held_out
                .masked
                .iter()
                .filter(|(signal, covered)| *covered || score(*signal) < COVERED_SCORE)
                .count();
            low as f64 / held_out.masked.len().max(1) as f64
        }),
        ("things_below_30", {
            let low = held_out
                .objects
                .iter()
                .filter(|&&signal| score(signal) < 0.30)
                .count();
            low as f64 / held_out.objects.len().max(1) as f64
        }),
    ];
    let figures = figures
        .into_iter()
        .map(|(name, value)| (name.to_owned(), (value * 1e4).round() / 1e4))
        .collect();
    Ok(Calibrated {
        of_all: calibration,
        without_fold,
        figures,
    })
}

fn provenance(held_out: &HeldOut, counts: &BTreeMap<String, u64>, date: &str) -> Provenance {
    Provenance {
        method: CALIBRATION.to_owned(),
        date: date.to_owned(),
        counts: BTreeMap::from([
            ("captures".to_owned(), held_out.signals.len() as u64),
            ("pairs_of_shots".to_owned(), held_out.pairs.len() as u64),
            (
                "people".to_owned(),
                counts.get("people").copied().unwrap_or_default(),
            ),
        ]),
    }
}

fn observations(held_out: &HeldOut, takes: impl Fn(usize) -> bool) -> Observations {
    let chosen: Vec<usize> = (0..held_out.signals.len())
        .filter(|&index| takes(held_out.folds[index]))
        .collect();
    Observations {
        signals: chosen
            .iter()
            .map(|&index| held_out.signals[index])
            .collect(),
        similarities: chosen
            .iter()
            .map(|&index| held_out.similarities[index])
            .collect(),
        pairs: held_out
            .pairs
            .iter()
            .filter(|(fold, _)| takes(*fold))
            .map(|(_, pair)| *pair)
            .collect(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "signals are small numbers")]
fn narrow(value: f64) -> f32 {
    value as f32
}
