//! The names of components for people, the same on the page and in reports.

use super::Component;
use crate::quality::Language;

impl Component {
    /// Its name for a reader.
    pub fn label(self, language: Language) -> &'static str {
        let (english, chinese) = match self {
            Self::Sharpness => ("Sharpness", "清晰度"),
            Self::UnderExposurePrevention => ("Not too dark", "无欠曝"),
            Self::OverExposurePrevention => ("Not too bright", "无过曝"),
            Self::LuminanceMean => ("Brightness", "亮度"),
            Self::LuminanceVariance => ("Contrast", "对比度"),
            Self::DynamicRange => ("Range of tones", "动态范围"),
            Self::IlluminationUniformity => ("Even light", "光照均匀度"),
            Self::CompressionArtifacts => ("Free of compression", "无压缩失真"),
            Self::Noise => ("Noise", "噪点"),
            Self::MotionBlur => ("Motion blur", "运动模糊"),
            Self::MotionDirection => ("Direction of motion", "运动方向"),
            Self::RecapturePattern => ("Screen pattern", "屏幕纹理"),
            Self::InterEyeDistance => ("Between the eyes", "两眼间距"),
            Self::HeadPoseYaw => ("Head turned", "左右转头"),
            Self::HeadPosePitch => ("Head up/down", "上下俯仰"),
            Self::HeadPoseRoll => ("Head tilted", "头部倾斜"),
            Self::MouthOcclusionPrevention => ("Mouth visible", "嘴部可见"),
        };
        language.pick(english, chinese)
    }
}
