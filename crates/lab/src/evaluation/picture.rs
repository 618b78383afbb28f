//! Small pictures of faces for reports, so that anybody sees what was measured.

use faceood_engine::capture::{self, pixels};
use faceood_engine::geometry::BoundingBox;
use image::codecs::jpeg::JpegEncoder;
use image::{RgbImage, imageops};

use super::rival::around;

/// Side of a picture, pixels: twice what a page shows, for screens with fine pixels.
const SIDE: u32 = 240;

/// What is shown around a face, in sides of the face.
const SURROUNDINGS: f32 = 2.2;

/// Noise survives it, and a report with twenty pictures stays below a megabyte.
const JPEG_QUALITY: u8 = 80;

/// The part of an uploaded picture around a face, or all of it, as a JPEG; `None` if it cannot be
/// decoded.
pub fn of_upload(
    upload: &[u8],
    face: Option<BoundingBox>,
    settings: &capture::Settings,
) -> Option<Vec<u8>> {
    let capture = capture::decode(upload, settings).ok()?;
    let (width, height) = (capture.width() as f32, capture.height() as f32);
    let all = BoundingBox::new(0.0, 0.0, width, height);
    let area = face.map_or(all, |face| around(face, SURROUNDINGS));
    let scale = (SIDE as f32 / area.width.max(area.height).max(1.0)).min(1.0);
    let patch = capture.patch(area, scale).ok()?;
    Some(small(&patch.pixels, None))
}

/// The part of `picture` around a face, or all of it, as a JPEG.
pub(super) fn small(picture: &RgbImage, face: Option<BoundingBox>) -> Vec<u8> {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let area = face.map_or(BoundingBox::new(0.0, 0.0, width, height), |face| {
        around(face, SURROUNDINGS)
    });
    let [left, top] = [area.x.clamp(0.0, width), area.y.clamp(0.0, height)];
    let right = (area.x + area.width).clamp(left, width);
    let bottom = (area.y + area.height).clamp(top, height);
    let [x, y, wide, high] = [left, top, right - left, bottom - top].map(|side| side as u32);
    let part = imageops::crop_imm(picture, x, y, wide, high).to_image();
    let scale = SIDE as f32 / part.width().max(part.height()).max(1) as f32;
    let side = |length: u32| ((length as f32 * scale).round() as u32).max(1);
    let shown = pixels::resize(&part, side(part.width()), side(part.height()));
    let mut jpeg = Vec::new();
    // It is written into memory, and is no larger than the format allows.
    let _ = JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY).encode_image(&shown);
    jpeg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_face_of_any_picture_gives_a_small_one() {
        let photo = RgbImage::from_fn(400, 300, |x, y| image::Rgb([x as u8, y as u8, 90]));
        let at = |x| Some(BoundingBox::new(x, 100.0, 60.0, 80.0));
        // All of it, around a face, and around one that the edge cuts or that lies beyond it.
        for (face, sides) in [
            (None, [240, 180]),
            (at(150.0), [240, 240]),
            (at(0.0), [161, 240]),
            (at(900.0), [1, 240]),
        ] {
            let shown = image::load_from_memory(&small(&photo, face)).unwrap();
            let found = [shown.width(), shown.height()];
            let is_near = found.iter().zip(sides).all(|(a, b)| a.abs_diff(b) < 4);
            assert!(is_near, "{face:?}: {found:?}");
        }
    }
}
