//! Turns a row into a point: the causes of its low score, and how its components differ from
//! the good rows of the same window.
//!
//! The weights of the causes are scaled to unit length, so that weak and strong cases of one
//! fault point the same way. Components are robust deviations from the good rows, compressed,
//! with a weight of one twentieth: they separate rows that the causes do not.
//! `docs/analysis.md` has the comparison behind this choice.

use std::collections::HashMap;

use super::survey::{CAUSES, Sampled};
use faceood_engine::quality::Component;
use faceood_engine::stats::{even_bins, interpolate, quantile};

/// Measures besides the causes: every component but the direction of motion, which is an angle
/// and not a quality.
pub(super) const MEASURES: usize = Component::ALL.len() + 1;

/// Length of a point: a whole number of [`LANES`], the last places empty.
pub(super) const DIMENSIONS: usize = (CAUSES + MEASURES).next_multiple_of(LANES);

/// Numbers that a processor subtracts and multiplies at once.
const LANES: usize = 8;

/// A row's place. The order is that of [`CauseName::ALL`](faceood_engine::quality::CauseName::ALL), then
/// of [`measure_names`].
pub(super) type FeaturePoint = [f32; DIMENSIONS];

/// Weight of a component's deviation relative to a cause's weight.
const MEASURE_WEIGHT: f32 = 0.05;

/// Deviations beyond which a component's distance grows only with the logarithm.
const KNEE: f32 = 2.0;

/// Rows of which the usual norm for a score is known.
const NORM_KNOTS: usize = 10;

/// A source's own habit counts half at so many rows.
const HABIT_ROWS: f64 = 10.0;

/// Names of the measures, in the order of a point: the components but one, the norm's residual, the
/// face's size.
pub(super) fn measure_names() -> [&'static str; MEASURES] {
    let mut names = ["embedding_norm_residual"; MEASURES];
    for (name, component) in names.iter_mut().zip(compared()) {
        *name = component.name();
    }
    names[MEASURES - 1] = "face_px";
    names
}

fn compared() -> impl Iterator<Item = Component> {
    let all = Component::ALL.into_iter();
    all.filter(|component| *component != Component::MotionDirection)
}

/// The expected norm for a score, by model, and the deviation of each source from it.
#[derive(Clone, Debug, Default)]
pub(super) struct NormModel {
    /// Median norm over score, by model.
    knots: HashMap<u16, Vec<[f64; 2]>>,
    /// A source's median residual, drawn towards 0 where it has few rows.
    habits: HashMap<(u32, u16), f64>,
}

impl NormModel {
    pub(super) fn fit(rows: &[&Sampled]) -> Self {
        let mut by_model: HashMap<u16, Vec<[f64; 2]>> = HashMap::new();
        for row in rows.iter().filter(|row| row.norm.is_finite()) {
            let pair = [f64::from(row.score), f64::from(row.norm)];
            by_model.entry(row.model).or_default().push(pair);
        }
        let mut model = Self::default();
        for (key, mut pairs) in by_model {
            pairs.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
            let bins = even_bins(pairs.len(), NORM_KNOTS).into_iter();
            let knots = bins.filter_map(|bin| {
                let part = &pairs[bin];
                let middle = |side: usize| median(part.iter().map(|pair| pair[side]));
                Some([middle(0)?, middle(1)?])
            });
            model.knots.insert(key, knots.collect());
        }
        let mut habits: HashMap<(u32, u16), Vec<f64>> = HashMap::new();
        for row in rows {
            let habit = habits.entry((row.source, row.model)).or_default();
            habit.extend(model.residual(row));
        }
        for (key, values) in habits {
            let rows = values.len() as f64;
            if let Some(median) = median(values.into_iter()) {
                model
                    .habits
                    .insert(key, median * rows / (rows + HABIT_ROWS));
            }
        }
        model
    }

    /// What the norm is beyond what goes with the score.
    pub(super) fn given_score(&self, score: f32, norm: f32, model: u16) -> Option<f64> {
        let knots = self.knots.get(&model)?;
        norm.is_finite()
            .then(|| f64::from(norm) - interpolate(knots, f64::from(score)))
    }

    /// The same, less what is usual at the row's source.
    fn residual(&self, row: &Sampled) -> Option<f64> {
        let habit = self.habits.get(&(row.source, row.model)).copied();
        Some(self.given_score(row.score, row.norm, row.model)? - habit.unwrap_or_default())
    }
}

/// How the good rows of the window are, in every measure.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    centre: [f32; MEASURES],
    spread: [f32; MEASURES],
    pub(super) norms: NormModel,
}

impl Scale {
    /// Fits the scale to good rows. For a measure that is constant or missing in them, the
    /// spread of clean photos is used.
    pub(super) fn fit(good: &[&Sampled], norms: NormModel) -> Self {
        let mut scale = Self {
            centre: usual().map(|[centre, _]| centre),
            spread: usual().map(|[_, spread]| spread),
            norms,
        };
        for index in 0..MEASURES {
            let measured = good.iter().map(|row| f64::from(scale.measures(row)[index]));
            let values: Vec<f64> = measured.filter(|value| value.is_finite()).collect();
            if values.len() < LEAST_GOOD {
                continue;
            }
            let centre = median(values.iter().copied()).unwrap_or_default();
            let away = values.iter().map(|value| (value - centre).abs());
            // The median deviation of normal numbers is their standard deviation / 1.4826.
            let spread = 1.4826 * median(away).unwrap_or_default();
            scale.centre[index] = centre as f32;
            // One camera with one person shows too little of the usual spread: never
            // less than half of it.
            scale.spread[index] = (spread as f32).max(0.5 * usual()[index][1]);
        }
        scale
    }

    /// The row's measures, NaN where one was not taken.
    fn measures(&self, row: &Sampled) -> [f32; MEASURES] {
        let mut measures = [f32::NAN; MEASURES];
        for (value, component) in measures.iter_mut().zip(compared()) {
            *value = row.components[component as usize].unwrap_or(f32::NAN);
        }
        let residual = self.norms.residual(row);
        measures[MEASURES - 2] = residual.map_or(f32::NAN, |value| value as f32);
        measures[MEASURES - 1] = row.face_px.unwrap_or(f32::NAN);
        measures
    }

    /// By how many deviations of the good rows each measure differs; NaN where it was not taken.
    pub(super) fn deviations(&self, row: &Sampled) -> [f32; MEASURES] {
        let mut measures = self.measures(row);
        for (index, value) in measures.iter_mut().enumerate() {
            *value = (*value - self.centre[index]) / self.spread[index];
        }
        measures
    }

    /// The value of the measure at `index` that differs by `z` deviations.
    pub(super) fn value(&self, index: usize, z: f64) -> f64 {
        f64::from(self.centre[index]) + z * f64::from(self.spread[index])
    }

    /// The row's point. Missing measures count as usual.
    pub(super) fn point(&self, row: &Sampled) -> FeaturePoint {
        let mut point = [0.0; DIMENSIONS];
        point[..CAUSES].copy_from_slice(&direction(row.causes));
        for (place, deviation) in point[CAUSES..].iter_mut().zip(self.deviations(row)) {
            if deviation.is_finite() {
                *place = MEASURE_WEIGHT * (deviation / KNEE).asinh();
            }
        }
        point
    }
}

/// Fewer good rows than this say nothing on what is usual.
pub(super) const LEAST_GOOD: usize = 20;

/// Median and robust deviation of every measure, in the order of [`measure_names`].
fn usual() -> [[f32; 2]; MEASURES] {
    let mut usual = [[0.0; 2]; MEASURES];
    for (place, component) in usual.iter_mut().zip(compared()) {
        let usual = component.usual();
        *place = [usual.median, usual.deviation];
    }
    usual[MEASURES - 2] = [0.0, 0.05]; // embedding_norm_residual
    usual[MEASURES - 1] = [244.8, 67.58]; // face_px
    usual
}

/// Weights of causes brought to length 1; no causes stay none.
pub(super) fn direction(causes: [f32; CAUSES]) -> [f32; CAUSES] {
    let squares: f32 = causes.iter().map(|weight| weight * weight).sum();
    let length = if squares > 0.0 { squares.sqrt() } else { 1.0 };
    causes.map(|weight| weight / length)
}

/// The median of `values`, in any order.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// The middle of points.
pub(super) fn centre<'a>(points: impl ExactSizeIterator<Item = &'a FeaturePoint>) -> FeaturePoint {
    let count = points.len().max(1) as f32;
    let mut sum = [0.0; DIMENSIONS];
    for point in points {
        for (sum, value) in sum.iter_mut().zip(point) {
            *sum += value;
        }
    }
    sum.map(|sum| sum / count)
}

/// Square of the distance between two points. Millions of rows are compared with hundreds of
/// others: lane by lane, since a sum in the order of the places would have to wait for each of
/// them.
pub(super) fn distance(one: &FeaturePoint, other: &FeaturePoint) -> f32 {
    let (ones, _) = one.as_chunks::<LANES>();
    let (others, _) = other.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (one, other) in ones.iter().zip(others) {
        for lane in 0..LANES {
            let gap = one[lane] - other[lane];
            sums[lane] += gap * gap;
        }
    }
    sums.iter().sum()
}
