//! PNG by rows: whatever the depth, the only picture in memory is the one of 8 bits.

use std::io::{Cursor, Read};

use ::png::{BitDepth, ColorType, Decoder, DecodingError, InterlaceInfo, Limits, Transformations};
use image::metadata::Orientation;

use super::decoding::{Decoded, allocated, broken, io_error, unsupported};
use super::limits::Gate;
use super::pixels::{Colour, Depth, narrow, to_rgb};
use super::{CaptureError, ImageFormat, UnsupportedKind, exif};

/// What the decoder may hold of chunks that are no pixels. It skips profiles and texts.
const CHUNK_BYTES: usize = 32 << 20;

/// Longest text that an orientation is looked for in, unpacked. A JPEG's EXIF block has up to 64
/// KiB, which are twice as many hexadecimal digits, and some line breaks.
const MAX_PROFILE_BYTES: u64 = 160 << 10;

/// Decodes the picture, an animated one's default image.
pub(super) fn decode(bytes: &[u8], gate: Gate<'_>) -> Result<Decoded, CaptureError> {
    let limits = Limits { bytes: CHUNK_BYTES };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND);
    let info = decoder.read_header_info()?;
    let size = (info.width, info.height);
    // A chunk is held twice while it is taken over.
    let memory = gate.admit(size, 3, 2 * bytes.len().min(CHUNK_BYTES) as u64)?;
    let mut reader = decoder.read_info()?;
    let (colour, depth) = reader.output_color_type();
    let colour = match colour {
        ColorType::Grayscale => Colour::Grey,
        ColorType::GrayscaleAlpha => Colour::GreyAlpha,
        ColorType::Rgb | ColorType::Indexed => Colour::Rgb,
        ColorType::Rgba => Colour::Rgba,
    };
    let (depth, sample_bytes) = match depth {
        BitDepth::Sixteen => (Depth::SixteenBig, 2),
        // Fewer bits are expanded to 8 by the decoder.
        _ => (Depth::Eight, 1),
    };
    let stride = size.0 as usize * 3;
    let mut pixels = allocated(stride * size.1 as usize)?;
    let mut line = vec![0; size.0 as usize * colour.channels()];
    let mut rgb = vec![0; stride];
    let mut next_row = 0;
    while let Some(row) = reader.next_interlaced_row()? {
        let samples = row.data().len() / sample_bytes;
        let Some(line) = line.get_mut(..samples) else {
            break;
        };
        narrow(row.data(), depth, line, 1);
        match row.interlace() {
            InterlaceInfo::Null(_) => {
                if let Some(target) = pixels.get_mut(next_row..next_row + stride) {
                    to_rgb(line, colour, target);
                }
                next_row += stride;
            }
            InterlaceInfo::Adam7(pass) => {
                let rgb = &mut rgb[..samples / colour.channels() * 3];
                to_rgb(line, colour, rgb);
                ::png::expand_interlaced_row(&mut pixels, stride, rgb, pass, 24);
            }
        }
    }
    Ok(Decoded {
        pixels,
        size,
        orientation: orientation(bytes).unwrap_or(Orientation::NoTransforms),
        memory,
    })
}

/// From the `eXIf` chunk, wherever it stands (some tools put it behind the pixels), else from the
/// text in which ImageMagick and others kept EXIF before there was that chunk.
fn orientation(bytes: &[u8]) -> Option<Orientation> {
    // Only the first text is unpacked: a file may have thousands.
    let mut profile = None;
    let mut at = 8;
    while let Some([a, b, c, d, name @ ..]) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(body) = bytes.get(at + 8..(at + 8).saturating_add(length)) else {
            break;
        };
        match name {
            b"eXIf" => {
                if let Some(orientation) = exif::orientation(body) {
                    return Some(orientation);
                }
            }
            b"tEXt" | b"zTXt" if profile.is_none() => {
                profile = profile_in(body).map(|text| (text, name == b"zTXt"));
            }
            b"IEND" => break,
            _ => {}
        }
        at += 12 + length;
    }
    let (text, is_packed) = profile?;
    from_profile(text, is_packed)
}

/// What follows the keyword of a text that holds EXIF.
fn profile_in(chunk: &[u8]) -> Option<&[u8]> {
    let rest = chunk.strip_prefix(b"Raw profile type ")?;
    rest.strip_prefix(b"exif\0")
        .or_else(|| rest.strip_prefix(b"APP1\0"))
}

/// EXIF in a text: lines with its name, its length in decimal, and its bytes in hexadecimal.
fn from_profile(rest: &[u8], is_packed: bool) -> Option<Orientation> {
    let mut unpacked = String::new();
    let text = if is_packed {
        // One byte names the only method that there is.
        flate2::read::ZlibDecoder::new(rest.get(1..)?)
            .take(MAX_PROFILE_BYTES)
            .read_to_string(&mut unpacked)
            .ok()?;
        unpacked.as_str()
    } else {
        std::str::from_utf8(rest).ok()?
    };
    let mut lines = text.trim_start().lines();
    let _name = lines.next()?;
    let _length = lines.next()?;
    let digits: String = lines.map(str::trim).collect();
    exif::orientation(&hex::decode(digits).ok()?)
}

impl From<DecodingError> for CaptureError {
    fn from(error: DecodingError) -> Self {
        match error {
            DecodingError::IoError(error) => io_error(ImageFormat::Png, &error),
            DecodingError::LimitsExceeded => {
                let limit = CHUNK_BYTES;
                unsupported(ImageFormat::Png, UnsupportedKind::Attachment { limit })
            }
            other => broken(ImageFormat::Png, &other),
        }
    }
}
