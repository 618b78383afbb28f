//! The sampled rows: those whose ids give the lowest numbers by chance.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use faceood_engine::quality::Component;
use faceood_log::Observation;
use uuid::Uuid;

use super::CAUSES;
use super::row::{GOLDEN, mixed};

/// A sampled row with all that the analysis uses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sampled {
    pub(crate) id: Uuid,
    /// Which of the inputs has it.
    pub(crate) input: usize,
    pub(crate) time: DateTime<Utc>,
    /// Index into `Survey::sources`.
    pub(crate) source: u32,
    /// Index into `Survey::models`.
    pub(crate) model: u16,
    pub(crate) score: f32,
    /// The embedding's norm; NaN where there is none.
    pub(crate) norm: f32,
    /// Weights of the causes, in the order of `CauseName::ALL`.
    pub(crate) causes: [f32; CAUSES],
    /// The components, in the order of `Component::ALL`.
    pub(crate) components: [Option<f32>; Component::ALL.len()],
    /// Longer side of the face's box.
    pub(crate) face_px: Option<f32>,
}

impl Sampled {
    /// Takes over what a brief look leaves out.
    pub(crate) fn complete(&mut self, row: &Observation<'_>) {
        self.components = row.components;
        self.face_px = row.box_px.map(|[width, height]| width.max(height));
    }
}

/// Place of a sampled row: its rank and its id. The rest orders rows with the same id: time, name
/// of the source and input.
pub(crate) type Place = (u64, Uuid, DateTime<Utc>, String, usize);

pub(crate) type Sample = BTreeMap<Place, Sampled>;

/// Puts a row into a sample, and takes the one of highest rank out if there are more than `most`.
pub(crate) fn add(sample: &mut Sample, place: Place, row: Sampled, most: usize) {
    sample.insert(place, row);
    if sample.len() > most {
        sample.pop_last();
    }
}

/// A pseudo-random number from id and seed.
pub(crate) fn rank(id: Uuid, seed: u64) -> u64 {
    let (high, low) = id.as_u64_pair();
    mixed(high.rotate_left(32) ^ low ^ seed.wrapping_mul(GOLDEN))
}
