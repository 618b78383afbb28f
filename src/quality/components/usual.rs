//! Usual values of the components on clean photos: the scale for comparing captures.

use super::Component;

/// Median and robust deviation of a component over clean photos.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// The median.
    pub median: f32,
    /// 1.4826 times the median absolute deviation.
    pub deviation: f32,
}

impl Component {
    /// Median and deviation over 315 clean photos of as many people; the test `components_on_photos` prints such figures for a
    /// folder of photos. Where the deviation is next to nothing, as with clipped light, it is a difference that one would notice.
    #[must_use]
    pub const fn usual(self) -> Usual {
        let [median, deviation] = match self {
            Self::Sharpness => [1.886, 0.714],
            Self::UnderExposurePrevention => [0.996, 0.006],
            Self::OverExposurePrevention => [1.0, 0.01],
            Self::LuminanceMean => [0.587, 0.139],
            Self::LuminanceVariance => [0.028, 0.014],
            Self::DynamicRange => [7.169, 0.343],
            Self::IlluminationUniformity => [0.721, 0.198],
            Self::CompressionArtifacts => [0.9, 0.07],
            Self::Noise => [0.659, 0.368],
            Self::MotionBlur => [0.011, 0.016],
            Self::RecapturePattern => [0.0, 0.05],
            Self::InterEyeDistance => [86.9, 22.67],
            Self::HeadPoseYaw => [0.769, 4.734],
            Self::HeadPosePitch => [2.577, 6.455],
            Self::HeadPoseRoll => [-0.178, 2.547],
            Self::MouthOcclusionPrevention => [0.998, 0.03],
            // An angle has no median: it is not compared.
            Self::MotionDirection => [0.0, 0.0],
        };
        Usual { median, deviation }
    }
}
