//! Measures how well the head predicts a kind of degradation that it was not trained on:
//! cross-validation by kind and by person at once.

use super::learn::{self, RidgeTask};
use super::ridge::Solution;
use super::{TrainingError, TrainingSample, report};
use faceood::cause::CauseName;

/// Prediction for an uncovered face with one kind of fault, by a head trained without this kind
/// and this person.
#[derive(Clone, Debug)]
pub struct UnseenFault {
    /// The cause that the kind of fault is called by.
    pub family: &'static str,
    /// Number of the person.
    pub person: u32,
    /// The similarity that it reaches.
    pub reached: f64,
    /// Prediction of a head that was trained on other people with this fault.
    pub of_seen_kind: f64,
    /// Prediction of a head that was trained with neither this kind of fault nor this person.
    pub of_unseen_kind: f64,
}

/// Predictions for each kind of fault by a head trained without it. `camera_task` is the
/// training data of the camera expert and the gate, `web` is the other expert, `signals` are
/// the predictions of the whole head, and `solve` trains.
pub(super) fn unseen(
    samples: &[TrainingSample],
    reached: &[Option<f64>],
    camera_task: &RidgeTask,
    web: &Solution,
    signals: &[f64],
    solve: impl Fn(&RidgeTask) -> Result<Vec<Solution>, TrainingError>,
) -> Result<Vec<UnseenFault>, TrainingError> {
    let mut all = Vec::new();
    for (cause, family) in CauseName::LEARNT.into_iter().enumerate() {
        let has_it_alone = |sample: &TrainingSample| {
            sample
                .symptoms
                .iter()
                .enumerate()
                .all(|(other, seen)| (*seen > 0.0) == (other == cause))
        };
        let tested: Vec<(usize, f64)> = samples
            .iter()
            .enumerate()
            .filter(|(_, sample)| report::is_whole_face(sample) && has_it_alone(sample))
            .filter_map(|(row, _)| Some((row, reached[row]?)))
            .collect();
        // Covered faces are not in the training data of the experts anyway.
        if tested.is_empty() {
            continue;
        }
        let without = RidgeTask {
            targets: camera_task.targets.clone(),
            weights: samples
                .iter()
                .zip(&camera_task.weights)
                .map(|(sample, weight)| weight * f64::from(u8::from(sample.symptoms[cause] == 0.0)))
                .collect(),
            alpha: camera_task.alpha,
            has_free_constant: camera_task.has_free_constant,
        };
        let [camera, gate] = &solve(&without)?[..] else {
            return Err(TrainingError::Singular);
        };
        all.extend(tested.into_iter().map(|(row, reached)| UnseenFault {
            family: family.name(),
            person: samples[row].person,
            reached,
            of_seen_kind: signals[row],
            of_unseen_kind: learn::mixed(camera, web, gate, row),
        }));
    }
    Ok(all)
}
