//! The pictures that the detector is run on: all or a part of the capture, at some size and light.

use std::borrow::Cow;

use image::RgbImage;

use super::DetectedFace;
use crate::capture::{Capture, CaptureError, pixels};
use crate::geometry::{BoundingBox, Point};

/// Side of the square around a candidate that is looked at again, as a multiple of its longer side:
/// YuNet wants to see the head and some of what is around it.
const SURROUNDINGS: f32 = 2.4;

/// Side of the square that sets the light of a second look, as a multiple of the longer side.
const LIT_SQUARE: f32 = 1.5;

/// A picture for one pass, and where it lies in the original.
pub(super) struct View<'a> {
    picture: Cow<'a, RgbImage>,
    /// Original position of the picture's top left corner.
    origin: Point,
    /// Picture pixels per original pixel, across and down: rounded sizes may differ a little.
    scale: (f32, f32),
}

impl<'a> View<'a> {
    /// The whole capture with its longer side at `side`, or smaller where the capture is.
    pub(super) fn whole(capture: &'a Capture, side: u32) -> Self {
        let overview = capture.overview();
        let longer = overview.width().max(overview.height());
        let picture = if longer <= side {
            Cow::Borrowed(overview)
        } else {
            Cow::Owned(scaled(overview, side as f32 / longer as f32))
        };
        Self {
            scale: (
                picture.width() as f32 / capture.width() as f32,
                picture.height() as f32 / capture.height() as f32,
            ),
            picture,
            origin: Point::default(),
        }
    }

    /// The part `area` of the capture at `scale` picture pixels per original pixel.
    pub(super) fn part(
        capture: &Capture,
        area: BoundingBox,
        scale: f32,
    ) -> Result<Self, CaptureError> {
        let patch = capture.patch(area, scale.min(1.0))?;
        let picture = scaled(&patch.pixels, scale / patch.scale);
        Ok(Self {
            scale: (
                patch.scale * picture.width() as f32 / patch.pixels.width() as f32,
                patch.scale * picture.height() as f32 / patch.pixels.height() as f32,
            ),
            picture: Cow::Owned(picture),
            origin: patch.origin,
        })
    }

    /// The surroundings of a candidate, its longer side brought to `side` pixels.
    pub(super) fn around(
        capture: &Capture,
        bounds: &BoundingBox,
        side: f32,
    ) -> Result<Self, CaptureError> {
        let longer = bounds.width.max(bounds.height).max(1.0);
        let area = BoundingBox::square(bounds.centre(), SURROUNDINGS * longer);
        Self::part(capture, area, side / longer)
    }

    /// The same view with the light evened out: what is dark or pale around the middle of `bounds`,
    /// or anywhere if there are none, spreads over all of 0–255 about a middle grey.
    pub(super) fn evened(&self, bounds: Option<&BoundingBox>) -> Self {
        let (width, height) = self.picture.dimensions();
        let all = (0, 0, width, height);
        let (left, top, right, bottom) = bounds.map_or(all, |bounds| {
            let centre = bounds.centre();
            let half = LIT_SQUARE / 2.0 * bounds.width.max(bounds.height);
            let column =
                |x: f32| ((x - self.origin.x) * self.scale.0).clamp(0.0, width as f32) as u32;
            let row =
                |y: f32| ((y - self.origin.y) * self.scale.1).clamp(0.0, height as f32) as u32;
            let (left, top) = (column(centre.x - half), row(centre.y - half));
            (left, top, column(centre.x + half), row(centre.y + half))
        });
        let curve = evening_curve(&brightness_counts(&self.picture, left..right, top..bottom));
        let mut picture = self.picture.clone().into_owned();
        for value in picture.iter_mut() {
            *value = curve[usize::from(*value)];
        }
        Self {
            picture: Cow::Owned(picture),
            ..*self
        }
    }

    pub(super) fn picture(&self) -> &RgbImage {
        &self.picture
    }

    /// A face of this view in the original's pixels.
    pub(super) fn to_original(&self, face: &DetectedFace) -> DetectedFace {
        let (x, y) = self.scale;
        let bounds = face.bounding_box;
        DetectedFace {
            bounding_box: BoundingBox::new(
                self.origin.x + bounds.x / x,
                self.origin.y + bounds.y / y,
                bounds.width / x,
                bounds.height / y,
            ),
            detection_score: face.detection_score,
            points: face
                .points
                .map(|point| Point::new(self.origin.x + point.x / x, self.origin.y + point.y / y)),
        }
    }
}

fn scaled(picture: &RgbImage, scale: f32) -> RgbImage {
    let side = |length: u32| ((length as f32 * scale).round() as u32).max(1);
    pixels::resize(picture, side(picture.width()), side(picture.height()))
}

/// How many pixels of each brightness (mean of the colours) the rectangle holds.
fn brightness_counts(
    picture: &RgbImage,
    columns: std::ops::Range<u32>,
    rows: std::ops::Range<u32>,
) -> [u32; 256] {
    let mut counts = [0; 256];
    let stride = 3 * picture.width() as usize;
    let lines = picture.as_raw().chunks_exact(stride.max(3));
    for line in lines.skip(rows.start as usize).take(rows.len()) {
        for pixel in line[3 * columns.start as usize..3 * columns.end as usize].chunks_exact(3) {
            let sum: u32 = pixel.iter().map(|&value| u32::from(value)).sum();
            counts[(sum / 3) as usize] += 1;
        }
    }
    counts
}

/// The curve that takes the 2nd percentile to black, the 98th to white, the median to grey.
fn evening_curve(counts: &[u32; 256]) -> [u8; 256] {
    let total: u32 = counts.iter().sum();
    let percentile = |share: f32| {
        let wanted = (share * total as f32) as u32;
        let mut seen = 0;
        counts
            .iter()
            .position(|&count| {
                seen += count;
                seen > wanted
            })
            .unwrap_or(255) as f32
    };
    let (black, middle, white) = (percentile(0.02), percentile(0.5), percentile(0.98));
    // Eight steps at least, so that a flat surface is not blown up into noise alone.
    let span = (white - black).max(8.0);
    let share = ((middle - black) / span).clamp(0.02, 0.98);
    let gamma = (0.45f32.ln() / share.ln()).clamp(0.3, 3.0);
    let mut curve = [0; 256];
    for (value, mapped) in curve.iter_mut().enumerate() {
        let stretched = ((value as f32 - black) / span).clamp(0.0, 1.0);
        *mapped = (stretched.powf(gamma) * 255.0) as u8;
    }
    curve
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn a_dark_picture_is_spread_over_the_whole_range() {
        let picture = RgbImage::from_fn(64, 64, |x, _| Rgb([(x / 8) as u8 + 3; 3]));
        let curve = evening_curve(&brightness_counts(&picture, 0..64, 0..64));
        assert_eq!(curve[3], 0);
        assert_eq!(curve[11], 255);
        assert!((90..=140).contains(&curve[7]), "{}", curve[7]);
        assert!(curve.windows(2).all(|pair| pair[0] <= pair[1]));
    }

    #[test]
    fn counts_are_those_of_the_rectangle() {
        let mut picture = RgbImage::new(10, 10);
        picture.put_pixel(4, 5, Rgb([30, 60, 90]));
        let counts = brightness_counts(&picture, 4..6, 5..8);
        assert_eq!((counts[0], counts[60]), (5, 1));
        assert_eq!(brightness_counts(&picture, 0..4, 0..10)[60], 0);
    }
}
