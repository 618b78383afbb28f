//! The measured properties of a capture, each with a unit and a direction, and [`measure`],
//! which computes them.
//!
//! Properties of sensor and codec (noise, compression, recapture, detail) are measured at
//! native resolution. Properties of the scene (light, occlusion) are measured on the
//! recogniser's grid.

use crate::face::{AlignedFace, DetectedFace};

mod compression;
mod enlargement;
mod exposure;
mod motion;
mod noise;
mod occlusion;
mod plane;
mod pose;
mod recapture;
mod resolution;
mod sharpness;
mod spectrum;
mod usual;

use plane::{Inside, Plane, Window};

/// Which way a component points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// More of it is better.
    HigherIsBetter,
    /// Less of it is better.
    LowerIsBetter,
    /// Neither end is good, or it is no quality at all.
    Neither,
}

/// One measured property of a face. Names follow ISO/IEC 29794-5 where they mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// Fine detail; higher is sharper.
    Sharpness,
    /// Share of the face that is not too dark, 0…1.
    UnderExposurePrevention,
    /// Share of the face that is not clipped, 0…1.
    OverExposurePrevention,
    /// Mean luma of the face, 0…1.
    LuminanceMean,
    /// Variance of the face's luma, 0…0.25.
    LuminanceVariance,
    /// Entropy of the luma histogram, bits.
    DynamicRange,
    /// Likeness of the left and right half's lighting, 0…1.
    IlluminationUniformity,
    /// Freedom from block and ringing artefacts, higher is better.
    CompressionArtifacts,
    /// Standard deviation of sensor noise in the picture's own pixels, 8-bit levels; higher is worse.
    Noise,
    /// How one-sided the loss of detail is, 0 (none) …1; higher is worse.
    MotionBlur,
    /// Direction of the motion, degrees 0…180 from the image's right, clockwise; meaningful with `MotionBlur`.
    MotionDirection,
    /// Strength of periodic patterns such as moiré; higher is worse.
    RecapturePattern,
    /// Distance between the eyes in original pixels.
    InterEyeDistance,
    /// Turn of the head, degrees.
    HeadPoseYaw,
    /// Nod of the head, degrees.
    HeadPosePitch,
    /// Tilt of the head, degrees.
    HeadPoseRoll,
    /// How much of the lower face is to be seen, 0…1; not assessed where the eyes are covered.
    MouthOcclusionPrevention,
}

impl Component {
    /// Every component, in the order of columns and JSON.
    pub const ALL: [Self; 17] = [
        Self::Sharpness,
        Self::UnderExposurePrevention,
        Self::OverExposurePrevention,
        Self::LuminanceMean,
        Self::LuminanceVariance,
        Self::DynamicRange,
        Self::IlluminationUniformity,
        Self::CompressionArtifacts,
        Self::Noise,
        Self::MotionBlur,
        Self::MotionDirection,
        Self::RecapturePattern,
        Self::InterEyeDistance,
        Self::HeadPoseYaw,
        Self::HeadPosePitch,
        Self::HeadPoseRoll,
        Self::MouthOcclusionPrevention,
    ];

    /// Name in JSON, in the log's columns and in exports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sharpness => "sharpness",
            Self::UnderExposurePrevention => "under_exposure_prevention",
            Self::OverExposurePrevention => "over_exposure_prevention",
            Self::LuminanceMean => "luminance_mean",
            Self::LuminanceVariance => "luminance_variance",
            Self::DynamicRange => "dynamic_range",
            Self::IlluminationUniformity => "illumination_uniformity",
            Self::CompressionArtifacts => "compression_artifacts",
            Self::Noise => "noise",
            Self::MotionBlur => "motion_blur",
            Self::MotionDirection => "motion_direction",
            Self::RecapturePattern => "recapture_pattern",
            Self::InterEyeDistance => "inter_eye_distance",
            Self::HeadPoseYaw => "head_pose_yaw",
            Self::HeadPosePitch => "head_pose_pitch",
            Self::HeadPoseRoll => "head_pose_roll",
            Self::MouthOcclusionPrevention => "mouth_occlusion_prevention",
        }
    }

    /// What the value counts in; "share" is 0…1, "index" has no unit.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Sharpness | Self::CompressionArtifacts | Self::RecapturePattern => "index",
            Self::UnderExposurePrevention
            | Self::OverExposurePrevention
            | Self::LuminanceMean
            | Self::LuminanceVariance
            | Self::IlluminationUniformity
            | Self::MotionBlur
            | Self::MouthOcclusionPrevention => "share",
            Self::DynamicRange => "bit",
            Self::Noise => "level",
            Self::InterEyeDistance => "px",
            Self::MotionDirection
            | Self::HeadPoseYaw
            | Self::HeadPosePitch
            | Self::HeadPoseRoll => "deg",
        }
    }

    /// Which way is better.
    #[must_use]
    pub const fn direction(self) -> Direction {
        match self {
            Self::Sharpness
            | Self::UnderExposurePrevention
            | Self::OverExposurePrevention
            | Self::DynamicRange
            | Self::IlluminationUniformity
            | Self::CompressionArtifacts
            | Self::InterEyeDistance
            | Self::MouthOcclusionPrevention => Direction::HigherIsBetter,
            Self::Noise | Self::MotionBlur | Self::RecapturePattern => Direction::LowerIsBetter,
            Self::LuminanceMean
            | Self::LuminanceVariance
            | Self::MotionDirection
            | Self::HeadPoseYaw
            | Self::HeadPosePitch
            | Self::HeadPoseRoll => Direction::Neither,
        }
    }
}

/// The measured value of each component, or none where it could not be assessed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Components([Option<f32>; Component::ALL.len()]);

impl Components {
    /// The value of `component`.
    #[must_use]
    pub fn get(&self, component: Component) -> Option<f32> {
        self.0[component as usize]
    }

    /// Sets the value of `component`; a number that is not finite counts as "could not be assessed".
    pub fn set(&mut self, component: Component, value: f32) {
        self.0[component as usize] = value.is_finite().then_some(value);
    }

    /// Each component with its value, in the order of [`Component::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Component, Option<f32>)> + '_ {
        Component::ALL
            .into_iter()
            .map(|component| (component, self.get(component)))
    }
}

/// Side of the largest window that is measured at native resolution; of a larger face the middle counts.
const NATIVE_SIDE: usize = 192;

/// What was measured on a face: the components, and two findings that have no column of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The components.
    pub components: Components,
    /// Picture pixels per pixel that was taken, at least 1: more where the picture was enlarged afterwards.
    pub enlargement: f32,
    /// How much of the eyes' surroundings is to be seen, 0 (dark glasses) … 1.
    pub eyes_visible: f32,
}

/// Measures every component of a face. What cannot be assessed (no pixels, no landmarks) is left out; nothing panics,
/// whatever the picture.
#[must_use]
pub fn measure(aligned: &AlignedFace, detected: &DetectedFace) -> Evidence {
    let mut components = Components::default();
    let crop = Plane::luma(&aligned.crop, Window::all(&aligned.crop));
    let native = Native::of(aligned, detected);

    let inside = Inside::of(aligned);
    let colours = occlusion::Channels::of(&aligned.crop, &crop, &inside);
    let eyes_visible = colours
        .as_ref()
        .and_then(occlusion::eyes_visible)
        .unwrap_or(1.0);

    exposure::measure(&crop, &inside, &mut components);
    let mut set = |component, value: Option<f32>| {
        if let Some(value) = value {
            components.set(component, value);
        }
    };
    // Reducing a picture averages its noise away in proportion.
    let reduced = aligned.patch.scale.clamp(0.1, 1.0);
    let noise_taken = noise::deviation(&native.luma).map(|level| level / reduced);
    set(Component::Noise, noise_taken);
    let freedom = compression::freedom(&native.luma, aligned.patch.scale);
    set(Component::CompressionArtifacts, freedom);
    set(
        Component::RecapturePattern,
        recapture::pattern(&native.middle, &native.colour),
    );
    let noise_on_grid = noise::deviation(&crop).unwrap_or_default();
    set(Component::Sharpness, sharpness::index(&crop, noise_on_grid));
    // What hides the eyes hides the skin that the mouth is compared with.
    if eyes_visible >= 0.5 {
        set(
            Component::MouthOcclusionPrevention,
            colours.as_ref().and_then(occlusion::mouth_visible),
        );
    }
    if let Some((motion, direction)) = motion::measure(&crop) {
        set(Component::MotionBlur, Some(motion));
        // From the grid's axes to the picture's.
        let turned = direction - aligned.transform.rotation_deg();
        set(Component::MotionDirection, Some(turned.rem_euclid(180.0)));
    }
    resolution::measure(aligned, &mut components);
    pose::measure(aligned, &mut components);
    Evidence {
        components,
        enlargement: enlargement::factor(&native.luma, freedom.unwrap_or_default()),
        eyes_visible,
    }
}

/// The face as the sensor and the codec left it.
struct Native {
    /// The middle of the face.
    luma: Plane,
    /// Its middle again, small enough for a spectrum.
    middle: Plane,
    /// Green against red and blue, of the same pixels.
    colour: Plane,
}

impl Native {
    /// Cuts out the face's box, without the margin where background begins.
    fn of(aligned: &AlignedFace, detected: &DetectedFace) -> Self {
        let patch = &aligned.patch;
        let face = detected.bounding_box;
        let along = |start: f32, extent: f32, origin: f32, limit: u32, most: usize| {
            let place = |share: f32| (start + share * extent - origin) * patch.scale;
            // A cast from a number that is none gives 0, so a broken box gives an empty window.
            let first = place(0.1).clamp(0.0, limit as f32) as usize;
            let end = (place(0.9).clamp(0.0, limit as f32) as usize).max(first);
            let surplus = (end - first).saturating_sub(most);
            (first + surplus / 2, end - first - surplus)
        };
        let window = |most: usize| {
            let (left, width) = along(
                face.x,
                face.width,
                patch.origin.x,
                patch.pixels.width(),
                most,
            );
            let (top, height) = along(
                face.y,
                face.height,
                patch.origin.y,
                patch.pixels.height(),
                most,
            );
            Window {
                left,
                top,
                width,
                height,
            }
        };
        let (whole, middle) = (window(NATIVE_SIDE), window(spectrum::SIDE));
        let luma = Plane::luma(&patch.pixels, whole);
        Self {
            middle: luma.part(Window {
                left: middle.left - whole.left,
                top: middle.top - whole.top,
                ..middle
            }),
            luma,
            colour: Plane::green_against_purple(&patch.pixels, middle),
        }
    }
}

#[cfg(test)]
pub(in crate::quality) mod tests;
