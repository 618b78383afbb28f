//! Sampling a patch onto a square grid through a similarity transform, without aliasing.

use image::RgbImage;

use crate::capture::Patch;
use crate::geometry::{Point, Transform};

/// Fewest source pixels per grid pixel that are left to sampling. From twice as many on, averaging
/// by a whole factor comes first, which is exact and cheap.
const FINE_STEP: f32 = 1.12;

/// Beyond this a face would be 7000 pixels wide.
const MAX_FACTOR: f32 = 64.0;

/// Samples the patch onto a `side` × `side` grid.
///
/// `transform` takes coordinates of the original upright picture onto the grid. Where that shrinks,
/// each grid pixel is the mean of the area it stands for, so that the grid shows no aliasing, which
/// reads as noise. Else it is interpolated linearly. What lies outside the patch is black, as in
/// OpenCV's `warpAffine`. A transform without an inverse gives black.
pub fn warp(patch: &Patch, transform: &Transform, side: u32) -> RgbImage {
    let mut out = RgbImage::new(side, side);
    let Some(back) = transform.inverse() else {
        return out;
    };
    let mut back = rescaled(&back, patch.origin, patch.scale);
    let mut step = back.scale();
    if !step.is_finite() || out.is_empty() || patch.pixels.is_empty() {
        return out;
    }
    let mut factor = 1;
    if step >= 2.0 * FINE_STEP {
        factor = (step / FINE_STEP).min(MAX_FACTOR) as u32;
        back = rescaled(&back, Point::default(), 1.0 / factor as f32);
        step = back.scale();
    }
    let Some(plane) = Plane::around(&patch.pixels, factor, &back, side) else {
        return out;
    };
    back.tx -= plane.left as f32;
    back.ty -= plane.top as f32;
    match step {
        ..1.02 => sample::<1>(&plane, &back, &mut out),
        ..1.5 => sample::<2>(&plane, &back, &mut out),
        _ => sample::<3>(&plane, &back, &mut out),
    }
    out
}

/// `back`, which leads to pixels of a picture, as it leads to those of a picture that begins at
/// `origin` and is `scale` times as large. Pixel centres are whole numbers in both.
fn rescaled(back: &Transform, origin: Point, scale: f32) -> Transform {
    // Scaled about the pixel's corner (centre − ½).
    let shift = 0.5 * scale - 0.5;
    Transform {
        a: back.a * scale,
        b: back.b * scale,
        tx: (back.tx - origin.x) * scale + shift,
        ty: (back.ty - origin.y) * scale + shift,
    }
}

/// Three channels travel in one word, 21 bits each: nine samples of up to 255 × 256 fit.
const LANE_BITS: u32 = 21;
const LANE: u64 = (1 << LANE_BITS) - 1;

fn lanes([red, green, blue]: [u8; 3]) -> u64 {
    u64::from(red) | u64::from(green) << LANE_BITS | u64::from(blue) << (2 * LANE_BITS)
}

/// Black columns and rows around a plane, which positions outside are clamped to: two, so that they
/// interpolate between black and black.
const MARGIN: usize = 2;

/// The part of a picture that a grid lies on, shrunk by a whole factor, with a margin of black.
struct Plane {
    words: Vec<u64>,
    /// Columns and rows without the margin.
    width: usize,
    height: usize,
    /// Where its first pixel lies in the shrunk picture.
    left: u32,
    top: u32,
}

impl Plane {
    /// `None` where the grid lies outside the picture.
    fn around(image: &RgbImage, factor: u32, back: &Transform, side: u32) -> Option<Self> {
        let last = side as f32;
        let corners = [(-1.0, -1.0), (last, -1.0), (-1.0, last), (last, last)]
            .map(|(x, y)| back.apply(Point::new(x, y)));
        // Two pixels more than the corners: for interpolation and for rounding. A picture's own
        // edge stays.
        let span = |values: [f32; 4], limit: u32| {
            let low = values.into_iter().fold(f32::INFINITY, f32::min) - 2.0;
            let high = values.into_iter().fold(f32::NEG_INFINITY, f32::max) + 3.0;
            let first = low.max(0.0) as u32;
            let end = (high.max(0.0) as u32).min(limit);
            (first < end).then(|| (first, end - first))
        };
        let columns = image.width().div_ceil(factor);
        let rows = image.height().div_ceil(factor);
        let (left, width) = span(corners.map(|corner| corner.x), columns)?;
        let (top, height) = span(corners.map(|corner| corner.y), rows)?;
        let (width, height) = (width as usize, height as usize);
        let stride = width + 2 * MARGIN;
        let mut plane = Self {
            words: vec![0; stride * (height + 2 * MARGIN)],
            width,
            height,
            left,
            top,
        };
        let rows = plane
            .words
            .chunks_exact_mut(stride)
            .skip(MARGIN)
            .take(height)
            .map(|row| &mut row[MARGIN..MARGIN + width]);
        if factor == 1 {
            copy(image, left as usize, top as usize, rows);
        } else {
            shrink(image, factor as usize, left as usize, top as usize, rows);
        }
        Some(plane)
    }
}

fn copy<'a>(image: &RgbImage, left: usize, top: usize, rows: impl Iterator<Item = &'a mut [u64]>) {
    let source = image.as_raw().as_chunks::<3>().0;
    let lines = source.chunks_exact(image.width() as usize).skip(top);
    for (row, line) in rows.zip(lines) {
        for (word, &pixel) in row.iter_mut().zip(&line[left..]) {
            *word = lanes(pixel);
        }
    }
}

/// Means of `factor` × `factor` squares; squares that the edge cuts average what is there.
fn shrink<'a>(
    image: &RgbImage,
    factor: usize,
    left: usize,
    top: usize,
    rows: impl Iterator<Item = &'a mut [u64]>,
) {
    let stride = image.width() as usize * 3;
    let bands = image.as_raw().chunks(stride * factor).skip(top);
    let first = left * factor * 3;
    let mut columns = Vec::new();
    for (row, band) in rows.zip(bands) {
        let end = stride.min(first + row.len() * factor * 3);
        columns.clear();
        columns.resize(end - first, 0_u32);
        for line in band.chunks_exact(stride) {
            for (sum, &value) in columns.iter_mut().zip(&line[first..end]) {
                *sum += u32::from(value);
            }
        }
        let height = (band.len() / stride) as u32;
        for (word, square) in row.iter_mut().zip(columns.chunks(factor * 3)) {
            let count = height * (square.len() / 3) as u32;
            let mut sums = [count / 2; 3];
            for pixel in square.as_chunks::<3>().0 {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += value;
                }
            }
            *word = lanes(sums.map(|sum| (sum / count) as u8));
        }
    }
}

/// Positions are counted in 1/2³² pixels, so that stepping along a row does not drift.
const FRACTION_BITS: u32 = 32;

/// No picture is this wide. Twice this still fits a position.
const OUTSIDE: f64 = (1_u64 << 29) as f64;

fn fixed(position: f64) -> i64 {
    (position.clamp(-OUTSIDE, OUTSIDE) * (1_u64 << FRACTION_BITS) as f64).round() as i64
}

/// Fills `out` with means of `SAMPLES` × `SAMPLES` linear interpolations around each centre.
fn sample<const SAMPLES: u32>(plane: &Plane, back: &Transform, out: &mut RgbImage) {
    let side = out.width();
    let step = 1.0 / f64::from(SAMPLES);
    let (a, b) = (f64::from(back.a), f64::from(back.b));
    // From one sample to the next to the right; a row stays within what a position can hold.
    let reach = OUTSIDE / f64::from(side * SAMPLES);
    let along = |part: f64| fixed((part * step).clamp(-reach, reach));
    let right = (along(a), along(b));
    // The first sample, from the grid pixel's centre.
    let first = step * 0.5 - 0.5;
    let scale = 1.0 / (256 * SAMPLES * SAMPLES) as f32;
    let mut sums = vec![0_u64; side as usize];
    for (row, line) in out.chunks_exact_mut(side as usize * 3).enumerate() {
        sums.fill(0);
        for sample in 0..SAMPLES {
            let down = row as f64 + f64::from(sample) * step + first;
            let x = fixed(a * first - b * down + f64::from(back.tx));
            let y = fixed(b * first + a * down + f64::from(back.ty));
            let steps = i64::from(side * SAMPLES - 1);
            let last = (x + steps * right.0, y + steps * right.1);
            // What lies between two places of the plane lies in it too.
            if plane.holds(x, y) && plane.holds(last.0, last.1) {
                add_line::<SAMPLES>(&mut sums, (x, y), right, |x, y| plane.within(x, y));
            } else {
                add_line::<SAMPLES>(&mut sums, (x, y), right, |x, y| plane.at(x, y));
            }
        }
        for (pixel, &sum) in line.as_chunks_mut::<3>().0.iter_mut().zip(&sums) {
            let lane = |shift: u32| (((sum >> shift) & LANE) as f32 * scale + 0.5) as u8;
            *pixel = [lane(0), lane(LANE_BITS), lane(2 * LANE_BITS)];
        }
    }
}

/// Adds to each sum the next `SAMPLES` interpolations on a line.
#[inline]
fn add_line<const SAMPLES: u32>(
    sums: &mut [u64],
    (mut x, mut y): (i64, i64),
    right: (i64, i64),
    at: impl Fn(i64, i64) -> u64,
) {
    for sum in sums {
        for _ in 0..SAMPLES {
            *sum += at(x, y);
            x += right.0;
            y += right.1;
        }
    }
}

impl Plane {
    /// Whether the plane, with its margin, has pixels all around the position.
    fn holds(&self, x: i64, y: i64) -> bool {
        let margin = MARGIN as i64;
        let lies_in = |position: i64, length: usize| {
            (-margin..=length as i64).contains(&(position >> FRACTION_BITS))
        };
        lies_in(x, self.width) && lies_in(y, self.height)
    }

    /// The channels at a position, interpolated linearly, each times 256.
    #[inline]
    fn at(&self, x: i64, y: i64) -> u64 {
        let hold = |position: i64, length: usize| {
            let whole = (position >> FRACTION_BITS).clamp(-(MARGIN as i64), length as i64);
            whole << FRACTION_BITS | position & ((1 << FRACTION_BITS) - 1)
        };
        self.within(hold(x, self.width), hold(y, self.height))
    }

    /// The same at a position that the plane [`holds`](Self::holds).
    #[inline]
    fn within(&self, x: i64, y: i64) -> u64 {
        let column = (x >> FRACTION_BITS) + MARGIN as i64;
        let row = (y >> FRACTION_BITS) + MARGIN as i64;
        let part = |position: i64| (position >> (FRACTION_BITS - 8)) as u64 & 0xFF;
        let (right_part, bottom_part) = (part(x), part(y));
        // The four weights add up to exactly 256, so that flat areas keep their value.
        let lower_right = (right_part * bottom_part + 128) >> 8;
        let upper_right = right_part - lower_right;
        let lower_left = bottom_part - lower_right;
        let upper_left = 256 - right_part - lower_left;
        let stride = self.width + 2 * MARGIN;
        let start = row as usize * stride + column as usize;
        let (upper, lower) = (&self.words[start..start + 2], &self.words[start + stride..]);
        upper_left * upper[0]
            + upper_right * upper[1]
            + lower_left * lower[0]
            + lower_right * lower[1]
    }
}

#[cfg(test)]
mod tests;
