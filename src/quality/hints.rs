//! Advice for the person in front of the camera, in English and Chinese.

use serde::{Deserialize, Serialize};

/// One piece of advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HintCode {
    /// Nobody to be seen.
    NoFace,
    /// The picture's shorter side is under 300 px.
    ImageTooSmall,
    /// The face has too few pixels.
    MoveCloser,
    /// Too dark.
    MoreLight,
    /// Too bright.
    LessLight,
    /// Blurred by motion.
    HoldStill,
    /// Turned away.
    FaceCamera,
    /// Something covers the face.
    UncoverFace,
    /// More than one person.
    SeveralFaces,
    /// A picture of a screen.
    AvoidScreen,
}
