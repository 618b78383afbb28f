//! Everything but JPEG: header, limits, pixels to 8-bit RGB, orientation. PNG and TIFF are read by
//! rows and parts, so that wide samples never take more memory than the picture. WebP and BMP have
//! decoders that give 8 bits by themselves.

use std::io::Cursor;

use image::codecs::{bmp::BmpDecoder, webp::WebPDecoder};
use image::error::ImageError;
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, RgbImage};

use super::decoding::{Decoded, allocated, broken, damaged, guarded, io_error, unsupported};
use super::limits::Gate;
use super::memory::Reservation;
use super::{CaptureError, Damage, ImageFormat, UnsupportedKind, pixels, png, tiff, webp};

/// Decodes PNG, WebP, BMP or TIFF into an upright picture. JPEG does not come here.
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
    let image = RgbImage::from_raw(width, height, decoded.pixels)
        .ok_or_else(|| damaged(gate.format, Damage::SizeUnlikePixels))?;
    let upright = pixels::Turn::from(decoded.orientation).apply(image);
    Ok((upright, decoded.memory))
}

fn webp(bytes: &[u8], gate: Gate<'_>) -> Result<Decoded, CaptureError> {
    let parts = webp::Parts::read(bytes)?;
    let memory = gate.admit(parts.canvas, parts.bytes_per_pixel(), bytes.len() as u64)?;
    let decoder =
        WebPDecoder::new(Cursor::new(bytes)).map_err(|error| told(gate.format, &error))?;
    // The limits were checked against the canvas.
    if decoder.dimensions() != parts.canvas {
        return Err(damaged(gate.format, Damage::TwoSizes));
    }
    Ok(Decoded {
        size: parts.canvas,
        pixels: read_all(decoder, gate.format)?,
        orientation: parts.orientation,
        memory,
    })
}

fn bmp(bytes: &[u8], gate: Gate<'_>) -> Result<Decoded, CaptureError> {
    // Its decoder has limits of its own, which it tells as damage.
    if let Some((width, height)) = claimed_by_bmp(bytes) {
        gate.check_size(width, height)?;
    }
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(|error| told(gate.format, &error))?;
    let size = decoder.dimensions();
    let memory = gate.admit(size, 4, 0)?;
    Ok(Decoded {
        size,
        pixels: read_all(decoder, gate.format)?,
        orientation: Orientation::NoTransforms,
        memory,
    })
}

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

fn read_all(decoder: impl ImageDecoder, format: ImageFormat) -> Result<Vec<u8>, CaptureError> {
    let colour = decoder.color_type();
    let mut pixels = allocated(usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX))?;
    decoder
        .read_image(&mut pixels)
        .map_err(|error| told(format, &error))?;
    match colour {
        ColorType::Rgb8 => {}
        ColorType::Rgba8 => {
            let rgba = pixels.as_chunks_mut::<4>().0;
            // Many writers of BMP declare an alpha channel and leave it at 0.
            if format == ImageFormat::Bmp && rgba.iter().all(|pixel| pixel[3] == 0) {
                rgba.iter_mut().for_each(|pixel| pixel[3] = 255);
            }
            pixels::rgba_to_rgb_in_place(&mut pixels);
        }
        other => {
            let name = format!("{other:?}");
            return Err(unsupported(format, UnsupportedKind::Colours { name }));
        }
    }
    Ok(pixels)
}

fn told(format: ImageFormat, error: &ImageError) -> CaptureError {
    match error {
        ImageError::IoError(error) => io_error(format, error),
        ImageError::Unsupported(_) => {
            let words = error.to_string();
            unsupported(format, UnsupportedKind::Other { words })
        }
        ImageError::Limits(_) => CaptureError::OutOfMemory,
        other => broken(format, other),
    }
}
