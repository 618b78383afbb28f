//! From bytes to an upright RGB picture. First stage of the pipeline; knows nothing of faces.
//!
//! A [`Capture`] offers two views: an *overview* for finding faces, which may be smaller than the original, and
//! [`Patch`]es around a face at the resolution in which it is judged.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::geometry::Point;

/// A picture type that is accepted, recognised by its first bytes and never by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageFormat {
    /// JPEG: baseline or progressive; grey, YCbCr, RGB or CMYK.
    Jpeg,
    /// PNG of any depth and colour type; an animated one counts as its first frame.
    Png,
    /// WebP, lossy or lossless; an animated one counts as its first frame.
    Webp,
    /// Windows bitmap.
    Bmp,
    /// TIFF; the first page.
    Tiff,
}

/// What a single upload may cost before it is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Largest upload in bytes.
    pub max_bytes: usize,
    /// Largest picture in pixels (width × height, read from the header before anything is allocated).
    pub max_pixels: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_bytes: 20_000_000,
            max_pixels: 50_000_000,
        }
    }
}

/// A part of the picture that holds one face at the resolution in which it is judged.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The pixels, upright.
    pub pixels: RgbImage,
    /// Where the patch's top left corner lies in the original, upright picture, in its pixels.
    pub origin: Point,
    /// Patch pixels per original pixel: 1 unless the original is far larger than the face needs.
    pub scale: f32,
}
