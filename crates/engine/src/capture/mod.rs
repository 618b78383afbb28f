//! From bytes to an upright RGB picture. First stage of the pipeline; knows nothing of faces.
//!
//! A [`Capture`] offers two views: an *overview* for finding faces, which may be smaller than the
//! original, and [`Patch`]es around a face at the resolution in which it is judged.
//!
//! Samples are taken as they are stored: 16-bit ones are rounded to 8, CMYK is mixed to RGB,
//! transparent pixels lie on middle grey. Colour profiles (ICC) are ignored: the networks learnt
//! from pictures that were read the same way.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::geometry::Point;

mod confined;
mod decode;
mod decoding;
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

pub use crate::image_format::ImageFormat;
pub use crate::problem::texts::{CaptureError, Damage, ForeignFormat, UnsupportedKind};
pub use confined::{Decoder, decode_for_parent};
pub use format::sniff;
pub use memory::Memory;
pub use picture::Capture;

/// What a single upload may cost before it is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Largest upload in bytes.
    pub max_bytes: usize,
    /// Largest picture in pixels (width × height), by its header.
    pub max_pixels: u64,
    /// Memory in bytes that all pictures in work may take together, each by what its decoder needs;
    /// 0: by the number of workers, see [`Self::memory_bytes`].
    pub max_memory_bytes: u64,
    /// Whether the daemon decodes JPEGs in processes of their own, which may do nothing else.
    pub confined: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_bytes: 20_000_000,
            max_pixels: 50_000_000,
            max_memory_bytes: 0,
            confined: true,
        }
    }
}

/// Memory for each worker, where the settings give none: two 12-megapixel photos.
const WORKER_BYTES: u64 = 160 << 20;

impl Settings {
    /// The memory for the pictures of so many workers, at least of two: the largest picture needs
    /// that, and it fits into 1 GB (`docs/pictures.md`).
    pub fn memory_bytes(&self, workers: usize) -> u64 {
        match self.max_memory_bytes {
            0 => WORKER_BYTES * workers.max(2) as u64,
            bytes => bytes,
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
    let memory = Memory::new(settings.memory_bytes(1));
    decode_within(bytes, settings, &memory, &Decoder::default())
}

/// As [`decode()`], with memory that others share: waits a few seconds where they hold too much.
/// JPEGs are decoded by `decoder`.
///
/// # Errors
/// As [`decode()`], and [`CaptureError::NoMemory`] where the wait was in vain.
pub fn decode_within(
    bytes: &[u8],
    settings: &Settings,
    memory: &Memory,
    decoder: &Decoder,
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
    Capture::from_jpeg(bytes, structure, memory, decoder)
}

#[cfg(test)]
mod tests;
