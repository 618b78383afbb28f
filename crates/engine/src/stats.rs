//! Small statistics over plain numbers, without domain words.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The `share` quantile (0…1) of `sorted`, linear between neighbours; `None` without values.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    let part = place - place.floor();
    Some(sorted[below] * (1.0 - part) + sorted[above] * part)
}

/// Arithmetic mean; 0 where there is nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().sum::<f64>() / values.len() as f64
}

/// Probability that a random positive outranks a random negative, ties counting half; `None`
/// without both kinds.
pub fn auroc(values: &[f64], is_positive: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..values.len().min(is_positive.len())).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let positives = order.iter().filter(|&&index| is_positive[index]).count();
    let negatives = order.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    // Rank sum (Mann and Whitney); equal values share the mean of their ranks.
    let mut rank_sum = 0.0;
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        let rank = (start + 1 + end) as f64 / 2.0;
        let tied = order[start..end]
            .iter()
            .filter(|&&index| is_positive[index]);
        rank_sum += rank * tied.count() as f64;
        start = end;
    }
    let (positives, negatives) = (positives as f64, negatives as f64);
    let wins = rank_sum - positives * (positives + 1.0) / 2.0;
    Some(wins / (positives * negatives))
}

/// The non-decreasing function of `x` nearest to `y` in squares, one value for each of the points,
/// which must be sorted by `x` (pool adjacent violators). `weight` says how much each point counts.
pub fn isotonic(y: &[f64], weight: &[f64]) -> Vec<f64> {
    // Blocks of points with one common value: (Σ weight · y, Σ weight, number of points).
    let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(y.len());
    for (&value, &weight) in y.iter().zip(weight) {
        blocks.push((value * weight, weight, 1));
        while let [.., before, last] = blocks.as_slice()
            && before.0 * last.1 > last.0 * before.1
        {
            let joined = (before.0 + last.0, before.1 + last.1, before.2 + last.2);
            blocks.truncate(blocks.len() - 2);
            blocks.push(joined);
        }
    }
    blocks
        .iter()
        .flat_map(|&(sum, weight, points)| std::iter::repeat_n(sum / weight, points))
        .collect()
}

/// A monotone, piecewise linear function through knots; constant outside of them.
///
/// `knots` are sorted by x; where x falls between two, y is interpolated. Without knots it is 0.
pub fn interpolate(knots: &[[f64; 2]], x: f64) -> f64 {
    let (before, after) = knots.split_at(knots.partition_point(|knot| knot[0] <= x));
    match (before.last(), after.first()) {
        (Some(&[x0, y0]), Some(&[x1, y1])) => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
        (Some(&[_, y]), None) | (None, Some(&[_, y])) => y,
        (None, None) => 0.0,
    }
}

/// Cuts `0…len` into at most `bins` runs of nearly equal length.
pub fn even_bins(len: usize, bins: usize) -> Vec<std::ops::Range<usize>> {
    let bins = bins.clamp(1, len.max(1));
    (0..bins)
        .map(|bin| bin * len / bins..(bin + 1) * len / bins)
        .filter(|range| !range.is_empty())
        .collect()
}

/// Expected calibration error: over `bins` bins of equal count, the mean gap between predicted and
/// observed, weighted by count. `None` where there is nothing.
pub fn calibration_error(predicted: &[f64], observed: &[f64], bins: usize) -> Option<f64> {
    let len = predicted.len().min(observed.len());
    if len == 0 {
        return None;
    }
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_by(|&a, &b| predicted[a].total_cmp(&predicted[b]));
    let gap = |range: std::ops::Range<usize>| {
        let gaps = order[range]
            .iter()
            .map(|&index| predicted[index] - observed[index]);
        gaps.sum::<f64>().abs()
    };
    let gap: f64 = even_bins(len, bins).into_iter().map(gap).sum();
    Some(gap / len as f64)
}

/// Draws `groups` with replacement, as many as there are, so many times (bootstrap over clusters;
/// Efron and Tibshirani 1993), and shows the items of each draw to `look`, with repeats. Items of
/// one group resemble each other: drawing them one by one would promise too much. The same seed
/// gives the same draws. Groups without items do not count.
pub fn redraw<T: Clone>(groups: &[Vec<T>], draws: usize, seed: u64, mut look: impl FnMut(&[T])) {
    let groups: Vec<&Vec<T>> = groups.iter().filter(|group| !group.is_empty()).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut items = Vec::new();
    for _ in 0..draws {
        items.clear();
        for _ in 0..groups.len() {
            // 2^32 draws of a few thousand groups: the remainder's bias is far below chance.
            let drawn = random.next_u32() as usize % groups.len();
            items.extend_from_slice(groups[drawn]);
        }
        look(&items);
    }
}

/// Where 95 of 100 of `values` lie, as many below as above; `None` where there are none.
pub fn middle_95(mut values: Vec<f64>) -> Option<[f64; 2]> {
    const TAIL: f64 = 0.025;
    values.sort_by(f64::total_cmp);
    Some([quantile(&values, TAIL)?, quantile(&values, 1.0 - TAIL)?])
}

/// Where each of several statistics lies 95 times in 100 on the draws of [`redraw`].
pub fn resampled<T: Clone, const N: usize>(
    groups: &[Vec<T>],
    draws: usize,
    seed: u64,
    statistics: impl Fn(&[T]) -> [f64; N],
) -> [[f64; 2]; N] {
    let mut found = [const { Vec::new() }; N];
    redraw(groups, draws, seed, |items| {
        for (values, value) in found.iter_mut().zip(statistics(items)) {
            values.push(value);
        }
    });
    found.map(|values| middle_95(values).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_interval_of_a_mean_is_as_wide_as_theory_says_and_repeats_promise_nothing() {
        let one: Vec<Vec<f64>> = (0..100).map(|value| vec![f64::from(value)]).collect();
        let interval = |groups: &[Vec<f64>]| resampled(groups, 1000, 7, |items| [mean(items)]);
        let [[low, high]] = interval(&one);
        // The standard error of the mean of 0 to 99 is 28.87 / √100.
        let expected = 2.0 * 1.96 * 2.887;
        assert!(
            (high - low - expected).abs() < 0.15 * expected,
            "{low} {high}"
        );
        assert!(low < 49.5 && 49.5 < high);
        let many: Vec<Vec<f64>> = one.iter().map(|group| group.repeat(20)).collect();
        let [[again_low, again_high]] = interval(&many);
        assert!((again_low - low).abs() < 1e-9 && (again_high - high).abs() < 1e-9);
        assert_eq!(interval(&[]), [[0.0, 0.0]]);
    }

    #[test]
    fn quantiles_of_a_ramp_are_where_they_should_be() {
        let ramp: Vec<f64> = (0..=10).map(f64::from).collect();
        assert_eq!(quantile(&ramp, 0.5), Some(5.0));
        assert_eq!(quantile(&ramp, 0.05), Some(0.5));
        assert_eq!(quantile(&ramp, 1.0), Some(10.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn auroc_counts_pairs_like_brute_force() {
        let values = [0.1, 0.4, 0.4, 0.8, 0.3, 0.4];
        let positive = [false, true, false, true, false, true];
        let mut wins = 0.0;
        let mut pairs = 0.0;
        for (a, _) in values
            .iter()
            .zip(positive)
            .filter(|(_, positive)| *positive)
        {
            for (b, _) in values
                .iter()
                .zip(positive)
                .filter(|(_, positive)| !positive)
            {
                pairs += 1.0;
                wins += if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                };
            }
        }
        let found = auroc(&values, &positive).unwrap();
        assert!((found - wins / pairs).abs() < 1e-12);
        assert_eq!(auroc(&values, &[true; 6]), None);
    }

    #[test]
    fn isotonic_pools_what_falls() {
        assert_eq!(
            isotonic(&[1.0, 3.0, 2.0, 4.0], &[1.0; 4]),
            vec![1.0, 2.5, 2.5, 4.0]
        );
        assert_eq!(isotonic(&[2.0, 1.0], &[3.0, 1.0]), vec![1.75, 1.75]);
    }

    #[test]
    fn interpolation_is_linear_between_and_constant_outside() {
        let knots = [[0.0, 1.0], [2.0, 5.0]];
        assert_eq!(interpolate(&knots, 1.0), 3.0);
        assert_eq!(interpolate(&knots, -9.0), 1.0);
        assert_eq!(interpolate(&knots, 9.0), 5.0);
        assert_eq!(interpolate(&[], 9.0), 0.0);
    }

    #[test]
    fn calibration_error_of_a_constant_offset_is_the_offset() {
        let predicted: Vec<f64> = (0..100).map(|index| f64::from(index) / 100.0).collect();
        let observed: Vec<f64> = predicted.iter().map(|value| value - 0.25).collect();
        let error = calibration_error(&predicted, &observed, 10).unwrap();
        assert!((error - 0.25).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn isotonic_never_falls_and_keeps_the_mean(y in proptest::collection::vec(-5.0_f64..5.0, 1..60)) {
            let fit = isotonic(&y, &vec![1.0; y.len()]);
            prop_assert!(fit.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12));
            prop_assert!((mean(&fit) - mean(&y)).abs() < 1e-9);
        }

        #[test]
        fn bins_cover_everything_once(len in 0_usize..500, bins in 1_usize..40) {
            let covered: usize = even_bins(len, bins).iter().map(std::ops::Range::len).sum();
            prop_assert_eq!(covered, len);
        }
    }
}
