//! Statistics of chance: tail probabilities, control of the false discovery rate, and the
//! significance of the best change point.

use statrs::distribution::{Binomial, ChiSquared, ContinuousCDF, DiscreteCDF, Normal, StudentsT};

/// Accepted share of false discoveries within one family of tests (Benjamini and Hochberg
/// 1995).
pub(super) const FALSE_DISCOVERIES: f64 = 0.05;

/// Which of `p_values` stand at a false discovery rate of 5 % (the step-up
/// procedure of Benjamini and Hochberg, 1995).
pub fn discoveries(p_values: impl ExactSizeIterator<Item = f64>) -> Vec<bool> {
    let questions = p_values.len();
    discoveries_among(p_values, questions)
}

/// As [`discoveries`], where these are the smallest of `questions` p-values: the others were never
/// so small that they had to be kept.
pub(super) fn discoveries_among(
    p_values: impl Iterator<Item = f64>,
    questions: usize,
) -> Vec<bool> {
    let p_values: Vec<f64> = p_values.collect();
    let mut sorted = p_values.clone();
    sorted.sort_by(f64::total_cmp);
    let stands = |(p, rank): &(f64, u32)| {
        *p <= FALSE_DISCOVERIES * f64::from(*rank) / questions.max(1) as f64
    };
    let cut = sorted.into_iter().zip(1..).filter(stands).last();
    let is_within = |p: f64| cut.is_some_and(|(cut, _)| p <= cut);
    p_values.into_iter().map(is_within).collect()
}

/// Probability of at least `hits` of `trials` where each hits with `chance`.
pub fn at_least(hits: u64, trials: u64, chance: f64) -> f64 {
    if hits == 0 {
        return 1.0;
    }
    Binomial::new(chance.clamp(0.0, 1.0), trials).map_or(1.0, |law| law.sf(hits - 1))
}

/// Probability of at most `hits` of `trials` where each hits with `chance`.
pub(super) fn at_most(hits: u64, trials: u64, chance: f64) -> f64 {
    Binomial::new(chance.clamp(0.0, 1.0), trials).map_or(1.0, |law| law.cdf(hits))
}

/// Probability that counts over categories are at least so far from `expected` (Pearson's χ²).
/// Neighbouring categories are counted together until five are expected, as the approximation
/// needs.
pub(super) fn departs(observed: &[f64], expected: &[f64]) -> f64 {
    let mut cells: Vec<[f64; 2]> = Vec::new();
    let mut open = [0.0, 0.0];
    for (&seen, &due) in observed.iter().zip(expected) {
        open = [open[0] + seen, open[1] + due];
        if open[1] >= 5.0 {
            cells.push(std::mem::take(&mut open));
        }
    }
    // What is left over at the end belongs to the last cell.
    if let Some(last) = cells.last_mut() {
        *last = [last[0] + open[0], last[1] + open[1]];
    }
    if cells.len() < 2 {
        return 1.0;
    }
    let squares = cells.iter().map(|[seen, due]| (seen - due).powi(2) / due);
    let statistic: f64 = squares.sum();
    ChiSquared::new(cells.len() as f64 - 1.0).map_or(1.0, |law| law.sf(statistic))
}

/// Two-sided p-value of a standard normal number.
pub(super) fn two_sided(z: f64) -> f64 {
    Normal::standard().sf(z.abs()) * 2.0
}

/// Two-sided probability of Student's t, and the t that 97.5 of 100 stay below.
pub(super) fn student(t: f64, freedom: f64) -> (f64, f64) {
    StudentsT::new(0.0, 1.0, freedom.max(1.0)).map_or((1.0, 1.96), |law| {
        (law.sf(t.abs()) * 2.0, law.inverse_cdf(0.975))
    })
}

/// p-value of `z` as the largest of all two-sample statistics along a series of `length`, when
/// every place but the outer `margin` ones is tried (the tail of a Brownian bridge's
/// standardised maximum: James, James and Siegmund, Biometrika 1987).
pub(super) fn best_split(z: f64, length: usize, margin: usize) -> f64 {
    let z = z.abs();
    if z < 1.5 || length <= 2 * margin {
        return 1.0;
    }
    let edge = (margin.max(1) as f64 / length as f64).min(0.45);
    let places = ((1.0 - edge) / edge).powi(2).ln();
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (z * density * (places * (1.0 - 1.0 / (z * z)) + 4.0 / (z * z))).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::changes::tests::normal;

    #[test]
    fn discoveries_are_those_of_the_published_example() {
        // Benjamini and Hochberg 1995, section 4.1: 15 p-values, of which the first four stand.
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
            0.5719, 0.6528, 0.7590, 1.0,
        ];
        let found = discoveries(p.into_iter());
        assert_eq!(found.iter().filter(|found| **found).count(), 4);
        assert!(found[..4].iter().all(|found| *found));
        assert!(discoveries([].into_iter()).is_empty());
        // The same ten among a thousand questions.
        assert_eq!(discoveries_among(p[..3].iter().copied(), 1000), [false; 3]);
    }

    #[test]
    fn tails_are_those_of_tables() {
        assert!((at_least(8, 10, 0.5) - 0.0547).abs() < 1e-4);
        assert!((at_most(2, 10, 0.5) - 0.0547).abs() < 1e-4);
        assert_eq!(at_least(0, 10, 0.5), 1.0);
        assert!((two_sided(1.96) - 0.05).abs() < 1e-4);
        // χ² = 11.07 with 5 degrees of freedom.
        let expected = [100.0; 6];
        let off = (11.07_f64 * 100.0 / 2.0).sqrt();
        let observed = [100.0 + off, 100.0 - off, 100.0, 100.0, 100.0, 100.0];
        assert!((departs(&observed, &expected) - 0.05).abs() < 1e-3);
        assert_eq!(departs(&[3.0, 1.0], &[2.0, 2.0]), 1.0);
        // Twelve hours with one expected each make two cells.
        let night: Vec<f64> = (0..12)
            .map(|hour| if hour < 6 { 2.0 } else { 0.0 })
            .collect();
        assert!(departs(&night, &[1.0; 12]) < 0.01);
        assert!((student(2.228, 10.0).0 - 0.05).abs() < 1e-3);
    }

    #[test]
    fn the_best_split_of_chance_is_as_surprising_as_it_says() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let (length, margin, runs) = (300, 25, 600);
        let mut alarms = 0;
        for _ in 0..runs {
            let values: Vec<f64> = (0..length).map(|_| normal(&mut random)).collect();
            let total: f64 = values.iter().sum();
            let mut before = 0.0;
            let mut best = 0.0_f64;
            for (index, value) in values.iter().enumerate() {
                before += value;
                let (n, rest) = ((index + 1) as f64, (length - index - 1) as f64);
                if index + 1 >= margin && index < length - margin {
                    let gap = before / n - (total - before) / rest;
                    best = best.max(gap.abs() / (1.0 / n + 1.0 / rest).sqrt());
                }
            }
            alarms += u32::from(best_split(best, length, margin) < 0.05);
        }
        let share = f64::from(alarms) / f64::from(runs);
        assert!((0.02..0.09).contains(&share), "{share}");
    }
}
