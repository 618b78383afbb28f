//! Brings the experts on camera pictures and on web crops to one scale, because one calibration
//! serves both. The latter is mapped linearly so that equal values mean equal similarity.

use super::PASS;
use super::ridge::{Linear, Solution};
use super::targets::monotone_map;
use faceood_engine::stats::{interpolate, mean};

/// Largest offset in the search.
const MOST: f64 = 0.5;
/// Halvings of the search range: down to 1e-9 of it.
const STEPS: u32 = 30;

/// Predictions for one sample by fits without its person.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foreseen {
    pub(super) fold: usize,
    pub(super) signal: f64,
    pub(super) reached: f64,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    slope: f64,
    constant: f64,
}

impl Line {
    fn at(self, signal: f64) -> f64 {
        self.slope * signal + self.constant
    }

    fn of(self, linear: &Linear) -> Linear {
        linear.mapped(self.slope, self.constant)
    }

    /// The slope that fits the signals of web crops to the similarities they reach, and the
    /// offset with which the predicted pass rate equals the observed one, given how camera
    /// pictures with such signals fare.
    fn fit(web: &[Foreseen], camera: &[Foreseen]) -> Self {
        let signals: Vec<f64> = web.iter().map(|crop| crop.signal).collect();
        let reached: Vec<f64> = web.iter().map(|crop| crop.reached).collect();
        let (middle, level) = (mean(&signals), mean(&reached));
        let spread: f64 = signals.iter().map(|s| (s - middle).powi(2)).sum();
        let pairs = signals.iter().zip(&reached);
        let along: f64 = pairs.map(|(s, r)| (s - middle) * (r - level)).sum();
        let slope = if spread > 0.0 { along / spread } else { 1.0 };
        let constant = level - slope * middle;
        let mut line = Self { slope, constant };
        let passes = |reached: f64| f64::from(reached >= PASS);
        let pairs = camera.iter().map(|of| (of.signal, passes(of.reached)));
        let passing = monotone_map(pairs.collect());
        let observed = mean(&reached.iter().map(|&r| passes(r)).collect::<Vec<_>>());
        let foreseen = |offset: f64| {
            let chance = |&signal: &f64| interpolate(&passing, line.at(signal) + offset);
            mean(&signals.iter().map(chance).collect::<Vec<_>>())
        };
        // The pass rate never falls with the offset, so halving finds it.
        let (mut low, mut high) = (-MOST, MOST);
        for _ in 0..STEPS {
            let middle = (low + high) / 2.0;
            if foreseen(middle) > observed {
                high = middle;
            } else {
                low = middle;
            }
        }
        line.constant += low;
        line
    }
}

/// Maps the signals of the web expert to the scale of the camera expert. Each fold uses a line
/// fitted without it.
pub(super) fn bring_to(
    expert: &mut Solution,
    folds: &[usize],
    web: &[Foreseen],
    camera: &[Foreseen],
) {
    // A quick try with few photos has too few crops: the signals stay as they are.
    if web.len() < 2 || camera.is_empty() {
        return;
    }
    let without = |fold: usize| {
        let others = |all: &[Foreseen]| -> Vec<Foreseen> {
            let others = all.iter().filter(|sample| sample.fold != fold);
            others.copied().collect()
        };
        Line::fit(&others(web), &others(camera))
    };
    let lines: Vec<Line> = (0..expert.without_fold.len()).map(without).collect();
    for (linear, line) in expert.without_fold.iter_mut().zip(&lines) {
        *linear = line.of(linear);
    }
    for (signal, &fold) in expert.held_out.iter_mut().zip(folds) {
        if let Some(line) = lines.get(fold) {
            *signal = line.at(*signal);
        }
    }
    expert.of_all = Line::fit(web, camera).of(&expert.of_all);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreseen(count: usize, reached: impl Fn(f64) -> f64) -> Vec<Foreseen> {
        (0..count)
            .map(|index| {
                let signal = index as f64 / count as f64;
                Foreseen {
                    fold: index % 3,
                    signal,
                    reached: reached(signal),
                }
            })
            .collect()
    }

    #[test]
    fn a_timid_expert_is_stretched_to_the_other_s_scale() {
        // The camera expert is right; the other one says .5 + .2 · (truth − .5).
        let camera = foreseen(600, |signal| signal);
        let web = foreseen(300, |signal| 0.5 + 5.0 * (signal - 0.5));
        let line = Line::fit(&web, &camera);
        assert!((line.slope - 5.0).abs() < 1e-9);
        let middle = line.at(0.5);
        assert!((middle - 0.5).abs() < 0.06, "{middle}");

        let linear = Linear {
            weights: vec![2.0],
            bias: 0.5,
        };
        let mut expert = Solution {
            of_all: linear.clone(),
            without_fold: vec![linear; 3],
            held_out: web.iter().map(|crop| crop.signal).collect(),
        };
        let folds: Vec<usize> = web.iter().map(|crop| crop.fold).collect();
        bring_to(&mut expert, &folds, &web, &camera);
        assert!((expert.of_all.weights[0] - 10.0).abs() < 1e-6);
        assert!((expert.without_fold[1].weights[0] - 10.0).abs() < 0.1);
        for (signal, crop) in expert.held_out.iter().zip(&web) {
            assert!((signal - crop.reached).abs() < 0.08);
        }
    }

    #[test]
    fn too_few_change_nothing() {
        let mut expert = Solution {
            of_all: Linear {
                weights: vec![1.0],
                bias: 0.0,
            },
            without_fold: Vec::new(),
            held_out: vec![0.3],
        };
        bring_to(&mut expert, &[0], &[], &[]);
        assert_eq!(expert.held_out, [0.3]);
    }
}
