//! Size of the face in pixels of the submitted picture.
//!
//! Source: ISO/IEC 29794-5 inter-eye distance (between the centres of the eyes), without its
//! correction for yaw, because the recogniser sees the uncorrected face.

use super::{Component, Components};
use crate::face::AlignedFace;

pub(super) fn measure(aligned: &AlignedFace, components: &mut Components) {
    let [first, second, ..] = aligned.landmarks;
    components.set(Component::InterEyeDistance, first.distance(second));
}
