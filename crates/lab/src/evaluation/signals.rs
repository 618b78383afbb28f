//! How well a signal orders captures by the recogniser's success, for our score and any other
//! number alike.

use serde::Serialize;

use super::bootstrap::by_person;
use super::comparisons::Comparison;
use super::edc::Edc;
use faceood::stats::auroc;

/// Shares of comparisons after whose removal the FNMR is told.
pub const DROPPED: [f64; 4] = [0.0, 0.01, 0.05, 0.20];
/// Up to here the partial area is told, as is usual in the literature.
const AREA_LIMIT: f64 = 0.20;
/// Up to here the area relative to perfect and random order is told.
const RELATIVE_LIMIT: f64 = 0.50;
/// Points of the curve that is drawn.
const CURVE_POINTS: usize = 100;

/// Something that claims to say how good a capture is; more is better.
#[derive(Clone, Debug)]
pub struct ComparedSignal {
    /// Name in JSON.
    pub name: String,
    /// One value a capture; `None` where it has none.
    pub values: Vec<Option<f64>>,
}

/// What it is held against.
#[derive(Clone, Copy, Debug)]
pub struct Truth<'a> {
    /// Whose each capture is.
    pub persons: &'a [usize],
    /// Whether each capture reaches .45 against the person's others; `None` where there are none.
    pub passes: &'a [Option<bool>],
    /// All genuine comparisons.
    pub genuine: &'a [Comparison],
    /// At and above, a comparison succeeds.
    pub threshold: f32,
}

/// How well a signal orders captures.
#[derive(Clone, Debug, Serialize)]
pub struct SignalFigures {
    /// Name.
    pub name: String,
    /// Captures that have it.
    pub captures: usize,
    /// Genuine comparisons both of whose captures have it.
    pub comparisons: usize,
    /// Probability that a capture which passes has more of it than one which does not.
    pub auroc: Option<f64>,
    /// Where that lies 95 times in 100 with other persons.
    pub auroc_interval: Option<[f64; 2]>,
    /// Area under the EDC with 0–20 % dropped.
    pub edc_area_20: Option<f64>,
    /// Area under the EDC with 0–50 % dropped: 0 is perfect order, 1 is random.
    pub edc_relative_area_50: Option<f64>,
    /// Where that lies 95 times in 100 with other persons.
    pub edc_relative_area_50_interval: Option<[f64; 2]>,
    /// FNMR after dropping the comparisons of lowest quality.
    pub fnmr_after: Vec<FnmrAfter>,
    /// Share dropped, FNMR of the rest.
    pub edc: Vec<[f64; 2]>,
}

/// A point of the EDC.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FnmrAfter {
    /// Share of genuine comparisons dropped.
    pub dropped: f64,
    /// FNMR of the rest.
    pub fnmr: Option<f64>,
}

impl ComparedSignal {
    /// Holds the signal against the truth.
    #[must_use]
    pub fn figures(&self, truth: &Truth<'_>) -> SignalFigures {
        let persons = truth.persons.iter().max().map_or(0, |last| last + 1);
        let mut captures = vec![Vec::new(); persons];
        for (index, &person) in truth.persons.iter().enumerate() {
            if let (Some(value), Some(passes)) = (self.values[index], truth.passes[index]) {
                captures[person].push((value, passes));
            }
        }
        let mut comparisons = vec![Vec::new(); persons];
        for comparison in truth.genuine {
            let sides = [comparison.one, comparison.other].map(|side| self.values[side]);
            if let [Some(one), Some(other)] = sides {
                let is_error = comparison.similarity < truth.threshold;
                comparisons[truth.persons[comparison.one]].push((one.min(other), is_error));
            }
        }
        let edc = Edc::new(&comparisons.concat());
        SignalFigures {
            name: self.name.clone(),
            captures: self.values.iter().flatten().count(),
            comparisons: edc.comparisons(),
            auroc: ranking(&captures.concat()),
            auroc_interval: by_person(&captures, ranking),
            edc_area_20: edc.area(AREA_LIMIT),
            edc_relative_area_50: edc.relative_area(RELATIVE_LIMIT),
            edc_relative_area_50_interval: by_person(&comparisons, |drawn| {
                Edc::new(drawn).relative_area(RELATIVE_LIMIT)
            }),
            fnmr_after: DROPPED
                .iter()
                .map(|&dropped| FnmrAfter {
                    dropped,
                    fnmr: edc.fnmr_after(dropped),
                })
                .collect(),
            edc: edc.curve(RELATIVE_LIMIT, CURVE_POINTS),
        }
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
        let good = ComparedSignal {
            name: "good".to_owned(),
            values: vec![Some(0.9), Some(0.8), Some(0.1)],
        };
        let figures = good.figures(&truth);
        assert_eq!((figures.captures, figures.comparisons), (3, 3));
        assert_eq!(figures.auroc, Some(1.0));
        assert!(figures.edc_relative_area_50.unwrap().abs() < 1e-12);
        assert_eq!(figures.fnmr_after[0].fnmr, Some(2.0 / 3.0));
        // One person alone: no interval.
        assert_eq!(figures.auroc_interval, None);

        let absent = ComparedSignal {
            name: "absent for one".to_owned(),
            values: vec![Some(0.9), None, Some(0.1)],
        };
        let figures = absent.figures(&truth);
        assert_eq!((figures.captures, figures.comparisons), (2, 1));
    }
}
