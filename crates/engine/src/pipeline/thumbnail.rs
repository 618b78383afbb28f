//! A small picture of a face for the log, if the operator keeps these: the aligned crop.

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

/// About 5 KB, and damage of the capture can still be told from the codec's.
const JPEG_QUALITY: u8 = 85;

/// JPEG of `crop` as it is, 112×112.
pub(super) fn of(crop: &RgbImage) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    match JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).encode_image(crop) {
        Ok(()) => Some(bytes),
        // The answer does not depend on it.
        Err(error) => {
            tracing::warn!(%error, "no thumbnail of a face could be made");
            None
        }
    }
}
