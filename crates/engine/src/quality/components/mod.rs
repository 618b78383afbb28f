//! The measured properties of a capture, and [`measure`], which computes them.
//!
//! Properties of sensor and codec (noise, compression, recapture, detail) are measured at native
//! resolution, those of the scene (light, occlusion) on the recogniser's grid.

use crate::face::{AlignedFace, DetectedFace};

mod compression;
mod enlargement;
mod exposure;
mod motion;
mod noise;
mod occlusion;
mod plane;
mod recapture;
mod sharpness;
mod spectrum;
mod words;

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

/// Makes [`Component`] of one list: name, unit, direction, the range of good photos, and the usual
/// value with its deviation.
macro_rules! components {
    ($(
        $(#[$doc:meta])*
        $component:ident $name:literal, $unit:literal, $direction:ident, $range:expr, $usual:expr;
    )+) => {
        /// One measured property of a face. Names follow ISO/IEC 29794-5 where they mean the same.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Component {
            $($(#[$doc])* $component,)+
        }

        impl Component {
            /// Every component, in the order of columns and JSON.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$component),+];

            const fn row(self) -> (&'static str, &'static str, Direction, [f32; 2], [f32; 2]) {
                match self {
                    $(Self::$component => ($name, $unit, Direction::$direction, $range, $usual),)+
                }
            }
        }
    };
}

components! {
    /// Fine detail; higher is sharper.
    Sharpness "sharpness", "index", HigherIsBetter, [0.93, 3.57], [1.886, 0.714];
    /// Share of the face that is not too dark, 0…1.
    UnderExposurePrevention "under_exposure_prevention", "share", HigherIsBetter, [0.94, 1.0], [0.996, 0.006];
    /// Share of the face that is not clipped, 0…1.
    OverExposurePrevention "over_exposure_prevention", "share", HigherIsBetter, [0.996, 1.0], [1.0, 0.01];
    /// Mean luma of the face, 0…1.
    LuminanceMean "luminance_mean", "share", Neither, [0.346, 0.716], [0.587, 0.139];
    /// Variance of the face's luma, 0…0.25.
    LuminanceVariance "luminance_variance", "share", Neither, [0.007, 0.049], [0.028, 0.014];
    /// Entropy of the luma histogram, bits.
    DynamicRange "dynamic_range", "bit", HigherIsBetter, [6.23, 7.55], [7.169, 0.343];
    /// Likeness of the left and right half's lighting, 0…1.
    IlluminationUniformity "illumination_uniformity", "share", HigherIsBetter, [0.368, 0.95], [0.721, 0.198];
    /// Freedom from block and ringing artefacts, higher is better.
    CompressionArtifacts "compression_artifacts", "index", HigherIsBetter, [0.829, 0.943], [0.9, 0.07];
    /// Standard deviation of sensor noise in the picture's own pixels, 8-bit levels.
    Noise "noise", "level", LowerIsBetter, [0.37, 1.18], [0.659, 0.368];
    /// How one-sided the loss of detail is, 0 (none) …1; higher is worse.
    MotionBlur "motion_blur", "share", LowerIsBetter, [0.0, 0.218], [0.011, 0.016];
    /// Direction of the motion, degrees 0…180 from the image's right, clockwise; meaningful with
    /// `MotionBlur`. An angle has no median: it is not compared.
    MotionDirection "motion_direction", "deg", Neither, [0.0, 180.0], [0.0, 0.0];
    /// Strength of periodic patterns such as moiré; higher is worse.
    RecapturePattern "recapture_pattern", "index", LowerIsBetter, [0.0, 0.0], [0.0, 0.05];
    /// Distance between the eyes in original pixels.
    InterEyeDistance "inter_eye_distance", "px", HigherIsBetter, [34.6, 49.0], [86.9, 22.67];
    /// Turn of the head, degrees.
    HeadPoseYaw "head_pose_yaw", "deg", Neither, [-29.9, 26.2], [0.769, 4.734];
    /// Nod of the head, degrees.
    HeadPosePitch "head_pose_pitch", "deg", Neither, [-13.7, 19.5], [2.577, 6.455];
    /// Tilt of the head, degrees.
    HeadPoseRoll "head_pose_roll", "deg", Neither, [-14.0, 11.6], [-0.178, 2.547];
    /// How much of the lower face is visible, 0…1; not assessed where the eyes are covered.
    MouthOcclusionPrevention "mouth_occlusion_prevention", "share", HigherIsBetter, [0.943, 1.0], [0.998, 0.03];
}

/// Median and robust deviation of a component over clean photos: the scale for comparing captures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// The median.
    pub median: f32,
    /// 1.4826 times the median absolute deviation.
    pub deviation: f32,
}

impl Component {
    /// Name in JSON, in the log's columns and in exports.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// What the value counts in; "share" is 0…1, "index" has no unit.
    pub const fn unit(self) -> &'static str {
        self.row().1
    }

    /// Which way is better.
    pub const fn direction(self) -> Direction {
        self.row().2
    }

    /// The range of good photos, in the component's unit: 2.5th to 97.5th percentile over press
    /// photos of 410 people, all of grade good or better, as `faceood-admin extract PHOTOS --json`
    /// measures them.
    pub const fn usual_range(self) -> [f32; 2] {
        self.row().3
    }

    /// Median and deviation over 315 clean photos of as many people. The test
    /// `components_on_photos` prints such figures for a folder of photos. Where the deviation is
    /// next to nothing, as with clipped light, it is a difference that one would notice.
    pub const fn usual(self) -> Usual {
        let [median, deviation] = self.row().4;
        Usual { median, deviation }
    }
}

/// The measured value of each component, or none where it could not be assessed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Components([Option<f32>; Component::ALL.len()]);

impl Components {
    /// The value of `component`.
    pub fn get(&self, component: Component) -> Option<f32> {
        self.0[component as usize]
    }

    /// Sets the value of `component`; a number that is not finite counts as not assessed.
    pub fn set(&mut self, component: Component, value: f32) {
        self.0[component as usize] = value.is_finite().then_some(value);
    }

    /// Each component with its value, in the order of [`Component::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Component, Option<f32>)> + '_ {
        Component::ALL.into_iter().zip(self.0)
    }
}

/// Side of the largest window that is measured at native resolution: the middle of a larger face.
const NATIVE_SIDE: usize = 192;

/// What was measured on a face: the components, and two findings that have no column of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The components.
    pub components: Components,
    /// Picture pixels per pixel that was taken, 1 unless the picture was enlarged.
    pub enlargement: f32,
    /// How much of the eyes' surroundings is visible, 0 (dark glasses) … 1.
    pub eyes_visible: f32,
}

/// Measures every component of a face. What cannot be assessed (no pixels, no landmarks) is left
/// out. Nothing panics, whatever the picture.
pub fn measure(aligned: &AlignedFace, detected: &DetectedFace) -> Evidence {
    let mut components = Components::default();
    let crop = Plane::luma(&aligned.crop, Window::all(&aligned.crop));
    let native = Native::of(aligned, detected);

    let inside = Inside::of(aligned);
    let colours = occlusion::Channels::of(&aligned.crop, &crop, &inside);
    let eyes_visible = colours.as_ref().and_then(occlusion::eyes_visible);
    let eyes_visible = eyes_visible.unwrap_or(1.0);

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
    let pattern = recapture::pattern(&native.middle, &native.colour);
    set(Component::RecapturePattern, pattern);
    let noise_on_grid = noise::deviation(&crop).unwrap_or_default();
    set(Component::Sharpness, sharpness::index(&crop, noise_on_grid));
    // What hides the eyes hides the skin that the mouth is compared with.
    if eyes_visible >= 0.5 {
        let mouth_visible = colours.as_ref().and_then(occlusion::mouth_visible);
        set(Component::MouthOcclusionPrevention, mouth_visible);
    }
    if let Some((motion, direction)) = motion::measure(&crop) {
        set(Component::MotionBlur, Some(motion));
        // From the grid's axes to the picture's.
        let turned = direction - aligned.transform.rotation_deg();
        set(Component::MotionDirection, Some(turned.rem_euclid(180.0)));
    }
    // ISO/IEC 29794-5 corrects the distance for yaw. The recogniser sees the uncorrected face.
    let [one_eye, other_eye, ..] = aligned.landmarks;
    let distance = one_eye.distance(other_eye);
    set(Component::InterEyeDistance, Some(distance));
    set(Component::HeadPoseYaw, Some(aligned.pose.yaw));
    set(Component::HeadPosePitch, Some(aligned.pose.pitch));
    set(Component::HeadPoseRoll, Some(aligned.pose.roll));
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
        let along = |(start, extent): (f32, f32), origin: f32, limit: u32, most: usize| {
            let place = |share: f32| (start + share * extent - origin) * patch.scale;
            // A cast from a number that is none gives 0, so a broken box gives an empty window.
            let first = place(0.1).clamp(0.0, limit as f32) as usize;
            let end = (place(0.9).clamp(0.0, limit as f32) as usize).max(first);
            let surplus = (end - first).saturating_sub(most);
            (first + surplus / 2, end - first - surplus)
        };
        let window = |most: usize| {
            let (columns, rows) = patch.pixels.dimensions();
            let (left, width) = along((face.x, face.width), patch.origin.x, columns, most);
            let (top, height) = along((face.y, face.height), patch.origin.y, rows, most);
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
