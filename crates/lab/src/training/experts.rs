//! The two experts on similarity, and the gate that mixes what they expect.

use super::TrainingError;
use super::ridge::Solution;

/// Steepness of the gate. Its regression says 0 for camera pictures and 1 for web crops, and it
/// opens in between.
pub(super) const GATE_SLOPE: f64 = 12.5;
pub(super) const GATE_MIDDLE: f64 = 0.5;

/// The solutions of a task with `N` outputs.
pub(super) fn exactly<const N: usize>(
    solutions: Vec<Solution>,
) -> Result<[Solution; N], TrainingError> {
    solutions.try_into().map_err(|_| TrainingError::Singular)
}

/// The similarity that both experts expect of a sample whose person they have not seen.
pub(super) fn mixed(camera: &Solution, web: &Solution, gate: &Solution, row: usize) -> f64 {
    let open = 1.0 / (1.0 + (-GATE_SLOPE * (gate.held_out[row] - GATE_MIDDLE)).exp());
    camera.held_out[row] + open * (web.held_out[row] - camera.held_out[row])
}
