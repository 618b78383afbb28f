//! What low rows are compared with: the norms of good captures, and counts of all rows in the
//! window.

use chrono::{DateTime, Utc};

use super::Settings;
use super::report::TimeBin;
use super::survey::{JudgingModel, Sampled, Survey, time_of};
use super::tally::LocalHours;
use super::trend::{BINS, Bins};

/// Mean and standard deviation of good captures' norms, by model.
pub(super) struct GoodNorms(Vec<Option<[f64; 2]>>);

impl GoodNorms {
    pub(super) fn of(good: &[Sampled]) -> Self {
        let models = good.iter().map(|row| usize::from(row.model) + 1).max();
        let mut sums = vec![[0.0; 3]; models.unwrap_or(0)];
        for row in good.iter().filter(|row| row.norm.is_finite()) {
            let norm = f64::from(row.norm);
            let sum = &mut sums[usize::from(row.model)];
            *sum = [sum[0] + 1.0, sum[1] + norm, sum[2] + norm * norm];
        }
        let level = |[count, sum, squares]: [f64; 3]| {
            let mean = sum / count;
            let deviation = (squares / count - mean * mean).max(0.0).sqrt();
            (count >= 2.0).then(|| [mean, deviation.max(1e-6)])
        };
        Self(sums.into_iter().map(level).collect())
    }

    /// By how many standard deviations the norm differs; NaN where that is not known.
    pub(super) fn z(&self, model: u16, norm: f32) -> f64 {
        let level = self.0.get(usize::from(model)).copied().flatten();
        level.map_or(f64::NAN, |[mean, deviation]| {
            (f64::from(norm) - mean) / deviation
        })
    }
}

/// Counts of all rows with a score, which patterns are compared with.
pub(super) struct WindowCounts {
    /// Rows by bin of the window.
    pub(super) by_bin: [u64; BINS],
    low_by_bin: [u64; BINS],
    /// Rows by hour of the local day.
    pub(super) by_hour: [u64; 24],
    /// Rows that pass, by source.
    pub(super) passing: Vec<u64>,
    first_of_model: Vec<u32>,
}

impl WindowCounts {
    pub(super) fn of(survey: &Survey, settings: &Settings, bins: &Bins) -> Self {
        let mut all = Self {
            by_bin: [0; BINS],
            low_by_bin: [0; BINS],
            by_hour: [0; 24],
            passing: vec![0; survey.sources.len()],
            first_of_model: vec![u32::MAX; survey.models.len()],
        };
        let mut hours = LocalHours::new(settings.local_time);
        let mut streamed = vec![0_u64; survey.sources.len()];
        for row in survey.stream.iter().flatten() {
            all.passing[row.source as usize] += u64::from(row.passes());
            streamed[row.source as usize] += 1;
            let first = &mut all.first_of_model[usize::from(row.model)];
            *first = row.seconds.min(*first);
            if survey.hours.is_none() {
                let bin = bins.of(row.time());
                all.by_bin[bin] += 1;
                all.low_by_bin[bin] += u64::from(row.is_low());
                all.by_hour[hours.of(row.time())] += 1;
            }
        }
        let Some(counted) = &survey.hours else {
            return all;
        };
        for cell in counted.cells.iter().flatten() {
            let (time, scored) = (time_of(cell.seconds), u64::from(cell.scored));
            all.by_bin[bins.of(time)] += scored;
            all.by_hour[hours.of(time)] += scored;
        }
        for low in survey.lows.iter().flatten() {
            let row = survey.low_row(*low);
            all.low_by_bin[bins.of(row.time())] += 1;
            let first = &mut all.first_of_model[usize::from(row.model)];
            *first = row.seconds.min(*first);
        }
        // The stream is a sample: what passes of it stands for all rows of the source.
        for (passing, (streamed, counts)) in all
            .passing
            .iter_mut()
            .zip(streamed.iter().zip(&survey.counts))
        {
            let share = *passing as f64 / (*streamed).max(1) as f64;
            *passing = (share * counts.scored as f64).round() as u64;
        }
        all
    }

    /// Every model and its first row, in the order of time.
    pub(super) fn first_of_model<'a>(
        &self,
        survey: &'a Survey,
    ) -> Vec<(&'a JudgingModel, DateTime<Utc>)> {
        let firsts = self.first_of_model.iter().map(|&seconds| time_of(seconds));
        let mut models: Vec<_> = survey.models.iter().zip(firsts).collect();
        models.sort_by_key(|(_, since)| *since);
        models
    }

    pub(super) fn timeline(&self, bins: &Bins) -> Vec<TimeBin> {
        let bin = |bin: usize| TimeBin {
            from: bins.begin(bin),
            scored: self.by_bin[bin],
            low: self.low_by_bin[bin],
        };
        (0..BINS).map(bin).collect()
    }
}
