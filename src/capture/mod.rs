//! From bytes to an upright RGB picture. First stage of the pipeline; knows nothing of faces.
//!
//! A [`Capture`] offers two views: an *overview* for finding faces, which may be smaller than the original, and
//! [`Patch`]es around a face at the resolution in which it is judged.
//!
//! Samples are taken as they are stored: 16-bit ones are rounded to 8, CMYK is mixed to RGB, transparent pixels lie on middle
//! grey. Colour profiles (ICC) are ignored: the networks learnt from pictures that were read the same way.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::geometry::Point;
use crate::problem::ProblemCode;

mod decode;
mod format;
mod jpeg;
mod limits;
mod picture;
pub mod pixels;

pub use format::{ForeignFormat, sniff};
pub use picture::Capture;

/// A picture type that is accepted, recognised by its first bytes and never by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageFormat {
    /// JPEG: baseline or progressive; grey, YCbCr, RGB or CMYK.
    Jpeg,
    /// PNG of any depth and colour type; an animated one counts as its default image.
    Png,
    /// WebP, lossy or lossless; an animated one counts as its first frame.
    Webp,
    /// Windows bitmap.
    Bmp,
    /// TIFF; the first page.
    Tiff,
}

impl ImageFormat {
    /// How the format is called in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Webp => "WebP",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
        }
    }

    /// The wire form: what `image.format` says in an answer.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
        }
    }
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

/// Why an upload gives no picture. `Display` is the text that a caller may see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// No bytes at all.
    #[error("the picture is empty (0 bytes); check that the file was read before it was sent")]
    Empty,
    /// More bytes than [`Settings::max_bytes`].
    #[error(
        "the picture has {bytes} bytes, the limit is {limit}; send it smaller or as a JPEG of lower quality"
    )]
    TooManyBytes {
        /// Size of the upload.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// More pixels than [`Settings::max_pixels`].
    #[error(
        "the picture is {width}×{height} ({:.1} megapixels), the limit is {:.1} megapixels; scale it down first",
        f64::from(*.width) * f64::from(*.height) / 1e6,
        *.limit as f64 / 1e6
    )]
    TooManyPixels {
        /// Width that the header claims.
        width: u32,
        /// Height that the header claims.
        height: u32,
        /// The limit in force.
        limit: u64,
    },
    /// A header that claims no pixels.
    #[error("the {} says that it is {width}×{height} pixels; both must be at least 1", .format.name())]
    ZeroSize {
        /// What kind of file it is.
        format: ImageFormat,
        /// Width that the header claims.
        width: u32,
        /// Height that the header claims.
        height: u32,
    },
    /// No supported kind of file.
    #[error("this is {found}; JPEG, PNG, WebP, BMP and TIFF are supported: {}", .found.advice())]
    Unsupported {
        /// What it seems to be.
        found: ForeignFormat,
    },
    /// A supported format in a form that is not.
    #[error("this kind of {} is not supported ({kind}; expected {expected}); convert it to a plain PNG or JPEG", .format.name())]
    UnsupportedKind {
        /// What kind of file it is.
        format: ImageFormat,
        /// What was found in it.
        kind: String,
        /// What would do.
        expected: &'static str,
    },
    /// The file stops before the picture does.
    #[error("the {} file ends early: it was cut off while it was written or sent; send it again", .format.name())]
    Truncated {
        /// What kind of file it is.
        format: ImageFormat,
    },
    /// A JPEG made of more scans than any camera or editor writes.
    #[error("the JPEG has {scans} scans, the limit is {limit}; save it again as a baseline JPEG")]
    TooManyScans {
        /// Scans in the file.
        scans: usize,
        /// The limit.
        limit: usize,
    },
    /// The file is all there, its content is broken.
    #[error("the {} is damaged ({what}); export or send it again", .format.name())]
    Damaged {
        /// What kind of file it is.
        format: ImageFormat,
        /// What the decoder found.
        what: String,
    },
    /// A patch was asked for where there is no picture: a fault of ours.
    #[error("no part of the area asked for lies in the picture of {width}×{height} pixels")]
    OutsidePicture {
        /// Width of the picture.
        width: u32,
        /// Height of the picture.
        height: u32,
    },
}

impl CaptureError {
    /// How the contract calls this failure.
    #[must_use]
    pub const fn problem(&self) -> ProblemCode {
        match self {
            Self::TooManyBytes { .. } | Self::TooManyPixels { .. } => ProblemCode::ImageTooLarge,
            Self::Unsupported { .. } | Self::UnsupportedKind { .. } => {
                ProblemCode::UnsupportedMediaType
            }
            Self::Empty
            | Self::ZeroSize { .. }
            | Self::Truncated { .. }
            | Self::TooManyScans { .. }
            | Self::Damaged { .. } => ProblemCode::UndecodableImage,
            Self::OutsidePicture { .. } => ProblemCode::Internal,
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

/// Decodes an upload: limits first, then the type by its first bytes, then the pixels, turned upright.
///
/// # Errors
/// See [`CaptureError`]; it says what was got, what is expected and what to do.
pub fn decode(bytes: &[u8], settings: &Settings) -> Result<Capture, CaptureError> {
    limits::check_bytes(bytes.len(), settings)?;
    let format = sniff(bytes).map_err(|found| CaptureError::Unsupported { found })?;
    if format != ImageFormat::Jpeg {
        let picture = decode::decode(format, bytes, settings)?;
        return Ok(Capture::whole(picture, format, bytes.len()));
    }
    let structure = jpeg::Structure::read(bytes)?;
    limits::check_pixels(format, structure.width, structure.height, settings)?;
    structure.check()?;
    Capture::from_jpeg(bytes, structure)
}

#[cfg(test)]
mod tests;
