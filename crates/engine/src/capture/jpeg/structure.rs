//! What the markers of a JPEG say, read before any pixel is decoded.

use image::metadata::Orientation;

use super::{FORMAT, TRUNCATED};
use crate::capture::decoding::{damaged, unsupported};
use crate::capture::{CaptureError, Damage, UnsupportedKind, exif, limits};

/// What the markers of a JPEG say.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::capture) struct Structure {
    /// Columns as stored (before the orientation is applied).
    pub(in crate::capture) width: u32,
    pub(in crate::capture) height: u32,
    /// Bits per sample; only 8 is decoded.
    pub(in crate::capture) precision: u8,
    /// Samples of a pixel: 1 for grey, 3 for colour, 4 for ink.
    pub(in crate::capture) components: u8,
    /// Coefficients for each pixel: 3 where colour is kept at full size, 1.5 at half the size.
    coefficients: f64,
    /// Which process the frame header names: the second byte of its marker.
    process: u8,
    /// From the first EXIF block.
    pub(in crate::capture) orientation: Orientation,
    /// 1 for most baseline files, about 10 for progressive ones.
    pub(in crate::capture) scans: usize,
    /// Components that the first scan holds.
    scan_components: u8,
    /// Whether the end-of-image marker was reached. What follows it does not matter.
    pub(in crate::capture) complete: bool,
}

impl Structure {
    /// Walks over the markers, by their lengths: an embedded preview is not the picture.
    ///
    /// # Errors
    /// Where the file ends before its frame header, or where markers make no sense.
    pub(in crate::capture) fn read(bytes: &[u8]) -> Result<Self, CaptureError> {
        let mut found = Self {
            width: 0,
            height: 0,
            precision: 0,
            components: 0,
            coefficients: 0.0,
            process: 0,
            orientation: Orientation::NoTransforms,
            scans: 0,
            scan_components: 0,
            complete: false,
        };
        let (mut framed, mut has_exif) = (false, false);
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
                    let [
                        precision,
                        high_h,
                        low_h,
                        high_w,
                        low_w,
                        components,
                        ref sampling @ ..,
                    ] = *segment
                    else {
                        return Err(damaged(FORMAT, Damage::ShortFrameHeader));
                    };
                    framed = true;
                    found.precision = precision;
                    found.process = marker;
                    found.components = components;
                    found.coefficients = coefficients(sampling);
                    found.height = u32::from(u16::from_be_bytes([high_h, low_h]));
                    found.width = u32::from(u16::from_be_bytes([high_w, low_w]));
                }
                0xF7 if !framed => return Err(unsupported(FORMAT, UnsupportedKind::JpegLs)),
                0xDA => {
                    found.scans += 1;
                    if found.scans == 1 {
                        found.scan_components = segment.first().copied().unwrap_or(0);
                    }
                    at = end_of_scan(bytes, at);
                }
                // The first block counts, as in browsers: editors add theirs behind it.
                0xE1 if !has_exif && segment.starts_with(b"Exif\0\0") => {
                    has_exif = true;
                    found.orientation =
                        exif::orientation(segment).unwrap_or(Orientation::NoTransforms);
                }
                _ => {}
            }
        }
        match (framed, found.complete) {
            (true, _) => Ok(found),
            (false, true) => Err(damaged(FORMAT, Damage::NoFrameHeader)),
            (false, false) => Err(TRUNCATED),
        }
    }

    /// Refuses what is cut off, and what libjpeg-turbo would not decode or only at great cost.
    pub(in crate::capture) fn check(&self) -> Result<(), CaptureError> {
        if self.scans == 0 || !(self.complete || self.may_lack_its_end()) {
            return Err(TRUNCATED);
        }
        let bits = self.precision;
        let kind = match self.process {
            0xC5..=0xC7 | 0xCD..=0xCF => Some(UnsupportedKind::Hierarchical),
            0xCB => Some(UnsupportedKind::LosslessArithmetic),
            0xC3 if bits != 8 => Some(UnsupportedKind::Lossless { bits }),
            _ if bits != 8 => Some(UnsupportedKind::Bits { bits }),
            _ => None,
        };
        if let Some(kind) = kind {
            return Err(unsupported(FORMAT, kind));
        }
        let is_arithmetic = matches!(self.process, 0xC9 | 0xCA);
        let limit = limits::most_scans(self.pixels(), is_arithmetic);
        if self.scans > limit {
            let scans = self.scans;
            return Err(CaptureError::TooManyScans { scans, limit });
        }
        Ok(())
    }

    /// Whether it was compressed without loss. Such a file has no overview of fewer pixels.
    pub(in crate::capture) const fn is_lossless(&self) -> bool {
        self.process == 0xC3
    }

    /// Whether one scan holds all of the picture, so that only the end marker may be missing, as
    /// some small cameras leave it out. Where more is missing, the decoder runs out of data.
    pub(in crate::capture) fn may_lack_its_end(&self) -> bool {
        matches!(self.process, 0xC0 | 0xC1 | 0xC9)
            && self.scans == 1
            && self.scan_components == self.components
    }

    pub(in crate::capture) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// What the decoder takes for each pixel.
    pub(in crate::capture) fn bytes_per_pixel(&self) -> u64 {
        let samples = if self.components == 4 { 4 } else { 3 };
        // Several scans add up in planes of 16-bit coefficients, beside the pixels.
        let coefficients = match self.scans {
            ..=1 => 0,
            _ => (2.0 * self.coefficients).ceil() as u64,
        };
        (coefficients + samples).max(samples + 3)
    }
}

/// Coefficients for each pixel, by the sampling factors in a frame header: three bytes for each
/// component, of which the second has both factors.
fn coefficients(components: &[u8]) -> f64 {
    let factors =
        |component: &[u8; 3]| (f64::from(component[1] >> 4), f64::from(component[1] & 15));
    let components = components.as_chunks::<3>().0.iter().map(factors);
    let (mut sum, mut most) = (0.0, (1.0_f64, 1.0_f64));
    for (across, down) in components {
        sum += across * down;
        most = (most.0.max(across), most.1.max(down));
    }
    sum / (most.0 * most.1)
}

/// The next marker at or after `at`, past fill bytes and stray data, and where its body starts.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += position_of_ff(bytes.get(at..)?)?;
        match *bytes.get(at + 1)? {
            0x00 | 0xFF => at += 1,
            marker => return Some((marker, at + 2)),
        }
    }
}

/// Where the first byte FF is. Groups without one are passed over whole, which the compiler does
/// with vector instructions: between two markers may lie megabytes.
fn position_of_ff(bytes: &[u8]) -> Option<usize> {
    let has_none = |group: &&[u8; 32]| !group.iter().fold(false, |any, &byte| any | (byte == 0xFF));
    let groups = bytes.as_chunks::<32>().0.iter().take_while(has_none);
    let skipped = 32 * groups.count();
    let rest = bytes[skipped..].iter();
    Some(skipped + rest.copied().position(|byte| byte == 0xFF)?)
}

/// The body of the segment whose length field stands at `at`; `None` where the file ends before it.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    bytes.get(at + 2..at + length.max(2))
}

/// Where the entropy-coded data at `at` ends: at the next marker that is no restart marker.
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
