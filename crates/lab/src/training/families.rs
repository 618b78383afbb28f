//! Measures how well the head predicts a kind of degradation that it was not trained on:
//! cross-validation by kind and by person at once.

use super::experts::{GatedExpert, exactly, mixed};
use super::ridge::{RidgeTask, Solution};
use super::{TrainingError, TrainingSample, report};
use faceood_engine::cause::CauseName;

/// Predictions for an uncovered face with one kind of fault, by heads trained without this person.
pub struct UnseenFault {
    /// The cause that this kind of fault shows as.
    pub family: &'static str,
    /// Number of the person.
    pub person: u32,
    /// The similarity that it reaches.
    pub reached: f64,
    /// Prediction of a head that was trained with this kind of fault.
    pub of_seen_kind: f64,
    /// Prediction of a head that was trained without it.
    pub of_unseen_kind: f64,
}

/// Predictions for each kind of fault by a head trained without it. `camera_task` is the
/// training data of the camera expert and of the gate to web crops, `others` are the other experts,
/// `signals` are the predictions of the whole head, and `solve` trains.
pub(super) fn unseen(
    samples: &[TrainingSample],
    reached: &[Option<f64>],
    camera_task: &RidgeTask,
    [covered, web]: [&GatedExpert; 2],
    signals: &[f64],
    solve: impl Fn(&RidgeTask) -> Result<Vec<Solution>, TrainingError>,
) -> Result<Vec<UnseenFault>, TrainingError> {
    let mut all = Vec::new();
    for (cause, family) in CauseName::LEARNT.into_iter().enumerate() {
        let is_tested = |sample: &TrainingSample| {
            report::is_whole_face(sample) && sample.only_symptom() == Some(cause)
        };
        let tested: Vec<(usize, f64)> = (0..samples.len())
            .filter(|&row| is_tested(&samples[row]))
            .filter_map(|row| Some((row, reached[row]?)))
            .collect();
        // Covered faces are not in the training data of the camera expert anyway.
        if tested.is_empty() {
            continue;
        }
        let mut without = camera_task.clone();
        for (weight, sample) in without.weights.iter_mut().zip(samples) {
            *weight *= f64::from(sample.symptoms[cause] == 0.0);
        }
        let [camera, likeness] = exactly(solve(&without)?)?;
        let web = GatedExpert::on_web_crops(web.expert.clone(), &likeness);
        all.extend(tested.into_iter().map(|(row, reached)| UnseenFault {
            family: family.name(),
            person: samples[row].person,
            reached,
            of_seen_kind: signals[row],
            of_unseen_kind: mixed(&camera, [covered, &web], row),
        }));
    }
    Ok(all)
}
