//! The interval in which another shot of the same scene scores 9 times in 10. The spreads by
//! score were measured between pairs of shots.

use serde::{Deserialize, Serialize};

use crate::stats::{even_bins, interpolate, mean, quantile};

/// Share of other shots below the interval, and above it. Each tail is 3.5 %, not 5 %: faults
/// not seen in training scatter more. `docs/score-report.md` has the coverage for such faults.
const TAIL: f64 = 0.035;
/// Pairs of shots in one bin of scores: enough for a 5 % quantile that rests on several pairs.
const PAIRS_PER_BIN: usize = 120;

/// Spread around one score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// The score it was measured around.
    pub score: f64,
    /// How far another shot falls below the score, 0 or less.
    pub below: f64,
    /// How far another shot rises above the score, 0 or more.
    pub above: f64,
}

/// Learns spreads from pairs of scores of two shots of one scene. Each pair counts both ways.
pub fn fit(pairs: &[[f64; 2]]) -> Vec<Spread> {
    let mut shots: Vec<(f64, f64)> = pairs
        .iter()
        .flat_map(|&[one, other]| [(one, other - one), (other, one - other)])
        .collect();
    shots.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bins = (shots.len() / PAIRS_PER_BIN).clamp(1, 12);
    even_bins(shots.len(), bins)
        .into_iter()
        .filter_map(|range| {
            let (scores, mut gaps): (Vec<_>, Vec<_>) = shots[range].iter().copied().unzip();
            gaps.sort_by(f64::total_cmp);
            Some(Spread {
                score: mean(&scores),
                below: quantile(&gaps, TAIL)?.min(0.0),
                above: quantile(&gaps, 1.0 - TAIL)?.max(0.0),
            })
        })
        .collect()
}

/// The interval around `score`, within 0–1; it always contains `score`. Without spreads it is
/// `score` alone.
pub fn around(spreads: &[Spread], score: f64) -> [f64; 2] {
    let along = |part: fn(&Spread) -> f64| {
        let knots = spreads.iter().map(|spread| [spread.score, part(spread)]);
        interpolate(&knots.collect::<Vec<_>>(), score)
    };
    [
        (score + along(|spread| spread.below)).clamp(0.0, score),
        (score + along(|spread| spread.above)).clamp(score, 1.0_f64.max(score)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_in_ten_of_planted_gaps_lie_inside() {
        // Gaps of −0.10…0.10, evenly, in no order.
        let pairs: Vec<[f64; 2]> = (0..1000)
            .map(|index| [0.5, 0.5 + f64::from(index * 7919 % 201 - 100) / 1000.0])
            .collect();
        let spreads = fit(&pairs);
        let [low, high] = around(&spreads, 0.5);
        assert!(low < 0.5 && low > 0.39, "{low}");
        assert!(high > 0.5 && high < 0.61, "{high}");
        let inside = pairs
            .iter()
            .filter(|pair| pair[1] >= low && pair[1] <= high)
            .count();
        assert!((850..=1000).contains(&inside), "{inside}");
    }

    #[test]
    fn it_holds_the_score_and_stays_within_bounds() {
        let spreads = [
            Spread {
                score: 0.1,
                below: -0.4,
                above: 0.1,
            },
            Spread {
                score: 0.9,
                below: -0.05,
                above: 0.4,
            },
        ];
        for step in 0..=20 {
            let score = f64::from(step) / 20.0;
            let [low, high] = around(&spreads, score);
            assert!(0.0 <= low && low <= score && score <= high && high <= 1.0);
        }
        assert_eq!(around(&[], 0.3), [0.3, 0.3]);
    }
}
