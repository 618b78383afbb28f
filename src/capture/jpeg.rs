//! JPEG through libjpeg-turbo: the structure is read here first, then pixels are decoded, at a fraction of the size if asked.

use image::RgbImage;
use image::metadata::Orientation;
use turbojpeg::{Colorspace, Decompressor, PixelFormat, ScalingFactor};

use super::limits::MAX_JPEG_SCANS;
use super::{CaptureError, ImageFormat};

/// What the markers of a JPEG say, before any pixel is decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Structure {
    /// Columns as stored (before the orientation is applied).
    pub(super) width: u32,
    /// Rows as stored.
    pub(super) height: u32,
    /// Bits per sample; only 8 is decoded.
    pub(super) precision: u8,
    /// Whether Adobe's marker is there: its CMYK is stored inverted.
    pub(super) adobe: bool,
    /// From the EXIF block.
    pub(super) orientation: Orientation,
    /// Scans: 1 for most baseline files, about 10 for progressive ones.
    pub(super) scans: usize,
    /// Whether the end-of-image marker was reached. What follows it (previews, depth maps, padding) does not matter.
    pub(super) complete: bool,
}

impl Structure {
    /// Walks over the markers. Segment lengths are followed, so that an embedded preview is not mistaken for the picture.
    ///
    /// # Errors
    /// Where the file ends before its frame header, or where markers make no sense.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, CaptureError> {
        let mut found = Self {
            width: 0,
            height: 0,
            precision: 0,
            adobe: false,
            orientation: Orientation::NoTransforms,
            scans: 0,
            complete: false,
        };
        let mut framed = false;
        let mut at = 2;
        while let Some((marker, body)) = next_marker(bytes, at) {
            at = body;
            match marker {
                0xD9 => {
                    found.complete = true;
                    break;
                }
                // Restart markers and TEM stand alone.
                0x01 | 0xD0..=0xD8 => continue,
                _ => {}
            }
            let Some(segment) = segment(bytes, body) else {
                break;
            };
            at = body + 2 + segment.len();
            match marker {
                // All start-of-frame markers; DHT (C4), JPG (C8) and DAC (CC) share their range.
                0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF if !framed => {
                    let [precision, high_h, low_h, high_w, low_w, ..] = *segment else {
                        return Err(damaged("its frame header is too short"));
                    };
                    framed = true;
                    found.precision = precision;
                    found.height = u32::from(u16::from_be_bytes([high_h, low_h]));
                    found.width = u32::from(u16::from_be_bytes([high_w, low_w]));
                }
                0xDA => {
                    found.scans += 1;
                    at = end_of_scan(bytes, at);
                }
                0xE1 => {
                    if let Some(exif) = segment.strip_prefix(b"Exif\0\0")
                        && let Some(orientation) = Orientation::from_exif_chunk(exif)
                    {
                        found.orientation = orientation;
                    }
                }
                0xEE if segment.starts_with(b"Adobe") => found.adobe = true,
                _ => {}
            }
        }
        if !framed {
            return Err(if found.complete {
                damaged("it has no frame header")
            } else {
                truncated()
            });
        }
        Ok(found)
    }

    /// Refuses what is cut off, and what libjpeg-turbo would not decode or only at great cost.
    ///
    /// # Errors
    /// [`CaptureError::Truncated`] or [`CaptureError::Damaged`].
    pub(super) fn check(&self) -> Result<(), CaptureError> {
        if !self.complete || self.scans == 0 {
            return Err(truncated());
        }
        if self.precision != 8 {
            return Err(CaptureError::UnsupportedKind {
                format: ImageFormat::Jpeg,
                kind: format!("{} bits per sample", self.precision),
                expected: "8 bits per sample",
            });
        }
        if self.scans > MAX_JPEG_SCANS {
            return Err(CaptureError::TooManyScans {
                scans: self.scans,
                limit: MAX_JPEG_SCANS,
            });
        }
        Ok(())
    }
}

/// The next marker at or after `at`, and where its body starts. Fill bytes and stray data before it are skipped.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xFF)?;
        match *bytes.get(at + 1)? {
            0x00 | 0xFF => at += 1,
            marker => return Some((marker, at + 2)),
        }
    }
}

/// The body of the segment whose length field stands at `at`, or `None` where the file ends before it does.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    bytes.get(at + 2..at + length.max(2))
}

/// Where the entropy-coded data that starts at `at` ends: at the next marker that is no restart marker.
fn end_of_scan(bytes: &[u8], mut at: usize) -> usize {
    while let Some((marker, body)) = next_marker(bytes, at) {
        if !matches!(marker, 0xD0..=0xD7) {
            return body - 2;
        }
        at = body;
    }
    bytes.len()
}

/// Decodes the whole picture at `eighths`/8 of its size, as stored (not yet upright).
///
/// # Errors
/// [`CaptureError::Damaged`] where libjpeg-turbo refuses the data, or complains in a way that costs pixels.
pub(super) fn decode(
    bytes: &[u8],
    structure: &Structure,
    eighths: usize,
) -> Result<RgbImage, CaptureError> {
    let mut decoder = Decompressor::new().map_err(|error| refused(&error))?;
    let scaling = ScalingFactor::new(eighths, 8);
    decoder
        .set_scaling_factor(scaling)
        .map_err(|error| refused(&error))?;
    let header = match decoder.read_header(bytes) {
        Ok(header) => header,
        Err(error) if is_harmless(&error) => return decode_lenient(bytes, structure, scaling),
        Err(error) => return Err(refused(&error)),
    };
    let (width, height) = (scaling.scale(header.width), scaling.scale(header.height));
    let inked = matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK);
    let format = if inked {
        PixelFormat::CMYK
    } else {
        PixelFormat::RGB
    };
    let pitch = width * format.size();
    let mut pixels = vec![0; pitch * height];
    let outcome = decoder.decompress(
        bytes,
        turbojpeg::Image {
            pixels: pixels.as_mut_slice(),
            width,
            pitch,
            height,
            format,
        },
    );
    match outcome {
        Ok(()) => {}
        Err(error) if is_harmless(&error) => {}
        Err(error) => return Err(refused(&error)),
    }
    if inked {
        pixels = ink_to_light(&pixels, structure.adobe);
    }
    RgbImage::from_raw(width as u32, height as u32, pixels)
        .ok_or_else(|| damaged("its size does not match its pixels"))
}

/// libjpeg-turbo's bindings stop at any warning in the header, even one that says nothing of the pixels (an unknown JFIF
/// revision, a broken colour profile). Such files are rare: a second decoder reads them, always at full size.
fn decode_lenient(
    bytes: &[u8],
    structure: &Structure,
    scaling: ScalingFactor,
) -> Result<RgbImage, CaptureError> {
    let image = image::load_from_memory_with_format(bytes, image::ImageFormat::Jpeg)
        .map_err(|error| damaged(&error.to_string()))?
        .into_rgb8();
    if image.dimensions() != (structure.width, structure.height) {
        return Err(damaged("its size does not match its header"));
    }
    if scaling == ScalingFactor::ONE {
        return Ok(image);
    }
    let scaled = |length: u32| scaling.scale(length as usize) as u32;
    Ok(super::pixels::resize(
        &image,
        scaled(image.width()),
        scaled(image.height()),
    ))
}

/// Whether a complaint leaves every pixel as it was meant. libjpeg-turbo hands out only the first one of a file; that a file
/// is cut off is found by [`Structure::read`], whatever came first.
fn is_harmless(error: &turbojpeg::Error) -> bool {
    const HARMLESS: [&str; 6] = [
        // Padding or a writer's leftovers between two segments or before the end.
        "extraneous bytes before marker",
        "unknown JFIF revision",
        "Unknown Adobe color transform code",
        "bad ICC marker",
        // Some cameras write these; the data decodes as meant.
        "Invalid SOS parameters for sequential JPEG",
        "Inconsistent progression sequence",
    ];
    let turbojpeg::Error::TurboJpegError(message) = error else {
        return false;
    };
    HARMLESS.iter().any(|harmless| message.contains(harmless))
}

/// CMYK to RGB, without a colour profile. Adobe's writers, and all that follow them, store light instead of ink (255 = none).
fn ink_to_light(pixels: &[u8], stored_as_light: bool) -> Vec<u8> {
    let invert = if stored_as_light { 0 } else { 0xFF };
    let mut out = Vec::with_capacity(pixels.len() / 4 * 3);
    for &[cyan, magenta, yellow, black] in pixels.as_chunks::<4>().0 {
        let paper = u32::from(black ^ invert);
        for ink in [cyan, magenta, yellow] {
            out.push(((u32::from(ink ^ invert) * paper + 127) / 255) as u8);
        }
    }
    out
}

fn truncated() -> CaptureError {
    CaptureError::Truncated {
        format: ImageFormat::Jpeg,
    }
}

fn damaged(what: &str) -> CaptureError {
    CaptureError::Damaged {
        format: ImageFormat::Jpeg,
        what: what.to_owned(),
    }
}

fn refused(error: &turbojpeg::Error) -> CaptureError {
    match error {
        turbojpeg::Error::TurboJpegError(message) if message.contains("Premature end") => {
            truncated()
        }
        turbojpeg::Error::TurboJpegError(message) => damaged(message),
        other => damaged(&other.to_string()),
    }
}
