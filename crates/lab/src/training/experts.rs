//! The experts on similarity, and the gates that mix what they expect.

use super::TrainingError;
use super::ridge::Solution;

/// Steepness of the gate to the web-crop expert. Its regression says 0 for camera pictures and 1 for
/// web crops, and it opens in between.
const WEB_SLOPE: f64 = 12.5;
const WEB_MIDDLE: f64 = 0.5;
/// Steepness of the gate to the expert on covered faces: .05 open where a cover is first possible, .95
/// where it is sure.
const COVER_SLOPE: f64 = 6.0;

/// An expert, and the gate whose logistic function is its share.
pub(super) struct GatedExpert {
    pub(super) expert: Solution,
    pub(super) gate: Solution,
}

impl GatedExpert {
    /// The expert on web crops, by what the regression says of how much a picture is one.
    pub(super) fn on_web_crops(expert: Solution, likeness: &Solution) -> Self {
        let gate = likeness.mapped(WEB_SLOPE, -WEB_SLOPE * WEB_MIDDLE);
        Self { expert, gate }
    }

    /// The expert on covered faces, by how clearly a cover shows, and from where on one is possible
    /// and sure.
    pub(super) fn on_covered(
        expert: Solution,
        cover: &Solution,
        [maybe, surely]: [f64; 2],
    ) -> Self {
        let slope = COVER_SLOPE / (surely - maybe).max(1e-6);
        let gate = cover.mapped(slope, -slope * (maybe + surely) / 2.0);
        Self { expert, gate }
    }
}

/// The solutions of a task with `N` outputs.
pub(super) fn exactly<const N: usize>(
    solutions: Vec<Solution>,
) -> Result<[Solution; N], TrainingError> {
    solutions.try_into().map_err(|_| TrainingError::Singular)
}

/// The similarity that all experts together expect of a sample whose person they have not seen: that
/// of the camera expert, which each of the others in turn moves towards its own by its share.
pub(super) fn mixed(camera: &Solution, others: [&GatedExpert; 2], row: usize) -> f64 {
    others.iter().fold(camera.held_out[row], |signal, other| {
        let share = 1.0 / (1.0 + (-other.gate.held_out[row]).exp());
        signal + share * (other.expert.held_out[row] - signal)
    })
}
