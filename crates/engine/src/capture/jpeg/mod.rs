//! JPEG through libjpeg-turbo: the structure first, then the whole picture at a fraction of its
//! size, or a region at full size.
//!
//! Which warnings are fatal: data that breaks off or contradicts itself is
//! [`CaptureError::Truncated`] or [`CaptureError::Damaged`], since grey or smeared blocks would be
//! judged as if they were the scene. What leaves every pixel as it was meant is accepted (see
//! `HARMLESS`), and so is a missing end marker where no block is missing.

use std::borrow::Cow;

use image::RgbImage;
use turbojpeg::{Colorspace, DecompressHeader, Decompressor, PixelFormat, ScalingFactor};

use super::decoding::{allocated, broken, damaged, guarded};
use super::pixels::{Area, mixed, resize};
use super::{CaptureError, Damage, ImageFormat};

mod region;
mod structure;

pub(super) use structure::Structure;

const FORMAT: ImageFormat = ImageFormat::Jpeg;

const TRUNCATED: CaptureError = CaptureError::Truncated { format: FORMAT };

/// Shortest longer side that an overview may be reduced to. A frame of 1920 × 1080 is never
/// reduced, so a face of 42 × 56 pixels in it keeps its size. A face that fills the same share of a
/// 12-megapixel photo stays larger than that.
const MIN_OVERVIEW_SIDE: u32 = 1280;

/// Parts of libjpeg-turbo's warnings that say nothing against the pixels. It hands out only the
/// first warning of a file. [`Structure::read`] finds that a file is cut off, whatever came first.
const HARMLESS: [&str; 6] = [
    // Padding or a writer's leftovers between two segments or before the end.
    "extraneous bytes before marker",
    "unknown JFIF revision",
    "Unknown Adobe color transform code",
    "bad ICC marker",
    // Some cameras write these; the data decodes as meant.
    "Invalid SOS parameters for sequential JPEG",
    "Inconsistent progression sequence",
];

/// The size of the overview in eighths of the original's: 8, 4, 2 or 1. These have fast code in
/// libjpeg-turbo; the fractions between them take longer than a decode at full size.
///
/// Files of several scans (progressive ones) are decoded whole. All scans must be undone before the
/// first pixel is known, so a second pass, which every third picture needs, would cost as much.
pub(super) fn overview_eighths(structure: &Structure) -> u32 {
    if structure.is_lossless() || structure.scans > 1 {
        return 8;
    }
    let longer = structure.width.max(structure.height);
    [1, 2, 4]
        .into_iter()
        .find(|eighths| longer * eighths / 8 >= MIN_OVERVIEW_SIDE)
        .unwrap_or(8)
}

/// Width and height, as stored, of the picture at `eighths`/8 of its size.
pub(super) fn reduced(structure: &Structure, eighths: u32) -> [u32; 2] {
    let scaling = ScalingFactor::new(eighths as usize, 8);
    [structure.width, structure.height].map(|side| scaling.scale(side as usize) as u32)
}

/// Decodes the whole picture at `eighths`/8 of its size, as stored (not yet upright).
pub(super) fn decode(
    bytes: &[u8],
    structure: &Structure,
    eighths: u32,
) -> Result<RgbImage, CaptureError> {
    let [width, height] = reduced(structure, eighths);
    let mut pixels = allocated(width as usize * height as usize * 3)?;
    decode_into(&mut pixels, bytes, structure, eighths)?;
    picture(pixels, width, height)
}

/// As [`decode`], into `pixels`: 8-bit RGB, row by row, of the size that [`reduced`] gives.
pub(super) fn decode_into(
    pixels: &mut [u8],
    bytes: &[u8],
    structure: &Structure,
    eighths: u32,
) -> Result<(), CaptureError> {
    let [width, height] = reduced(structure, eighths).map(|side| side as usize);
    if pixels.len() != width * height * 3 {
        return Err(damaged(FORMAT, Damage::SizeUnlikePixels));
    }
    let mut decoder = Decompressor::new()?;
    decoder.set_scaling_factor(ScalingFactor::new(eighths as usize, 8))?;
    let Some(header) = read_header(&mut decoder, bytes, structure)? else {
        pixels.copy_from_slice(&decode_lenient(bytes, structure, eighths)?);
        return Ok(());
    };
    let mut decompress = |pixels: &mut [u8], format: PixelFormat| {
        let target = turbojpeg::Image {
            pixels,
            width,
            pitch: width * format.size(),
            height,
            format,
        };
        match decoder.decompress(bytes, target) {
            Err(error) if !is_harmless(&error) => Err(CaptureError::from(error)),
            _ => Ok(()),
        }
    };
    let format = pixel_format(&header);
    if format == PixelFormat::RGB {
        return decompress(pixels, format);
    }
    let mut ink = allocated(width * height * format.size())?;
    decompress(&mut ink, format)?;
    ink_to_light(&ink, pixels);
    Ok(())
}

/// Decodes `area` at full size, and as much around it as the format's blocks ask for. Gives the
/// pixels, as stored, and where they lie. Only the rows down to the area's end are read, and only
/// the area's blocks become pixels.
pub(super) fn decode_region(
    bytes: &[u8],
    structure: &Structure,
    area: Area,
) -> Result<(RgbImage, Area), CaptureError> {
    let header = read_header(&mut Decompressor::new()?, bytes, structure)?
        .filter(|header| !header.is_lossless && header.subsamp != turbojpeg::Subsamp::Unknown);
    let Some(header) = header else {
        let whole = Area {
            x: 0,
            y: 0,
            width: structure.width,
            height: structure.height,
        };
        return Ok((decode(bytes, structure, 8)?, whole));
    };
    let block = header.subsamp.mcu_width() as u32;
    let area = padded(area, block, structure);
    let format = pixel_format(&header);
    let mut pixels = region::decompress(bytes, area, format)?;
    if format != PixelFormat::RGB {
        let ink = std::mem::replace(&mut pixels, allocated(area.pixels() as usize * 3)?);
        ink_to_light(&ink, &mut pixels);
    }
    Ok((picture(pixels, area.width, area.height)?, area))
}

/// `area` with a block's width around it: libjpeg-turbo starts at whole blocks, and smooths colour
/// across a block's edge only where it has both sides.
fn padded(area: Area, block: u32, structure: &Structure) -> Area {
    let x = area.x.saturating_sub(block) / block * block;
    let y = area.y.saturating_sub(block);
    Area {
        x,
        y,
        width: (area.x + area.width + block).min(structure.width) - x,
        height: (area.y + area.height + block).min(structure.height) - y,
    }
}

/// The header as libjpeg-turbo reads it, or `None` where it stops at a harmless warning.
fn read_header(
    decoder: &mut Decompressor,
    bytes: &[u8],
    structure: &Structure,
) -> Result<Option<DecompressHeader>, CaptureError> {
    match decoder.read_header(bytes) {
        // The limits were checked against the structure's size: nothing else may be allocated.
        Ok(header)
            if (header.width, header.height)
                == (structure.width as usize, structure.height as usize) =>
        {
            Ok(Some(header))
        }
        Ok(_) => Err(damaged(FORMAT, Damage::TwoFrameHeaders)),
        Err(error) if is_harmless(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The bindings stop at any warning in the header, even at an unknown JFIF revision or a broken
/// colour profile. Such files are rare: a second decoder reads them, always at full size.
fn decode_lenient(
    bytes: &[u8],
    structure: &Structure,
    eighths: u32,
) -> Result<RgbImage, CaptureError> {
    let image = guarded(FORMAT, || {
        image::load_from_memory_with_format(bytes, image::ImageFormat::Jpeg)
            .map_err(|error| broken(FORMAT, &error))
    })?
    .into_rgb8();
    if image.dimensions() != (structure.width, structure.height) {
        return Err(damaged(FORMAT, Damage::SizeUnlikeHeader));
    }
    let [width, height] = reduced(structure, eighths);
    if image.dimensions() == (width, height) {
        return Ok(image);
    }
    Ok(resize(&image, width, height))
}

fn is_harmless(error: &turbojpeg::Error) -> bool {
    matches!(error, turbojpeg::Error::TurboJpegError(message)
        if HARMLESS.iter().any(|harmless| message.contains(harmless)))
}

fn pixel_format(header: &DecompressHeader) -> PixelFormat {
    match header.colorspace {
        Colorspace::CMYK | Colorspace::YCCK => PixelFormat::CMYK,
        _ => PixelFormat::RGB,
    }
}

fn picture(pixels: Vec<u8>, width: u32, height: u32) -> Result<RgbImage, CaptureError> {
    RgbImage::from_raw(width, height, pixels)
        .ok_or_else(|| damaged(FORMAT, Damage::SizeUnlikePixels))
}

/// CMYK to RGB, without a colour profile. JPEGs store light instead of ink (255 = none): Adobe
/// began it, and browsers, ImageMagick and libvips also read files without its marker that way.
fn ink_to_light(ink: &[u8], pixels: &mut [u8]) {
    let pixels = pixels.as_chunks_mut::<3>().0;
    for (pixel, &[cyan, magenta, yellow, black]) in pixels.iter_mut().zip(ink.as_chunks::<4>().0) {
        *pixel = [cyan, magenta, yellow].map(|light| mixed(light, black));
    }
}

/// `bytes` with an end marker, where it is missing.
pub(super) fn with_end<'a>(bytes: &'a [u8], structure: &Structure) -> Cow<'a, [u8]> {
    if structure.complete {
        Cow::Borrowed(bytes)
    } else {
        Cow::Owned([bytes, &[0xFF, 0xD9]].concat())
    }
}

impl From<turbojpeg::Error> for CaptureError {
    fn from(error: turbojpeg::Error) -> Self {
        match error {
            turbojpeg::Error::TurboJpegError(message) if message.contains("nsufficient memory") => {
                Self::OutOfMemory
            }
            turbojpeg::Error::TurboJpegError(message) => broken(FORMAT, &message),
            other => broken(FORMAT, &other),
        }
    }
}
