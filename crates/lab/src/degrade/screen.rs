//! Recapture of a screen: its cells seen through the camera's grid, its light, its reflections,
//! and its perspective.

use super::light::Light;
use faceood_engine::geometry::Point;

/// Samples of a camera pixel in each direction.
const FINE: u16 = 4;
/// Part of a screen cell that shines, along the row; the rest is black matrix.
const LIT_ACROSS: f32 = 0.8;
/// The same down the column.
const LIT_DOWN: f32 = 0.85;

/// How a screen is photographed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Screen {
    /// Distance of the screen's cells in camera pixels. Near whole multiples of the camera's grid
    /// the beats are widest.
    pub pitch_px: f32,
    /// How far the screen is turned against the camera, degrees.
    pub turn_deg: f32,
    /// How much of the cells the lens still resolves, 0–1.
    pub contrast: f32,
    /// `None` if the lens resolves single cells. Otherwise only beats of two grids are visible:
    /// pitch of the camera's grid as a share of the screen's, and degrees between the grids.
    pub beats: Option<[f32; 2]>,
    /// Bright bands of a backlight that flickers while the shutter rolls: camera rows from one band
    /// to the next, contrast to the mean, and start of the first as a share of a band. `None` if it
    /// does not flicker.
    pub bands: Option<[f32; 3]>,
    /// Light that the glass mirrors at its brightest spot; 1 saturates.
    pub glare: f32,
    /// Where that spot is, as shares of width and height.
    pub glare_at: [f32; 2],
    /// Balance of red against blue: 0 is neutral, positive is warm.
    pub warmth: f32,
    /// How far the screen stands askew: the farther edge is shorter by this share.
    pub keystone: f32,
}

/// Shows the scene on `screen`.
pub(super) fn show(light: &mut Light, screen: &Screen) {
    keystone(light, screen.keystone);
    match screen.beats {
        None => demosaic(light, &cells(light, screen)),
        Some([ratio, apart_deg]) => beats(light, screen, ratio, apart_deg),
    }
    if let Some([rows, contrast, phase]) = screen.bands {
        roll(light, rows, contrast, phase);
    }
    let (width, height) = (light.width as f32, light.height as f32);
    let balances = [1.0 + 0.3 * screen.warmth, 1.0, 1.0 - 0.3 * screen.warmth];
    let spot = Point::new(screen.glare_at[0] * width, screen.glare_at[1] * height);
    let spot_px = 0.3 * width.max(height);
    // A screen's black is never black, and a room's light lies on it.
    let veil = 0.02 + 0.03 * screen.glare;
    let columns = light.width;
    for (index, pixel) in light.pixels_mut().iter_mut().enumerate() {
        let place = Point::new((index % columns) as f32, (index / columns) as f32);
        let distance = place.distance(spot) / spot_px;
        let shine = veil + screen.glare * (-distance * distance).exp();
        for (value, balance) in pixel.iter_mut().zip(balances) {
            *value = *value * balance + shine;
        }
    }
}

/// What each camera pixel collects through its own colour filter: red, green, green, blue in
/// squares of four.
fn cells(light: &Light, screen: &Screen) -> Vec<f32> {
    let (sin, cos) = screen.turn_deg.to_radians().sin_cos();
    let pitch = screen.pitch_px.max(0.5);
    // The mean of a cell's shine is 1, so that the picture keeps its brightness.
    let full = 3.0 / (LIT_ACROSS * LIT_DOWN);
    let inside = |part: u16| (f32::from(part) + 0.5) / f32::from(FINE);
    let mut mosaic = Vec::with_capacity(light.width * light.height);
    for row in 0..light.height {
        for column in 0..light.width {
            let channel = filter(column, row);
            let mut seen = 0.0;
            for fine in 0..FINE * FINE {
                let x = column as f32 + inside(fine % FINE);
                let y = row as f32 + inside(fine / FINE);
                let across = (x * cos + y * sin) / pitch;
                let down = (y * cos - x * sin) / pitch;
                // Red, green and blue stand side by side, a third of a cell each.
                let third = 3.0 * (across - across.floor());
                let is_own = third as usize == channel;
                let is_lit = third.fract() < LIT_ACROSS && down - down.floor() < LIT_DOWN;
                seen += if is_own && is_lit { full } else { 0.0 };
            }
            seen /= f32::from(FINE * FINE);
            let resolved = 1.0 + screen.contrast.clamp(0.0, 1.0) * (seen - 1.0);
            mosaic.push(light.pixels()[row * light.width + column][channel] * resolved);
        }
    }
    mosaic
}

/// Two grids of waves over each other: their difference makes broad bands. The bands of red, green
/// and blue lie apart, as their cells do.
fn beats(light: &mut Light, screen: &Screen, ratio: f32, apart_deg: f32) {
    let wave = |turn_deg: f32, pitch_px: f32| {
        let (sin, cos) = turn_deg.to_radians().sin_cos();
        let frequency = std::f32::consts::TAU / pitch_px.max(0.5);
        (frequency * cos, frequency * sin)
    };
    let (turn_deg, pitch_px) = (screen.turn_deg, screen.pitch_px);
    let one = wave(turn_deg, pitch_px);
    let other = wave(turn_deg + apart_deg, pitch_px * ratio.max(0.1));
    let contrast = 0.6 * screen.contrast.clamp(0.0, 1.0);
    let width = light.width;
    for (index, pixel) in light.pixels_mut().iter_mut().enumerate() {
        let (x, y) = ((index % width) as f32, (index / width) as f32);
        for (value, shift) in pixel.iter_mut().zip([0.0, 0.7, 1.4]) {
            let both = (one.0 * x + one.1 * y + shift).sin() * (other.0 * x + other.1 * y).sin();
            *value *= 1.0 + contrast * both;
        }
    }
}

/// Each row is read a moment after the one above, while the backlight grows brighter and darker.
fn roll(light: &mut Light, rows: f32, contrast: f32, phase: f32) {
    let contrast = contrast.clamp(0.0, 1.0);
    let row_len = 3 * light.width.max(1);
    for (row, values) in light.values.chunks_exact_mut(row_len).enumerate() {
        let turn = row as f32 / rows.max(2.0) + phase;
        let shine = 1.0 + contrast * (std::f32::consts::TAU * turn).sin();
        values.iter_mut().for_each(|value| *value *= shine);
    }
}

/// Which colour the filter of a pixel lets through (Bayer's order).
const fn filter(column: usize, row: usize) -> usize {
    (column % 2) + (row % 2)
}

/// Each colour from the nearest pixels that saw it.
fn demosaic(light: &mut Light, mosaic: &[f32]) {
    let (width, height) = (light.width, light.height);
    for row in 0..height {
        for column in 0..width {
            let mut sums = [[0.0_f32; 2]; 3];
            for y in row.saturating_sub(1)..=(row + 1).min(height - 1) {
                for x in column.saturating_sub(1)..=(column + 1).min(width - 1) {
                    // Nearer pixels count more: 4 in the middle, 2 beside it, 1 in the corners.
                    let weight = 4.0 / f32::from(1_u8 << (x.abs_diff(column) + y.abs_diff(row)));
                    let sum = &mut sums[filter(x, y)];
                    sum[0] += weight * mosaic[y * width + x];
                    sum[1] += weight;
                }
            }
            let pixel = &mut light.pixels_mut()[row * width + column];
            for (value, [sum, weights]) in pixel.iter_mut().zip(sums) {
                // A picture one pixel wide lacks colours; they stay as they were.
                if weights > 0.0 {
                    *value = sum / weights;
                }
            }
        }
    }
}

/// Seen askew: rows grow shorter towards the bottom, or the top where `share` is negative.
fn keystone(light: &mut Light, share: f32) {
    if share == 0.0 {
        return;
    }
    let before = light.clone();
    let width = light.width;
    let middle = 0.5 * (width as f32 - 1.0);
    let last = light.height.max(2) as f32 - 1.0;
    for row in 0..light.height {
        let down = row as f32 / last;
        let farness = if share > 0.0 { down } else { 1.0 - down };
        // Farther rows are shorter, and lie closer together.
        let stretch = 1.0 / (1.0 - share.abs() * farness);
        let y =
            (last * (0.5 + (down - 0.5) * (1.0 + share.abs() * (farness - 0.5)))).clamp(0.0, last);
        for column in 0..width {
            let x = (middle + (column as f32 - middle) * stretch).clamp(0.0, 2.0 * middle);
            light.pixels_mut()[row * width + column] = before.between(x, y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Screen = Screen {
        pitch_px: 2.3,
        turn_deg: 4.0,
        contrast: 0.8,
        beats: None,
        bands: None,
        glare: 0.0,
        glare_at: [0.5, 0.5],
        warmth: 0.0,
        keystone: 0.0,
    };

    fn grey() -> Light {
        Light::of(&image::RgbImage::from_pixel(90, 80, image::Rgb([120; 3])))
    }

    fn mean(light: &Light) -> f32 {
        light.values.iter().sum::<f32>() / light.values.len() as f32
    }

    #[test]
    fn cells_make_beats_and_keep_the_brightness() {
        let spread = |contrast: f32| {
            let mut light = grey();
            show(&mut light, &Screen { contrast, ..SCREEN });
            let middle = mean(&light);
            assert!((middle - mean(&grey()) - 0.02).abs() < 0.03, "{middle}");
            light
                .values
                .iter()
                .map(|value| (value - middle).abs())
                .sum::<f32>()
        };
        assert!(spread(0.0) < 0.01 * spread(0.8) && spread(0.3) < spread(0.8));
    }

    #[test]
    fn beats_of_two_grids_are_broader_than_either() {
        let mut light = grey();
        let screen = Screen {
            beats: Some([1.1, 0.0]),
            turn_deg: 0.0,
            pitch_px: 4.0,
            ..SCREEN
        };
        show(&mut light, &screen);
        // Means over the grids' pitch leave what is broader.
        let row: Vec<f32> = light.values[..270]
            .iter()
            .skip(1)
            .step_by(3)
            .copied()
            .collect();
        let means: Vec<f32> = row
            .windows(4)
            .map(|four| four.iter().sum::<f32>() / 4.0)
            .collect();
        let (least, most) = (
            means.iter().copied().fold(f32::MAX, f32::min),
            means.iter().copied().fold(f32::MIN, f32::max),
        );
        assert!(most > 1.2 * least, "{least} {most}");
    }

    #[test]
    fn a_rolling_shutter_sees_bands_across() {
        let mut light = grey();
        let screen = Screen {
            contrast: 0.0,
            bands: Some([20.0, 0.3, 0.0]),
            ..SCREEN
        };
        show(&mut light, &screen);
        let at = |row: usize| light.values[3 * row * 90];
        assert!(at(5) > 1.5 * at(15) && (at(5) - at(25)).abs() < 1e-3);
        assert_eq!(light.values[3 * 5 * 90], light.values[3 * (5 * 90 + 60)]);
    }

    #[test]
    fn glare_is_where_it_should_be_and_warmth_is_red() {
        let mut light = grey();
        let screen = Screen {
            contrast: 0.0,
            glare: 0.6,
            glare_at: [0.2, 0.3],
            warmth: 0.5,
            ..SCREEN
        };
        show(&mut light, &screen);
        let at = |x: usize, y: usize| &light.values[3 * (y * 90 + x)..][..3];
        assert!(at(18, 24)[1] > at(80, 70)[1] + 0.4);
        assert!(at(80, 70)[0] > 1.2 * at(80, 70)[2]);
    }

    #[test]
    fn a_keystone_draws_the_far_rows_in() {
        let stripes = image::RgbImage::from_fn(90, 80, |x, _| {
            image::Rgb([if x < 20 { 20 } else { 200 }; 3])
        });
        let mut light = Light::of(&stripes);
        keystone(&mut light, 0.3);
        let edge = |row: usize| {
            (0..90)
                .find(|x| light.values[3 * (row * 90 + x)] > 0.2)
                .unwrap()
        };
        assert!(edge(0) <= 21 && edge(79) >= 26, "{} {}", edge(0), edge(79));
        assert_eq!((light.width, light.height), (90, 80));
    }
}
