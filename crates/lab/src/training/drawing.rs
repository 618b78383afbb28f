//! Makes drawings from photos, in which detectors find faces. They teach what a covered face is:
//! nothing of the person is visible.

use image::imageops::fast_blur;
use image::{GrayImage, RgbImage};
use rand_chacha::ChaCha8Rng;

use crate::degrade::unit;

/// Ratio of the two blurs whose difference finds lines. At 1.6 it approximates the Laplacian of a
/// Gaussian (Marr and Hildreth 1980).
const BLUR_RATIO: f32 = 1.6;
/// How much of the wider blur is taken off. Below 1, so that dark areas stay dark (extended
/// difference of Gaussians, Winnemöller 2011).
const SHARPNESS: f32 = 0.96;
/// Shades of each colour in a painting.
const SHADES: f32 = 4.0;

/// A drawing of `picture`, whose face is `face_px` wide: dark lines on paper or on flat colours.
pub(super) fn drawn(picture: &RgbImage, face_px: f32, random: &mut ChaCha8Rng) -> RgbImage {
    let is_painted = unit(random) < 0.5;
    let pen_px = (0.008 + 0.012 * unit(random)) * face_px;
    let paper = [0; 3].map(|_: u8| 215.0 + 40.0 * unit(random));
    let ink = 60.0 * unit(random);
    let steepness = 0.15 + 0.25 * unit(random);

    let grey: GrayImage = image::imageops::grayscale(picture);
    let fine = fast_blur(&grey, pen_px.max(0.3));
    let coarse = fast_blur(&grey, BLUR_RATIO * pen_px.max(0.3));
    let flat = fast_blur(picture, 3.0 * pen_px.max(0.3));
    let step = 255.0 / (SHADES - 1.0);
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [fine, coarse] = [&fine, &coarse].map(|grey| f32::from(grey.get_pixel(x, y).0[0]));
        let light = fine - SHARPNESS * coarse;
        // 1 where the paper stays free, 0 on a line.
        let free = (0.5 + 0.5 * (steepness * light).tanh()).clamp(0.0, 1.0);
        let ground = if is_painted {
            let shade = |value: u8| (f32::from(value) / step).round() * step;
            flat.get_pixel(x, y).0.map(shade)
        } else {
            paper
        };
        image::Rgb(ground.map(|ground| (ink + free * (ground - ink)).clamp(0.0, 255.0) as u8))
    })
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn an_edge_becomes_a_line_and_areas_become_flat() {
        // Grey that slowly gets lighter, with one edge.
        let picture = RgbImage::from_fn(120, 40, |x, _| {
            image::Rgb([if x < 60 { 150 + x as u8 / 6 } else { 250 }; 3])
        });
        for seed in 0..12 {
            let drawing = drawn(&picture, 150.0, &mut ChaCha8Rng::seed_from_u64(seed));
            let at = |x: u32| f32::from(drawing.get_pixel(x, 20).0[0]);
            let line = (52..62).map(at).fold(255.0, f32::min);
            assert!(
                line < at(20) - 8.0,
                "the line is dark along the edge: {seed}: {line} beside {}",
                at(20)
            );
            assert!((at(20) - at(30)).abs() < 12.0, "an area is flat: {seed}");
        }
    }
}
