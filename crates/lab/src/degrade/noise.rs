//! Sensor noise: shot noise and read noise, amplified with the ISO number, and the denoising of
//! cameras.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::light::{Light, box_mean, to_curve, to_linear};

/// Electrons that a pixel has collected at ISO 100 when it saturates. Few, as in the small sensor
/// of an outdoor camera whose filter and glass lose much of the light. Chosen by measurement: ten
/// people's photos, with faces of about 110 pixels and the default pack, then come near the
/// design's table of similarities (ISO 1600 .67, 3200 .58, 6400 .39, 12800 .21).
const FULL_WELL: f32 = 1900.0;
/// Standard deviation of reading a pixel, in electrons.
const READ_NOISE: f32 = 0.8;
/// Gain of red, green and blue for white balance in warm light. A colour with more gain has
/// collected fewer electrons.
const WHITE_BALANCE: [f32; 3] = [1.9, 1.0, 1.7];
/// From the sensor's colours to the picture's. Rows sum to 1, so grey stays grey while noise grows.
const COLOUR_MATRIX: [[f32; 3]; 3] = [[1.6, -0.5, -0.1], [-0.25, 1.5, -0.25], [0.0, -0.6, 1.6]];

/// Exposes at `iso`: ISO 12800 collects 1/128 of the light of ISO 100 for the same brightness.
pub(super) fn expose(light: &mut Light, iso: f32, random: &mut ChaCha8Rng) {
    let full_well = FULL_WELL * 100.0 / iso.max(1.0);
    for pixel in light.pixels_mut() {
        let mut noise = [0.0_f32; 3];
        for channel in 0..3 {
            let well = full_well / WHITE_BALANCE[channel];
            let electrons = pixel[channel].clamp(0.0, 1.0) * well;
            let deviation = (electrons + READ_NOISE * READ_NOISE).sqrt();
            noise[channel] = deviation * normal(random) / well;
        }
        for (value, row) in pixel.iter_mut().zip(COLOUR_MATRIX) {
            *value += row.iter().zip(noise).map(|(a, b)| a * b).sum::<f32>();
        }
    }
}

/// What the camera's own software does against noise, from 0 (nothing) to 1 (all it can). Colours
/// are smeared over an area that grows with the noise. Brightness is averaged with those neighbours
/// that differ by no more than noise explains.
pub(super) fn smooth(light: &mut Light, iso: f32, strength: f32) {
    if strength <= 0.0 {
        return;
    }
    // On the picture's curve, as cameras do it: there noise is about equally strong in light and
    // shade.
    let curved: Vec<[f32; 3]> = light
        .pixels()
        .iter()
        .map(|pixel| pixel.map(|value| to_curve(value.clamp(0.0, 1.0))))
        .collect();
    let brightness: Vec<f32> = curved
        .iter()
        .map(|[r, g, b]| 0.299 * r + 0.587 * g + 0.114 * b)
        .collect();
    let noise = deviation(&brightness, light.width);
    let reach = (strength * (iso / 400.0).max(1.0).log2()).round() as usize;
    let kept = bilateral(&brightness, light.width, 2, 2.5 * strength * noise);
    for channel in 0..3 {
        let mut colour: Vec<f32> = curved
            .iter()
            .zip(&brightness)
            .map(|(pixel, brightness)| pixel[channel] - brightness)
            .collect();
        // Two boxes make a soft kernel.
        for _ in 0..2 {
            colour = box_mean(&colour, light.width, reach);
        }
        for ((pixel, kept), value) in light.pixels_mut().iter_mut().zip(&kept).zip(colour) {
            pixel[channel] = to_linear((kept + value).clamp(0.0, 1.0));
        }
    }
}

/// A rough standard deviation of noise: from the median difference of neighbours along rows.
fn deviation(plane: &[f32], width: usize) -> f32 {
    let mut gaps: Vec<f32> = plane
        .chunks_exact(width)
        .flat_map(|row| row.windows(2).map(|pair| (pair[1] - pair[0]).abs()))
        .collect();
    if gaps.is_empty() {
        return 0.0;
    }
    let middle = gaps.len() / 2;
    // The median of a normal difference's size is .6745 standard deviations, and a difference
    // deviates √2 times as much as its parts.
    *gaps.select_nth_unstable_by(middle, f32::total_cmp).1 / (0.6745 * std::f32::consts::SQRT_2)
}

/// The mean of the neighbours within `reach`. Their weights fall with the difference on the scale
/// of `range`.
fn bilateral(plane: &[f32], width: usize, reach: usize, range: f32) -> Vec<f32> {
    let height = plane.len() / width;
    let range = range.max(1e-4);
    let mut smooth = Vec::with_capacity(plane.len());
    for row in 0..height {
        for column in 0..width {
            let here = plane[row * width + column];
            let (mut sum, mut weights) = (0.0, 0.0);
            for y in row.saturating_sub(reach)..=(row + reach).min(height - 1) {
                for x in column.saturating_sub(reach)..=(column + reach).min(width - 1) {
                    let there = plane[y * width + x];
                    let apart = (there - here) / range;
                    let weight = 1.0 / (1.0 + apart * apart * apart * apart);
                    sum += weight * there;
                    weights += weight;
                }
            }
            smooth.push(sum / weights);
        }
    }
    smooth
}

/// A number of the standard normal distribution, as the sum of eight uniform ones (Irwin and Hall).
/// The sum is exact in integers, so every machine draws the same.
pub(super) fn normal(random: &mut ChaCha8Rng) -> f32 {
    let mut sum = 0_u32;
    for _ in 0..2 {
        let bits = random.next_u64();
        for part in 0..4 {
            sum += ((bits >> (16 * part)) & 0xffff) as u32;
        }
    }
    // Eight uniform numbers on 0…65535: mean 8 · 32767.5, variance 8 · 65536² / 12.
    (sum as f32 - 262_140.0) / 53_510.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let drawn: Vec<f32> = (0..20_000).map(|_| normal(&mut random)).collect();
        let mean = drawn.iter().sum::<f32>() / drawn.len() as f32;
        let variance = drawn
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f32>()
            / drawn.len() as f32;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn smoothing_takes_noise_and_leaves_edges() {
        let picture = image::RgbImage::from_fn(64, 64, |x, _| {
            image::Rgb(if x < 32 {
                [70, 60, 50]
            } else {
                [190, 180, 170]
            })
        });
        let noisy = |strength: f32| {
            let mut light = Light::of(&picture);
            expose(&mut light, 6400.0, &mut ChaCha8Rng::seed_from_u64(4));
            smooth(&mut light, 6400.0, strength);
            light.picture()
        };
        let spread = |picture: &image::RgbImage| {
            let levels: Vec<f32> = (4..60)
                .flat_map(|y| (4..24).map(move |x| (x, y)))
                .map(|(x, y)| f32::from(picture.get_pixel(x, y)[2]))
                .collect();
            let mean = levels.iter().sum::<f32>() / levels.len() as f32;
            (levels
                .iter()
                .map(|level| (level - mean).powi(2))
                .sum::<f32>()
                / levels.len() as f32)
                .sqrt()
        };
        let (raw, smoothed) = (noisy(0.0), noisy(1.0));
        assert!(
            spread(&smoothed) < 0.5 * spread(&raw),
            "{} {}",
            spread(&smoothed),
            spread(&raw)
        );
        let step: f32 = (4..60)
            .map(|y| {
                f32::from(smoothed.get_pixel(34, y)[1]) - f32::from(smoothed.get_pixel(29, y)[1])
            })
            .sum::<f32>()
            / 56.0;
        assert!(step > 90.0, "the edge of 120 levels is left {step}");
    }
}
