//! Counts the rows of each group as they stream by. No row is kept.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Timelike, Utc};

use super::LocalTime;
use super::exact_sum::ExactSum;
use super::report::{NormStatistics, QualityStatistics};
use super::trend::{BINS, Bins};

/// Steps of the histogram that quantiles of scores are read from.
const SCORES: f32 = 1000.0;

#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) size: u64,
    /// By local hour.
    pub(super) hours: [u64; 24],
    /// By part of the window.
    pub(super) bins: [u64; BINS],
    pub(super) sources: HashMap<u32, u64>,
    /// The first and the last.
    pub(super) seen: Option<[DateTime<Utc>; 2]>,
    /// The first one of each part of the window.
    pub(super) first_of_bin: [Option<DateTime<Utc>>; BINS],
    scores: BTreeMap<u32, u64>,
    score_sum: ExactSum,
    norms: u64,
    norm_sum: ExactSum,
    norm_squares: ExactSum,
    deviations: ExactSum,
    /// Whether the deviation of some norm is not known.
    has_unknown_deviation: bool,
}

/// What a tally needs to know of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) time: DateTime<Utc>,
    pub(super) source: u32,
    pub(super) score: f32,
    /// NaN where there is none.
    pub(super) norm: f32,
    /// By how many standard deviations of good captures of its model the norm differs.
    pub(super) norm_z: f64,
}

impl Tally {
    pub(super) fn add(&mut self, row: &Counted, bins: &Bins, hours: &mut LocalHours) {
        self.size += 1;
        self.hours[hours.of(row.time)] += 1;
        let bin = bins.of(row.time);
        self.bins[bin] += 1;
        let first = self.first_of_bin[bin].get_or_insert(row.time);
        *first = row.time.min(*first);
        *self.sources.entry(row.source).or_default() += 1;
        let [from, to] = self.seen.unwrap_or([row.time; 2]);
        self.seen = Some([from.min(row.time), to.max(row.time)]);
        let step = (row.score.clamp(0.0, 1.0) * SCORES).round() as u32;
        *self.scores.entry(step).or_default() += 1;
        self.score_sum.add(f64::from(row.score));
        if row.norm.is_finite() {
            self.norms += 1;
            self.norm_sum.add(f64::from(row.norm));
            self.norm_squares.add(f64::from(row.norm).powi(2));
            self.deviations.add(row.norm_z);
            self.has_unknown_deviation |= !row.norm_z.is_finite();
        }
    }

    pub(super) fn quality(&self) -> QualityStatistics {
        QualityStatistics {
            mean: self.score_sum.value() / self.size.max(1) as f64,
            p10: self.score_quantile(0.1),
            p90: self.score_quantile(0.9),
        }
    }

    /// The score that `share` of the rows do not exceed.
    fn score_quantile(&self, share: f64) -> f64 {
        let wanted = share * self.size as f64;
        let mut below = 0;
        let reaches = |(_, count): &(&u32, &u64)| {
            below += **count;
            below as f64 >= wanted
        };
        let found = self.scores.iter().find(reaches);
        found.map_or(0.0, |(&step, _)| f64::from(step) / f64::from(SCORES))
    }

    pub(super) fn norms(&self) -> NormStatistics {
        let count = self.norms as f64;
        let known = |value: f64| (self.norms > 0).then_some(value);
        let mean = self.norm_sum.value() / count;
        let variance = (self.norm_squares.value() / count - mean * mean).max(0.0);
        NormStatistics {
            mean: known(mean),
            std: known(variance.sqrt()),
            z: known(self.deviations.value() / count).filter(|_| !self.has_unknown_deviation),
        }
    }
}

/// The local hour of a moment. It keeps the last answer, since asking the time zone costs more than
/// all else that is done with a row, and offsets change only at quarters of an hour.
pub(super) struct LocalHours {
    local: LocalTime,
    quarter: i64,
    hour: usize,
}

impl LocalHours {
    pub(super) fn new(local: LocalTime) -> Self {
        Self {
            local,
            quarter: i64::MIN,
            hour: 0,
        }
    }

    /// 0…23.
    pub(super) fn of(&mut self, time: DateTime<Utc>) -> usize {
        let quarter = time.timestamp().div_euclid(900);
        if quarter != self.quarter {
            self.quarter = quarter;
            self.hour = (self.local)(time).hour() as usize % 24;
        }
        self.hour
    }
}
