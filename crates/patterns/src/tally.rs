//! Counts the rows of each group as they stream by. No row is kept.

use std::collections::HashMap;

use chrono::{DateTime, Timelike, Utc};

use super::LocalTime;
use super::trend::{BINS, Bins};

/// Steps of the histogram that quantiles of scores are read from.
const SCORES: usize = 1000;

#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) size: u64,
    /// By local hour.
    pub(super) hours: [u64; 24],
    /// By part of the window.
    pub(super) bins: Vec<u64>,
    /// By source.
    pub(super) sources: HashMap<u32, u64>,
    /// The first and the last.
    pub(super) seen: Option<[DateTime<Utc>; 2]>,
    /// The first one of each part of the window.
    pub(super) first_of_bin: Vec<Option<DateTime<Utc>>>,
    scores: Vec<u64>,
    score_sum: f64,
    norms: u64,
    norm_sum: f64,
    norm_squares: f64,
    deviations: f64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            size: 0,
            hours: [0; 24],
            bins: vec![0; BINS],
            sources: HashMap::new(),
            seen: None,
            first_of_bin: vec![None; BINS],
            scores: vec![0; SCORES + 1],
            score_sum: 0.0,
            norms: 0,
            norm_sum: 0.0,
            norm_squares: 0.0,
            deviations: 0.0,
        }
    }
}

/// What a tally needs to know of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) time: DateTime<Utc>,
    pub(super) source: u32,
    pub(super) score: f32,
    /// Its norm, NaN where there is none.
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
        self.seen = Some(self.seen.map_or([row.time; 2], |[from, to]| {
            [from.min(row.time), to.max(row.time)]
        }));
        self.scores[(row.score.clamp(0.0, 1.0) * SCORES as f32).round() as usize] += 1;
        self.score_sum += f64::from(row.score);
        if row.norm.is_finite() {
            self.norms += 1;
            self.norm_sum += f64::from(row.norm);
            self.norm_squares += f64::from(row.norm).powi(2);
            self.deviations += row.norm_z;
        }
    }

    /// The score that `share` of the rows do not exceed.
    pub(super) fn score_quantile(&self, share: f64) -> f64 {
        let wanted = share * self.size as f64;
        let mut below = 0.0;
        for (step, &count) in self.scores.iter().enumerate() {
            below += count as f64;
            if below >= wanted && count > 0 {
                return step as f64 / SCORES as f64;
            }
        }
        0.0
    }

    pub(super) fn mean_score(&self) -> f64 {
        self.score_sum / self.size.max(1) as f64
    }

    /// Mean, standard deviation and mean deviation of the norms.
    pub(super) fn norms(&self) -> Option<[f64; 3]> {
        let count = self.norms as f64;
        (self.norms > 0).then(|| {
            let mean = self.norm_sum / count;
            let variance = (self.norm_squares / count - mean * mean).max(0.0);
            [mean, variance.sqrt(), self.deviations / count]
        })
    }
}

/// The local hour of a moment. Asking the time zone costs more than all else that is done with a row, and offsets change only at
/// quarters of an hour: the last answer is kept.
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
