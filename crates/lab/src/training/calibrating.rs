//! Fits the calibration (OOD signal to score and pass probability) on held-out predictions.

use std::collections::BTreeMap;

use faceood_engine::quality::calibration::{
    CalibrationError, Observations, PASS_SIMILARITY, Provenance,
};
use faceood_engine::quality::{COVERED_AT_MOST, Calibration};
use faceood_engine::stats::{calibration_error, mean};

use super::{CALIBRATION, FOLDS, Trained};

/// Bins of equal count for the calibration error.
const ERROR_BINS: usize = 15;
/// A face that is not whole has to stay below this score.
const COVERED_SCORE: f32 = 0.40;
/// An object has to stay below this score.
const OBJECT_SCORE: f32 = 0.30;

/// A calibration, and how good it is.
pub struct Calibrated {
    /// The calibration of all people.
    pub of_all: Calibration,
    /// For each fold, the calibration of the others.
    pub without_fold: Vec<Calibration>,
    /// Figures of calibrations on the fold that they have not seen.
    pub figures: BTreeMap<String, f64>,
}

/// Fits the calibration to predictions for held-out people, and measures calibrations fitted
/// without each fold on that fold. `date` says of when the data is.
///
/// # Errors
/// If there are too few observations.
pub fn calibrate(trained: &Trained, date: &str) -> Result<Calibrated, CalibrationError> {
    let held_out = &trained.held_out;
    let people = trained.counts.get("people").copied().unwrap_or_default();
    let provenance = Provenance {
        method: CALIBRATION.to_owned(),
        date: date.to_owned(),
        counts: BTreeMap::from([
            ("captures".to_owned(), held_out.signals.len() as u64),
            ("pairs_of_shots".to_owned(), held_out.pairs.len() as u64),
            ("people".to_owned(), people),
        ]),
    };
    let fit = |takes: &dyn Fn(usize) -> bool| {
        let chosen = |values: &[f64]| {
            let rows = (0..values.len()).filter(|&row| takes(held_out.folds[row]));
            rows.map(|row| values[row]).collect()
        };
        let pairs = held_out.pairs.iter().filter(|(fold, _)| takes(*fold));
        let observations = Observations {
            signals: chosen(&held_out.signals),
            similarities: chosen(&held_out.similarities),
            pairs: pairs.map(|(_, pair)| *pair).collect(),
        };
        Calibration::fit(&observations, provenance.clone())
    };
    let calibration = fit(&|_| true)?;
    let mut similarity = vec![0.0; held_out.signals.len()];
    let mut pass = similarity.clone();
    let mut without_fold = Vec::new();
    for fold in 0..FOLDS as usize {
        let unseen = fit(&|of| of != fold)?;
        for row in (0..pass.len()).filter(|&row| held_out.folds[row] == fold) {
            let signal = held_out.signals[row] as f32;
            similarity[row] = f64::from(unseen.expected_similarity(signal));
            pass[row] = f64::from(unseen.pass_probability(signal));
        }
        without_fold.push(unseen);
    }
    let reached = &held_out.similarities;
    let passed = reached
        .iter()
        .map(|&similarity| similarity >= PASS_SIMILARITY);
    let passed: Vec<f64> = passed.map(f64::from).collect();
    let gaps = similarity.iter().zip(reached);
    let gaps: Vec<f64> = gaps
        .map(|(expected, reached)| (expected - reached).abs())
        .collect();
    let error = |predicted: &[f64], observed: &[f64]| {
        calibration_error(predicted, observed, ERROR_BINS).unwrap_or_default()
    };
    let score = |signal: f64| calibration.score(signal as f32);
    let lowered = |signal: f64, chance: f64| {
        let whole = score(signal);
        let chance = chance as f32;
        (1.0 - chance) * whole + chance * whole.min(COVERED_AT_MOST)
    };
    let is_low = |&&(signal, chance): &&(f64, f64)| lowered(signal, chance) < COVERED_SCORE;
    let masked_low = held_out.masked.iter().filter(is_low).count();
    let is_low = |signal: &&f64| score(**signal) < OBJECT_SCORE;
    let things_low = held_out.objects.iter().filter(is_low).count();
    let share = |hits: usize, of: usize| hits as f64 / of.max(1) as f64;
    let figures = [
        ("ece_pass", error(&pass, &passed)),
        ("ece_similarity", error(&similarity, reached)),
        ("mean_gap_similarity", mean(&gaps)),
        ("masked_below_40", share(masked_low, held_out.masked.len())),
        ("things_below_30", share(things_low, held_out.objects.len())),
    ];
    let figures = figures.map(|(name, value)| (name.to_owned(), (value * 1e4).round() / 1e4));
    Ok(Calibrated {
        of_all: calibration,
        without_fold,
        figures: figures.into(),
    })
}
