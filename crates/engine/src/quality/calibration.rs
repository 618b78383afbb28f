//! Monotone maps from a pack's OOD signal to the quality score and the pass probability.
//!
//! The signal is the raw OOD output after the manifest's transform and polarity, so that higher
//! is better. A file holds three tables: signal to expected similarity, signal to pass
//! probability, and score to the spread of another shot.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::interval::{self, Spread};
use super::score;
use crate::policy::{Thresholds, ThresholdsError};
use crate::stats::{even_bins, interpolate, isotonic, mean};

pub mod site;

/// Similarity at which a capture counts as passed where a calibration brings no [`Thresholds`] of
/// its own; the contract's accept threshold.
pub const PASS_SIMILARITY: f64 = 0.45;
const SCHEMA: u32 = 1;
/// Most knots of a monotone map. More would follow the sample, not the signal.
const MOST_KNOTS: usize = 40;
/// Fewest observations behind a knot.
const PER_KNOT: usize = 40;
/// Fewest observations of a calibration: those of two knots.
const LEAST: usize = 2 * PER_KNOT;

/// How far the ends of a level lie below and above it. It is smaller than the accuracy of such
/// a calibration, and larger than the rounding to four decimals.
const TILT: f64 = 0.004;

/// Highest similarity that a pack without calibration promises. Its score of .37 is below every
/// built-in `accept` and the `review` of a door, so that nobody passes uncalibrated.
const UNCALIBRATED_SIMILARITY: f64 = 0.35;
/// Prefix of the id of a stand-in calibration, seen in every answer and row of the log.
const UNCALIBRATED_PREFIX: &str = "uncalibrated-";

/// Why a calibration is refused.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// It is no calibration file.
    #[error(
        "the calibration is not valid: {0}; restore the pack, or make a new one with `faceood-admin calibrate`"
    )]
    Json(#[from] serde_json::Error),
    /// It was written, with this schema, for a newer program.
    #[error("the calibration has schema {0}, this program reads {SCHEMA}; upgrade faceood")]
    Schema(u32),
    /// Its id is not the one that its content gives.
    #[error(
        "the calibration's id is {found}, its content has {expected}; it was edited by hand: make a new one with `faceood-admin calibrate`"
    )]
    Id {
        /// The file's.
        found: String,
        /// The content's.
        expected: String,
    },
    /// This table falls, or leaves its range, from this row on.
    #[error("the calibration's table `{0}` is not monotone within its range at row {1}")]
    Table(&'static str, usize),
    /// The cuts on the similarity that it brings are out of order.
    #[error("the calibration's {0}")]
    Thresholds(#[from] ThresholdsError),
    /// So many observations are too little to learn from.
    #[error("{0} observations are too few for a calibration, at least {LEAST} are needed")]
    TooFew(usize),
}

/// Signal → score, pass probability and interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    id: String,
    #[serde(flatten)]
    content: Content,
}

/// A calibration as it was read, not yet checked.
#[derive(Deserialize)]
struct File {
    id: String,
    #[serde(flatten)]
    content: Content,
}

/// What the id is computed from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Content {
    schema: u32,
    #[serde(flatten)]
    provenance: Provenance,
    /// Whether this only stands in for a calibration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_stand_in: bool,
    /// Missing if unknown, as in a pack, whose manifest names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    embedder: Option<String>,
    /// Missing where the pack's cuts hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thresholds: Option<Thresholds>,
    similarity: Vec<[f64; 2]>,
    pass: Vec<[f64; 2]>,
    spread: Vec<Spread>,
}

/// Where a calibration comes from, for the record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// How it was fitted, in a sentence.
    pub method: String,
    /// Of when the data is, `YYYY-MM-DD`.
    pub date: String,
    /// What it rests on, and how many of each.
    pub counts: BTreeMap<String, u64>,
}

/// What a calibration is learnt from. All signals come from a head that has not seen the person.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observations {
    /// The signal of each capture.
    pub signals: Vec<f64>,
    /// The similarity that the same captures reach against a good reference.
    pub similarities: Vec<f64>,
    /// Signals of two shots of one scene.
    pub pairs: Vec<[f64; 2]>,
}

impl Calibration {
    /// Learns the maps.
    ///
    /// # Errors
    /// Where there is too little to learn from.
    pub fn fit(
        observations: &Observations,
        provenance: Provenance,
    ) -> Result<Self, CalibrationError> {
        let Observations {
            signals,
            similarities,
            pairs,
        } = observations;
        let got = signals.len().min(similarities.len());
        if got < LEAST {
            return Err(CalibrationError::TooFew(got));
        }
        let is_passed = |&similarity: &f64| f64::from(u8::from(similarity >= PASS_SIMILARITY));
        let passes: Vec<f64> = similarities.iter().map(is_passed).collect();
        let similarity = open_above(monotone(signals, similarities));
        let scored = |signal| score::from_similarity(interpolate(&similarity, signal));
        let pairs: Vec<[f64; 2]> = pairs.iter().map(|pair| pair.map(scored)).collect();
        let spread = interval::fit(&pairs)
            .into_iter()
            .map(rounded_spread)
            .collect();
        let pass = monotone(signals, &passes);
        Ok(Self::learnt(provenance, similarity, pass, spread))
    }

    fn learnt(
        provenance: Provenance,
        similarity: Vec<[f64; 2]>,
        pass: Vec<[f64; 2]>,
        spread: Vec<Spread>,
    ) -> Self {
        Self::from_content(Content {
            schema: SCHEMA,
            provenance,
            is_stand_in: false,
            embedder: None,
            thresholds: None,
            similarity,
            pass,
            spread,
        })
    }

    /// A stand-in until a calibration has been made from pictures. Better signals get
    /// better scores between `worst` and `best`, but no built-in policy accepts any of
    /// them. The interval is 0–1 and the pass probability 0.
    pub fn uncalibrated(worst: f64, best: f64) -> Self {
        Self::from_content(Content {
            schema: SCHEMA,
            provenance: Provenance {
                method: "None: a stand-in that accepts nobody, until `faceood-admin calibrate` has made one of pictures"
                    .to_owned(),
                date: "none".to_owned(),
                counts: BTreeMap::new(),
            },
            is_stand_in: true,
            embedder: None,
            thresholds: None,
            similarity: vec![[worst, 0.0], [best, UNCALIBRATED_SIMILARITY]],
            pass: vec![[worst, 0.0], [best, 0.0]],
            spread: vec![Spread {
                score: 0.0,
                below: -1.0,
                above: 1.0,
            }],
        })
    }

    /// The same calibration bound to this network: the daemon refuses it with another one.
    #[must_use]
    pub fn for_embedder(self, sha256: &str) -> Self {
        Self::from_content(Content {
            embedder: Some(sha256.to_owned()),
            ..self.content
        })
    }

    /// The same calibration with these cuts on the similarity, or with the pack's. A calibration
    /// that is learnt on top of it has them too, and a capture passes there at `same`.
    #[must_use]
    pub fn with_thresholds(self, thresholds: Option<Thresholds>) -> Self {
        Self::from_content(Content {
            thresholds,
            ..self.content
        })
    }

    /// Reads a calibration file.
    ///
    /// # Errors
    /// Where it is none, is newer than this program, or does not belong to its id.
    pub fn load(json: &str) -> Result<Self, CalibrationError> {
        #[derive(Deserialize)]
        struct SchemaOnly {
            schema: u32,
        }
        let SchemaOnly { schema } = serde_json::from_str(json)?;
        if schema > SCHEMA {
            return Err(CalibrationError::Schema(schema));
        }
        let file: File = serde_json::from_str(json)?;
        check("similarity", &file.content.similarity)?;
        check("pass", &file.content.pass)?;
        if let Some(Thresholds { same, different }) = file.content.thresholds {
            Thresholds::new(same, different)?;
        }
        let calibration = Self::from_content(file.content);
        if calibration.id == file.id {
            Ok(calibration)
        } else {
            Err(CalibrationError::Id {
                found: file.id,
                expected: calibration.id,
            })
        }
    }

    /// The file's text.
    ///
    /// # Errors
    /// Where a number is not finite.
    pub fn to_json(&self) -> Result<String, CalibrationError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    fn from_content(content: Content) -> Self {
        // Twelve hex digits of the hash: short enough to read, long enough never to meet by chance.
        let text = serde_json::to_string(&content).unwrap_or_default();
        let hash = hex::encode(&Sha256::digest(text.as_bytes())[..6]);
        let id = if content.is_stand_in {
            format!("{UNCALIBRATED_PREFIX}{hash}")
        } else {
            hash
        };
        Self { id, content }
    }

    /// Whether this was learnt from pictures. If not, scores only rank captures.
    pub fn is_calibrated(&self) -> bool {
        !self.content.is_stand_in
    }

    /// Stands for the content: the log stores it with every score.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it comes from.
    pub fn provenance(&self) -> &Provenance {
        &self.content.provenance
    }

    /// SHA-256 of the network whose signals it was learnt from; `None` in a pack.
    pub fn embedder(&self) -> Option<&str> {
        self.content.embedder.as_deref()
    }

    /// The cuts on the similarity that it brings; `None` where the pack's hold.
    pub fn thresholds(&self) -> Option<Thresholds> {
        self.content.thresholds
    }

    /// The similarity from which a capture counts as passed.
    pub fn pass_similarity(&self) -> f64 {
        let own = self.content.thresholds;
        own.map_or(PASS_SIMILARITY, |own| f64::from(own.same))
    }

    /// Expected similarity of a capture with this signal to a good reference, 0–1.
    pub fn expected_similarity(&self, signal: f32) -> f32 {
        narrow(interpolate(&self.content.similarity, f64::from(signal)))
    }

    /// The quality score, 0–1: expected similarity on the contract's curve.
    pub fn score(&self, signal: f32) -> f32 {
        let similarity = interpolate(&self.content.similarity, f64::from(signal));
        narrow(score::from_similarity(similarity))
    }

    /// The fraction of captures with this signal that reaches [`Self::pass_similarity`] against a
    /// good reference.
    pub fn pass_probability(&self, signal: f32) -> f32 {
        narrow(interpolate(&self.content.pass, f64::from(signal)))
    }

    /// Interval in which another shot of the same scene scores 9 times in 10; it contains
    /// `score`.
    pub fn interval(&self, score: f32) -> [f32; 2] {
        let [low, high] = interval::around(&self.content.spread, f64::from(score));
        [narrow(low).min(score), narrow(high).max(score)]
    }
}

/// [`rising`], extended below the lowest knot: the map falls one for one until it reaches 0,
/// because worse signals than all observed ones must not look equal.
fn monotone(signals: &[f64], values: &[f64]) -> Vec<[f64; 2]> {
    let mut knots = rising(signals, values);
    if let Some(&[signal, value]) = knots.first()
        && value > 0.0
    {
        knots.insert(0, [rounded(signal - value), 0.0]);
    }
    knots
}

/// The same above the highest knot, up to 1, because very good pictures differ too. For a
/// signal that predicts the value itself.
fn open_above(mut knots: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    if let Some(&[signal, value]) = knots.last()
        && value < 1.0
    {
        knots.push([rounded(signal + 1.0 - value), 1.0]);
    }
    knots
}

/// Isotonic regression over the means of bins of equal count, so that a knot rests on many
/// observations. A level of several bins is tilted by [`TILT`]: different signals must not look
/// equal.
fn rising(signals: &[f64], values: &[f64]) -> Vec<[f64; 2]> {
    let pairs = signals.iter().copied().zip(values.iter().copied());
    let mut points: Vec<(f64, f64)> = pairs.collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let bins = even_bins(points.len(), (points.len() / PER_KNOT).min(MOST_KNOTS));
    let middle = |part: fn(&(f64, f64)) -> f64| -> Vec<f64> {
        bins.iter()
            .map(|range| mean(&points[range.clone()].iter().map(part).collect::<Vec<_>>()))
            .collect()
    };
    let weights: Vec<f64> = bins.iter().map(|range| range.len() as f64).collect();
    let fitted = isotonic(&middle(|point| point.1), &weights);
    let signals = middle(|point| point.0);
    let mut knots: Vec<[f64; 2]> = Vec::with_capacity(bins.len());
    let mut push = |signal: f64, value: f64| {
        let knot = [rounded(signal), rounded(value.clamp(0.0, 1.0))];
        if knots.last().is_none_or(|last| last[0] < knot[0]) {
            knots.push(knot);
        }
    };
    let mut start = 0;
    for level in fitted.chunk_by(|one, next| one == next) {
        let end = start + level.len();
        // Half of the way to the neighbours at the most, so that no level reaches over the next.
        let value = level[0];
        let below = fitted[..start]
            .last()
            .map_or(value, |before| value - before);
        let above = fitted.get(end).map_or(1.0 - value, |next| next - value);
        let tilt = TILT.min(0.5 * below).min(0.5 * above);
        for (place, signal) in signals[start..end].iter().enumerate() {
            let part = match level.len() {
                1 => 0.0,
                length => 2.0 * place as f64 / (length - 1) as f64 - 1.0,
            };
            push(*signal, value + tilt * part);
        }
        start = end;
    }
    knots
}

/// A table rises along both columns and its values lie within 0–1.
fn check(table: &'static str, knots: &[[f64; 2]]) -> Result<(), CalibrationError> {
    let wrong = (0..knots.len()).find(|&row| {
        let [signal, value] = knots[row];
        let falls = row > 0 && (signal <= knots[row - 1][0] || value < knots[row - 1][1]);
        falls || !signal.is_finite() || !(0.0..=1.0).contains(&value)
    });
    match wrong.or(knots.is_empty().then_some(0)) {
        Some(row) => Err(CalibrationError::Table(table, row)),
        None => Ok(()),
    }
}

/// Rounds to four decimals. That is finer than the accuracy of any of these numbers, and equal
/// on machines whose arithmetic differs in the last digits.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn rounded_spread(spread: Spread) -> Spread {
    Spread {
        score: rounded(spread.score),
        below: rounded(spread.below),
        above: rounded(spread.above),
    }
}

fn narrow(value: f64) -> f32 {
    value.clamp(0.0, 1.0) as f32
}

#[cfg(test)]
mod tests;
