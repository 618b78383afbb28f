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

/// Width and height as the header of `bytes` claims them; `None` where the header is too short, and for JPEG, whose structure
/// is read anyway.
pub(super) fn claimed_size(format: ImageFormat, bytes: &[u8]) -> Option<(u32, u32)> {
    let at = |start: usize| bytes.get(start..start + 4)?.try_into().ok();
    match format {
        ImageFormat::Png => Some((u32::from_be_bytes(at(16)?), u32::from_be_bytes(at(20)?))),
        ImageFormat::Bmp => match u32::from_le_bytes(at(14)?) {
            // The oldest header has 16-bit sizes.
            12 => {
                let [width_low, width_high, height_low, height_high] = at(18)?;
                Some((
                    u32::from(u16::from_le_bytes([width_low, width_high])),
                    u32::from(u16::from_le_bytes([height_low, height_high])),
                ))
            }
            // A negative height says that rows run from the top.
            _ => Some((
                i32::from_le_bytes(at(18)?).unsigned_abs(),
                i32::from_le_bytes(at(22)?).unsigned_abs(),
            )),
        },
        ImageFormat::Webp => match at(12)? {
            // 24 bits each, less one.
            [b'V', b'P', b'8', b'X'] => {
                let width = u32::from_le_bytes(at(24)?) & 0x00FF_FFFF;
                let height = u32::from_le_bytes(at(26)?) >> 8;
                Some((width + 1, height + 1))
            }
            // After a signature byte 14 bits each, less one.
            [b'V', b'P', b'8', b'L'] => {
                let bits = u32::from_le_bytes(at(21)?);
                Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
            }
            // After a frame tag and a start code 14 bits each.
            [b'V', b'P', b'8', b' '] => {
                let bits = u32::from_le_bytes(at(26)?);
                Some((bits & 0x3FFF, bits >> 16 & 0x3FFF))
            }
            _ => None,
        },
        ImageFormat::Tiff => claimed_by_tiff(bytes),
        ImageFormat::Jpeg => None,
    }
}

/// From the tags of the first page.
fn claimed_by_tiff(bytes: &[u8]) -> Option<(u32, u32)> {
    let big_endian = bytes.starts_with(b"MM");
    let short = |at: usize| {
        let value = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if big_endian {
            u16::from_be_bytes(value)
        } else {
            u16::from_le_bytes(value)
        })
    };
    let long = |at: usize| {
        let value = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if big_endian {
            u32::from_be_bytes(value)
        } else {
            u32::from_le_bytes(value)
        })
    };
    let page = long(4)? as usize;
    let (mut width, mut height) = (None, None);
    for entry in 0..usize::from(short(page)?) {
        let at = page + 2 + entry * 12;
        let value = match short(at + 2)? {
            3 => u32::from(short(at + 8)?),
            _ => long(at + 8)?,
        };
        match short(at)? {
            256 => width = Some(value),
            257 => height = Some(value),
            _ => {}
        }
    }
    Some((width?, height?))
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
