//! What an upload may cost, asked of its size and its header before anything is allocated for its pixels.

use super::{CaptureError, ImageFormat, Settings};

/// Scans that a progressive JPEG may have. Cameras and editors write about 10, size optimisers up to a few dozen; each one
/// walks over the whole picture, so that a small file with thousands of them would hold a thread for minutes.
pub(super) const MAX_JPEG_SCANS: usize = 100;

/// Memory that a decoder may take for its own tables, apart from the pixels.
const DECODER_OVERHEAD_BYTES: u64 = 16_000_000;

/// Refuses an upload of no bytes, or of more than the limit.
pub(super) fn check_bytes(bytes: usize, settings: &Settings) -> Result<(), CaptureError> {
    if bytes == 0 {
        return Err(CaptureError::Empty);
    }
    if bytes > settings.max_bytes {
        return Err(CaptureError::TooManyBytes {
            bytes,
            limit: settings.max_bytes,
        });
    }
    Ok(())
}

/// Refuses a picture whose header claims no pixels, or more than the limit.
pub(super) fn check_pixels(
    format: ImageFormat,
    width: u32,
    height: u32,
    settings: &Settings,
) -> Result<(), CaptureError> {
    if width == 0 || height == 0 {
        return Err(CaptureError::ZeroSize {
            format,
            width,
            height,
        });
    }
    if u64::from(width) * u64::from(height) > settings.max_pixels {
        return Err(CaptureError::TooManyPixels {
            width,
            height,
            limit: settings.max_pixels,
        });
    }
    Ok(())
}

/// The bounds handed to decoders, for what they allocate by themselves: 16 bytes a pixel is the widest sample layout.
pub(super) fn decoder_limits(settings: &Settings) -> image::Limits {
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(
        settings
            .max_pixels
            .saturating_mul(16)
            .saturating_add(DECODER_OVERHEAD_BYTES),
    );
    limits
}
