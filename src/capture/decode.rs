//! Everything but JPEG: header, limits, pixels to 8-bit RGB, orientation. PNG and TIFF are read by
//! rows and parts, so that wide samples never take more memory than the picture; WebP and BMP have
//! decoders that give 8 bits by themselves.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::{bmp::BmpDecoder, webp::WebPDecoder};
use image::error::ImageError;
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, RgbImage};

use super::limits::Gate;
use super::memory::Reservation;
use super::{CaptureError, Damage, ImageFormat, UnsupportedKind};
use super::{allocated, pixels, png, tiff, webp};

/// A decoded picture, as stored, with the memory that it holds and how it is to be turned.
pub(super) struct Decoded {
    /// 8-bit RGB, row by row.
    pub(super) pixels: Vec<u8>,
    /// Columns and rows as stored.
    pub(super) size: (u32, u32),
    pub(super) orientation: Orientation,
    pub(super) memory: Reservation,
}

/// Decodes PNG, WebP, BMP or TIFF into an upright picture. JPEG does not come here.
///
/// # Errors
/// Where the header claims too much, or the content is cut off, broken or of a kind that is not supported.
pub(super) fn decode(
    bytes: &[u8],
    gate: Gate<'_>,
) -> Result<(RgbImage, Reservation), CaptureError> {
    let decoded = guarded(gate.format, || match gate.format {
        ImageFormat::Png => png::decode(bytes, gate),
        ImageFormat::Tiff => tiff::decode(bytes, gate),
        ImageFormat::Webp => webp(bytes, gate),
        ImageFormat::Bmp | ImageFormat::Jpeg => bmp(bytes, gate),
    })?;
    let (width, height) = decoded.size;
    let image = RgbImage::from_raw(width, height, decoded.pixels).ok_or(CaptureError::Damaged {
        format: gate.format,
        damage: Damage::SizeUnlikePixels,
    })?;
    let upright = pixels::Turn::from(decoded.orientation).apply(image);
    Ok((upright, decoded.memory))
}

/// Runs a decoder that is foreign code fed by strangers. A panic in it is the decoder's fault: it
/// must cost neither the service a worker nor the sender the blame for a file that may be sound.
pub(super) fn guarded<T>(
    format: ImageFormat,
    decoder: impl FnOnce() -> Result<T, CaptureError>,
) -> Result<T, CaptureError> {
    catch_unwind(AssertUnwindSafe(decoder)).unwrap_or_else(|_| {
        tracing::warn!(
            %format,
            "the decoder panicked on a picture; it is refused as a kind that is not supported"
        );
        Err(CaptureError::DecoderStopped { format })
    })
}

fn webp(bytes: &[u8], gate: Gate<'_>) -> Result<Decoded, CaptureError> {
    let parts = webp::Parts::read(bytes)?;
    let memory = gate.admit(parts.canvas, parts.bytes_per_pixel(), bytes.len() as u64)?;
    let failed = |error: ImageError| describe(gate.format, &error);
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(failed)?;
    let (pixels, size) = read_all(decoder, gate.format, Some(parts.canvas))?;
    Ok(Decoded {
        pixels,
        size,
        orientation: parts.orientation,
        memory,
    })
}

fn bmp(bytes: &[u8], gate: Gate<'_>) -> Result<Decoded, CaptureError> {
    let failed = |error: ImageError| describe(gate.format, &error);
    // Its decoder has limits of its own, which it tells as damage.
    if let Some((width, height)) = claimed_by_bmp(bytes) {
        gate.check_size(width, height)?;
    }
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(failed)?;
    let memory = gate.admit(decoder.dimensions(), 4, 0)?;
    let (pixels, size) = read_all(decoder, gate.format, None)?;
    Ok(Decoded {
        pixels,
        size,
        orientation: Orientation::NoTransforms,
        memory,
    })
}

/// Width and height in the header.
fn claimed_by_bmp(bytes: &[u8]) -> Option<(u32, u32)> {
    let at = |start: usize| bytes.get(start..start + 4)?.try_into().ok();
    // The oldest header has 16-bit sizes.
    if u32::from_le_bytes(at(14)?) == 12 {
        let size = u32::from_le_bytes(at(18)?);
        return Some((size & 0xFFFF, size >> 16));
    }
    // A negative height says that rows run from the top.
    let side = |start: usize| Some(i32::from_le_bytes(at(start)?).unsigned_abs());
    Some((side(18)?, side(22)?))
}

/// All pixels at once, as 8-bit RGB. `expected` is the size that the limits were checked against,
/// where another reader found it.
fn read_all(
    decoder: impl ImageDecoder,
    format: ImageFormat,
    expected: Option<(u32, u32)>,
) -> Result<(Vec<u8>, (u32, u32)), CaptureError> {
    let size = decoder.dimensions();
    if expected.is_some_and(|expected| expected != size) {
        return Err(CaptureError::Damaged {
            format,
            damage: Damage::TwoSizes,
        });
    }
    let colour = decoder.color_type();
    let mut pixels = allocated(usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX))?;
    decoder
        .read_image(&mut pixels)
        .map_err(|error| describe(format, &error))?;
    match colour {
        ColorType::Rgb8 => {}
        ColorType::Rgba8 => {
            let is_unused =
                |pixels: &[u8]| pixels.as_chunks::<4>().0.iter().all(|pixel| pixel[3] == 0);
            // Many writers of BMP declare an alpha channel and leave it at 0: nobody means an
            // invisible picture.
            if format == ImageFormat::Bmp && is_unused(&pixels) {
                pixels
                    .as_chunks_mut::<4>()
                    .0
                    .iter_mut()
                    .for_each(|pixel| pixel[3] = 255);
            }
            pixels::rgba_to_rgb_in_place(&mut pixels);
        }
        other => {
            return Err(CaptureError::UnsupportedKind {
                format,
                kind: UnsupportedKind::Colours {
                    name: format!("{other:?}"),
                },
            });
        }
    }
    Ok((pixels, size))
}

fn describe(format: ImageFormat, error: &ImageError) -> CaptureError {
    match error {
        ImageError::IoError(error) => io_error(format, error),
        ImageError::Unsupported(_) => CaptureError::UnsupportedKind {
            format,
            kind: UnsupportedKind::Other {
                words: error.to_string(),
            },
        },
        ImageError::Limits(_) => CaptureError::OutOfMemory,
        other => CaptureError::Damaged {
            format,
            damage: Damage::Data {
                words: other.to_string(),
            },
        },
    }
}

/// A failure to read on: at the end of the file it was cut off.
pub(super) fn io_error(format: ImageFormat, error: &std::io::Error) -> CaptureError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => CaptureError::Truncated { format },
        std::io::ErrorKind::OutOfMemory => CaptureError::OutOfMemory,
        _ => CaptureError::Damaged {
            format,
            damage: Damage::Data {
                words: error.to_string(),
            },
        },
    }
}
