//! How many pixels the face has, in the picture as it was submitted.
//!
//! Source: ISO/IEC 29794-5 inter-eye distance (the distance between the centres of the eyes), here without its
//! correction for yaw: what counts is what the recogniser gets to see.

use super::{Component, Components};
use crate::face::AlignedFace;

pub(super) fn measure(aligned: &AlignedFace, components: &mut Components) {
    let [first, second, ..] = aligned.landmarks;
    components.set(Component::InterEyeDistance, first.distance(second));
}
