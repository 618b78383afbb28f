//! Luma planes, and where the face lies on the aligned grid.

use std::ops::Range;

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

    /// The part of the plane that `window` shows, which must lie in it.
    pub(super) fn part(&self, window: Window) -> Self {
        let mut values = Vec::with_capacity(window.width * window.height);
        for y in window.top..window.top + window.height {
            values.extend_from_slice(&self.row(y)[window.left..window.left + window.width]);
        }
        Self {
            width: window.width,
            height: window.height,
            values,
        }
    }

    pub(super) fn row(&self, y: usize) -> &[f32] {
        &self.values[y * self.width..(y + 1) * self.width]
    }
}

/// Which places of the aligned grid lie inside the picture; the others are black and say nothing.
#[derive(Clone, Debug)]
pub(super) struct Inside {
    /// The columns of each row that do: one range, since a straight edge cuts a row once.
    rows: Vec<Range<usize>>,
}

impl Inside {
    pub(super) fn of(aligned: &AlignedFace) -> Self {
        let patch = &aligned.patch;
        let back = aligned.transform.inverse().map(|back| Transform {
            a: back.a * patch.scale,
            b: back.b * patch.scale,
            tx: (back.tx - patch.origin.x) * patch.scale,
            ty: (back.ty - patch.origin.y) * patch.scale,
        });
        let (width, height) = (patch.pixels.width() as f32, patch.pixels.height() as f32);
        // Whether the grid's pixel was sampled a pixel or more inside the patch.
        let holds = |x: usize, y: usize| {
            back.is_some_and(|back| {
                let at = back.apply(Point::new(x as f32, y as f32));
                at.x >= 1.0 && at.y >= 1.0 && at.x <= width - 2.0 && at.y <= height - 2.0
            })
        };
        let side = ALIGNED_SIDE as usize;
        let columns = |y: usize| {
            let first = (0..side).find(|&x| holds(x, y)).unwrap_or(side);
            let end = (first..side).rfind(|&x| holds(x, y));
            first..end.map_or(first, |last| last + 1)
        };
        Self {
            rows: (0..side).map(columns).collect(),
        }
    }

    /// Those of the row's `columns` that lie inside the picture.
    pub(super) fn columns(&self, y: usize, columns: Range<usize>) -> Range<usize> {
        let inside = self.rows.get(y).cloned().unwrap_or_default();
        let first = inside.start.max(columns.start);
        first..inside.end.min(columns.end).max(first)
    }
}

/// The oval that a frontal face fills on the aligned grid, as (row, first column, column after the
/// last): eyebrows to chin, without hair and background.
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

/// Binomial smoothing in both directions: variance `passes` / 2 pixels². Edges repeat.
pub(super) fn smooth(plane: &Plane, passes: usize) -> Plane {
    let mut smoothed = plane.clone();
    let width = plane.width;
    if width < 2 || plane.height < 2 {
        return smoothed;
    }
    // Three rows that are smoothed along themselves: one walk over the plane does both directions.
    let (mut above, mut here, mut below) = (vec![0.0; width], vec![0.0; width], vec![0.0; width]);
    for _ in 0..passes {
        smooth_row(smoothed.row(0), &mut here);
        above.copy_from_slice(&here);
        for y in 0..plane.height {
            if y + 1 < plane.height {
                smooth_row(smoothed.row(y + 1), &mut below);
            } else {
                below.copy_from_slice(&here);
            }
            let row = &mut smoothed.values[y * width..(y + 1) * width];
            let rows = above.iter().zip(&here).zip(&below);
            for (value, ((above, here), below)) in row.iter_mut().zip(rows) {
                *value = (above + 2.0 * here + below) / 4.0;
            }
            std::mem::swap(&mut above, &mut here);
            std::mem::swap(&mut here, &mut below);
        }
    }
    smoothed
}

/// Binomial smoothing along a row of two or more numbers.
fn smooth_row(row: &[f32], smoothed: &mut [f32]) {
    let last = row.len() - 1;
    smoothed[0] = (3.0 * row[0] + row[1]) / 4.0;
    smoothed[last] = (3.0 * row[last] + row[last - 1]) / 4.0;
    let around = row.iter().zip(&row[1..]).zip(&row[2..]);
    for (value, ((before, here), after)) in smoothed[1..last].iter_mut().zip(around) {
        *value = (before + 2.0 * here + after) / 4.0;
    }
}

/// The sums of `count` lines of `width` numbers each, which `fill` writes. Several lines are summed
/// side by side, since each sum by itself would wait for its own last step.
pub(super) fn sums_of_lines(
    count: usize,
    width: usize,
    fill: impl Fn(usize, &mut [f32]),
) -> Vec<f32> {
    const BESIDE: usize = 8;
    let mut lines = vec![0.0; BESIDE * width];
    let mut sums = vec![0.0; count];
    for (group, sums) in sums.chunks_mut(BESIDE).enumerate() {
        for (at, line) in lines.chunks_exact_mut(width).enumerate().take(sums.len()) {
            fill(group * BESIDE + at, line);
        }
        let mut running = [0.0; BESIDE];
        for x in 0..width {
            for (sum, line) in running.iter_mut().zip(lines.chunks_exact(width)) {
                *sum += line[x];
            }
        }
        sums.copy_from_slice(&running[..sums.len()]);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::tests::scene::Scene;
    use super::*;

    #[test]
    fn each_line_has_its_own_sum() {
        for count in [1, 7, 8, 19] {
            let sums = sums_of_lines(count, 5, |y, line| {
                for (x, value) in line.iter_mut().enumerate() {
                    *value = (10 * y + x) as f32;
                }
            });
            let expected: Vec<f32> = (0..count).map(|y| (50 * y + 10) as f32).collect();
            assert_eq!(sums, expected);
        }
    }

    #[test]
    fn columns_inside_are_those_that_the_transform_takes_inside() {
        let (mut aligned, _) = Scene::astronaut().aligned();
        aligned.transform = Transform {
            a: 0.8,
            b: 0.4,
            ..aligned.transform
        };
        // The turned grid's middle lies near the picture's lower right corner, whose two edges cut
        // it.
        let (width, height) = (aligned.patch.pixels.width(), aligned.patch.pixels.height());
        let back = aligned.transform.inverse().unwrap();
        let middle = back.apply(Point::new(56.0, 56.0));
        aligned.patch.origin = Point::new(
            middle.x + 20.0 - width as f32,
            middle.y + 30.0 - height as f32,
        );
        let inside = Inside::of(&aligned);
        let mut count = 0;
        for y in 0..ALIGNED_SIDE as usize {
            let columns = inside.columns(y, 3..100);
            for x in 3..100 {
                let at = back.apply(Point::new(x as f32, y as f32));
                let origin = aligned.patch.origin;
                let at = Point::new(at.x - origin.x, at.y - origin.y);
                // How far inside the border that counts; rounding decides what lies on it.
                let margin = (at.x - 1.0)
                    .min(at.y - 1.0)
                    .min(width as f32 - 2.0 - at.x)
                    .min(height as f32 - 2.0 - at.y);
                if margin.abs() > 0.01 {
                    assert_eq!(columns.contains(&x), margin > 0.0, "({x}, {y})");
                }
                count += usize::from(margin > 0.0);
            }
        }
        assert!((500..8000).contains(&count), "{count}");
    }

    #[test]
    fn smoothing_spreads_a_point_by_binomial_weights() {
        let mut values = vec![0.0; 49];
        values[24] = 256.0;
        let plane = Plane {
            width: 7,
            height: 7,
            values,
        };
        let smoothed = smooth(&plane, 2);
        let weights = [0.0, 1.0, 4.0, 6.0, 4.0, 1.0, 0.0];
        let expected: Vec<f32> = weights
            .iter()
            .flat_map(|down| weights.map(|across| down * across))
            .collect();
        assert_eq!(smoothed.values, expected);
    }
}
