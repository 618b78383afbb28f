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
mod exif;
mod format;
mod jpeg;
mod limits;
mod memory;
mod picture;
pub mod pixels;
mod png;
mod tiff;
mod webp;

pub use format::{ForeignFormat, sniff};
pub use memory::Memory;
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
    /// Memory in bytes that all pictures in work may take together, each by what its decoder needs;
    /// 0: by the number of workers, see [`Self::memory_bytes`].
    pub max_memory_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_bytes: 20_000_000,
            max_pixels: 50_000_000,
            max_memory_bytes: 0,
        }
    }
}

/// Memory for each worker, where the settings give none: two 12-megapixel photos.
const WORKER_BYTES: u64 = 160 << 20;

impl Settings {
    /// The memory that the pictures of so many workers may take together. At least that of two,
    /// which a picture of the largest size needs; with it two workers fit into 1 GB
    /// (`docs/pictures.md`).
    #[must_use]
    pub fn memory_bytes(&self, workers: usize) -> u64 {
        match self.max_memory_bytes {
            0 => WORKER_BYTES * workers.max(2) as u64,
            bytes => bytes,
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
    /// A side longer than any camera makes.
    #[error(
        "the picture is {width}×{height}, the limit is {limit} pixels a side; scale it down or cut it first"
    )]
    TooLong {
        /// Width that the header claims.
        width: u32,
        /// Height that the header claims.
        height: u32,
        /// The longest side allowed.
        limit: u32,
    },
    /// A strip rather than a picture.
    #[error(
        "the picture is {width}×{height}; its longer side may be {limit} times the shorter one: cut it first"
    )]
    TooNarrow {
        /// Width that the header claims.
        width: u32,
        /// Height that the header claims.
        height: u32,
        /// The largest ratio allowed.
        limit: u32,
    },
    /// More memory than all pictures together may take ([`Settings::memory_bytes`]).
    #[error(
        "decoding the picture takes {} MB, the limit is {} MB; scale it down, or save it as a JPEG or with 8 bits per sample",
        .needed.div_ceil(1_000_000),
        .limit / 1_000_000
    )]
    TooMuchMemory {
        /// What its decoder would take in bytes.
        needed: u64,
        /// The limit in force.
        limit: u64,
    },
    /// Other pictures held the memory for too long.
    #[error(
        "decoding the picture takes {} MB, and other pictures hold too much of the {} MB kept for all; try again in a moment",
        .needed.div_ceil(1_000_000),
        .limit / 1_000_000
    )]
    NoMemory {
        /// What its decoder would take in bytes.
        needed: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The system had no memory left.
    #[error("the system has no memory left for the picture; try again in a moment")]
    OutOfMemory,
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
    #[error(
        "the JPEG has {scans} scans, the limit for its size is {limit}; save it again as a baseline JPEG"
    )]
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
            Self::TooManyBytes { .. }
            | Self::TooManyPixels { .. }
            | Self::TooLong { .. }
            | Self::TooNarrow { .. }
            | Self::TooMuchMemory { .. } => ProblemCode::ImageTooLarge,
            Self::NoMemory { .. } | Self::OutOfMemory => ProblemCode::Overloaded,
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

/// Decodes an upload: limits first, then the type by its first bytes, then the pixels, turned
/// upright. All of the memory that `settings` allow one worker is this picture's.
///
/// # Errors
/// See [`CaptureError`]; it says what was got, what is expected and what to do.
pub fn decode(bytes: &[u8], settings: &Settings) -> Result<Capture, CaptureError> {
    decode_within(bytes, settings, &Memory::new(settings.memory_bytes(1)))
}

/// As [`decode()`], with memory that other pictures share: waits a few seconds where they hold too
/// much of it.
///
/// # Errors
/// As [`decode()`], and [`CaptureError::NoMemory`] where the wait was in vain.
pub fn decode_within(
    bytes: &[u8],
    settings: &Settings,
    memory: &Memory,
) -> Result<Capture, CaptureError> {
    limits::check_bytes(bytes.len(), settings)?;
    let (bytes, format) = match sniff(bytes) {
        Ok(format) => (bytes, format),
        Err(found) => {
            let rest = format::without_part_header(bytes);
            let format = sniff(rest).map_err(|_| CaptureError::Unsupported { found })?;
            (rest, format)
        }
    };
    let gate = limits::Gate {
        format,
        settings,
        memory,
    };
    if format != ImageFormat::Jpeg {
        let (picture, memory) = decode::decode(bytes, gate)?;
        return Ok(Capture::whole(picture, format, bytes.len(), memory));
    }
    let structure = jpeg::Structure::read(bytes)?;
    let size = (structure.width, structure.height);
    gate.check_size(size.0, size.1)?;
    structure.check()?;
    let memory = gate.admit(size, structure.bytes_per_pixel(), bytes.len() as u64)?;
    Capture::from_jpeg(bytes, structure, memory)
}

/// `length` zeros, or an error where the system has no memory for them: the plain way would end the
/// process.
fn allocated(length: usize) -> Result<Vec<u8>, CaptureError> {
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length)
        .map_err(|_| CaptureError::OutOfMemory)?;
    bytes.resize(length, 0);
    Ok(bytes)
}

#[cfg(test)]
mod tests;
