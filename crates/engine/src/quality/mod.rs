//! Whether a picture can be trusted. The OOD logit and the measured components become a
//! calibrated score, an interval, a grade and causes.

use serde::{Deserialize, Serialize};

use crate::face::{AlignedFace, DetectedFace};
use components::Evidence;

pub mod calibration;
mod causes;
pub mod components;
mod grade;
pub mod hints;
pub mod interval;
mod language;
pub mod score;
mod symptoms;

pub use crate::cause::CauseName;
pub use calibration::{Calibration, CalibrationError};
pub use causes::causes;
pub use components::{Component, Components};
pub use grade::Grade;
pub use language::Language;
pub use symptoms::{SymptomNames, Symptoms};

/// One reason of a low score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// Which.
    pub name: CauseName,
    /// Its share of what is missing to a good score; all weights of a face sum to at most 1.
    pub weight: f32,
}

/// How far a face can be trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// Expected similarity to a good reference on the contract's 0–1 curve; higher is better.
    pub score: f32,
    /// Interval in which another shot of the same scene scores 9 times in 10; it contains
    /// `score`.
    pub interval: [f32; 2],
    /// Calibrated probability that this capture clears .45 against a good reference.
    pub pass_probability: f32,
    /// The score in a word.
    pub grade: Grade,
    /// What was measured.
    pub components: Components,
    /// Causes of a low score, largest weight first; empty for a good picture.
    pub causes: Vec<Cause>,
}

/// A face counts as covered below this visible share of the lower face or the eyes. 9 of 1,000
/// bare faces fall below it, and 92 of 100 masked ones (see `components::occlusion`).
const WHOLE_FROM: f32 = 0.5;

/// Highest score of a covered face: the contract puts it below .40, even if the recogniser might
/// still match it.
pub const COVERED_AT_MOST: f32 = 0.39;

/// Judges one face. `signal` is the pack's OOD output, transformed and turned by its manifest so
/// that more is better. `symptoms` is what its network sees of causes. Without them the components
/// alone say whether a face is whole and what is wrong with it.
///
/// A face that is not whole has its score *and* its interval capped below fair, since another shot
/// of the same scene would be capped as well. Where that is doubtful, both are lowered by its
/// chance. The pass probability is not capped: it is a statement about similarity, and a masked
/// face can be similar. The score says not to believe such a match.
pub fn judge(
    aligned: &AlignedFace,
    detected: &DetectedFace,
    signal: f32,
    symptoms: Option<&Symptoms>,
    calibration: &Calibration,
) -> Quality {
    let evidence = components::measure(aligned, detected);
    let whole_score = unit(calibration.score(signal));
    let chance = match symptoms {
        Some(symptoms) => symptoms.cover_chance(),
        None => f32::from(u8::from(!is_whole(&evidence))),
    };
    let lowered = |value: f32| (1.0 - chance) * value + chance * value.min(COVERED_AT_MOST);
    let score = lowered(whole_score);
    let interval = calibration.interval(whole_score).map(lowered);
    Quality {
        score,
        interval: [unit(interval[0]).min(score), unit(interval[1]).max(score)],
        pass_probability: unit(calibration.pass_probability(signal)),
        grade: Grade::of(score),
        causes: causes(score, &evidence, symptoms),
        components: evidence.components,
    }
}

/// Whether mouth and eyes are uncovered, as far as they could be assessed.
fn is_whole(evidence: &Evidence) -> bool {
    let mouth_visible = evidence.components.get(Component::MouthOcclusionPrevention);
    mouth_visible.is_none_or(|visible| visible >= WHOLE_FROM) && evidence.eyes_visible >= WHOLE_FROM
}

/// `value` clamped to 0…1; 0 for NaN.
fn unit(value: f32) -> f32 {
    if value.is_nan() {
        0.0
    } else {
        value.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests;
