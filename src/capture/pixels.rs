//! The only shared pixel loops: resize, crop, luma, warp, turning upright, and putting transparent pictures on a ground.
//!
//! Coordinates are those of OpenCV and of the networks' training: the *centre* of the top left pixel is (0, 0).

use fast_image_resize as fir;
use image::{GrayImage, RgbImage, RgbaImage};

use super::Patch;
use crate::geometry::{Point, Transform};

mod orient;

pub(super) use orient::{Area, Turn};

/// Resizes to `width` × `height`. Shrinking averages over the whole area that an output pixel stands for, so that fine
/// patterns and noise do not alias; enlarging interpolates linearly.
///
/// An empty input or output gives a black picture of the asked size.
#[must_use]
pub fn resize(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    if image.dimensions() == (width, height) {
        return image.clone();
    }
    let mut out = RgbImage::new(width, height);
    if image.is_empty() || out.is_empty() {
        return out;
    }
    let options = fir::ResizeOptions::new()
        .resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Bilinear))
        .use_alpha(false);
    let source = fir::images::ImageRef::new(
        image.width(),
        image.height(),
        image.as_raw(),
        fir::PixelType::U8x3,
    );
    let target = fir::images::Image::from_slice_u8(width, height, &mut out, fir::PixelType::U8x3);
    if let (Ok(source), Ok(mut target)) = (source, target) {
        // Both sizes are non-zero and the types agree, which is all that it can refuse.
        let _ = fir::Resizer::new().resize(&source, &mut target, &options);
    }
    out
}

/// The `width` × `height` pixels whose top left corner is (`x`, `y`), clipped to what the picture holds.
#[must_use]
pub fn crop(image: &RgbImage, x: u32, y: u32, width: u32, height: u32) -> RgbImage {
    let x = x.min(image.width());
    let y = y.min(image.height());
    let width = width.min(image.width() - x);
    let height = height.min(image.height() - y);
    let stride = image.width() as usize * 3;
    let mut out = Vec::with_capacity(width as usize * height as usize * 3);
    for row in y as usize..(y + height) as usize {
        let start = row * stride + x as usize * 3;
        out.extend_from_slice(&image.as_raw()[start..start + width as usize * 3]);
    }
    RgbImage::from_raw(width, height, out).unwrap_or_default()
}

/// Brightness by ITU-R BT.601, 0–255.
#[must_use]
pub fn luma(image: &RgbImage) -> GrayImage {
    let plane = image
        .as_raw()
        .as_chunks::<3>()
        .0
        .iter()
        .map(|&[red, green, blue]| {
            // 0.299, 0.587 and 0.114 in 1/65536, rounded: they add up to exactly 65536, so that white stays 255.
            let sum =
                19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue) + 32768;
            (sum >> 16) as u8
        })
        .collect();
    GrayImage::from_raw(image.width(), image.height(), plane).unwrap_or_default()
}

/// What shows through transparent pixels: middle grey, which no measurement takes for under- or overexposed.
const GROUND: u8 = 128;

/// The picture laid on middle grey where it is transparent.
pub(super) fn onto_ground(image: &RgbaImage) -> RgbImage {
    let mut out = Vec::with_capacity(image.as_raw().len() / 4 * 3);
    for &[red, green, blue, alpha] in image.as_raw().as_chunks::<4>().0 {
        let alpha = u32::from(alpha);
        let ground = u32::from(GROUND) * (255 - alpha) + 127;
        for value in [red, green, blue] {
            out.push(((u32::from(value) * alpha + ground) / 255) as u8);
        }
    }
    RgbImage::from_raw(image.width(), image.height(), out).unwrap_or_default()
}

/// Samples the patch onto a `side` × `side` grid.
///
/// `transform` takes coordinates of the original upright picture onto the grid. Where that shrinks, each grid pixel is the
/// mean of the area it stands for, so that the grid shows no aliasing (which reads as noise); else it is interpolated
/// linearly. What lies outside the patch is black, as in OpenCV's `warpAffine`. A transform without an inverse gives black.
#[must_use]
pub fn warp(patch: &Patch, transform: &Transform, side: u32) -> RgbImage {
    let mut out = RgbImage::new(side, side);
    let Some(mut back) = onto_patch(transform, patch.origin, patch.scale) else {
        return out;
    };
    // Patch pixels per grid pixel. From 3 on the region is first averaged by a whole factor, which is exact and cheap; what
    // remains is below 2.25 and taken as the mean of 2 × 2 or 3 × 3 interpolated samples.
    let mut step = back.scale();
    if !step.is_finite() {
        return out;
    }
    let reduced;
    let mut source = &patch.pixels;
    if step >= 3.0 {
        let factor = (step / 1.5).floor().min(64.0) as u32;
        reduced = shrink_whole(source, factor);
        source = &reduced;
        back = after_shrink(&back, factor);
        step = back.scale();
    }
    if source.is_empty() {
        return out;
    }
    let samples = (step - 0.05).ceil().clamp(1.0, 8.0) as u32;
    sample_grid(source, &back, samples, &mut out);
    out
}

/// Grid → patch pixels, both with pixel centres at whole numbers.
fn onto_patch(transform: &Transform, origin: Point, scale: f32) -> Option<Transform> {
    let back = transform.inverse()?;
    // Original → patch: shift by the origin, then scale about the pixel's corner (centre − ½).
    let shift = 0.5 * scale - 0.5;
    Some(Transform {
        a: back.a * scale,
        b: back.b * scale,
        tx: (back.tx - origin.x) * scale + shift,
        ty: (back.ty - origin.y) * scale + shift,
    })
}

/// The same grid → source map after the source shrank by `factor`.
fn after_shrink(back: &Transform, factor: u32) -> Transform {
    let scale = 1.0 / factor as f32;
    let shift = 0.5 * scale - 0.5;
    Transform {
        a: back.a * scale,
        b: back.b * scale,
        tx: back.tx * scale + shift,
        ty: back.ty * scale + shift,
    }
}

/// Means of `factor` × `factor` squares; the last row and column of squares may be cut by the edge and average what is there.
fn shrink_whole(image: &RgbImage, factor: u32) -> RgbImage {
    let (width, height) = (
        image.width().div_ceil(factor),
        image.height().div_ceil(factor),
    );
    let stride = image.width() as usize * 3;
    let factor = factor as usize;
    let mut out = RgbImage::new(width, height);
    if out.is_empty() {
        return out;
    }
    let mut columns = vec![0_u32; stride];
    let rows = image.as_raw().chunks(stride * factor);
    for (rows, target) in rows.zip(out.chunks_exact_mut(width as usize * 3)) {
        columns.fill(0);
        let mut count_rows = 0;
        for row in rows.chunks_exact(stride) {
            count_rows += 1;
            for (sum, &value) in columns.iter_mut().zip(row) {
                *sum += u32::from(value);
            }
        }
        for (square, pixel) in columns.chunks(factor * 3).zip(target.chunks_exact_mut(3)) {
            let count = count_rows * (square.len() / 3) as u32;
            let mut sums = [count / 2; 3];
            for pixel in square.as_chunks::<3>().0 {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += value;
                }
            }
            for (value, sum) in pixel.iter_mut().zip(sums) {
                *value = (sum / count) as u8;
            }
        }
    }
    out
}

/// Fills `out` with the mean of `samples` × `samples` linear interpolations around each pixel's centre.
fn sample_grid(source: &RgbImage, back: &Transform, samples: u32, out: &mut RgbImage) {
    let side = out.width();
    let sampler = Sampler::new(source);
    // Offsets of the samples inside a grid pixel, in grid pixels from its centre.
    let offset = |index: u32| (index as f32 + 0.5) / samples as f32 - 0.5;
    let weight = 1.0 / (samples * samples) as f32;
    for (row, line) in out.chunks_exact_mut(side as usize * 3).enumerate() {
        for (column, pixel) in line.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let mut sums = [0.0_f32; 3];
            for down in 0..samples {
                for right in 0..samples {
                    let at = back.apply(Point::new(
                        column as f32 + offset(right),
                        row as f32 + offset(down),
                    ));
                    sampler.add(at, &mut sums);
                }
            }
            *pixel = sums.map(|sum| (sum * weight + 0.5) as u8);
        }
    }
}

/// Linear interpolation with black beyond the edge.
struct Sampler<'a> {
    pixels: &'a [[u8; 3]],
    width: usize,
    height: usize,
}

impl<'a> Sampler<'a> {
    fn new(image: &'a RgbImage) -> Self {
        Self {
            pixels: image.as_raw().as_chunks::<3>().0,
            width: image.width() as usize,
            height: image.height() as usize,
        }
    }

    #[inline]
    fn add(&self, at: Point, sums: &mut [f32; 3]) {
        let (left, top) = (at.x.floor(), at.y.floor());
        let (right_part, bottom_part) = (at.x - left, at.y - top);
        // Saturating casts: whatever lies far outside stays outside.
        let (left, top) = (left as i64, top as i64);
        let weights = [
            (1.0 - right_part) * (1.0 - bottom_part),
            right_part * (1.0 - bottom_part),
            (1.0 - right_part) * bottom_part,
            right_part * bottom_part,
        ];
        let inside =
            left >= 0 && top >= 0 && left + 1 < self.width as i64 && top + 1 < self.height as i64;
        let corners = if inside {
            let start = top as usize * self.width + left as usize;
            let upper = &self.pixels[start..start + 2];
            let lower = &self.pixels[start + self.width..start + self.width + 2];
            [upper[0], upper[1], lower[0], lower[1]]
        } else {
            [
                self.at_or_black(left, top),
                self.at_or_black(left.saturating_add(1), top),
                self.at_or_black(left, top.saturating_add(1)),
                self.at_or_black(left.saturating_add(1), top.saturating_add(1)),
            ]
        };
        for (weight, corner) in weights.into_iter().zip(corners) {
            for (sum, value) in sums.iter_mut().zip(corner) {
                *sum += weight * f32::from(value);
            }
        }
    }

    #[cold]
    fn at_or_black(&self, x: i64, y: i64) -> [u8; 3] {
        match (usize::try_from(x), usize::try_from(y)) {
            (Ok(x), Ok(y)) if x < self.width && y < self.height => self.pixels[y * self.width + x],
            _ => [0; 3],
        }
    }
}

#[cfg(test)]
mod tests;
