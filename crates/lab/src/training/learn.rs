//! From samples to a head: two experts on similarity with a gate between them, and a detector
//! for each cause. All are linear and fitted by ridge regression, with held-out predictions for
//! every person.

use super::photos::Group;
use super::ridge::{Linear, Solution};
use super::scale::{self, Foreseen};
use super::targets::Aim;
use super::{
    ALPHA, FOLDS, Trained, TrainingError, TrainingSample, WEB_ALPHA, families, fold_of, report,
    ridge, shortened, targets,
};
use crate::building::head::LinearHead;
use faceood::cause::CauseName;
use faceood::stats::quantile;

/// Steepness of the gate: its regression says 0 for camera pictures and 1 for web crops, and it opens in between.
const GATE_SLOPE: f64 = 12.5;
/// The gate's place among the head's outputs.
const GATE: usize = 2;
const GATE_MIDDLE: f64 = 0.5;
/// Share of whole faces that may be taken for covered ones.
pub(super) const FALSELY_COVERED: f64 = 0.01;

/// What the parts of the head say of every sample, by fits that have not seen its person.
struct Predicted {
    /// Expected similarity.
    signals: Vec<f64>,
    /// For each cause.
    causes: Vec<Vec<f64>>,
}

impl Predicted {
    /// Sum of the logits of what covers a face.
    fn covered(&self, sample: usize) -> f64 {
        let places = CauseName::COVERS.into_iter().filter_map(CauseName::place);
        places.map(|place| self.causes[place][sample]).sum()
    }
}

/// Learns from `samples`, the features of each of which stand in `rows`.
pub(super) fn learn(
    samples: &[TrainingSample],
    rows: &[&[f32]],
    shares: &[f32],
    threads: usize,
    is_thorough: bool,
) -> Result<Trained, TrainingError> {
    let reached = targets::reached(samples);
    let folds: Vec<usize> = samples
        .iter()
        .map(|sample| fold_of(sample.person))
        .collect();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|_| TrainingError::Thread)?;
    let solve = |task: &RidgeTask| {
        let problem = ridge::RidgeProblem {
            rows,
            targets: &task.targets,
            weights: &task.weights,
            folds: &folds,
            alpha: task.alpha,
            relieved: shares.len(),
            has_free_constant: task.has_free_constant,
        };
        pool.install(|| ridge::solve(&problem))
    };
    let beside_others = targets::beside_the_person(samples);
    let camera_task = camera_task(samples, &reached, &beside_others);
    // With a constant of its own this expert ranks crops of people that it has not seen worse.
    let web_task = RidgeTask {
        has_free_constant: false,
        ..expert_task(samples, &beside_others, WEB_ALPHA)
    };
    let cause_task = cause_task(samples);
    // Camera and web expert, gate, causes: the head's order.
    let mut parts = solve(&camera_task)?;
    let gate = parts.pop().ok_or(TrainingError::Singular)?;
    parts.extend(solve(&web_task)?);
    if let [camera, web] = &mut parts[..] {
        let told = |expert: &Solution, belongs: &dyn Fn(&TrainingSample) -> bool| {
            foreseen(samples, &reached, &expert.held_out, belongs)
        };
        let crops = told(web, &|sample| sample.group == Group::Wild);
        let photos = told(camera, &|sample| sample.group != Group::Wild);
        scale::bring_to(web, &folds, &crops, &photos);
    }
    parts.push(gate);
    parts.extend(solve(&cause_task)?);
    let [camera, web, gate, causes @ ..] = &parts[..] else {
        return Err(TrainingError::Singular);
    };
    let signals: Vec<f64> = (0..samples.len())
        .map(|row| mixed(camera, web, gate, row))
        .collect();
    let unseen_faults = if is_thorough {
        families::unseen(samples, &reached, &camera_task, web, &signals, solve)?
    } else {
        Vec::new()
    };
    let predicted = Predicted {
        signals,
        causes: causes.iter().map(|part| part.held_out.clone()).collect(),
    };
    let covered_from = covered_from(samples, &predicted);
    let covered: Vec<bool> = (0..samples.len())
        .map(|sample| predicted.covered(sample) >= covered_from)
        .collect();
    let clean_norms = report::clean_norms(samples);
    let is_taught: Vec<bool> = (0..samples.len())
        .map(|row| {
            [&camera_task, &web_task, &cause_task]
                .iter()
                .any(|task| task.weights[row] > 0.0)
        })
        .collect();
    let mut figures = report::figures(samples, &reached, &predicted.signals, &clean_norms, shares);
    figures.extend(report::cause_figures(samples, &predicted.causes, &covered));
    Ok(Trained {
        head: head(parts.iter().map(|part| &part.of_all)),
        without_fold: (0..FOLDS as usize)
            .map(|fold| head(parts.iter().filter_map(|part| part.without_fold.get(fold))))
            .collect(),
        covered_from: shortened(covered_from, 1e4),
        counts: report::counts(samples, &is_taught),
        figures,
        held_out: report::held_out(samples, &reached, &folds, &predicted.signals, &covered),
        clean_norms,
        unseen_faults,
    })
}

/// What the experts foresee together of a sample whose person they have not seen.
pub(super) fn mixed(camera: &Solution, web: &Solution, gate: &Solution, row: usize) -> f64 {
    let open = 1.0 / (1.0 + (-GATE_SLOPE * (gate.held_out[row] - GATE_MIDDLE)).exp());
    camera.held_out[row] + open * (web.held_out[row] - camera.held_out[row])
}

/// What an expert says of whole faces that it has not seen, beside what they reach.
fn foreseen(
    samples: &[TrainingSample],
    reached: &[Option<f64>],
    held_out: &[f64],
    belongs: &dyn Fn(&TrainingSample) -> bool,
) -> Vec<Foreseen> {
    samples
        .iter()
        .zip(reached.iter().zip(held_out))
        .filter(|(sample, _)| report::is_whole_face(sample) && belongs(sample))
        .filter_map(|(sample, (reached, signal))| {
            Some(Foreseen {
                fold: fold_of(sample.person),
                signal: *signal,
                reached: (*reached)?,
            })
        })
        .collect()
}

/// The head with these outputs, the gate made steep.
fn head<'a>(parts: impl Iterator<Item = &'a Linear>) -> LinearHead {
    let (weights, bias) = parts
        .enumerate()
        .map(|(output, part)| {
            let (slope, middle) = if output == GATE {
                (GATE_SLOPE, GATE_MIDDLE)
            } else {
                (1.0, 0.0)
            };
            let weights: Vec<f32> = part
                .weights
                .iter()
                .map(|weight| shortened(slope * weight, 1e6))
                .collect();
            (weights, shortened(slope * (part.bias - middle), 1e5))
        })
        .unzip();
    LinearHead { weights, bias }
}

pub(super) struct RidgeTask {
    pub(super) targets: Vec<Vec<f64>>,
    pub(super) weights: Vec<f64>,
    pub(super) alpha: f64,
    pub(super) has_free_constant: bool,
}

/// An expert that foresees `aims`. Covered faces teach it nothing: what they would reach says nothing of whole ones. Nor do second shots,
/// which only tell how far shots of one scene differ.
///
/// Of web crops beside the person's others it is the expert on what people have cut, scaled, retouched and sent on.
fn expert_task(samples: &[TrainingSample], aims: &[Option<Aim>], alpha: f64) -> RidgeTask {
    let of_each = |part: fn(Aim) -> f64| aims.iter().map(move |aim| aim.map_or(0.0, part));
    RidgeTask {
        targets: vec![of_each(|aim| aim.similarity).collect()],
        weights: samples
            .iter()
            .zip(of_each(|aim| aim.weight))
            .map(|(sample, weight)| {
                if sample.is_second_shot || sample.is_covered() {
                    0.0
                } else {
                    weight
                }
            })
            .collect(),
        alpha,
        has_free_constant: true,
    }
}

/// The expert on everything, and the gate, which tells web crops from the rest.
fn camera_task(
    samples: &[TrainingSample],
    reached: &[Option<f64>],
    beside_others: &[Option<Aim>],
) -> RidgeTask {
    let aims: Vec<Option<Aim>> = samples
        .iter()
        .zip(reached.iter().zip(beside_others))
        .map(|(sample, (reached, beside_others))| match sample.group {
            Group::Wild => beside_others.map(|aim| aim.similarity),
            _ => *reached,
        })
        .map(|similarity| {
            similarity.map(|similarity| Aim {
                similarity,
                weight: 1.0,
            })
        })
        .collect();
    let mut task = expert_task(samples, &aims, ALPHA);
    task.targets.push(
        samples
            .iter()
            .map(|sample| f64::from(u8::from(sample.group == Group::Wild)))
            .collect(),
    );
    task
}

/// A detector for each cause. Of web crops nobody knows what is wrong with them; things have no causes.
fn cause_task(samples: &[TrainingSample]) -> RidgeTask {
    let mask = CauseName::Mask.place();
    RidgeTask {
        targets: (0..CauseName::LEARNT.len())
            .map(|cause| {
                samples
                    .iter()
                    .map(|sample| match sample.group {
                        Group::Masked => f64::from(u8::from(Some(cause) == mask)),
                        _ => sample.symptoms[cause],
                    })
                    .collect()
            })
            .collect(),
        weights: samples
            .iter()
            .map(|sample| {
                let has_causes = !matches!(sample.group, Group::Wild | Group::Object);
                f64::from(u8::from(has_causes && !sample.is_second_shot))
            })
            .collect(),
        alpha: ALPHA,
        has_free_constant: true,
    }
}

/// The sum of logits that so many whole faces exceed as may be taken for covered ones.
fn covered_from(samples: &[TrainingSample], predicted: &Predicted) -> f64 {
    let mut whole: Vec<f64> = samples
        .iter()
        .enumerate()
        .filter(|(_, sample)| report::is_whole_face(sample))
        .map(|(index, _)| predicted.covered(index))
        .collect();
    whole.sort_by(f64::total_cmp);
    quantile(&whole, 1.0 - FALSELY_COVERED).unwrap_or(1.0)
}
