//! Where the faces are: detection, landmarks, head pose, and the warp onto the recogniser's grid.

use image::RgbImage;

use crate::capture::Patch;
use crate::geometry::{BoundingBox, Point, Transform};

/// Side of an aligned face in pixels.
pub const ALIGNED_SIDE: u32 = 112;

/// A face as the detector reports it, in pixels of the original, upright picture.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectedFace {
    /// Around the face; may reach over the edge of the picture.
    pub bounding_box: BoundingBox,
    /// The detector's own confidence that this is a face, 0…1. Not a quality.
    pub detection_score: f32,
    /// The detector's own five points: eyes, nose, mouth corners, image left to right.
    pub points: [Point; 5],
}

/// Head rotation in degrees; 0 is a frontal, upright head.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pose {
    /// Turn of the head; positive: the nose points to the image's right.
    pub yaw: f32,
    /// Nod; positive: the nose points up.
    pub pitch: f32,
    /// Tilt in the image plane; positive: clockwise on the screen.
    pub roll: f32,
}

/// A face on the recogniser's 112×112 grid, with what the quality components need besides.
#[derive(Clone, Debug)]
pub struct AlignedFace {
    /// 112×112 RGB, sampled with an area filter where the original is larger.
    pub crop: RgbImage,
    /// Original picture → crop, in pixels.
    pub transform: Transform,
    /// Eyes, nose tip, mouth corners in the original picture, image left to right.
    pub landmarks: [Point; 5],
    /// The 68 points they come from (iBUG order), in the original picture.
    pub contour: Vec<Point>,
    /// Head rotation.
    pub pose: Pose,
    /// The face's surroundings at the resolution in which it is judged.
    pub patch: Patch,
}
