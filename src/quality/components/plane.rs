//! Luma planes and where on the aligned grid the face lies: what the measurements share.

use image::RgbImage;

use crate::face::{ALIGNED_SIDE, AlignedFace};
use crate::geometry::{Point, Transform};

/// One number a pixel, row by row.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

/// A rectangle of whole pixels; what reaches outside the picture is clipped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Window {
    /// The whole picture.
    pub(super) fn all(picture: &RgbImage) -> Self {
        Self {
            left: 0,
            top: 0,
            width: picture.width() as usize,
            height: picture.height() as usize,
        }
    }
}

impl Plane {
    /// BT.601 luma in 8-bit levels, 0…255.
    pub(super) fn luma(picture: &RgbImage, window: Window) -> Self {
        Self::map(picture, window, |red, green, blue| {
            0.299 * red + 0.587 * green + 0.114 * blue
        })
    }

    /// Green less the mean of red and blue, in 8-bit levels.
    pub(super) fn green_against_purple(picture: &RgbImage, window: Window) -> Self {
        Self::map(picture, window, |red, green, blue| {
            green - (red + blue) / 2.0
        })
    }

    fn map(picture: &RgbImage, window: Window, value: impl Fn(f32, f32, f32) -> f32) -> Self {
        let row_length = picture.width() as usize;
        let left = window.left.min(row_length);
        let width = window.width.min(row_length - left);
        let top = window.top.min(picture.height() as usize);
        let height = if width > 0 {
            window.height.min(picture.height() as usize - top)
        } else {
            0
        };
        let mut values = Vec::with_capacity(width * height);
        if height > 0 {
            let rows = picture.as_raw().chunks_exact(3 * row_length);
            for row in rows.skip(top).take(height) {
                let pixels = row[3 * left..3 * (left + width)].chunks_exact(3);
                values.extend(
                    pixels
                        .map(|rgb| value(f32::from(rgb[0]), f32::from(rgb[1]), f32::from(rgb[2]))),
                );
            }
        }
        Self {
            width,
            height,
            values,
        }
    }

    pub(super) fn row(&self, y: usize) -> &[f32] {
        &self.values[y * self.width..(y + 1) * self.width]
    }
}

/// Which places of the aligned grid lie inside the picture; the others are black and say nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside {
    /// Grid → patch, in pixels; none where the transform cannot be undone.
    back: Option<Transform>,
    width: f32,
    height: f32,
}

impl Inside {
    pub(super) fn of(aligned: &AlignedFace) -> Self {
        let patch = &aligned.patch;
        Self {
            back: aligned.transform.inverse().map(|back| Transform {
                a: back.a * patch.scale,
                b: back.b * patch.scale,
                tx: (back.tx - patch.origin.x) * patch.scale,
                ty: (back.ty - patch.origin.y) * patch.scale,
            }),
            width: patch.pixels.width() as f32,
            height: patch.pixels.height() as f32,
        }
    }

    /// Whether the grid's pixel (`x`, `y`) was sampled a pixel or more inside the patch.
    pub(super) fn holds(&self, x: usize, y: usize) -> bool {
        self.back.is_some_and(|back| {
            let at = back.apply(Point::new(x as f32, y as f32));
            at.x >= 1.0 && at.y >= 1.0 && at.x <= self.width - 2.0 && at.y <= self.height - 2.0
        })
    }
}

/// The oval that a frontal face fills on the aligned grid, as (row, first column, column after the last): eyebrows to
/// chin, without hair and background.
pub(super) fn oval() -> impl Iterator<Item = (usize, usize, usize)> {
    // The template has the eyes at y = 51.6, 35 px apart around x = 56, and the mouth at y = 92.3.
    const CENTRE: (f32, f32) = (56.0, 69.0);
    const RADII: (f32, f32) = (32.0, 38.0);
    (0..ALIGNED_SIDE as usize).filter_map(|y| {
        let offset = (y as f32 + 0.5 - CENTRE.1) / RADII.1;
        let half = RADII.0 * (1.0 - offset * offset).max(0.0).sqrt();
        let first = (CENTRE.0 - half).round() as usize;
        let end = (CENTRE.0 + half).round() as usize;
        (first < end).then_some((y, first, end))
    })
}

/// Binomial smoothing in both directions, `passes` times: variance `passes` / 2 pixels². Edges repeat.
pub(super) fn smooth(plane: &Plane, passes: usize) -> Plane {
    let mut smoothed = plane.clone();
    if plane.width < 2 || plane.height < 2 {
        return smoothed;
    }
    let mut line = vec![0.0; plane.width];
    for _ in 0..passes {
        for row in smoothed.values.chunks_exact_mut(plane.width) {
            line.copy_from_slice(row);
            let last = line.len() - 1;
            row[0] = (3.0 * line[0] + line[1]) / 4.0;
            row[last] = (3.0 * line[last] + line[last - 1]) / 4.0;
            for (value, around) in row[1..last].iter_mut().zip(line.windows(3)) {
                *value = (around[0] + 2.0 * around[1] + around[2]) / 4.0;
            }
        }
        let source = smoothed.values.clone();
        let row_at = |y: usize| &source[y * plane.width..(y + 1) * plane.width];
        for (y, row) in smoothed.values.chunks_exact_mut(plane.width).enumerate() {
            let above = row_at(y.saturating_sub(1));
            let here = row_at(y);
            let below = row_at((y + 1).min(plane.height - 1));
            for (x, value) in row.iter_mut().enumerate() {
                *value = (above[x] + 2.0 * here[x] + below[x]) / 4.0;
            }
        }
    }
    smoothed
}
