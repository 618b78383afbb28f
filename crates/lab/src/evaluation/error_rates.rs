//! Error rates of the recogniser at a threshold on the similarity: FNMR, FMR, DET, EER (ISO/IEC
//! 19795-1).

use serde::Serialize;

/// A share with the counts that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// How many were wrong.
    pub errors: usize,
    /// How many there were.
    pub of: usize,
    /// The quotient; `None` if there were none.
    pub rate: Option<f64>,
}

impl Rate {
    /// `errors` out of `of`.
    pub fn new(errors: usize, of: usize) -> Self {
        Self {
            errors,
            of,
            rate: (of > 0).then(|| errors as f64 / of as f64),
        }
    }
}

/// One point of the trade between the two errors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DetPoint {
    /// At this similarity and above two faces count as one person.
    pub threshold: f32,
    /// Share of impostor comparisons at or above it.
    pub fmr: f64,
    /// Share of genuine comparisons below it.
    pub fnmr: f64,
}

/// Similarities of completed comparisons, in order.
#[derive(Clone, Debug)]
pub struct ErrorRates {
    genuine: Vec<f32>,
    impostor: Vec<f32>,
}

impl ErrorRates {
    /// From similarities in any order.
    pub fn new(mut genuine: Vec<f32>, mut impostor: Vec<f32>) -> Self {
        genuine.sort_by(f32::total_cmp);
        impostor.sort_by(f32::total_cmp);
        Self { genuine, impostor }
    }

    /// False non-matches: genuine comparisons below `threshold`.
    pub fn fnmr(&self, threshold: f32) -> Rate {
        Rate::new(below(&self.genuine, threshold), self.genuine.len())
    }

    /// False matches: impostor comparisons at or above `threshold`.
    pub fn fmr(&self, threshold: f32) -> Rate {
        let all = self.impostor.len();
        Rate::new(all - below(&self.impostor, threshold), all)
    }

    /// The lowest threshold whose FMR is at most `target`; `None` with fewer than 1 / `target`
    /// impostor comparisons, which cannot tell such a rate.
    pub fn threshold_at_fmr(&self, target: f64) -> Option<f32> {
        let all = self.impostor.len();
        let allowed = (target * all as f64).floor() as usize;
        if allowed == 0 || allowed >= all {
            return None;
        }
        // One step above the strongest impostor that must not match.
        Some(self.impostor[all - 1 - allowed].next_up())
    }

    /// Equal error rate: the threshold at which FNMR and FMR differ least. `None` without both
    /// kinds of comparison.
    pub fn equal(&self) -> Option<DetPoint> {
        if self.genuine.is_empty() || self.impostor.is_empty() {
            return None;
        }
        let mut thresholds: Vec<f32> = self.genuine.iter().chain(&self.impostor).copied().collect();
        thresholds.sort_by(f32::total_cmp);
        // FNMR − FMR never falls with the threshold.
        let gap = |point: &DetPoint| point.fnmr - point.fmr;
        let crossing = thresholds.partition_point(|&threshold| gap(&self.at(threshold)) < 0.0);
        let around = crossing.saturating_sub(1)..thresholds.len().min(crossing + 1);
        thresholds[around]
            .iter()
            .map(|&threshold| self.at(threshold))
            .min_by(|a, b| gap(a).abs().total_cmp(&gap(b).abs()))
    }

    /// The DET curve: a point for each of about `points` numbers of false matches, which are evenly
    /// spread on a logarithmic scale.
    pub fn det(&self, points: usize) -> Vec<DetPoint> {
        let all = self.impostor.len();
        if all == 0 || self.genuine.is_empty() {
            return Vec::new();
        }
        let share = |step: usize| step as f64 / points.max(1) as f64;
        let counts = (0..=points).map(|step| (all as f64).powf(share(step)).round() as usize);
        let mut counts: Vec<usize> = std::iter::once(0).chain(counts).collect();
        counts.dedup();
        let point = |matches: usize| match (all - matches).checked_sub(1) {
            Some(strongest) => self.at(self.impostor[strongest].next_up()),
            None => self.at(self.impostor[0]),
        };
        counts.into_iter().map(point).collect()
    }

    fn at(&self, threshold: f32) -> DetPoint {
        DetPoint {
            threshold,
            fmr: self.fmr(threshold).rate.unwrap_or(0.0),
            fnmr: self.fnmr(threshold).rate.unwrap_or(0.0),
        }
    }
}

fn below(sorted: &[f32], threshold: f32) -> usize {
    sorted.partition_point(|&similarity| similarity < threshold)
}

/// Similarities counted in bins of equal width.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// Lower edge of the first bin.
    pub from: f32,
    /// Width of a bin.
    pub width: f32,
    /// Genuine comparisons in each bin.
    pub genuine: Vec<usize>,
    /// Impostor comparisons in each bin.
    pub impostor: Vec<usize>,
}

const BINS: usize = 100;

impl Histogram {
    /// Counts both kinds over the cosine's range, −1…1.
    pub fn of(rates: &ErrorRates) -> Self {
        let width = 2.0 / BINS as f32;
        let count = |similarities: &[f32]| {
            let mut bins = vec![0; BINS];
            for &similarity in similarities {
                let bin = ((similarity + 1.0) / width).floor().max(0.0) as usize;
                bins[bin.min(BINS - 1)] += 1;
            }
            bins
        };
        Self {
            from: -1.0,
            width,
            genuine: count(&rates.genuine),
            impostor: count(&rates.impostor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Similarities on a coarse grid, so that ties occur.
    fn similarities() -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec((-20_i8..=20).prop_map(|step| f32::from(step) / 20.0), 1..60)
    }

    fn count(values: &[f32], wanted: impl Fn(f32) -> bool) -> usize {
        values.iter().filter(|&&value| wanted(value)).count()
    }

    proptest! {
        #[test]
        fn rates_are_what_counting_gives(genuine in similarities(), impostor in similarities(), step in -21_i8..=21) {
            let threshold = f32::from(step) / 20.0;
            let rates = ErrorRates::new(genuine.clone(), impostor.clone());
            prop_assert_eq!(rates.fnmr(threshold).errors, count(&genuine, |value| value < threshold));
            prop_assert_eq!(rates.fmr(threshold).errors, count(&impostor, |value| value >= threshold));
        }

        #[test]
        fn no_lower_threshold_keeps_the_fmr(impostor in similarities(), target in 0.02_f64..0.9) {
            let rates = ErrorRates::new(vec![0.5], impostor.clone());
            let by_trying = impostor.iter().map(|value| value.next_up()).filter(|&threshold| {
                count(&impostor, |value| value >= threshold) as f64 <= target * impostor.len() as f64
            });
            let lowest = by_trying.fold(f32::INFINITY, f32::min);
            match rates.threshold_at_fmr(target) {
                Some(found) => prop_assert_eq!(found, lowest),
                None => prop_assert!(target * (impostor.len() as f64) < 1.0),
            }
        }

        #[test]
        fn the_equal_error_rate_is_the_best_of_all_thresholds(genuine in similarities(), impostor in similarities()) {
            let rates = ErrorRates::new(genuine.clone(), impostor.clone());
            let gap = |threshold: f32| {
                let fnmr = count(&genuine, |value| value < threshold) as f64 / genuine.len() as f64;
                let fmr = count(&impostor, |value| value >= threshold) as f64 / impostor.len() as f64;
                (fnmr - fmr).abs()
            };
            let best = genuine.iter().chain(&impostor).map(|&threshold| gap(threshold)).fold(f64::MAX, f64::min);
            let found = rates.equal().unwrap();
            prop_assert!((found.fnmr - found.fmr).abs() <= best + 1e-12);
            prop_assert!((gap(found.threshold) - (found.fnmr - found.fmr).abs()).abs() < 1e-12);
        }

        #[test]
        fn the_det_curve_trades_one_error_for_the_other(genuine in similarities(), impostor in similarities()) {
            let curve = ErrorRates::new(genuine.clone(), impostor.clone()).det(40);
            prop_assert!(curve.windows(2).all(|pair| pair[0].fmr <= pair[1].fmr && pair[0].fnmr >= pair[1].fnmr));
            prop_assert_eq!((curve[0].fmr, curve.last().unwrap().fmr), (0.0, 1.0));
            for point in curve {
                let matches = count(&impostor, |value| value >= point.threshold);
                prop_assert_eq!(point.fmr, matches as f64 / impostor.len() as f64);
                let missed = count(&genuine, |value| value < point.threshold);
                prop_assert_eq!(point.fnmr, missed as f64 / genuine.len() as f64);
            }
        }

        #[test]
        fn the_histogram_loses_nothing(genuine in similarities(), impostor in similarities()) {
            let histogram = Histogram::of(&ErrorRates::new(genuine.clone(), impostor.clone()));
            prop_assert_eq!(histogram.genuine.iter().sum::<usize>(), genuine.len());
            prop_assert_eq!(histogram.impostor.iter().sum::<usize>(), impostor.len());
        }
    }

    #[test]
    fn without_comparisons_there_are_no_rates() {
        let none = ErrorRates::new(Vec::new(), Vec::new());
        assert_eq!(none.fnmr(0.45).rate, None);
        assert_eq!(none.equal(), None);
        assert!(none.det(10).is_empty());
        assert_eq!(
            ErrorRates::new(vec![0.5], vec![0.1; 999]).threshold_at_fmr(1e-3),
            None
        );
    }
}
