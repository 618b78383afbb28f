//! Finds where the level of a series changes, by binary segmentation (Scott and Knott 1974,
//! Vostrikova 1981), the offline form of CUSUM. It finds the place with the largest
//! standardised gap between the means before and after it, then searches both sides again.
//!
//! Consecutive captures resemble each other, so single rows understate the spread. The spread
//! of block means is used where it is larger.

use super::features::median;
use super::significance::best_split;

/// Rows that a level needs before it is one.
pub(super) const LEAST_ROWS: usize = 25;

/// The median of the square of a standard normal number.
const MEDIAN_OF_SQUARES: f64 = 0.4549;

/// Passes over the cuts; mostly the second one moves nothing.
const ROUNDS: usize = 4;

/// A part of a series in which the level stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Segment {
    /// First row.
    pub(super) from: usize,
    /// One after the last row.
    pub(super) to: usize,
    pub(super) mean: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Levels {
    /// In the order of time, without gaps.
    pub(super) segments: Vec<Segment>,
    /// Standard deviation around them, of a single value.
    pub(super) deviation: f64,
    /// p-value of the clearest change; 1 if the series is too short.
    pub(super) p_value: f64,
}

/// Splits `values` at every change whose p-value is below `strictness`.
pub(super) fn levels(values: &[f64], strictness: f64) -> Levels {
    let mut sums = vec![0.0];
    // Sums of what is left of the mean keep their digits.
    let centre = values.iter().sum::<f64>() / values.len().max(1) as f64;
    for value in values {
        sums.push(sums[sums.len() - 1] + value - centre);
    }
    let mut cuts = vec![0, values.len()];
    let mut p_value = 1.0;
    let mut waiting = vec![(0, values.len())];
    while let Some((from, to)) = waiting.pop() {
        let Some((place, p)) = best(values, &sums, from, to) else {
            continue;
        };
        if from == 0 && to == values.len() {
            p_value = p;
        }
        if p < strictness {
            cuts.push(place);
            waiting.extend([(from, place), (place, to)]);
        }
    }
    cuts.sort_unstable();
    settle(&mut cuts, values, &sums, strictness);
    let segments: Vec<Segment> = cuts
        .windows(2)
        .filter(|cut| cut[1] > cut[0])
        .map(|cut| Segment {
            from: cut[0],
            to: cut[1],
            mean: centre + (sums[cut[1]] - sums[cut[0]]) / (cut[1] - cut[0]) as f64,
        })
        .collect();
    let squares = |part: &Segment| -> f64 {
        let values = values[part.from..part.to].iter();
        values.map(|value| (value - part.mean).powi(2)).sum()
    };
    let squares: f64 = segments.iter().map(squares).sum();
    Levels {
        segments,
        deviation: (squares / values.len().max(1) as f64).sqrt(),
        p_value,
    }
}

/// Examines every cut again between its neighbours: it moves to the best place between them, or
/// is removed if no change is left.
fn settle(cuts: &mut Vec<usize>, values: &[f64], sums: &[f64], strictness: f64) {
    for _ in 0..ROUNDS {
        let before = cuts.clone();
        let mut at = 1;
        while at + 1 < cuts.len() {
            match best(values, sums, cuts[at - 1], cuts[at + 1]) {
                Some((place, p)) if p < strictness => {
                    cuts[at] = place;
                    at += 1;
                }
                _ => drop(cuts.remove(at)),
            }
        }
        if *cuts == before {
            return;
        }
    }
}

/// The best place for a change between `from` and `to`, and its p-value.
fn best(values: &[f64], sums: &[f64], from: usize, to: usize) -> Option<(usize, f64)> {
    let length = to - from;
    if length < 2 * LEAST_ROWS {
        return None;
    }
    let gap = |place: usize| {
        let (n, rest) = ((place - from) as f64, (to - place) as f64);
        let before = (sums[place] - sums[from]) / n;
        let after = (sums[to] - sums[place]) / rest;
        (after - before) / (1.0 / n + 1.0 / rest).sqrt()
    };
    let (_, place) = (from + LEAST_ROWS..=to - LEAST_ROWS)
        .map(|place| (gap(place).abs(), place))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    let spread = long_run_deviation(&values[from..to]);
    if spread <= 0.0 {
        // Two levels without any spread differ for certain, one level does not change.
        let p = if gap(place).abs() > 1e-9 { 0.0 } else { 1.0 };
        return Some((place, p));
    }
    let p = best_split(gap(place) / spread, length, LEAST_ROWS);
    Some((place, p))
}

/// The standard deviation that the mean of many values follows. It comes from the differences of
/// neighbouring values, or of neighbouring blocks' means where these vary by more than single
/// values would make them. A change of level is one difference among many and so no spread; the
/// median leaves the blocks around it out.
fn long_run_deviation(values: &[f64]) -> f64 {
    fn steps(values: &[f64]) -> impl Iterator<Item = f64> {
        let pairs = values.windows(2);
        pairs.map(|pair| (pair[1] - pair[0]).powi(2))
    }
    let pairs = values.len().saturating_sub(1).max(1);
    let single = steps(values).sum::<f64>() / (2.0 * pairs as f64);
    let block = (values.len() as f64).sqrt() as usize;
    let mean = |chunk: &[f64]| chunk.iter().sum::<f64>() / chunk.len() as f64;
    let means: Vec<f64> = values.chunks_exact(block.max(1)).map(mean).collect();
    let median = median(steps(&means)).unwrap_or_default();
    let slow = block as f64 * median / (2.0 * MEDIAN_OF_SQUARES);
    single.max(slow).sqrt()
}

#[cfg(test)]
pub(super) mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    /// A standard normal number: twelve uniform ones sum to nearly that.
    pub(crate) fn normal(random: &mut ChaCha8Rng) -> f64 {
        let mut unit = || f64::from(random.next_u32()) / f64::from(u32::MAX);
        (0..12).map(|_| unit()).sum::<f64>() - 6.0
    }

    fn series(seed: u64, parts: &[(usize, f64)]) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        parts
            .iter()
            .flat_map(|&(count, level)| vec![level; count])
            .map(|level| level + normal(&mut random))
            .collect()
    }

    #[test]
    fn a_shift_of_one_deviation_is_found_where_it_is() {
        for seed in 0..20 {
            let found = levels(&series(seed, &[(300, 0.0), (200, 1.0)]), 1e-4);
            assert_eq!(found.segments.len(), 2, "seed {seed}: {found:?}");
            assert!(
                found.segments[1].from.abs_diff(300) < 30,
                "seed {seed}: {found:?}"
            );
            assert!((found.deviation - 1.0).abs() < 0.15);
        }
    }

    #[test]
    fn a_wave_has_three_levels_and_the_middle_one_stands_out() {
        let found = levels(&series(3, &[(300, 5.0), (150, 3.5), (300, 5.0)]), 1e-4);
        let means: Vec<f64> = found.segments.iter().map(|part| part.mean).collect();
        assert_eq!(means.len(), 3, "{means:?}");
        assert!(
            means[1] < 4.0 && means[0] > 4.7 && means[2] > 4.7,
            "{means:?}"
        );
    }

    #[test]
    fn quiet_series_stay_quiet_though_neighbours_resemble_each_other() {
        for seed in 0..100 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut last = 0.0;
            let values: Vec<f64> = (0..800)
                .map(|_| {
                    last = 0.6 * last + normal(&mut random);
                    last
                })
                .collect();
            let found = levels(&values, 1e-4);
            assert_eq!(found.segments.len(), 1, "seed {seed}: {}", found.p_value);
        }
    }

    #[test]
    fn short_empty_and_constant_series_have_one_level() {
        assert_eq!(levels(&[], 1e-4).segments, []);
        assert_eq!(levels(&[1.0], 1e-4).segments.len(), 1);
        let flat = levels(&[0.7; 400], 1e-4);
        assert_eq!((flat.segments.len(), flat.deviation), (1, 0.0));
        let step: Vec<f64> = [0.7; 60].into_iter().chain([0.2; 60]).collect();
        assert_eq!(levels(&step, 1e-4).segments.len(), 2);
    }
}
