//! Pictures made worse on a seed, in the order in which cameras do it: scene → lens → sensor → codec. Light is reckoned with
//! linearly. The same picture, steps and seed give the same pixels.
//!
//! Training, evaluation and tests use it; the daemon never does.

use std::io::Cursor;

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::geometry::Point;

mod blur;
mod light;
mod noise;
mod scene;

use light::Light;
pub use scene::{eye_bar_outline, mask_outline};

/// One way in which a picture gets worse, with its physical strength.
#[derive(Clone, Debug, PartialEq)]
pub enum Degradation {
    /// Something opaque in front of the face.
    Cover {
        /// Its outline in pixels.
        outline: Vec<Point>,
        /// Its colour, sRGB.
        colour: [u8; 3],
    },
    /// The scene is a picture on a screen.
    Recapture {
        /// Depth of the stripes, 0–1.
        contrast: f32,
        /// Distance of the stripes in pixels.
        pitch_px: f32,
    },
    /// More or less light; 0 is as it was, −1 is half, +1 is twice.
    Exposure {
        /// Powers of two.
        stops: f32,
    },
    /// The camera or the head moved.
    MotionBlur {
        /// How far, in pixels.
        length_px: f32,
        /// Where to, clockwise from the picture's right.
        angle_deg: f32,
    },
    /// Out of focus.
    DefocusBlur {
        /// Radius of the disc that a point becomes.
        radius_px: f32,
    },
    /// A coarser sensor.
    LowResolution {
        /// Pixels of the picture that become one, along each side.
        factor: f32,
        /// Whether the picture is brought back to its size afterwards.
        is_enlarged: bool,
    },
    /// Photon and read noise of a small sensor.
    Noise {
        /// The ISO number.
        iso: f32,
    },
    /// JPEG.
    Compression {
        /// 1 (worst) to 100.
        quality: u8,
    },
}

/// Where on the way from the scene to the file a degradation happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// In front of the camera.
    Scene,
    /// In the lens, while the shutter is open.
    Lens,
    /// On the sensor.
    Sensor,
    /// In the file.
    Codec,
}

impl Degradation {
    /// Where it happens.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Cover { .. } | Self::Recapture { .. } | Self::Exposure { .. } => Stage::Scene,
            Self::MotionBlur { .. } | Self::DefocusBlur { .. } => Stage::Lens,
            Self::LowResolution { .. } | Self::Noise { .. } => Stage::Sensor,
            Self::Compression { .. } => Stage::Codec,
        }
    }
}

/// A kind of degradation, on a scale from 0 (nothing) to 1 (hardly a face any more).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sensor noise.
    Noise,
    /// Out of focus.
    DefocusBlur,
    /// Movement.
    MotionBlur,
    /// Few pixels on the face.
    LowResolution,
    /// JPEG artefacts.
    Compression,
    /// Too dark.
    Underexposure,
    /// Too bright.
    Overexposure,
    /// A picture of a screen.
    Recapture,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Noise,
        Self::DefocusBlur,
        Self::MotionBlur,
        Self::LowResolution,
        Self::Compression,
        Self::Underexposure,
        Self::Overexposure,
        Self::Recapture,
    ];

    /// The degradation of this kind at `strength` (0–1) on a face that is `face_px` wide. `turn` (0–1) chooses what strength
    /// leaves open: a direction, a pitch.
    #[must_use]
    pub fn at(self, strength: f32, face_px: f32, turn: f32) -> Degradation {
        let strength = strength.clamp(0.0, 1.0);
        match self {
            // ISO 100 … 51,200, a stop every ninth of the scale.
            Self::Noise => Degradation::Noise {
                iso: 100.0 * (9.0 * strength).exp2(),
            },
            Self::DefocusBlur => Degradation::DefocusBlur {
                radius_px: 0.11 * strength * face_px,
            },
            Self::MotionBlur => Degradation::MotionBlur {
                length_px: 0.3 * strength * face_px,
                angle_deg: 180.0 * turn,
            },
            // Down to a face of 10 pixels.
            Self::LowResolution => Degradation::LowResolution {
                factor: (face_px / 10.0).max(1.0).powf(strength),
                is_enlarged: turn < 0.5,
            },
            Self::Compression => Degradation::Compression {
                quality: (100.0 * (0.02_f32).powf(strength)).round() as u8,
            },
            Self::Underexposure => Degradation::Exposure {
                stops: -8.0 * strength,
            },
            Self::Overexposure => Degradation::Exposure {
                stops: 5.0 * strength,
            },
            Self::Recapture => Degradation::Recapture {
                contrast: 0.9 * strength,
                pitch_px: 2.2 + 3.0 * turn,
            },
        }
    }
}

/// Makes `picture` worse by every one of `steps`, in the order of their stages; within a stage as given.
#[must_use]
pub fn degrade(picture: &RgbImage, steps: &[Degradation], seed: u64) -> RgbImage {
    if picture.width() == 0 || picture.height() == 0 {
        return picture.clone();
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut ordered: Vec<&Degradation> = steps.iter().collect();
    ordered.sort_by_key(|step| step.stage());
    let (codec, before): (Vec<&Degradation>, Vec<&Degradation>) = ordered
        .into_iter()
        .partition(|step| step.stage() == Stage::Codec);
    let mut worse = if before.is_empty() {
        picture.clone()
    } else {
        let mut light = Light::of(picture);
        for step in before {
            apply(&mut light, step, &mut random);
        }
        light.picture()
    };
    for step in codec {
        if let Degradation::Compression { quality } = step {
            worse = compressed(&worse, *quality);
        }
    }
    worse
}

fn apply(light: &mut Light, step: &Degradation, random: &mut ChaCha8Rng) {
    match step {
        Degradation::Cover { outline, colour } => scene::cover(light, outline, *colour),
        Degradation::Recapture { contrast, pitch_px } => {
            scene::show_on_screen(light, *contrast, *pitch_px);
        }
        Degradation::Exposure { stops } => {
            let factor = stops.exp2();
            for value in &mut light.values {
                *value *= factor;
            }
        }
        Degradation::MotionBlur {
            length_px,
            angle_deg,
        } => blur::motion(light, *length_px, *angle_deg),
        Degradation::DefocusBlur { radius_px } => blur::defocus(light, *radius_px),
        Degradation::LowResolution {
            factor,
            is_enlarged,
        } => {
            let (width, height) = (light.width, light.height);
            let shrunk = |side: usize| ((side as f32 / factor.max(1.0)).round() as usize).max(1);
            let small = light.resample(shrunk(width), shrunk(height));
            *light = if *is_enlarged {
                small.resample(width, height)
            } else {
                small
            };
        }
        Degradation::Noise { iso } => noise::expose(light, *iso, random),
        // A file's step, not one of light; `degrade` keeps them apart.
        Degradation::Compression { .. } => {}
    }
}

/// Written as JPEG and read again.
fn compressed(picture: &RgbImage, quality: u8) -> RgbImage {
    let mut file = Vec::new();
    let written = JpegEncoder::new_with_quality(Cursor::new(&mut file), quality.clamp(1, 100))
        .encode_image(picture);
    match written.and_then(|()| image::load_from_memory(&file)) {
        Ok(read) => read.into_rgb8(),
        // Encoding into memory fails for no picture that fits there; the picture as it is keeps a sweep going.
        Err(_) => picture.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A soft gradient with an edge: something to blur, to cover and to count photons on.
    fn picture() -> RgbImage {
        RgbImage::from_fn(96, 80, |x, y| {
            let level = if x < 48 { 60 + y } else { 200 - y };
            image::Rgb([level as u8, (level - 10) as u8, (level + 20) as u8])
        })
    }

    fn difference(one: &RgbImage, other: &RgbImage) -> f32 {
        let pairs = one.as_raw().iter().zip(other.as_raw());
        let sum: f32 = pairs
            .map(|(&a, &b)| (f32::from(a) - f32::from(b)).abs())
            .sum();
        sum / one.as_raw().len() as f32
    }

    #[test]
    fn the_same_seed_gives_the_same_pixels_and_another_seed_others() {
        let steps = [Degradation::Noise { iso: 6400.0 }];
        let one = degrade(&picture(), &steps, 7);
        assert_eq!(one, degrade(&picture(), &steps, 7));
        assert_ne!(one, degrade(&picture(), &steps, 8));
    }

    #[test]
    fn every_kind_changes_more_with_more_strength_and_nothing_at_none() {
        for kind in Kind::ALL {
            let change = |strength: f32| {
                difference(
                    &picture(),
                    &degrade(&picture(), &[kind.at(strength, 80.0, 0.25)], 1),
                )
            };
            let (none, some, most) = (change(0.0), change(0.4), change(1.0));
            // ISO 100 and JPEG 100 leave a trace, as they do in cameras.
            assert!(none < 6.0, "{kind:?} at 0 changes by {none}");
            assert!(none < some && some < most, "{kind:?}: {none} {some} {most}");
        }
    }

    #[test]
    fn noise_grows_with_the_iso_number_and_keeps_the_mean() {
        let grey = RgbImage::from_pixel(64, 64, image::Rgb([118, 118, 118]));
        let deviation = |iso: f32| {
            let noisy = degrade(&grey, &[Degradation::Noise { iso }], 5);
            let levels: Vec<f32> = noisy
                .as_raw()
                .iter()
                .map(|&level| f32::from(level))
                .collect();
            let mean = levels.iter().sum::<f32>() / levels.len() as f32;
            // The curve of the picture bends: strong noise darkens a mean of levels, though not one of light.
            assert!(
                (mean - 118.0).abs() < 0.5 + iso / 250.0,
                "ISO {iso}: mean {mean}"
            );
            let squares: f32 = levels.iter().map(|level| (level - mean).powi(2)).sum();
            (squares / levels.len() as f32).sqrt()
        };
        let steps = [100.0, 400.0, 1600.0, 6400.0].map(deviation);
        assert!(
            steps.windows(2).all(|pair| pair[1] > 1.4 * pair[0]),
            "{steps:?}"
        );
    }

    #[test]
    fn steps_follow_the_camera_whatever_order_they_are_given_in() {
        let noise = Degradation::Noise { iso: 3200.0 };
        let blur = Degradation::DefocusBlur { radius_px: 2.0 };
        let file = Degradation::Compression { quality: 20 };
        assert_eq!(
            degrade(&picture(), &[file.clone(), noise.clone(), blur.clone()], 2),
            degrade(&picture(), &[blur, noise, file], 2)
        );
    }

    #[test]
    fn a_mask_covers_the_mouth_and_leaves_the_eyes() {
        // A rough face: jaw on a half circle, eyes above, nose and mouth on the axis.
        let mut contour = vec![Point::new(48.0, 40.0); 68];
        for (index, point) in contour.iter_mut().take(17).enumerate() {
            let angle = std::f32::consts::PI * (1.0 - index as f32 / 16.0);
            *point = Point::new(48.0 + 30.0 * angle.cos(), 35.0 + 35.0 * angle.sin());
        }
        contour[28] = Point::new(48.0, 34.0);
        contour[30] = Point::new(48.0, 44.0);
        let outline = mask_outline(&contour).unwrap();
        let masked = degrade(
            &picture(),
            &[Degradation::Cover {
                outline,
                colour: [10, 200, 10],
            }],
            0,
        );
        let green = |x: u32, y: u32| {
            let pixel = masked.get_pixel(x, y);
            pixel[1] > 2 * pixel[0]
        };
        assert!(green(48, 56), "mouth");
        assert!(!green(36, 25), "eye");
        assert!(mask_outline(&contour[..5]).is_none());
    }

    #[test]
    fn a_line_of_motion_blurs_across_an_edge_and_not_along_it() {
        let along = degrade(
            &picture(),
            &[Degradation::MotionBlur {
                length_px: 12.0,
                angle_deg: 90.0,
            }],
            0,
        );
        let across = degrade(
            &picture(),
            &[Degradation::MotionBlur {
                length_px: 12.0,
                angle_deg: 0.0,
            }],
            0,
        );
        assert!(difference(&picture(), &across) > 3.0 * difference(&picture(), &along));
    }
}
