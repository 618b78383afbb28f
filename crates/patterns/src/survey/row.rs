//! What a survey keeps of rows: few bytes of each.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::CAUSES;
use crate::exact_sum::ExactSum;

/// Row of a stream in 16 bytes, so that ten million take 160 MB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamRow {
    /// Seconds since [`EPOCH`].
    pub(crate) seconds: u32,
    /// Index into `Survey::sources`.
    pub(crate) source: u32,
    /// Embedding norm; NaN where there is none.
    pub(crate) norm: f32,
    /// How good it was.
    pub(crate) rated: Rated,
    /// Index into `Survey::models`.
    pub(crate) model: u16,
}

/// A score in 16,383rds, and two bits that say whether the row is low and whether it passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rated(u16);

/// Steps of a kept score.
const STEPS: f32 = 16_383.0;

impl Rated {
    const LOW: u16 = 1;
    const PASSES: u16 = 2;

    pub(crate) fn new(score: f32, is_low: bool, passes: bool) -> Self {
        let steps = (score.clamp(0.0, 1.0) * STEPS).round() as u16;
        let low = if is_low { Self::LOW } else { 0 };
        let passing = if passes { Self::PASSES } else { 0 };
        Self(steps << 2 | low | passing)
    }
}

/// The first second that a stream knows: 2000-01-01 UTC. Clocks that were never set begin later.
pub(crate) const EPOCH: i64 = 946_684_800;

impl StreamRow {
    /// The score, 0…1.
    pub(crate) fn score(self) -> f32 {
        f32::from(self.rated.0 >> 2) / STEPS
    }

    pub(crate) fn is_low(self) -> bool {
        self.rated.0 & Rated::LOW > 0
    }

    pub(crate) fn passes(self) -> bool {
        self.rated.0 & Rated::PASSES > 0
    }

    /// Orders the rows of one source and one second, of which the stream knows no other order. It
    /// mixes what is known of a row: sorted scores would look like a course of time.
    pub(crate) fn tie(self) -> u64 {
        let known = u64::from(self.norm.to_bits()) << 32
            | u64::from(self.rated.0) << 16
            | u64::from(self.model);
        mixed(known.wrapping_add(u64::from(self.seconds).wrapping_mul(GOLDEN)))
    }

    /// When it was, to the second.
    pub(crate) fn time(self) -> DateTime<Utc> {
        time_of(self.seconds)
    }
}

pub(crate) fn seconds_of(time: DateTime<Utc>) -> u32 {
    (time.timestamp() - EPOCH).clamp(0, i64::from(u32::MAX)) as u32
}

/// The time that is `seconds` after the epoch of streams.
pub(crate) fn time_of(seconds: u32) -> DateTime<Utc> {
    DateTime::from_timestamp(EPOCH + i64::from(seconds), 0).unwrap_or_default()
}

/// A low row, in 16 bytes: its place in the stream, and its causes in 255ths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LowRow {
    /// Its place in the stream, or among the low rows where these have one of their own.
    pub(crate) row: u32,
    pub(crate) causes: [u8; CAUSES],
}

/// In place of causes: the face has no fault. No face has every cause at once.
pub(crate) const NO_FAULT: [u8; CAUSES] = [u8::MAX; CAUSES];

impl LowRow {
    /// The causes; `None` where the face has no fault.
    pub(crate) fn causes(self) -> Option<[f32; CAUSES]> {
        (self.causes != NO_FAULT).then(|| self.causes.map(|weight| f32::from(weight) / 255.0))
    }
}

/// Rows with a score of one source and hour, one pack and calibration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HourCell {
    /// Seconds since [`EPOCH`] to its beginning.
    pub(crate) seconds: u32,
    /// Index into `Survey::sources`.
    pub(crate) source: u32,
    pub(crate) scored: u32,
}

/// Counts of whole hours, where rows are too many to be read one by one.
#[derive(Default)]
pub(crate) struct Hours {
    pub(crate) cells: Vec<Vec<HourCell>>,
    /// How many norms each source has, and their sum.
    pub(crate) norms: HashMap<u32, (u64, ExactSum)>,
}

/// 2^64 divided by the golden ratio, as SplitMix64 steps.
pub(crate) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes the bits of a number; no two become the same (the finaliser of SplitMix64; Steele, Lea
/// and Flood 2014).
pub(crate) fn mixed(mut number: u64) -> u64 {
    for factor in [0xbf58_476d_1ce4_e5b9_u64, 0x94d0_49bb_1331_11eb] {
        number = (number ^ (number >> 30)).wrapping_mul(factor);
    }
    number ^ (number >> 31)
}
