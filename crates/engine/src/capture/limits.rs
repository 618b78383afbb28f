//! What an upload may cost, by its size and its header, before its pixels are allocated.

use super::memory::Reservation;
use super::{CaptureError, ImageFormat, Memory, Settings};

/// Longest side of a picture in pixels: that of WebP. No camera comes near.
pub(super) const MAX_SIDE: u32 = 16_384;

/// Most times that the longer side is as long as the shorter. The widest panoramas have 20.
pub(super) const MAX_ASPECT: u32 = 50;

/// Pictures up to this side cost little, whatever their shape: rulers and bars of web pages.
const MAX_SIDE_OF_ANY_SHAPE: u32 = 1024;

/// Scans that a JPEG may have. Editors write about 10, size optimisers a few dozen.
const MAX_JPEG_SCANS: u64 = 100;

/// Pixels × scans of a JPEG: each scan walks over the whole picture, even one of a few bytes. So
/// many take half a second (`docs/pictures.md`); 20 scans of 50 megapixels.
pub(super) const MAX_SCANNED_PIXELS: u64 = 1_000_000_000;

/// The same with arithmetic coding, which takes several times longer; hardly anything writes it.
const MAX_SCANNED_PIXELS_ARITHMETIC: u64 = 200_000_000;

/// Bytes per pixel that any decoded picture takes: itself, and a part cut out or turned.
const BYTES_PER_PIXEL: u64 = 6;

/// How many scans a JPEG of so many pixels may have.
pub(super) fn most_scans(pixels: u64, is_arithmetic: bool) -> usize {
    let scanned = if is_arithmetic {
        MAX_SCANNED_PIXELS_ARITHMETIC
    } else {
        MAX_SCANNED_PIXELS
    };
    (scanned / pixels.max(1)).clamp(1, MAX_JPEG_SCANS) as usize
}

/// Refuses an upload of no bytes, or of more than the limit.
pub(super) fn check_bytes(bytes: usize, settings: &Settings) -> Result<(), CaptureError> {
    if bytes == 0 {
        return Err(CaptureError::Empty);
    }
    let limit = settings.max_bytes;
    if bytes > limit {
        return Err(CaptureError::TooManyBytes { bytes, limit });
    }
    Ok(())
}

/// What stands between a header and its pixels.
#[derive(Clone, Copy)]
pub(super) struct Gate<'a> {
    pub(super) format: ImageFormat,
    pub(super) settings: &'a Settings,
    pub(super) memory: &'a Memory,
}

impl Gate<'_> {
    /// Admits a picture of `width` × `height`, for which its decoder takes `bytes_per_pixel` and
    /// `extra_bytes`, and reserves that memory.
    pub(super) fn admit(
        self,
        (width, height): (u32, u32),
        bytes_per_pixel: u64,
        extra_bytes: u64,
    ) -> Result<Reservation, CaptureError> {
        self.check_size(width, height)?;
        let pixels = u64::from(width) * u64::from(height);
        let bytes = pixels
            .saturating_mul(bytes_per_pixel.max(BYTES_PER_PIXEL))
            .saturating_add(extra_bytes);
        self.memory.reserve(bytes)
    }

    /// Refuses a size of no pixels, of too many, or of too long a side.
    pub(super) fn check_size(self, width: u32, height: u32) -> Result<(), CaptureError> {
        if width == 0 || height == 0 {
            let format = self.format;
            return Err(CaptureError::ZeroSize {
                format,
                width,
                height,
            });
        }
        let limit = self.settings.max_pixels;
        if u64::from(width) * u64::from(height) > limit {
            return Err(CaptureError::TooManyPixels {
                width,
                height,
                limit,
            });
        }
        let (longer, shorter) = (width.max(height), width.min(height));
        let limit = MAX_SIDE;
        if longer > limit {
            return Err(CaptureError::TooLong {
                width,
                height,
                limit,
            });
        }
        let limit = MAX_ASPECT;
        if longer > MAX_SIDE_OF_ANY_SHAPE && longer / shorter > limit {
            return Err(CaptureError::TooNarrow {
                width,
                height,
                limit,
            });
        }
        Ok(())
    }
}
