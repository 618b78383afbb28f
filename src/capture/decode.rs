//! Everything but JPEG: header, limits, pixels to 8-bit RGB, orientation.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::{bmp::BmpDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder};
use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, RgbImage};

use super::{CaptureError, ImageFormat, Settings, limits, pixels};

/// Decodes PNG, WebP, BMP or TIFF into an upright picture. JPEG does not come here.
///
/// # Errors
/// Where the header claims too much, or the content is cut off, broken or of a kind that is not supported.
pub(super) fn decode(
    format: ImageFormat,
    bytes: &[u8],
    settings: &Settings,
) -> Result<RgbImage, CaptureError> {
    if let Some((width, height)) = limits::claimed_size(format, bytes) {
        limits::check_pixels(format, width, height, settings)?;
    }
    if format == ImageFormat::Webp && is_shorter_than_riff_says(bytes) {
        return Err(CaptureError::Truncated { format });
    }
    guarded(format, || decode_unguarded(format, bytes, settings))
}

/// Whether the container is longer than the file. The decoder below it would take what is missing for damage.
fn is_shorter_than_riff_says(bytes: &[u8]) -> bool {
    let size = bytes.get(4..8).and_then(|size| size.try_into().ok());
    size.is_some_and(|size| bytes.len() as u64 - 8 < u64::from(u32::from_le_bytes(size)))
}

/// Runs a decoder that is foreign code fed by strangers. An assertion that a broken file trips in it is that file's fault,
/// and must cost its sender an answer, not the service a worker.
pub(super) fn guarded<T>(
    format: ImageFormat,
    decoder: impl FnOnce() -> Result<T, CaptureError>,
) -> Result<T, CaptureError> {
    catch_unwind(AssertUnwindSafe(decoder)).unwrap_or_else(|_| {
        Err(CaptureError::Damaged {
            format,
            what: "its content contradicts itself".to_owned(),
        })
    })
}

fn decode_unguarded(
    format: ImageFormat,
    bytes: &[u8],
    settings: &Settings,
) -> Result<RgbImage, CaptureError> {
    let cursor = Cursor::new(bytes);
    let failed = |error: ImageError| describe(format, &error);
    match format {
        ImageFormat::Png => {
            let limits = limits::decoder_limits(settings);
            finish(
                format,
                PngDecoder::with_limits(cursor, limits).map_err(failed)?,
                settings,
            )
        }
        ImageFormat::Webp => finish(format, WebPDecoder::new(cursor).map_err(failed)?, settings),
        ImageFormat::Bmp => finish(format, BmpDecoder::new(cursor).map_err(failed)?, settings),
        ImageFormat::Tiff => finish(format, TiffDecoder::new(cursor).map_err(failed)?, settings),
        ImageFormat::Jpeg => Err(CaptureError::Damaged {
            format,
            what: "it was handed to the wrong decoder".to_owned(),
        }),
    }
}

fn finish(
    format: ImageFormat,
    mut decoder: impl ImageDecoder,
    settings: &Settings,
) -> Result<RgbImage, CaptureError> {
    let failed = |error: ImageError| describe(format, &error);
    let (width, height) = decoder.dimensions();
    limits::check_pixels(format, width, height, settings)?;
    decoder
        .set_limits(limits::decoder_limits(settings))
        .map_err(failed)?;
    // A broken EXIF block says nothing of the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    let upright = if image.color().has_alpha() {
        pixels::onto_ground(&image.into_rgba8())
    } else {
        image.into_rgb8()
    };
    Ok(pixels::Turn::from(orientation).apply(upright))
}

fn describe(format: ImageFormat, error: &ImageError) -> CaptureError {
    let ends_early = |error: &std::io::Error| error.kind() == std::io::ErrorKind::UnexpectedEof;
    match error {
        ImageError::IoError(error) if ends_early(error) => CaptureError::Truncated { format },
        ImageError::Unsupported(_) => CaptureError::UnsupportedKind {
            format,
            kind: error.to_string(),
            expected: "8 or 16 bits per sample in grey, RGB or CMYK",
        },
        other => CaptureError::Damaged {
            format,
            what: other.to_string(),
        },
    }
}
