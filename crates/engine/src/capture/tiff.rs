//! TIFF part by part (strips or tiles): each is converted to 8-bit RGB before the next is read, so
//! that wide samples, several planes and extra channels never take memory for the whole picture.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use ::tiff::decoder::{ChunkType, Decoder};
use ::tiff::tags::{
    CompressionMethod, PhotometricInterpretation, PlanarConfiguration, SampleFormat, Tag,
};
use ::tiff::{ColorType, TiffError};
use image::metadata::Orientation;

use super::decoding::{Decoded, allocated, broken, damaged, io_error, unsupported};
use super::limits::{Gate, MAX_SCANNED_PIXELS};
use super::memory::Reservation;
use super::pixels::{Colour, Depth, narrow, to_rgb};
use super::{CaptureError, Damage, ImageFormat, UnsupportedKind, exif, jpeg};

const FORMAT: ImageFormat = ImageFormat::Tiff;

const TRUNCATED: CaptureError = CaptureError::Truncated { format: FORMAT };

/// Most strips or tiles: one for each row of the longest side. 50 megapixels in tiles of 64 × 64
/// pixels have 12,200. Every part costs its decoder's start.
const MAX_PARTS: usize = 16_384;

/// Most bytes that are unpacked for each pixel of the largest picture allowed: four channels of 32
/// bits, and as much again beyond the picture's edges. 1.6 GB are unpacked in about a second.
const MAX_PIXEL_BYTES: u64 = 32;

/// Bytes that each part may be read over: some are read twice, and its reader looks ahead.
const READ_AHEAD: u64 = 40 << 10;

struct Layout {
    width: u32,
    height: u32,
    colour: Colour,
    depth: Depth,
    /// Parts that together hold a piece of the picture: 1, or one for each channel.
    planes: u32,
    /// Bytes of a pixel over all planes and samples.
    pixel_bytes: u64,
    /// Whether the second of two channels is to be ignored: no opacity, but something unknown.
    is_opaque: bool,
    part: (u32, u32),
    across: u32,
    parts_per_plane: u32,
}

pub(super) fn decode(bytes: &[u8], gate: Gate<'_>) -> Result<Decoded, CaptureError> {
    // Its reader would only say that the strips are too few. A caller has to hear of the size.
    if let (Some(width), Some(height)) = (exif::value(bytes, 256), exif::value(bytes, 257)) {
        gate.check_size(width, height)?;
    }
    let mut decoder = Decoder::new(Metered {
        file: Cursor::new(bytes),
        left: 2 * bytes.len() as u64 + READ_AHEAD,
    })?;
    let (layout, memory) = admitted(&mut decoder, bytes, gate)?;
    let orientation = decoder
        .find_tag_unsigned::<u8>(Tag::Orientation)
        .ok()
        .flatten()
        .and_then(Orientation::from_exif)
        .unwrap_or(Orientation::NoTransforms);
    let pixels = layout.pixels(&mut decoder)?;
    Ok(Decoded {
        pixels,
        size: (layout.width, layout.height),
        orientation,
        memory,
    })
}

/// Reads the layout, holds it against the limits, and reserves the memory.
fn admitted(
    decoder: &mut Decoder<Metered<'_>>,
    bytes: &[u8],
    gate: Gate<'_>,
) -> Result<(Layout, Reservation), CaptureError> {
    let (width, height) = decoder.dimensions()?;
    gate.check_size(width, height)?;
    let photometric = first(decoder, Tag::PhotometricInterpretation, 0)?;
    if photometric == PhotometricInterpretation::RGBPalette.to_u16() {
        return Err(unsupported(FORMAT, UnsupportedKind::Palette));
    }
    if first(decoder, Tag::FillOrder, 1)? == 2 {
        return Err(unsupported(FORMAT, UnsupportedKind::ReverseBits));
    }
    let format = first(decoder, Tag::SampleFormat, SampleFormat::Uint.to_u16())?;
    let channels = first(decoder, Tag::SamplesPerPixel, 1)?;
    let is_alpha = matches!(first(decoder, Tag::ExtraSamples, 0)?, 1 | 2);
    let is_planar =
        first(decoder, Tag::PlanarConfiguration, 1)? == PlanarConfiguration::Planar.to_u16();
    let (colour, bits) = colour_of(decoder.colortype()?)?;
    let depth = match (bits, SampleFormat::from_u16(format)) {
        (1 | 2 | 4, Some(SampleFormat::Uint)) => Depth::Packed(bits),
        (8, Some(SampleFormat::Uint)) => Depth::Eight,
        (16, Some(SampleFormat::Uint)) => Depth::SixteenNative,
        (32, Some(SampleFormat::IEEEFP)) => Depth::Float,
        _ => {
            return Err(unsupported(
                FORMAT,
                UnsupportedKind::Samples { bits, format },
            ));
        }
    };
    let part = decoder.chunk_dimensions();
    let is_tiled = decoder.get_chunk_type() == ChunkType::Tile;
    let (offsets, counts, across) = if is_tiled {
        let across = width.div_ceil(part.0);
        (Tag::TileOffsets, Tag::TileByteCounts, across)
    } else {
        (Tag::StripOffsets, Tag::StripByteCounts, 1)
    };
    let offsets = decoder.find_tag_unsigned_vec(offsets)?.unwrap_or_default();
    let counts = decoder.find_tag_unsigned_vec(counts)?.unwrap_or_default();
    let parts = offsets.len();
    if parts > MAX_PARTS {
        let limit = MAX_PARTS;
        return Err(unsupported(FORMAT, UnsupportedKind::Parts { parts, limit }));
    }
    let layout = Layout {
        width,
        height,
        colour,
        depth,
        planes: if is_planar {
            colour.channels() as u32
        } else {
            1
        },
        pixel_bytes: (u64::from(channels) * u64::from(bits)).div_ceil(8),
        is_opaque: colour == Colour::GreyAlpha && !is_alpha,
        part,
        across,
        parts_per_plane: across * height.div_ceil(part.1),
    };
    // A strip may claim more rows than the picture has; a tile is unpacked whole.
    let part_rows = if is_tiled { part.1 } else { part.1.min(height) };
    let part_pixels = u64::from(part.0) * u64::from(part_rows);
    let unpacked = part_pixels
        .saturating_mul(parts as u64)
        .saturating_mul(layout.pixel_bytes / u64::from(layout.planes).max(1));
    if unpacked > gate.settings.max_pixels.saturating_mul(MAX_PIXEL_BYTES) {
        return Err(unsupported(
            FORMAT,
            UnsupportedKind::LargeParts {
                parts,
                width: part.0,
                height: part_rows,
                bytes: unpacked,
            },
        ));
    }
    let compression = first(decoder, Tag::Compression, 1)?;
    let mut copies = 1;
    if compression != CompressionMethod::None.to_u16() {
        check_ranges(&offsets, &counts, bytes.len() as u64)?;
        if compression == CompressionMethod::ModernJPEG.to_u16() {
            let samples = if is_planar { 1 } else { channels };
            let has_scans = check_jpegs(bytes, &offsets, &counts, (part.0, part_rows), samples)?;
            // Its decoder has samples of its own, and 16-bit coefficients for several scans.
            copies = if has_scans { 4 } else { 2 };
        }
    }
    decoder.inner().left += READ_AHEAD * parts as u64;
    // The picture, and one part of it in each plane.
    let of_parts = part_pixels.saturating_mul(layout.pixel_bytes * copies);
    let of_picture = 3 * u64::from(width) * u64::from(height);
    let memory = gate.admit((width, height), 3, of_parts.saturating_sub(of_picture))?;
    Ok((layout, memory))
}

/// The first value of `tag`, or `default` where it has none.
fn first(decoder: &mut Decoder<Metered<'_>>, tag: Tag, default: u16) -> Result<u16, CaptureError> {
    let values = decoder.find_tag_unsigned_vec::<u64>(tag)?;
    let first = values.and_then(|values| u16::try_from(*values.first()?).ok());
    Ok(first.unwrap_or(default))
}

/// What the samples stand for, and how many bits each has.
fn colour_of(kind: ColorType) -> Result<(Colour, u8), CaptureError> {
    match kind {
        ColorType::Gray(bits) => Ok((Colour::Grey, bits)),
        ColorType::GrayA(bits)
        | ColorType::Multiband {
            bit_depth: bits,
            num_samples: 2,
        } => Ok((Colour::GreyAlpha, bits)),
        ColorType::RGB(bits) => Ok((Colour::Rgb, bits)),
        ColorType::RGBA(bits) => Ok((Colour::Rgba, bits)),
        ColorType::CMYK(bits) => Ok((Colour::Cmyk, bits)),
        ColorType::YCbCr(8) => Ok((Colour::YCbCr, 8)),
        other => {
            let name = format!("{other:?}");
            Err(unsupported(FORMAT, UnsupportedKind::Colours { name }))
        }
    }
}

/// Refuses packed parts that together have more bytes than the file: a small file must not be
/// unpacked again and again.
fn check_ranges(offsets: &[u64], counts: &[u64], length: u64) -> Result<(), CaptureError> {
    let sum = counts.iter().copied().fold(0, u64::saturating_add);
    let mut parts = offsets.iter().zip(counts);
    if sum <= length {
        Ok(())
    } else if parts.any(|(&at, &count)| at.saturating_add(count) > length) {
        Err(TRUNCATED)
    } else {
        Err(damaged(FORMAT, Damage::SharedBytes))
    }
}

/// Holds the JPEGs inside against the parts that they fill: their own headers decide what is
/// decoded and allocated. Gives whether one of them has several scans.
fn check_jpegs(
    bytes: &[u8],
    offsets: &[u64],
    counts: &[u64],
    (width, height): (u32, u32),
    samples: u16,
) -> Result<bool, CaptureError> {
    let (mut scanned, mut has_scans) = (0, false);
    for (&offset, &count) in offsets.iter().zip(counts) {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        let part = bytes.get(start..end).ok_or(TRUNCATED)?;
        let wrong = |words| damaged(FORMAT, Damage::Part { words });
        let inside = jpeg::Structure::read(part)
            .map_err(|error| wrong(format!("in one of its strips or tiles {error}")))?;
        if inside.width != width || inside.height > height {
            return Err(wrong(format!(
                "a strip or tile of {width}×{height} pixels holds a JPEG of {}×{}",
                inside.width, inside.height
            )));
        }
        if u16::from(inside.components) != samples {
            return Err(wrong(format!(
                "a strip or tile of {samples} samples a pixel holds a JPEG of {}",
                inside.components
            )));
        }
        scanned += inside.pixels() * inside.scans as u64;
        has_scans |= inside.scans > 1;
    }
    if scanned > MAX_SCANNED_PIXELS {
        return Err(unsupported(FORMAT, UnsupportedKind::Scans));
    }
    Ok(has_scans)
}

impl Layout {
    fn pixels(&self, decoder: &mut Decoder<Metered<'_>>) -> Result<Vec<u8>, CaptureError> {
        let (width, height) = (self.width as usize, self.height as usize);
        let (part_width, part_height) = (self.part.0 as usize, self.part.1 as usize);
        let channels = self.colour.channels();
        let planes = self.planes as usize;
        let mut pixels = allocated(width * height * 3)?;
        let mut parts = vec![Vec::new(); planes];
        let mut line = vec![0; part_width.min(width) * channels];
        for index in 0..self.parts_per_plane {
            let mut stride = 0;
            for (plane, part) in (0..).zip(&mut parts) {
                let index = index + plane * self.parts_per_plane;
                let wanted = decoder.image_chunk_buffer_layout(index)?;
                stride = wanted.row_stride.map_or(0, usize::from);
                part.resize(wanted.len, 0);
                decoder.read_chunk_bytes(index, part)?;
            }
            let left = (index % self.across) as usize * part_width;
            let top = (index / self.across) as usize * part_height;
            let columns = part_width.min(width - left);
            let line = &mut line[..columns * channels];
            for row in 0..part_height.min(height - top) {
                for (plane, part) in parts.iter().enumerate() {
                    let samples = part.get(row * stride..).unwrap_or_default();
                    narrow(samples, self.depth, &mut line[plane..], planes);
                }
                if self.is_opaque {
                    let seconds = line.iter_mut().skip(1).step_by(2);
                    seconds.for_each(|sample| *sample = 255);
                }
                let at = ((top + row) * width + left) * 3;
                to_rgb(line, self.colour, &mut pixels[at..at + columns * 3]);
            }
        }
        Ok(pixels)
    }
}

/// The file under a meter. Parts may share bytes, and a packed part may read on behind its end: all
/// reads are bounded, so that a small file is not unpacked thousands of times.
struct Metered<'a> {
    file: Cursor<&'a [u8]>,
    left: u64,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other("its strips or tiles share bytes"))?;
        Ok(read)
    }
}

impl Seek for Metered<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl From<TiffError> for CaptureError {
    fn from(error: TiffError) -> Self {
        match error {
            TiffError::IoError(error) => io_error(FORMAT, &error),
            TiffError::UnsupportedError(what) => {
                let words = what.to_string();
                unsupported(FORMAT, UnsupportedKind::Other { words })
            }
            TiffError::IntSizeError | TiffError::LimitsExceeded => {
                unsupported(FORMAT, UnsupportedKind::LargeNumber)
            }
            other => broken(FORMAT, &other),
        }
    }
}
