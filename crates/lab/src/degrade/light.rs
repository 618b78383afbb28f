//! A picture in linear light, in which lenses blur and sensors count.

use image::RgbImage;

/// Linear intensities, three a pixel, row-major; 1 is what saturates an 8-bit picture. May exceed 1 before the sensor.
#[derive(Clone, Debug)]
pub(super) struct Light {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

impl Light {
    /// Undoes the sRGB curve.
    pub(super) fn of(picture: &RgbImage) -> Self {
        let table: Vec<f32> = (0..=255_u8)
            .map(|level| to_linear(f32::from(level) / 255.0))
            .collect();
        Self {
            width: picture.width() as usize,
            height: picture.height() as usize,
            values: picture
                .as_raw()
                .iter()
                .map(|&level| table[usize::from(level)])
                .collect(),
        }
    }

    /// Applies the sRGB curve and cuts to 8 bits, as a camera does.
    pub(super) fn picture(&self) -> RgbImage {
        let levels = self
            .values
            .iter()
            .map(|&value| level(255.0 * to_curve(value.clamp(0.0, 1.0))))
            .collect();
        // The vector has three numbers a pixel by construction; an empty picture stands for the impossible.
        RgbImage::from_raw(side(self.width), side(self.height), levels).unwrap_or_default()
    }

    /// Each pixel becomes the weighted sum of its neighbours; the border repeats.
    pub(super) fn convolve(&mut self, taps: &[Tap]) {
        let reach = taps
            .iter()
            .map(|tap| tap.dx.unsigned_abs().max(tap.dy.unsigned_abs()) as usize)
            .max()
            .unwrap_or(0);
        let bordered = self.bordered(reach);
        let (row_len, bordered_len) = (3 * self.width, 3 * (self.width + 2 * reach));
        self.values.fill(0.0);
        for (row, sums) in self.values.chunks_exact_mut(row_len).enumerate() {
            for tap in taps {
                let from = moved(row + reach, tap.dy) * bordered_len + 3 * moved(reach, tap.dx);
                for (sum, value) in sums.iter_mut().zip(&bordered[from..from + row_len]) {
                    *sum += tap.weight * value;
                }
            }
        }
    }

    /// The light at a place between pixels, linear in both directions; `x` and `y` lie within the picture.
    pub(super) fn between(&self, x: f32, y: f32) -> [f32; 3] {
        let (left, top) = (x.floor(), y.floor());
        let (right_share, lower_share) = (x - left, y - top);
        let (left, top) = (left as usize, top as usize);
        let (right, lower) = (
            (left + 1).min(self.width - 1),
            (top + 1).min(self.height - 1),
        );
        let at = |column: usize, row: usize, channel: usize| {
            self.values[3 * (row * self.width + column) + channel]
        };
        [0, 1, 2].map(|channel| {
            let upper = at(left, top, channel) * (1.0 - right_share)
                + at(right, top, channel) * right_share;
            let under = at(left, lower, channel) * (1.0 - right_share)
                + at(right, lower, channel) * right_share;
            upper * (1.0 - lower_share) + under * lower_share
        })
    }

    /// The values with `reach` pixels around them that repeat the border.
    fn bordered(&self, reach: usize) -> Vec<f32> {
        let width = self.width + 2 * reach;
        let mut bordered = Vec::with_capacity(3 * width * (self.height + 2 * reach));
        for row in 0..self.height + 2 * reach {
            let row = row.saturating_sub(reach).min(self.height - 1);
            let values = &self.values[3 * row * self.width..3 * (row + 1) * self.width];
            for column in 0..width {
                let column = column.saturating_sub(reach).min(self.width - 1);
                bordered.extend_from_slice(&values[3 * column..3 * column + 3]);
            }
        }
        bordered
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    pub(super) dx: i32,
    pub(super) dy: i32,
    pub(super) weight: f32,
}

/// `position + offset`, which is not below 0.
fn moved(position: usize, offset: i32) -> usize {
    position.saturating_add_signed(offset as isize)
}

/// The mean over the square of side 2 · `reach` + 1.
pub(super) fn box_mean(plane: &[f32], width: usize, reach: usize) -> Vec<f32> {
    let height = plane.len() / width;
    let along =
        |plane: &[f32], outer: usize, inner: usize, step_outer: usize, step_inner: usize| {
            let mut mean = vec![0.0; plane.len()];
            for line in 0..outer {
                for place in 0..inner {
                    let from = place.saturating_sub(reach);
                    let to = (place + reach).min(inner - 1);
                    let sum: f32 = (from..=to)
                        .map(|at| plane[line * step_outer + at * step_inner])
                        .sum();
                    mean[line * step_outer + place * step_inner] = sum / (to - from + 1) as f32;
                }
            }
            mean
        };
    let rows = along(plane, height, width, width, 1);
    along(&rows, width, height, 1, width)
}

/// sRGB (IEC 61966-2-1) decoding.
pub(super) fn to_linear(value: f32) -> f32 {
    if value <= 0.04045 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

/// sRGB encoding.
pub(super) fn to_curve(value: f32) -> f32 {
    if value <= 0.003_130_8 {
        12.92 * value
    } else {
        1.055 * value.powf(1.0 / 2.4) - 0.055
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value lies between 0 and 255"
)]
fn level(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

fn side(pixels: usize) -> u32 {
    u32::try_from(pixels).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_survives_the_way_to_light_and_back() {
        let levels: Vec<u8> = (0..=255).flat_map(|level| [level; 3]).collect();
        let picture = RgbImage::from_raw(16, 16, levels).unwrap();
        assert_eq!(Light::of(&picture).picture(), picture);
    }
}
