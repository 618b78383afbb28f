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
    /// Score in 65,535ths.
    pub(crate) score: u16,
    /// Index into `Survey::models`.
    pub(crate) model: u16,
}

/// The first second that a stream knows: 2000-01-01 UTC. Clocks that were never set begin later.
pub(crate) const EPOCH: i64 = 946_684_800;

impl StreamRow {
    /// The score, 0…1.
    pub(crate) fn score(self) -> f32 {
        f32::from(self.score) / f32::from(u16::MAX)
    }

    /// Whether it is low. The score is kept in steps, so the cut gets half of one.
    pub(crate) fn is_low(self, max_score: f32) -> bool {
        self.score() <= max_score + 0.5 / f32::from(u16::MAX)
    }

    /// Orders the rows of one source and one second, of which the stream knows no other order. It
    /// mixes what is known of a row: sorted scores would look like a course of time.
    pub(crate) fn tie(self) -> u64 {
        let known = u64::from(self.norm.to_bits()) << 32
            | u64::from(self.score) << 16
            | u64::from(self.model);
        mixed(known.wrapping_add(u64::from(self.seconds).wrapping_mul(GOLDEN)))
    }

    pub(crate) fn passes(self, accept: f32) -> bool {
        self.score() >= accept - 0.5 / f32::from(u16::MAX)
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

impl LowRow {
    pub(crate) fn causes(self) -> [f32; CAUSES] {
        self.causes.map(|weight| f32::from(weight) / 255.0)
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
