//! From samples to a head: three experts on similarity with the gates of two of them, and a
//! detector for each cause. All are linear and fitted by ridge regression, with held-out predictions
//! for every person.

use super::experts::{GatedExpert, exactly, mixed};
use super::photos::Group;
use super::ridge::{self, Linear, RidgeTask, Solution};
use super::scale::{self, Foreseen};
use super::targets::Aim;
use super::{
    ALPHA, CAUSE_ALPHA, Effort, FOLDS, Trained, TrainingError, TrainingSample, families, features,
    report, shortened, targets,
};
use crate::building::head::LinearHead;
use faceood_engine::cause::CauseName;
use faceood_engine::stats::quantile;

/// Shares of whole faces that may have a doubtful cover, and a sure one.
pub(super) const DOUBTED: [f64; 2] = [0.03, 0.008];

/// Learns from `samples`, whose features are in `rows`.
pub(super) fn learn(
    samples: &[TrainingSample],
    rows: &[&[f32]],
    shares: &[f32],
    effort: Effort<'_>,
) -> Result<Trained, TrainingError> {
    let reached = targets::reached(samples);
    let folds: Vec<usize> = samples.iter().map(TrainingSample::fold).collect();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(effort.threads.max(1))
        .build()
        .map_err(|_| TrainingError::Thread)?;
    let solve = |task: &RidgeTask| pool.install(|| ridge::solve(task, rows, &folds, shares.len()));
    let beside_others = targets::beside_the_person(samples);
    let camera_task = camera_task(samples, &reached, &beside_others);
    // With an intercept this expert ranks crops of people that it has not seen worse.
    let web_task = RidgeTask {
        has_free_constant: false,
        ..expert_task(samples, &beside_others, false)
    };
    let at_reached = |of: &Option<f64>| of.map(Aim::full);
    let aims: Vec<Option<Aim>> = reached.iter().map(at_reached).collect();
    let covered_task = expert_task(samples, &aims, true);
    if let Some(folder) = effort.features {
        features::write_learnt(
            folder,
            samples,
            rows,
            &reached,
            [&camera_task, &covered_task],
        )?;
    }
    let cause_task = cause_task(samples);
    let [camera, likeness] = exactly(solve(&camera_task)?)?;
    let [mut web] = exactly(solve(&web_task)?)?;
    let [covered] = exactly(solve(&covered_task)?)?;
    let causes = solve(&cause_task)?;
    let foreseen = |expert: &Solution, is_web: bool| -> Vec<Foreseen> {
        let belongs = |sample: &TrainingSample| {
            report::is_whole_face(sample) && (sample.group == Group::Wild) == is_web
        };
        (0..samples.len())
            .filter(|&row| belongs(&samples[row]))
            .filter_map(|row| {
                Some(Foreseen {
                    fold: folds[row],
                    signal: expert.held_out[row],
                    reached: reached[row]?,
                })
            })
            .collect()
    };
    let (crops, photos) = (foreseen(&web, true), foreseen(&camera, false));
    scale::bring_to(&mut web, &folds, &crops, &photos);
    // Sum of the logits of what covers a face.
    let covers = CauseName::COVERS.into_iter().filter_map(CauseName::place);
    let cover = covers
        .map(|place| causes[place].clone())
        .reduce(|sum, cause| sum.plus(&cause))
        .unwrap_or_default();
    let mut of_whole: Vec<f64> = (0..samples.len())
        .filter(|&row| report::is_whole_face(&samples[row]))
        .map(|row| cover.held_out[row])
        .collect();
    of_whole.sort_by(f64::total_cmp);
    let cut = |share: f64| quantile(&of_whole, 1.0 - share).unwrap_or(1.0);
    let cuts @ [maybe, surely] = DOUBTED.map(cut);
    let cover_chances: Vec<f64> = cover
        .held_out
        .iter()
        .map(|shown| ((shown - maybe) / (surely - maybe).max(1e-6)).clamp(0.0, 1.0))
        .collect();
    let covered = GatedExpert::on_covered(covered, &cover, cuts);
    let web = GatedExpert::on_web_crops(web, &likeness);
    let gated = [&covered, &web];
    let signals: Vec<f64> = (0..samples.len())
        .map(|row| mixed(&camera, gated, row))
        .collect();
    let unseen_faults = if effort.is_thorough {
        families::unseen(samples, &reached, &camera_task, gated, &signals, solve)?
    } else {
        Vec::new()
    };
    let clean_norms = report::clean_norms(samples);
    let tasks = [&camera_task, &web_task, &covered_task, &cause_task];
    let is_taught = |row: usize| tasks.iter().any(|task| task.weights[row] > 0.0);
    let mut figures = report::figures(samples, &reached, &signals, &clean_norms, shares);
    figures.extend(report::cause_figures(samples, &causes, &cover_chances));
    let parts: Vec<&Solution> = [&camera]
        .into_iter()
        .chain(gated.into_iter().flat_map(|of| [&of.expert, &of.gate]))
        .chain(&causes)
        .collect();
    Ok(Trained {
        head: head(parts.iter().map(|part| &part.of_all)),
        without_fold: (0..FOLDS as usize)
            .map(|fold| head(parts.iter().filter_map(|part| part.without_fold.get(fold))))
            .collect(),
        covered: cuts.map(|sum| shortened(sum, 1e4)),
        counts: report::counts(samples, is_taught),
        figures,
        held_out: report::held_out(samples, &reached, &signals, &cover_chances),
        clean_norms,
        unseen_faults,
    })
}

/// The head with these outputs.
fn head<'a>(parts: impl Iterator<Item = &'a Linear>) -> LinearHead {
    let (weights, bias) = parts
        .map(|part| {
            let weights = part.weights.iter();
            let weights: Vec<f32> = weights.map(|&of| shortened(of, 1e6)).collect();
            (weights, shortened(part.bias, 1e5))
        })
        .unzip();
    LinearHead { weights, bias }
}

/// An expert on `aims`, either on covered faces or on whole ones: what the former reach says nothing
/// of the latter. Second shots have the weight 0, because they only tell how far shots of one scene
/// differ.
///
/// With the aims of [`targets::beside_the_person`] it is the expert on pictures that people have
/// cut, scaled, retouched and sent on.
fn expert_task(samples: &[TrainingSample], aims: &[Option<Aim>], is_on_covered: bool) -> RidgeTask {
    let similarities = aims.iter().map(|aim| aim.map_or(0.0, |aim| aim.similarity));
    let weight = |(sample, aim): (&TrainingSample, &Option<Aim>)| match aim {
        Some(aim) if !sample.is_second_shot && sample.is_covered() == is_on_covered => aim.weight,
        _ => 0.0,
    };
    RidgeTask {
        targets: vec![similarities.collect()],
        weights: samples.iter().zip(aims).map(weight).collect(),
        alpha: ALPHA,
        has_free_constant: true,
    }
}

/// The expert on everything, and the gate, which tells web crops from the rest.
fn camera_task(
    samples: &[TrainingSample],
    reached: &[Option<f64>],
    beside_others: &[Option<Aim>],
) -> RidgeTask {
    let aims: Vec<Option<Aim>> = (0..samples.len())
        .map(|row| {
            let similarity = match samples[row].group {
                Group::Wild => beside_others[row]?.similarity,
                _ => reached[row]?,
            };
            Some(Aim::full(similarity))
        })
        .collect();
    let mut task = expert_task(samples, &aims, false);
    let is_web = |sample: &TrainingSample| f64::from(sample.group == Group::Wild);
    task.targets.push(samples.iter().map(is_web).collect());
    task
}

/// A detector for each cause. The faults of web crops are unknown, and things have no causes.
fn cause_task(samples: &[TrainingSample]) -> RidgeTask {
    let mask = CauseName::Mask.place();
    let target = |cause: usize, sample: &TrainingSample| match sample.group {
        Group::Masked => f64::from(Some(cause) == mask),
        _ => sample.symptoms[cause],
    };
    let weight = |sample: &TrainingSample| {
        let has_causes = !matches!(sample.group, Group::Wild | Group::Object);
        f64::from(has_causes && !sample.is_second_shot)
    };
    RidgeTask {
        targets: (0..CauseName::LEARNT.len())
            .map(|cause| samples.iter().map(|of| target(cause, of)).collect())
            .collect(),
        weights: samples.iter().map(weight).collect(),
        alpha: CAUSE_ALPHA,
        has_free_constant: true,
    }
}
