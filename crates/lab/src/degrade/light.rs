//! A picture in linear light, in which lenses blur and sensors count.

use image::RgbImage;

/// Linear intensities, three for each pixel, row-major. 1 saturates an 8-bit picture; before the
/// sensor values may exceed 1.
#[derive(Clone, Debug)]
pub(super) struct Light {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

impl Light {
    /// Undoes the sRGB curve.
    pub(super) fn of(picture: &RgbImage) -> Self {
        let table: [f32; 256] = std::array::from_fn(|level| to_linear(level as f32 / 255.0));
        let levels = picture.as_raw().iter();
        Self {
            width: picture.width() as usize,
            height: picture.height() as usize,
            values: levels.map(|&level| table[usize::from(level)]).collect(),
        }
    }

    pub(super) fn pixels(&self) -> &[[f32; 3]] {
        self.values.as_chunks().0
    }

    pub(super) fn pixels_mut(&mut self) -> &mut [[f32; 3]] {
        self.values.as_chunks_mut().0
    }

    /// Applies the sRGB curve and cuts to 8 bits, as a camera does.
    pub(super) fn picture(&self) -> RgbImage {
        let level = |value: &f32| (255.0 * to_curve(value.clamp(0.0, 1.0))).round() as u8;
        let levels = self.values.iter().map(level).collect();
        // The vector has three numbers for each pixel, so this never fails.
        RgbImage::from_raw(side(self.width), side(self.height), levels).unwrap_or_default()
    }

    /// Each pixel becomes the weighted mean of its neighbours; the border repeats.
    pub(super) fn convolve(&mut self, mut taps: Vec<Tap>) {
        let sum: f32 = taps.iter().map(|tap| tap.weight).sum();
        taps.iter_mut().for_each(|tap| tap.weight /= sum);
        let reaches = taps.iter().flat_map(|tap| [tap.dx, tap.dy]);
        let reach = reaches.map(isize::unsigned_abs).max().unwrap_or(0);
        let bordered = self.bordered(reach);
        let (row_len, bordered_len) = (3 * self.width, 3 * (self.width + 2 * reach));
        self.values.fill(0.0);
        for (row, sums) in self.values.chunks_exact_mut(row_len).enumerate() {
            for tap in &taps {
                let x = reach.saturating_add_signed(tap.dx);
                let y = (row + reach).saturating_add_signed(tap.dy);
                let from = y * bordered_len + 3 * x;
                for (sum, value) in sums.iter_mut().zip(&bordered[from..from + row_len]) {
                    *sum += tap.weight * value;
                }
            }
        }
    }

    /// The light at a place between pixels, linear in both directions. `x` and `y` lie within the
    /// picture.
    pub(super) fn between(&self, x: f32, y: f32) -> [f32; 3] {
        let (left, top) = (x.floor(), y.floor());
        let (right_share, lower_share) = (x - left, y - top);
        let (left, top) = (left as usize, top as usize);
        let right = (left + 1).min(self.width - 1);
        let lower = (top + 1).min(self.height - 1);
        let at = |column: usize, row: usize| self.pixels()[row * self.width + column];
        [0, 1, 2].map(|channel| {
            let [upper, under] = [top, lower].map(|row| {
                at(left, row)[channel] * (1.0 - right_share) + at(right, row)[channel] * right_share
            });
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
    pub(super) dx: isize,
    pub(super) dy: isize,
    pub(super) weight: f32,
}

/// Another contrast around middle grey and another saturation, on the picture's curve.
pub(super) fn filter(light: &mut Light, contrast: f32, saturation: f32) {
    for pixel in light.pixels_mut() {
        let curved = pixel.map(|value| to_curve(value.clamp(0.0, 1.0)));
        let grey = 0.299 * curved[0] + 0.587 * curved[1] + 0.114 * curved[2];
        *pixel = curved.map(|value| {
            let coloured = grey + saturation * (value - grey);
            to_linear((0.5 + contrast * (coloured - 0.5)).clamp(0.0, 1.0))
        });
    }
}

/// The mean over the square of side 2 · `reach` + 1: along rows, then along columns.
pub(super) fn box_mean(plane: &[f32], width: usize, reach: usize) -> Vec<f32> {
    let height = plane.len() / width;
    let mut plane = plane.to_vec();
    for (lines, len, line_step, step) in [(height, width, width, 1), (width, height, 1, width)] {
        let mut means = vec![0.0; plane.len()];
        for line in 0..lines {
            for place in 0..len {
                let (from, to) = (place.saturating_sub(reach), (place + reach).min(len - 1));
                let values = (from..=to).map(|at| plane[line * line_step + at * step]);
                let mean = values.sum::<f32>() / (to - from + 1) as f32;
                means[line * line_step + place * step] = mean;
            }
        }
        plane = means;
    }
    plane
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

pub(super) fn side(pixels: usize) -> u32 {
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
