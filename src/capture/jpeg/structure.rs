//! What the markers of a JPEG say, read before any pixel is decoded: size, orientation, and whether the file is all there.

use image::metadata::Orientation;

use super::{damaged, truncated};
use crate::capture::limits::MAX_JPEG_SCANS;
use crate::capture::{CaptureError, ImageFormat};

/// What the markers of a JPEG say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::capture) struct Structure {
    /// Columns as stored (before the orientation is applied).
    pub(in crate::capture) width: u32,
    /// Rows as stored.
    pub(in crate::capture) height: u32,
    /// Bits per sample; only 8 is decoded.
    pub(in crate::capture) precision: u8,
    /// Whether it was compressed without loss: a rare kind that cannot be decoded at a fraction of its size.
    pub(in crate::capture) lossless: bool,
    /// Whether Adobe's marker is there: its CMYK is stored inverted.
    pub(in crate::capture) adobe: bool,
    /// From the EXIF block.
    pub(in crate::capture) orientation: Orientation,
    /// Scans: 1 for most baseline files, about 10 for progressive ones.
    pub(in crate::capture) scans: usize,
    /// Whether the end-of-image marker was reached. What follows it (previews, depth maps, padding) does not matter.
    pub(in crate::capture) complete: bool,
}

impl Structure {
    /// Walks over the markers. Segment lengths are followed, so that an embedded preview is not mistaken for the picture.
    ///
    /// # Errors
    /// Where the file ends before its frame header, or where markers make no sense.
    pub(in crate::capture) fn read(bytes: &[u8]) -> Result<Self, CaptureError> {
        let mut found = Self {
            width: 0,
            height: 0,
            precision: 0,
            lossless: false,
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
                    found.lossless = matches!(marker, 0xC3 | 0xC7 | 0xCB | 0xCF);
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
    pub(in crate::capture) fn check(&self) -> Result<(), CaptureError> {
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
        at += position_of_ff(bytes.get(at..)?)?;
        match *bytes.get(at + 1)? {
            0x00 | 0xFF => at += 1,
            marker => return Some((marker, at + 2)),
        }
    }
}

/// Where the first byte FF is. Groups without one are passed over whole, which the compiler does with vector instructions:
/// between two markers may lie megabytes.
fn position_of_ff(bytes: &[u8]) -> Option<usize> {
    let has_none = |group: &&[u8; 32]| !group.iter().fold(false, |any, &byte| any | (byte == 0xFF));
    let groups = bytes.as_chunks::<32>().0.iter().take_while(has_none);
    let skipped = 32 * groups.count();
    let rest = bytes[skipped..].iter();
    Some(skipped + rest.copied().position(|byte| byte == 0xFF)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ff_is_found_wherever_it_stands() {
        for length in [0, 1, 31, 32, 33, 100] {
            let mut bytes = vec![0xFE; length];
            assert_eq!(position_of_ff(&bytes), None);
            for at in (0..length).rev() {
                bytes[at] = 0xFF;
                assert_eq!(position_of_ff(&bytes), Some(at));
            }
        }
    }
}
