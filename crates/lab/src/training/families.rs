//! How well the head foresees a kind of fault that it has not learnt from: cross-validation by kind and by person at once.

use super::learn::{self, RidgeTask};
use super::ridge::Solution;
use super::{TrainingError, TrainingSample, report};
use faceood::cause::CauseName;

/// A whole face with one kind of fault, as a head without this kind and this person foresees it.
#[derive(Clone, Debug)]
pub struct UnseenFault {
    /// The cause that the kind of fault is called by.
    pub family: &'static str,
    /// Number of the person.
    pub person: u32,
    /// The similarity that it reaches.
    pub reached: f64,
    /// What a head foresees that knows other people with this fault.
    pub of_seen_kind: f64,
    /// What a head foresees that knows neither.
    pub of_unseen_kind: f64,
}

/// What the head says of each kind of fault without having learnt from it. `camera_task` is what the camera expert and the gate learn
/// from, `web` is the other expert, `signals` is what the whole head foresees; `solve` learns.
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
        // Covers teach the experts nothing in the first place.
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
