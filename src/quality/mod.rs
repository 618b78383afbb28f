//! Can this picture be trusted: OOD logit and measured components become a calibrated score, an interval, a grade and causes.

use serde::{Deserialize, Serialize};

pub mod components;
pub mod hints;

pub use components::{Component, Components};

/// Five words for the quality score, cut at .80 / .60 / .40 / .30.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Below .30.
    Bad,
    /// From .30.
    Poor,
    /// From .40.
    Fair,
    /// From .60.
    Good,
    /// From .80.
    Excellent,
}

/// What can pull a score down, as the contract names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseName {
    /// Sensor noise.
    Noise,
    /// Out of focus.
    Blur,
    /// The head or the camera moved.
    MotionBlur,
    /// Too few pixels on the face.
    LowResolution,
    /// Compressed too strongly.
    Compression,
    /// Too dark.
    Underexposure,
    /// Too bright, clipped.
    Overexposure,
    /// A picture of a screen or of a print.
    ScreenRecapture,
    /// Something covers a part of the face.
    Occlusion,
    /// A mask over mouth and nose.
    Mask,
    /// The head is turned away.
    Pose,
    /// Nothing that is measured explains it.
    Unknown,
}

/// One reason of a low score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// Which.
    pub name: CauseName,
    /// Its share of what is missing to a good score, 0…1; the weights of one face sum to at most 1.
    pub weight: f32,
}

/// How far a face can be trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// Expected similarity to a good reference photo on the contract's fixed 0–1 curve; higher is better.
    pub score: f32,
    /// Where another shot of the same scene would score 9 times in 10; contains `score`.
    pub interval: [f32; 2],
    /// Calibrated probability that this capture clears .45 against a good reference.
    pub pass_probability: f32,
    /// The score in a word.
    pub grade: Grade,
    /// What was measured.
    pub components: Components,
    /// What pulls the score down, largest weight first; empty for a good picture.
    pub causes: Vec<Cause>,
}
