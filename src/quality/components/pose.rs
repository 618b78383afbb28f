//! Head rotation, as the aligner estimated it (`face::pose`), in degrees. Source: ISO/IEC 29794-5 head pose measures.

use super::{Component, Components};
use crate::face::AlignedFace;

pub(super) fn measure(aligned: &AlignedFace, components: &mut Components) {
    components.set(Component::HeadPoseYaw, aligned.pose.yaw);
    components.set(Component::HeadPosePitch, aligned.pose.pitch);
    components.set(Component::HeadPoseRoll, aligned.pose.roll);
}
