//! Fits a calibration on the captures of a site, and tests it on captures it has not seen.
//!
//! A site rarely has all kinds of captures: few masks, few false detections. So the maps are
//! fitted anew where the site has captures, and continue as the pack's own maps elsewhere.

use serde::Serialize;

use super::{
    Calibration, CalibrationError, LEAST, Provenance, Spread, rising, rounded, rounded_spread,
    score,
};
use crate::stats::{calibration_error, interpolate, resampled};

/// Folds of groups for predictions on captures that the map has not seen.
const FOLDS: usize = 5;
/// Captures in a bin of the calibration error. With fewer, chance makes gaps of hundredths.
const PER_BIN: usize = 50;
/// Highest number of these bins, as in the pack's own figures.
const MOST_BINS: usize = 15;
/// Bootstrap draws behind an interval.
const DRAWS: usize = 1000;
/// Fixed, so that the same captures give the same interval.
const SEED: u64 = 29_794;

/// One capture of the site whose truth is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SiteSample {
    /// The pack's signal.
    pub signal: f64,
    /// The similarity to a good reference; `None` for an unusable picture.
    pub similarity: Option<f64>,
    /// Its group. Captures of one person, or of one door and hour, resemble each other, so
    /// a group is held out, and drawn for an interval, as a whole.
    pub group: usize,
}

impl SiteSample {
    /// Whether it reached the similarity `least`.
    pub fn passes(&self, least: f64) -> bool {
        self.similarity
            .is_some_and(|similarity| similarity >= least)
    }
}

/// A number and its 95 % interval when groups are drawn again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The number.
    pub value: f64,
    /// Its interval.
    pub interval: [f64; 2],
}

/// A calibration error before, after, and the difference on the same draws.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CalibrationChange {
    /// Of the calibration in force.
    pub before: Figure,
    /// Of one learnt on other groups.
    pub after: Figure,
    /// After less before: below 0 is better.
    pub change: Figure,
}

/// What a site calibration gains, measured on captures that it has not seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SiteTrial {
    /// Bins of equal count of both errors.
    pub bins: usize,
    /// Expected calibration error of the pass probability.
    pub pass: CalibrationChange,
    /// Expected calibration error of the expected similarity.
    pub similarity: CalibrationChange,
}

impl Calibration {
    /// The maps learnt from `samples` where these are, and this calibration's elsewhere. The spread
    /// of another shot's signal is taken over: it depends on the network, not on the site. The cuts
    /// on the similarity are taken over too.
    ///
    /// # Errors
    /// With too few samples that have a similarity.
    pub fn refit(
        &self,
        samples: &[SiteSample],
        provenance: Provenance,
    ) -> Result<Self, CalibrationError> {
        let compared: Vec<(f64, f64)> = samples
            .iter()
            .filter_map(|sample| Some((sample.signal, sample.similarity?)))
            .collect();
        if compared.len() < LEAST {
            return Err(CalibrationError::TooFew(compared.len()));
        }
        let least = self.pass_similarity();
        let passed =
            |sample: &SiteSample| (sample.signal, f64::from(u8::from(sample.passes(least))));
        let passes: Vec<(f64, f64)> = samples.iter().map(passed).collect();
        let learnt = |points: &[(f64, f64)], own: &[[f64; 2]]| {
            let (signals, values): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
            continued(&rising(&signals, &values), own)
        };
        let similarity = learnt(&compared, &self.content.similarity);
        let pass = learnt(&passes, &self.content.pass);
        let spread = self.spread_along(&similarity);
        let learnt = Self::learnt(provenance, similarity, pass, spread);
        Ok(learnt.with_thresholds(self.thresholds()))
    }

    /// The spreads for `similarity` in place of this map, at the same shifts of the signal.
    fn spread_along(&self, similarity: &[[f64; 2]]) -> Vec<Spread> {
        let turned =
            |&[signal, similarity]: &[f64; 2]| [score::from_similarity(similarity), signal];
        let backwards: Vec<[f64; 2]> = self.content.similarity.iter().map(turned).collect();
        let moved = |score: f64| {
            let signal = interpolate(&backwards, score);
            score::from_similarity(interpolate(similarity, signal))
        };
        let spread = |own: &Spread| {
            let at = moved(own.score);
            rounded_spread(Spread {
                score: at,
                below: (moved(own.score + own.below) - at).min(0.0),
                above: (moved(own.score + own.above) - at).max(0.0),
            })
        };
        self.content.spread.iter().map(spread).collect()
    }

    /// How well `self` does, and a calibration learnt on top of `own` from other groups.
    ///
    /// # Errors
    /// With too few samples.
    pub fn trial(&self, own: &Self, samples: &[SiteSample]) -> Result<SiteTrial, CalibrationError> {
        let mut unseen = Vec::with_capacity(FOLDS);
        for fold in 0..FOLDS {
            let others = samples.iter().filter(|sample| sample.group % FOLDS != fold);
            let others: Vec<SiteSample> = others.copied().collect();
            unseen.push(own.refit(&others, Provenance::default())?);
        }
        let learnt = |sample: &SiteSample| &unseen[sample.group % FOLDS];
        let bins = (samples.len() / PER_BIN).clamp(1, MOST_BINS);
        Ok(SiteTrial {
            bins,
            pass: change(samples, bins, |sample| {
                let pass = |by: &Self| f64::from(by.pass_probability(sample.signal as f32));
                let passed = f64::from(u8::from(sample.passes(own.pass_similarity())));
                Some([pass(self), pass(learnt(sample)), passed])
            }),
            similarity: change(samples, bins, |sample| {
                let expected = |by: &Self| f64::from(by.expected_similarity(sample.signal as f32));
                // The maps give 0–1, so 0 is the best prediction of a negative similarity.
                let reached = sample.similarity?.clamp(0.0, 1.0);
                Some([expected(self), expected(learnt(sample)), reached])
            }),
        })
    }
}

/// The calibration errors of two predictions, where `row` gives both and what came true.
fn change(
    samples: &[SiteSample],
    bins: usize,
    row: impl Fn(&SiteSample) -> Option<[f64; 3]>,
) -> CalibrationChange {
    let mut groups: Vec<Vec<[f64; 3]>> = Vec::new();
    for sample in samples {
        if let Some(row) = row(sample) {
            if groups.len() <= sample.group {
                groups.resize_with(sample.group + 1, Vec::new);
            }
            groups[sample.group].push(row);
        }
    }
    let errors = |rows: &[[f64; 3]]| {
        let column = |index: usize| rows.iter().map(|row| row[index]).collect::<Vec<f64>>();
        let came_true = column(2);
        let error =
            |predicted: &[f64]| calibration_error(predicted, &came_true, bins).unwrap_or_default();
        let (before, after) = (error(&column(0)), error(&column(1)));
        [before, after, after - before]
    };
    let values = errors(&groups.concat());
    let intervals = resampled(&groups, DRAWS, SEED, errors);
    let figure = |index: usize| Figure {
        value: rounded(values[index]),
        interval: intervals[index].map(rounded),
    };
    CalibrationChange {
        before: figure(0),
        after: figure(1),
        change: figure(2),
    }
}

/// `site` between its first and last knot, `own` outside, lowered where needed to meet `site`: what
/// the pack distrusts and the site has not shown gains no trust.
fn continued(site: &[[f64; 2]], own: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let (Some(&first), Some(&last)) = (site.first(), site.last()) else {
        return own.to_vec();
    };
    let lowered = |edge: [f64; 2], knot: &[f64; 2]| {
        let shift = (edge[1] - interpolate(own, edge[0])).min(0.0);
        rounded(knot[1] + shift)
    };
    let below = own.iter().filter(|knot| knot[0] < first[0]);
    let below = below.map(|knot| [knot[0], lowered(first, knot).clamp(0.0, first[1])]);
    let above = own.iter().filter(|knot| knot[0] > last[0]);
    let above = above.map(|knot| [knot[0], lowered(last, knot).clamp(last[1], 1.0)]);
    below.chain(site.iter().copied()).chain(above).collect()
}

#[cfg(test)]
mod tests;
