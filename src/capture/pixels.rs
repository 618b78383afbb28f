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
    if out.is_empty() {
        return out;
    }
    // Patch pixels per grid pixel. Where there are many, the region is first averaged by a whole factor, which is exact and
    // cheap; what remains is taken as the mean of 2 × 2 or 3 × 3 interpolated samples.
    let mut step = back.scale();
    if !step.is_finite() {
        return out;
    }
    let reduced;
    let mut source = &patch.pixels;
    if step >= 2.0 * FINE_STEP {
        let factor = (step / FINE_STEP).min(MAX_FACTOR) as u32;
        reduced = shrink_whole(source, factor);
        source = &reduced;
        back = after_shrink(&back, factor);
        step = back.scale();
    }
    if source.is_empty() {
        return out;
    }
    let samples = match step {
        ..1.02 => 1,
        ..1.5 => 2,
        _ => 3,
    };
    sample_grid(source, &back, samples, &mut out);
    out
}

/// Source pixels per grid pixel that are left to sampling at the least; an octave above it, averaging first takes over.
const FINE_STEP: f32 = 1.12;

/// Beyond this a face would be 7000 pixels wide.
const MAX_FACTOR: f32 = 64.0;

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
    let step = 1.0 / f64::from(samples);
    // From one sample to the next to the right. Anything beyond these bounds lies outside the picture, and must not overflow.
    let reach = OUTSIDE / f64::from(side * samples);
    let right = (
        fixed((f64::from(back.a) * step).clamp(-reach, reach)),
        fixed((f64::from(back.b) * step).clamp(-reach, reach)),
    );
    // Where the line of samples begins that is `down` grid pixels below the first row's centre.
    let start = |down: f64| {
        let first = step * 0.5 - 0.5;
        let x = f64::from(back.a) * first - f64::from(back.b) * down + f64::from(back.tx);
        let y = f64::from(back.b) * first + f64::from(back.a) * down + f64::from(back.ty);
        (
            fixed(x.clamp(-OUTSIDE, OUTSIDE)),
            fixed(y.clamp(-OUTSIDE, OUTSIDE)),
        )
    };
    let scale = 1.0 / (256 * samples * samples) as f32;
    let mut sums = vec![0_u64; side as usize];
    for (row, line) in out.chunks_exact_mut(side as usize * 3).enumerate() {
        sums.fill(0);
        for sample in 0..samples {
            let down = row as f64 + (f64::from(sample) + 0.5) * step - 0.5;
            let (mut x, mut y) = start(down);
            for sum in &mut sums {
                for _ in 0..samples {
                    *sum += sampler.at(x, y);
                    x += right.0;
                    y += right.1;
                }
            }
        }
        for (pixel, &sum) in line.as_chunks_mut::<3>().0.iter_mut().zip(&sums) {
            let lane = |shift: u32| (((sum >> shift) & LANE) as f32 * scale + 0.5) as u8;
            *pixel = [lane(0), lane(LANE_BITS), lane(2 * LANE_BITS)];
        }
    }
}

/// Positions are counted in 1/2³² pixels, so that stepping along a row does not drift.
const FRACTION_BITS: u32 = 32;

/// No picture is this wide; positions beyond are as good as this one. Twice this still fits a position.
const OUTSIDE: f64 = (1_u64 << 29) as f64;

/// Three channels travel in one word, 21 bits each: nine samples of up to 255 × 256 fit.
const LANE_BITS: u32 = 21;
const LANE: u64 = (1 << LANE_BITS) - 1;

fn fixed(position: f64) -> i64 {
    (position * (1_u64 << FRACTION_BITS) as f64).round() as i64
}

fn lanes([red, green, blue]: [u8; 3]) -> u64 {
    u64::from(red) | u64::from(green) << LANE_BITS | u64::from(blue) << (2 * LANE_BITS)
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

    /// The channels at a position, each times 256.
    #[inline]
    fn at(&self, x: i64, y: i64) -> u64 {
        let (left, top) = (x >> FRACTION_BITS, y >> FRACTION_BITS);
        let part = |position: i64| (position >> (FRACTION_BITS - 8)) as u64 & 0xFF;
        let (right_part, bottom_part) = (part(x), part(y));
        // The four weights add up to exactly 256, so that flat areas keep their value.
        let lower_right = (right_part * bottom_part + 128) >> 8;
        let upper_right = right_part - lower_right;
        let lower_left = bottom_part - lower_right;
        let upper_left = 256 - right_part - lower_left;
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
                self.at_or_black(left + 1, top),
                self.at_or_black(left, top + 1),
                self.at_or_black(left + 1, top + 1),
            ]
        };
        upper_left * lanes(corners[0])
            + upper_right * lanes(corners[1])
            + lower_left * lanes(corners[2])
            + lower_right * lanes(corners[3])
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
