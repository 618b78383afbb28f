//! Whether predictions come true: reliability diagrams and the expected calibration error (Guo
//! et al. 2017).

use std::ops::Range;

use serde::Serialize;

use faceood_engine::stats::{calibration_error, even_bins, mean};

const MOST_BINS: usize = 15;
/// Fewest captures in a bin: a mean over fewer says little.
const PER_BIN: usize = 20;

/// One bin of a reliability diagram: the mean prediction and the mean of what came true.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReliabilityBin {
    pub(super) predicted: f64,
    pub(super) observed: f64,
    /// Number of captures.
    pub(super) count: usize,
}

/// How many bins of equal count `len` captures are put into. The reports give this number beside
/// each error, because the error is biased upwards at small counts.
fn bins_for(len: usize) -> usize {
    (len / PER_BIN).clamp(1, MOST_BINS)
}

/// The diagram: bins of equal count, from the lowest prediction to the highest. Each capture is
/// (predicted, observed).
pub(super) fn reliability(captures: &[(f64, f64)]) -> Vec<ReliabilityBin> {
    let mut sorted = captures.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bin = |range: Range<usize>| {
        let captures = sorted[range].iter().copied();
        let (predicted, observed): (Vec<f64>, Vec<f64>) = captures.unzip();
        ReliabilityBin {
            predicted: mean(&predicted),
            observed: mean(&observed),
            count: predicted.len(),
        }
    };
    let bins = even_bins(sorted.len(), bins_for(sorted.len()));
    bins.into_iter().map(bin).collect()
}

/// Mean gap between predicted and observed over the bins of [`reliability`], weighted by count;
/// `None` without captures.
pub(super) fn expected_error(captures: &[(f64, f64)]) -> Option<f64> {
    let (predicted, observed): (Vec<f64>, Vec<f64>) = captures.iter().copied().unzip();
    calibration_error(&predicted, &observed, bins_for(captures.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_error_is_the_diagram_s_mean_gap(
            captures in prop::collection::vec((0.0_f64..1.0, 0.0_f64..1.0), 1..400),
        ) {
            let diagram = reliability(&captures);
            prop_assert_eq!(diagram.iter().map(|bin| bin.count).sum::<usize>(), captures.len());
            let gaps: f64 = diagram
                .iter()
                .map(|bin| bin.count as f64 * (bin.predicted - bin.observed).abs())
                .sum();
            let found = expected_error(&captures).unwrap();
            prop_assert!((found - gaps / captures.len() as f64).abs() < 1e-9);
        }
    }

    #[test]
    fn a_diagram_of_what_comes_true_lies_on_the_diagonal() {
        // Of every ten captures that are given p, the share p passes; a bin holds whole tens.
        let captures: Vec<(f64, f64)> = (0..10_u8)
            .flat_map(|tenth| {
                (0..150_u8).map(move |index| {
                    let passes = u8::from(index % 10 < tenth);
                    (f64::from(tenth) / 10.0, f64::from(passes))
                })
            })
            .collect();
        assert!(expected_error(&captures).unwrap() < 1e-9);
        let bold: Vec<(f64, f64)> = captures
            .iter()
            .map(|&(p, passed)| (p + 0.2, passed))
            .collect();
        assert!((expected_error(&bold).unwrap() - 0.2).abs() < 1e-9);
        assert_eq!(expected_error(&[]), None);
    }
}
