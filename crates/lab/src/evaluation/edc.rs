//! Error versus discard characteristic: the FNMR of the remaining comparisons as those of the
//! lowest quality are discarded.
//!
//! After Grother and Tabassi (2007), Schlett et al. (arXiv 2303.13294) and ISO/IEC 29794-1. The
//! quality of a comparison is the lower of its two captures'. The threshold is fixed, and the
//! discarded share is one of genuine comparisons. Comparisons of equal quality have no order:
//! the curve is the mean over all of their orders.

/// The curve, held as the errors that are left after each comparison that is dropped.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edc {
    /// Errors expected among the rest once `index` comparisons are dropped; one more entry than
    /// comparisons.
    errors_left: Vec<f64>,
}

impl Edc {
    /// From the quality of each genuine comparison (higher is better) and whether it is a false
    /// non-match.
    pub(super) fn new(comparisons: &[(f64, bool)]) -> Self {
        let count = |found: &[(f64, bool)]| found.iter().filter(|(_, is_error)| *is_error).count();
        let mut sorted = comparisons.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut left = count(&sorted) as f64;
        let mut errors_left = vec![left];
        for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
            let errors = count(tied) as f64;
            for _ in tied {
                left -= errors / tied.len() as f64;
                errors_left.push(left.max(0.0));
            }
        }
        Self { errors_left }
    }

    pub(super) fn comparisons(&self) -> usize {
        self.errors_left.len() - 1
    }

    /// FNMR of the rest once `share` (0…1) of the comparisons is dropped, linear between whole
    /// numbers of them; `None` if none remains.
    pub(super) fn fnmr_after(&self, share: f64) -> Option<f64> {
        let all = self.comparisons();
        let dropped = share.clamp(0.0, 1.0) * all as f64;
        let (below, part) = (dropped.floor() as usize, dropped.fract());
        let rate = |dropped: usize| (dropped < all).then(|| self.rate(dropped));
        let first = rate(below)?;
        Some(first + part * (rate(below + 1).unwrap_or(first) - first))
    }

    /// Area under the curve from nothing dropped to `limit` (0…1): small is good.
    pub(super) fn area(&self, limit: f64) -> Option<f64> {
        (self.comparisons() > 0)
            .then(|| area(self.comparisons(), limit, |dropped| self.rate(dropped)))
    }

    /// The same area on a scale on which 0 is a quality that drops every error first, and 1 is one
    /// that drops at random. `None` if no comparison, or every one, is an error: then no order is
    /// better than another.
    pub(super) fn relative_area(&self, limit: f64) -> Option<f64> {
        let all = self.comparisons();
        let errors = self.errors_left[0];
        let random = area(all, limit, |_| errors / all as f64);
        let perfect = area(all, limit, |dropped| {
            (errors - dropped as f64).max(0.0) / (all - dropped) as f64
        });
        (random > perfect)
            .then(|| (self.area(limit).unwrap_or(random) - perfect) / (random - perfect))
    }

    /// About `points` points of the curve up to `limit`: share dropped, FNMR of the rest.
    pub(super) fn curve(&self, limit: f64, points: usize) -> Vec<[f64; 2]> {
        (0..=points)
            .map(|step| limit * step as f64 / points.max(1) as f64)
            .filter_map(|share| Some([share, self.fnmr_after(share)?]))
            .collect()
    }

    fn rate(&self, dropped: usize) -> f64 {
        self.errors_left[dropped] / (self.comparisons() - dropped) as f64
    }
}

/// Area under `rate` from 0 to the share `limit`. `rate` is given at whole numbers of `all`
/// comparisons dropped and linear between them.
fn area(all: usize, limit: f64, rate: impl Fn(usize) -> f64) -> f64 {
    let end = limit.clamp(0.0, 1.0) * all as f64;
    let mut sum = 0.0;
    let mut dropped = 0;
    while (dropped as f64) < end && dropped < all {
        let first = rate(dropped);
        // Once all comparisons are dropped, there is no rate.
        let next = rate((dropped + 1).min(all - 1));
        let part = (end - dropped as f64).min(1.0);
        sum += part * (first + 0.5 * part * (next - first));
        dropped += 1;
    }
    sum / all as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_curve_is_what_dropping_one_by_one_gives(
            errors in prop::collection::vec(any::<bool>(), 1..40),
            share in 0.0_f64..0.97,
        ) {
            // All qualities differ; given in another order than they are dropped in.
            let all = errors.len();
            let comparisons: Vec<(f64, bool)> = (0..all).map(|i| ((i * 7 % 41) as f64, errors[i])).collect();
            let edc = Edc::new(&comparisons);
            let mut left = comparisons.clone();
            left.sort_by(|a, b| a.0.total_cmp(&b.0));
            for dropped in 0..all {
                let rest = &left[dropped..];
                let rate = rest.iter().filter(|(_, error)| *error).count() as f64 / rest.len() as f64;
                let found = edc.fnmr_after((dropped as f64 + 1e-9) / all as f64).unwrap();
                prop_assert!((found - rate).abs() < 1e-6, "{dropped}: {found} {rate}");
            }
            // The area against a fine sum of rectangles.
            let steps = 20_000;
            let sum: f64 = (0..steps)
                .map(|step| edc.fnmr_after(share * (f64::from(step) + 0.5) / f64::from(steps)).unwrap())
                .sum();
            let by_sum = sum * share / f64::from(steps);
            prop_assert!((edc.area(share).unwrap() - by_sum).abs() < 1e-4);
        }

        #[test]
        fn equal_qualities_give_the_mean_over_orders(errors in prop::collection::vec(any::<bool>(), 2..7)) {
            let all = errors.len();
            let tied: Vec<(f64, bool)> = errors.iter().map(|&error| (0.5, error)).collect();
            let edc = Edc::new(&tied);
            // Of every subset of the size that remains, equally likely.
            for kept in 1..=all {
                let subsets = (0_u32..1 << all).filter(|set| set.count_ones() as usize == kept);
                let rates: Vec<f64> = subsets
                    .map(|set| (0..all).filter(|&i| set >> i & 1 == 1 && errors[i]).count() as f64 / kept as f64)
                    .collect();
                let mean = rates.iter().sum::<f64>() / rates.len() as f64;
                let found = edc.rate(all - kept);
                prop_assert!((found - mean).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn perfect_order_is_0_and_no_order_is_1() {
        let errors = |index: usize| index < 12;
        let perfect: Vec<(f64, bool)> = (0..100).map(|i| (i as f64, errors(i))).collect();
        let none: Vec<(f64, bool)> = (0..100).map(|i| (0.3, errors(i))).collect();
        let backward: Vec<(f64, bool)> = (0..100).map(|i| (-(i as f64), errors(i))).collect();
        assert!(Edc::new(&perfect).relative_area(0.5).unwrap().abs() < 1e-12);
        assert!((Edc::new(&none).relative_area(0.5).unwrap() - 1.0).abs() < 1e-9);
        assert!(Edc::new(&backward).relative_area(0.5).unwrap() > 1.2);
        assert_eq!(Edc::new(&perfect).fnmr_after(0.0), Some(0.12));
        assert_eq!(Edc::new(&perfect).fnmr_after(0.12), Some(0.0));
    }

    #[test]
    fn where_no_order_can_help_there_is_no_relative_area() {
        assert_eq!(
            Edc::new(&[(0.1, false), (0.2, false)]).relative_area(0.5),
            None
        );
        assert_eq!(
            Edc::new(&[(0.1, true), (0.2, true)]).relative_area(0.5),
            None
        );
        assert_eq!(Edc::new(&[]).area(0.2), None);
        assert_eq!(Edc::new(&[]).fnmr_after(0.2), None);
    }
}
