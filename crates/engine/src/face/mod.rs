//! Where the faces are: detection, landmarks, head pose, and the warp onto the recogniser's grid.
//!
//! ```text
//! Capture ─ detect (network → nms) ─▶ DetectedFace
//!         ─ align (landmarks → pose, warp) ─▶ AlignedFace ─▶ embed, quality
//! ```
//!
//! Points are those of OpenCV and of the networks' training: whole numbers are pixel centres. Knows
//! nothing of identities and qualities.

pub mod align;
pub mod detect;
mod evidence;
mod landmarks;
mod network;
mod nms;
pub mod pose;
mod tiles;
mod view;

use image::RgbImage;
use serde::Serialize;
use utoipa::ToSchema;

use crate::capture::{CaptureError, Patch};
use crate::checkpoint::Interruption;
use crate::geometry::{BoundingBox, Point, Transform};
use crate::runtime::RuntimeError;

pub use crate::problem::texts::NoFace;
pub use align::Aligner;
pub use detect::{Detector, Search};

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

/// Rotation of the head in degrees; 0 is a frontal, upright head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Pose {
    /// Turn; positive: the nose points to the image's right.
    pub yaw: f32,
    /// Nod; positive: the nose points up.
    pub pitch: f32,
    /// Tilt; positive: clockwise on the screen.
    pub roll: f32,
}

/// A face on the recogniser's 112×112 grid, with what the quality components also need.
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

/// Why there is no face to work with.
#[derive(Debug, thiserror::Error)]
pub enum FaceError {
    /// Every pass over the picture came back empty.
    #[error(transparent)]
    NoFace(#[from] NoFace),
    /// A network lacks an output, or gives it in another shape than the one that is decoded here.
    #[error("output {output:?} of the {network} network is {got}, expected {expected}")]
    Output {
        /// The network.
        network: &'static str,
        /// Name of the output.
        output: String,
        /// What came.
        got: String,
        /// What is decoded.
        expected: String,
    },
    /// A network answered in this output with NaN or an infinite number.
    #[error("output {1:?} of the {0} network holds a number that is not finite")]
    NotFinite(&'static str, String),
    /// The five points of the face around here coincide, so that it has no transform.
    #[error("the landmarks of the face at {:.0},{:.0} fall into one point", .0.x, .0.y)]
    Degenerate(Point),
    /// Nobody wants the outcome any more.
    #[error(transparent)]
    Interrupted(#[from] Interruption),
    /// The picture around the face could not be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The network could not be run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}
