//! Luma planes and where on the aligned grid the face lies: what the measurements share.

use image::RgbImage;

use crate::face::ALIGNED_SIDE;

/// One number a pixel, row by row.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

impl Plane {
    /// BT.601 luma of `picture` in 8-bit levels, 0…255: the window of at most `width` × `height` at (`left`, `top`),
    /// clipped to the picture.
    pub(super) fn luma(
        picture: &RgbImage,
        left: usize,
        top: usize,
        width: usize,
        height: usize,
    ) -> Self {
        let row_length = picture.width() as usize;
        let width = width.min(row_length.saturating_sub(left));
        let height = height.min((picture.height() as usize).saturating_sub(top));
        let mut values = Vec::with_capacity(width * height);
        if width > 0 {
            let rows = picture.as_raw().chunks_exact(3 * row_length);
            for row in rows.skip(top).take(height) {
                values.extend(
                    row[3 * left..3 * (left + width)]
                        .chunks_exact(3)
                        .map(|rgb| {
                            0.299 * f32::from(rgb[0])
                                + 0.587 * f32::from(rgb[1])
                                + 0.114 * f32::from(rgb[2])
                        }),
                );
            }
        }
        Self {
            width,
            height: if width > 0 { height } else { 0 },
            values,
        }
    }

    pub(super) fn row(&self, y: usize) -> &[f32] {
        &self.values[y * self.width..(y + 1) * self.width]
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
