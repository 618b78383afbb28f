//! What the decoders share: the decoded picture, and how a failure of theirs is told.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;

use super::memory::Reservation;
use super::{CaptureError, Damage, ImageFormat, UnsupportedKind};

/// A decoded picture, as stored, with the memory that it holds and how it is to be turned.
pub(super) struct Decoded {
    /// 8-bit RGB, row by row.
    pub(super) pixels: Vec<u8>,
    /// Columns and rows as stored.
    pub(super) size: (u32, u32),
    pub(super) orientation: Orientation,
    pub(super) memory: Reservation,
}

/// `length` zeros, or an error where the system lacks memory. `vec!` would end the process.
pub(super) fn allocated(length: usize) -> Result<Vec<u8>, CaptureError> {
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length)
        .map_err(|_| CaptureError::OutOfMemory)?;
    bytes.resize(length, 0);
    Ok(bytes)
}

/// Runs a decoder, which is foreign code fed by strangers. A panic in it is the decoder's fault, so
/// it costs the service no worker, and a file that may be sound is not called damaged.
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

pub(super) fn damaged(format: ImageFormat, damage: Damage) -> CaptureError {
    CaptureError::Damaged { format, damage }
}

pub(super) fn unsupported(format: ImageFormat, kind: UnsupportedKind) -> CaptureError {
    CaptureError::UnsupportedKind { format, kind }
}

/// The data is broken, in the decoder's own words.
pub(super) fn broken(format: ImageFormat, words: &impl ToString) -> CaptureError {
    let words = words.to_string();
    damaged(format, Damage::Data { words })
}

/// A failure to read on. At the end of the bytes it means that the file was cut off.
pub(super) fn io_error(format: ImageFormat, error: &io::Error) -> CaptureError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => CaptureError::Truncated { format },
        io::ErrorKind::OutOfMemory => CaptureError::OutOfMemory,
        _ => broken(format, error),
    }
}
