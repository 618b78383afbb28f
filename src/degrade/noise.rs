//! A sensor's noise: the counting of photons and the reading of pixels, amplified with the ISO number.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::light::Light;

/// Electrons that a pixel has collected at ISO 100 when it saturates. Few, as in the small, cheap sensor of an outdoor camera
/// whose filter and glass lose much of the light. Chosen by measurement: faces of about 110 pixels, the default pack, and
/// ten people's photos then come near the design's table of similarities (ISO 1600 .67, 3200 .58, 6400 .39, 12800 .21).
const FULL_WELL: f32 = 1900.0;
/// Standard deviation of reading a pixel, in electrons.
const READ_NOISE: f32 = 0.8;
/// How much red, green and blue are amplified for white balance in warm light: what is amplified was counted less.
const WHITE_BALANCE: [f32; 3] = [1.9, 1.0, 1.7];
/// From the sensor's colours to the picture's. Rows sum to 1, so that grey stays grey while noise grows.
const COLOUR_MATRIX: [[f32; 3]; 3] = [[1.6, -0.5, -0.1], [-0.25, 1.5, -0.25], [0.0, -0.6, 1.6]];

/// Exposes at `iso`: ISO 12800 collects 1/128 of the light of ISO 100 for the same brightness.
pub(super) fn expose(light: &mut Light, iso: f32, random: &mut ChaCha8Rng) {
    let full_well = FULL_WELL * 100.0 / iso.max(1.0);
    for pixel in light.values.as_chunks_mut::<3>().0 {
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

/// A number of the standard normal distribution, as the sum of eight uniform ones (Irwin and Hall): exact in integers, so
/// that every machine draws the same.
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
}
