//! Degrades pictures in the order of a camera: scene, lens, sensor, codec. The computation uses
//! linear light and is deterministic: the same picture, steps and seed give the same pixels.
//!
//! Training, evaluation and tests use it; the daemon does not.

use image::RgbImage;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use faceood_engine::geometry::Point;

mod blur;
mod codec;
mod cover;
mod kind;
mod light;
mod noise;
mod outlines;
mod recipe;
mod resample;
mod screen;

pub use codec::Codec;
pub use cover::{Material, Pattern};
pub use kind::DegradationKind;
use light::Light;
pub use outlines::Shape;
pub use recipe::{Dose, Recipe};
pub use resample::Kernel;
pub use screen::Screen;

/// One way in which a picture gets worse, with its physical strength.
#[derive(Clone, Debug, PartialEq)]
pub enum Degradation {
    /// Something opaque in front of the face.
    Cover {
        /// In pixels.
        outline: Vec<Point>,
        /// What it is made of.
        material: Material,
    },
    /// Shade on a part of the face.
    Shade {
        /// In pixels.
        outline: Vec<Point>,
        /// How much of the light is missing there, 0–1.
        depth: f32,
        /// Width of the edge in pixels.
        softness_px: f32,
    },
    /// The scene is a picture on a screen.
    Recapture(Screen),
    /// More or less light, in stops: 0 changes nothing, −1 halves it, +1 doubles it.
    Exposure(f32),
    /// The camera or the head moved.
    MotionBlur {
        /// How far, in pixels.
        length_px: f32,
        /// Where to, clockwise from the picture's right.
        angle_deg: f32,
        /// How far the path has turned at its end, in degrees: 0 is a straight one.
        bend_deg: f32,
    },
    /// Bright parts spread over all others: a dirty or a cheap lens against the light.
    Scatter {
        /// Part of the light that spreads, 0–1.
        share: f32,
        /// How far, in pixels.
        radius_px: f32,
    },
    /// Out of focus: the radius in pixels of the disc that a point becomes.
    DefocusBlur(f32),
    /// A coarser sensor, or a scaler behind it.
    LowResolution {
        /// Pixels of the picture that become one, along each side.
        factor: f32,
        /// How they become one.
        shrunk_by: Kernel,
        /// How the picture is brought back to its size afterwards, if it is.
        enlarged_by: Option<Kernel>,
    },
    /// Photon and read noise of a small sensor, and what the camera does about it.
    Noise {
        /// The ISO number.
        iso: f32,
        /// How much of it the camera's software removes, with detail and colour: 0–1.
        smoothing: f32,
    },
    /// What people and programs do to pictures before they send them on.
    Filter {
        /// 1 changes nothing.
        contrast: f32,
        /// 0 is grey, 1 changes nothing.
        saturation: f32,
        /// How much skin is smoothed, 0–1.
        smoothing: f32,
    },
    /// Written as a file and read again.
    Compression {
        /// The format.
        codec: Codec,
        /// 1 (worst) to 100.
        quality: u8,
        /// Size of the file's picture as a share of each side; it is enlarged afterwards.
        scale: f32,
    },
}

impl Degradation {
    /// Noise that the camera leaves as it is.
    pub fn noise(iso: f32) -> Self {
        Self::Noise {
            iso,
            smoothing: 0.0,
        }
    }

    /// Where on the way from the scene to the file it happens: 0 in the scene, 1 in the lens, 2 on
    /// the sensor, 3 in a program, 4 in the codec.
    fn stage(&self) -> u8 {
        match self {
            Self::Cover { .. } | Self::Shade { .. } | Self::Recapture(_) | Self::Exposure(_) => 0,
            Self::MotionBlur { .. } | Self::DefocusBlur(_) | Self::Scatter { .. } => 1,
            Self::LowResolution { .. } | Self::Noise { .. } => 2,
            Self::Filter { .. } => 3,
            Self::Compression { .. } => 4,
        }
    }
}

/// Applies all of `steps` to `picture`, in the order of the camera's stages: scene, lens, sensor,
/// codec. Steps of the same stage keep their order.
pub fn degrade(picture: &RgbImage, steps: &[Degradation], seed: u64) -> RgbImage {
    if picture.width() == 0 || picture.height() == 0 {
        return picture.clone();
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut ordered: Vec<&Degradation> = steps.iter().collect();
    ordered.sort_by_key(|step| step.stage());
    let is_codec = |step: &&Degradation| matches!(step, Degradation::Compression { .. });
    let mut worse = if ordered.iter().all(is_codec) {
        picture.clone() // which the way through linear light would give, too
    } else {
        let mut light = Light::of(picture);
        for step in &ordered {
            apply(&mut light, step, &mut random);
        }
        light.picture()
    };
    for step in ordered {
        if let &Degradation::Compression {
            codec,
            quality,
            scale,
        } = step
        {
            worse = codec::written(&worse, codec, quality, scale);
        }
    }
    worse
}

/// A number between 0 and 1, in steps that every machine draws alike.
pub fn unit(random: &mut ChaCha8Rng) -> f32 {
    (random.next_u32() >> 8) as f32 / 16_777_216.0
}

fn apply(light: &mut Light, step: &Degradation, random: &mut ChaCha8Rng) {
    match *step {
        Degradation::Cover {
            ref outline,
            ref material,
        } => cover::cover(light, outline, material),
        Degradation::Shade {
            ref outline,
            depth,
            softness_px,
        } => cover::shade(light, outline, depth, softness_px),
        Degradation::Recapture(ref screen) => screen::show(light, screen),
        Degradation::Exposure(stops) => {
            let factor = stops.exp2();
            light.values.iter_mut().for_each(|value| *value *= factor);
        }
        Degradation::MotionBlur {
            length_px,
            angle_deg,
            bend_deg,
        } => blur::motion(light, length_px, angle_deg, bend_deg),
        Degradation::Scatter { share, radius_px } => blur::scatter(light, share, radius_px),
        Degradation::DefocusBlur(radius_px) => blur::defocus(light, radius_px),
        Degradation::LowResolution {
            factor,
            shrunk_by,
            enlarged_by,
        } => {
            let (width, height) = (light.width, light.height);
            let shrunk = |side: usize| ((side as f32 / factor.max(1.0)).round() as usize).max(1);
            *light = resample::resample(light, shrunk(width), shrunk(height), shrunk_by);
            if let Some(kernel) = enlarged_by {
                *light = resample::resample(light, width, height, kernel);
            }
        }
        Degradation::Noise { iso, smoothing } => {
            noise::expose(light, iso, random);
            noise::smooth(light, iso, smoothing);
        }
        Degradation::Filter {
            contrast,
            saturation,
            smoothing,
        } => {
            noise::smooth(light, 400.0, smoothing);
            light::filter(light, contrast, saturation);
        }
        // Works on the 8-bit picture, not on light: `degrade` applies it afterwards.
        Degradation::Compression { .. } => {}
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
        let steps = [Degradation::Noise {
            iso: 6400.0,
            smoothing: 0.0,
        }];
        let one = degrade(&picture(), &steps, 7);
        assert_eq!(one, degrade(&picture(), &steps, 7));
        assert_ne!(one, degrade(&picture(), &steps, 8));
    }

    #[test]
    fn every_kind_changes_more_with_more_strength_and_nothing_at_none() {
        for kind in DegradationKind::ALL {
            let change = |strength: f32| {
                difference(
                    &picture(),
                    &degrade(&picture(), &[kind.at(strength, 80.0, 0.25)], 1),
                )
            };
            let (none, some, most) = (change(0.0), change(0.4), change(1.0));
            // ISO 100, JPEG 100 and a screen before a colour filter leave a trace, as in cameras.
            assert!(none < 8.0, "{kind:?} at 0 changes by {none}");
            assert!(none < some && some < most, "{kind:?}: {none} {some} {most}");
        }
    }

    #[test]
    fn noise_grows_with_the_iso_number_and_keeps_the_mean() {
        let grey = RgbImage::from_pixel(64, 64, image::Rgb([118, 118, 118]));
        let deviation = |iso: f32| {
            let noisy = degrade(
                &grey,
                &[Degradation::Noise {
                    iso,
                    smoothing: 0.0,
                }],
                5,
            );
            let levels: Vec<f32> = noisy
                .as_raw()
                .iter()
                .map(|&level| f32::from(level))
                .collect();
            let mean = levels.iter().sum::<f32>() / levels.len() as f32;
            // The curve of the picture bends: strong noise darkens a mean of levels, not of light.
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
        let noise = Degradation::Noise {
            iso: 3200.0,
            smoothing: 0.5,
        };
        let blur = Degradation::DefocusBlur(2.0);
        let file = Degradation::Compression {
            codec: Codec::JpegHalfColour,
            quality: 20,
            scale: 1.0,
        };
        assert_eq!(
            degrade(&picture(), &[file.clone(), noise.clone(), blur.clone()], 2),
            degrade(&picture(), &[blur, noise, file], 2)
        );
    }

    /// A material that no part of the picture looks like.
    const GREEN: Material = Material {
        colour: [10, 200, 10],
        second_colour: [10, 200, 10],
        pattern: Pattern::Plain,
        repeats: 1.0,
        opacity: 1.0,
    };

    #[test]
    fn a_mask_covers_the_mouth_and_leaves_the_eyes() {
        let material = GREEN;
        let contour = outlines::tests::contour();
        let steps: Vec<Degradation> = Shape::SurgicalMask
            .outlines(&contour, 0.5)
            .into_iter()
            .map(|outline| Degradation::Cover { outline, material })
            .collect();
        let masked = degrade(&picture(), &steps, 0);
        let green = |x: u32, y: u32| {
            let pixel = masked.get_pixel(x, y);
            pixel[1] > 2 * pixel[0]
        };
        assert!(green(48, 56), "mouth");
        assert!(!green(36, 25), "eye");
    }

    #[test]
    fn rims_frame_the_eyes_and_leave_them_visible() {
        let material = GREEN;
        let outlines = Shape::Rims.outlines(&outlines::tests::contour(), 0.4);
        let cover = |outline| Degradation::Cover { outline, material };
        let steps: Vec<Degradation> = outlines.into_iter().map(cover).collect();
        let framed = degrade(&picture(), &steps, 0);
        let is_green = |x: u32, y: u32| {
            let pixel = framed.get_pixel(x, y);
            u32::from(pixel[1]) > 2 * u32::from(pixel[0])
        };
        for eye in [36, 60] {
            assert!(!is_green(eye, 31), "eye");
            assert!((15..32).any(|y| is_green(eye, y)), "upper rim");
        }
        assert!(!is_green(48, 57), "mouth");
    }

    #[test]
    fn a_filter_takes_colour_and_contrast_as_told() {
        let filtered = |contrast, saturation| {
            let filter = Degradation::Filter {
                contrast,
                saturation,
                smoothing: 0.0,
            };
            degrade(&picture(), &[filter], 0)
        };
        assert!(difference(&picture(), &filtered(1.0, 1.0)) < 0.6);
        let grey = filtered(1.0, 0.0);
        let is_grey = |pixel: &image::Rgb<u8>| pixel[0] == pixel[1] && pixel[1] == pixel[2];
        assert!(grey.pixels().all(is_grey));
        let range = |picture: &RgbImage| {
            let levels = || picture.as_raw().iter().copied().map(u32::from);
            levels().max().unwrap_or(0) - levels().min().unwrap_or(0)
        };
        assert!(range(&filtered(0.5, 1.0)) < range(&picture()) / 2 + 20);
    }

    #[test]
    fn a_line_of_motion_blurs_across_an_edge_and_not_along_it() {
        let along = degrade(
            &picture(),
            &[Degradation::MotionBlur {
                length_px: 12.0,
                angle_deg: 90.0,
                bend_deg: 0.0,
            }],
            0,
        );
        let across = degrade(
            &picture(),
            &[Degradation::MotionBlur {
                length_px: 12.0,
                angle_deg: 0.0,
                bend_deg: 0.0,
            }],
            0,
        );
        assert!(difference(&picture(), &across) > 3.0 * difference(&picture(), &along));
    }

    #[test]
    fn what_is_drawn_depends_on_the_seed_alone_and_changes_the_picture() {
        for kind in DegradationKind::ALL {
            let drawn = |seed: u64| kind.draw(0.8, 80.0, &mut ChaCha8Rng::seed_from_u64(seed));
            assert_eq!(drawn(3), drawn(3));
            assert!((0..20).any(|seed| drawn(seed) != drawn(3)), "{kind:?}");
            for seed in 0..6 {
                let change = difference(&picture(), &degrade(&picture(), &drawn(seed), 1));
                assert!(change > 0.5, "{kind:?} {seed}: {change}");
            }
        }
    }

    #[test]
    fn shade_darkens_and_scatter_lightens_the_dark() {
        let contour = outlines::tests::contour();
        let shaded = Shape::CapShade.outlines(&contour, 0.5).remove(0);
        let shade = Degradation::Shade {
            outline: shaded,
            depth: 0.7,
            softness_px: 4.0,
        };
        let level = |picture: &RgbImage, x: u32, y: u32| u32::from(picture.get_pixel(x, y)[1]);
        let dark = degrade(&picture(), &[shade], 0);
        assert!(level(&dark, 48, 30) + 40 < level(&picture(), 48, 30));
        assert_eq!(level(&dark, 48, 75), level(&picture(), 48, 75));
        let scatter = Degradation::Scatter {
            share: 0.4,
            radius_px: 40.0,
        };
        let veiled = degrade(&picture(), &[scatter], 0);
        assert!(level(&veiled, 10, 5) > level(&picture(), 10, 5) + 10);
    }
}
