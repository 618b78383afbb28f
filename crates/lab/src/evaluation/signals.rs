//! How well a signal orders captures by the recogniser's success, for our score and any other
//! number alike.

use serde::Serialize;

use super::bootstrap::{by_person, grouped};
use super::comparisons::Comparison;
use super::edc::Edc;
use faceood_engine::stats::auroc;

/// Shares of comparisons after whose removal the FNMR is told.
const DROPPED: [f64; 4] = [0.0, 0.01, 0.05, 0.20];
/// Up to here the partial area is told, as is usual in the literature.
const AREA_LIMIT: f64 = 0.20;
/// Up to here the area relative to perfect and random order is told.
const RELATIVE_LIMIT: f64 = 0.50;
/// Points of the curve that is drawn.
const CURVE_POINTS: usize = 100;

/// What a signal is held against.
pub(super) struct Truth<'a> {
    /// The person of each capture.
    pub(super) persons: &'a [usize],
    /// Whether each capture passes against the person's others; `None` if there are none.
    pub(super) passes: &'a [Option<bool>],
    pub(super) genuine: &'a [Comparison],
    /// A comparison at or above it succeeds.
    pub(super) threshold: f32,
}

/// How well a signal orders captures.
#[derive(Clone, Debug, Serialize)]
pub struct SignalFigures {
    /// As the report calls it.
    pub name: String,
    /// Captures that have the signal.
    pub captures: usize,
    /// Genuine comparisons both of whose captures have the signal.
    pub comparisons: usize,
    /// Probability that a capture which passes has a higher value than one which does not.
    pub auroc: Option<f64>,
    /// 95 % interval with other persons.
    pub auroc_interval: Option<[f64; 2]>,
    /// Area under the EDC with 0–20 % dropped.
    pub edc_area_20: Option<f64>,
    /// Area under the EDC with 0–50 % dropped: 0 is perfect order, 1 is random.
    pub edc_relative_area_50: Option<f64>,
    /// 95 % interval with other persons.
    pub edc_relative_area_50_interval: Option<[f64; 2]>,
    /// FNMR after dropping the comparisons of lowest quality.
    pub fnmr_after: Vec<FnmrAfter>,
    /// Share dropped, FNMR of the rest.
    pub edc: Vec<[f64; 2]>,
}

/// FNMR of the rest once a share of the genuine comparisons is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FnmrAfter {
    /// The share.
    pub dropped: f64,
    /// `None` where nothing is left.
    pub fnmr: Option<f64>,
}

/// Holds a signal against the truth. `values` has one number for each capture, `None` if it has
/// none; more is better.
pub(super) fn figures(name: &str, values: &[Option<f64>], truth: &Truth<'_>) -> SignalFigures {
    let pairs = values.iter().zip(truth.passes).zip(truth.persons);
    let captures = grouped(pairs.filter_map(|((value, passes), &person)| {
        let (value, passes) = value.zip(*passes)?;
        Some((person, (value, passes)))
    }));
    let comparisons = grouped(truth.genuine.iter().filter_map(|made| {
        let quality = values[made.one]?.min(values[made.other]?);
        let is_error = made.similarity < truth.threshold;
        Some((truth.persons[made.one], (quality, is_error)))
    }));
    let edc = Edc::new(&comparisons.concat());
    let after = |dropped| FnmrAfter {
        dropped,
        fnmr: edc.fnmr_after(dropped),
    };
    SignalFigures {
        name: name.to_owned(),
        captures: values.iter().flatten().count(),
        comparisons: edc.comparisons(),
        auroc: ranking(&captures.concat()),
        auroc_interval: by_person(&captures, ranking),
        edc_area_20: edc.area(AREA_LIMIT),
        edc_relative_area_50: edc.relative_area(RELATIVE_LIMIT),
        edc_relative_area_50_interval: by_person(&comparisons, |drawn| {
            Edc::new(drawn).relative_area(RELATIVE_LIMIT)
        }),
        fnmr_after: DROPPED.map(after).to_vec(),
        edc: edc.curve(RELATIVE_LIMIT, CURVE_POINTS),
    }
}

fn ranking(captures: &[(f64, bool)]) -> Option<f64> {
    let (values, passes): (Vec<f64>, Vec<bool>) = captures.iter().copied().unzip();
    auroc(&values, &passes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_is_as_good_as_the_worse_of_its_captures() {
        // Three captures of one person, one of them bad; the bad one fails against both others.
        let genuine =
            [(0, 1, 0.7), (0, 2, 0.2), (1, 2, 0.3)].map(|(one, other, similarity)| Comparison {
                one,
                other,
                similarity,
            });
        let truth = Truth {
            persons: &[0, 0, 0],
            passes: &[Some(true), Some(true), Some(false)],
            genuine: &genuine,
            threshold: 0.45,
        };
        let good = figures("good", &[Some(0.9), Some(0.8), Some(0.1)], &truth);
        assert_eq!((good.captures, good.comparisons), (3, 3));
        assert_eq!(good.auroc, Some(1.0));
        assert!(good.edc_relative_area_50.unwrap().abs() < 1e-12);
        assert_eq!(good.fnmr_after[0].fnmr, Some(2.0 / 3.0));
        // One person alone: no interval.
        assert_eq!(good.auroc_interval, None);

        let absent = figures("absent for one", &[Some(0.9), None, Some(0.1)], &truth);
        assert_eq!((absent.captures, absent.comparisons), (2, 1));
    }
}
