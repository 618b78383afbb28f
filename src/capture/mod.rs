//! From bytes to an upright RGB picture. First stage of the pipeline; knows nothing of faces.
//!
//! A [`Capture`] offers two views: an *overview* for finding faces, which may be smaller than the original, and
//! [`Patch`]es around a face at the resolution in which it is judged.
//!
//! Samples are taken as they are stored: 16-bit ones are rounded to 8, CMYK is mixed to RGB, transparent pixels lie on middle
//! grey. Colour profiles (ICC) are ignored: the networks learnt from pictures that were read the same way.

use std::cell::OnceCell;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::geometry::{BoundingBox, Point};
use crate::problem::ProblemCode;

mod decode;
mod format;
mod jpeg;
mod limits;
pub mod pixels;

pub use format::{ForeignFormat, sniff};

/// A picture type that is accepted, recognised by its first bytes and never by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageFormat {
    /// JPEG: baseline or progressive; grey, YCbCr, RGB or CMYK.
    Jpeg,
    /// PNG of any depth and colour type; an animated one counts as its default image.
    Png,
    /// WebP, lossy or lossless; an animated one counts as its first frame.
    Webp,
    /// Windows bitmap.
    Bmp,
    /// TIFF; the first page.
    Tiff,
}

impl ImageFormat {
    /// How the format is called in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Webp => "WebP",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
        }
    }

    /// The wire form: what `image.format` says in an answer.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
        }
    }
}

/// What a single upload may cost before it is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Largest upload in bytes.
    pub max_bytes: usize,
    /// Largest picture in pixels (width × height, read from the header before anything is allocated).
    pub max_pixels: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_bytes: 20_000_000,
            max_pixels: 50_000_000,
        }
    }
}

/// Why an upload gives no picture. `Display` is the text that a caller may see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// No bytes at all.
    #[error("the picture is empty (0 bytes); check that the file was read before it was sent")]
    Empty,
    /// More bytes than [`Settings::max_bytes`].
    #[error(
        "the picture has {bytes} bytes, the limit is {limit}; send it smaller or as a JPEG of lower quality"
    )]
    TooManyBytes {
        /// Size of the upload.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// More pixels than [`Settings::max_pixels`].
    #[error(
        "the picture is {width}×{height} ({:.1} megapixels), the limit is {:.1} megapixels; scale it down first",
        f64::from(*.width) * f64::from(*.height) / 1e6,
        *.limit as f64 / 1e6
    )]
    TooManyPixels {
        /// Width that the header claims.
        width: u32,
        /// Height that the header claims.
        height: u32,
        /// The limit in force.
        limit: u64,
    },
    /// A header that claims no pixels.
    #[error("the {} says that it is {width}×{height} pixels; both must be at least 1", .format.name())]
    ZeroSize {
        /// What kind of file it is.
        format: ImageFormat,
        /// Width that the header claims.
        width: u32,
        /// Height that the header claims.
        height: u32,
    },
    /// No supported kind of file.
    #[error("this is {found}; JPEG, PNG, WebP, BMP and TIFF are supported: {}", .found.advice())]
    Unsupported {
        /// What it seems to be.
        found: ForeignFormat,
    },
    /// A supported format in a form that is not.
    #[error("this kind of {} is not supported ({kind}; expected {expected}); convert it to a plain PNG or JPEG", .format.name())]
    UnsupportedKind {
        /// What kind of file it is.
        format: ImageFormat,
        /// What was found in it.
        kind: String,
        /// What would do.
        expected: &'static str,
    },
    /// The file stops before the picture does.
    #[error("the {} file ends early: it was cut off while it was written or sent; send it again", .format.name())]
    Truncated {
        /// What kind of file it is.
        format: ImageFormat,
    },
    /// A JPEG made of more scans than any camera or editor writes.
    #[error("the JPEG has {scans} scans, the limit is {limit}; save it again as a baseline JPEG")]
    TooManyScans {
        /// Scans in the file.
        scans: usize,
        /// The limit.
        limit: usize,
    },
    /// The file is all there, its content is broken.
    #[error("the {} is damaged ({what}); export or send it again", .format.name())]
    Damaged {
        /// What kind of file it is.
        format: ImageFormat,
        /// What the decoder found.
        what: String,
    },
    /// A patch was asked for where there is no picture: a fault of ours.
    #[error("no part of the area asked for lies in the picture of {width}×{height} pixels")]
    OutsidePicture {
        /// Width of the picture.
        width: u32,
        /// Height of the picture.
        height: u32,
    },
}

impl CaptureError {
    /// How the contract calls this failure.
    #[must_use]
    pub const fn problem(&self) -> ProblemCode {
        match self {
            Self::TooManyBytes { .. } | Self::TooManyPixels { .. } => ProblemCode::ImageTooLarge,
            Self::Unsupported { .. } | Self::UnsupportedKind { .. } => {
                ProblemCode::UnsupportedMediaType
            }
            Self::Empty
            | Self::ZeroSize { .. }
            | Self::Truncated { .. }
            | Self::TooManyScans { .. }
            | Self::Damaged { .. } => ProblemCode::UndecodableImage,
            Self::OutsidePicture { .. } => ProblemCode::Internal,
        }
    }
}

/// A part of the picture that holds one face at the resolution in which it is judged.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The pixels, upright.
    pub pixels: RgbImage,
    /// Where the patch's top left corner lies in the original, upright picture, in its pixels.
    pub origin: Point,
    /// Patch pixels per original pixel: 1 unless the original is far larger than the face needs.
    pub scale: f32,
}

/// A decoded, upright picture.
#[derive(Debug)]
pub struct Capture {
    width: u32,
    height: u32,
    format: ImageFormat,
    byte_len: usize,
    overview: RgbImage,
    overview_scale: f32,
    /// What the full resolution can still be decoded from, where the overview is smaller.
    source: Option<Source>,
    /// The picture at full resolution, once a patch needed it.
    full: OnceCell<RgbImage>,
}

/// A JPEG that was decoded at a fraction of its size.
#[derive(Debug)]
struct Source {
    bytes: Vec<u8>,
    structure: jpeg::Structure,
}

/// Decodes an upload: limits first, then the type by its first bytes, then the pixels, turned upright.
///
/// # Errors
/// See [`CaptureError`]; it says what was got, what is expected and what to do.
pub fn decode(bytes: &[u8], settings: &Settings) -> Result<Capture, CaptureError> {
    limits::check_bytes(bytes.len(), settings)?;
    let format = sniff(bytes).map_err(|found| CaptureError::Unsupported { found })?;
    if format != ImageFormat::Jpeg {
        let picture = decode::decode(format, bytes, settings)?;
        return Ok(Capture::whole(picture, format, bytes.len()));
    }
    let structure = jpeg::Structure::read(bytes)?;
    limits::check_pixels(format, structure.width, structure.height, settings)?;
    structure.check()?;
    let picture = jpeg::decode(bytes, &structure, 8)?;
    Ok(Capture::whole(
        pixels::turn_upright(picture, structure.orientation),
        format,
        bytes.len(),
    ))
}

impl Capture {
    /// A capture whose overview is the picture at full resolution.
    fn whole(picture: RgbImage, format: ImageFormat, byte_len: usize) -> Self {
        Self {
            width: picture.width(),
            height: picture.height(),
            format,
            byte_len,
            overview: picture,
            overview_scale: 1.0,
            source: None,
            full: OnceCell::new(),
        }
    }

    /// Width of the original, upright picture in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height of the original, upright picture in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// What kind of file was sent.
    #[must_use]
    pub fn format(&self) -> ImageFormat {
        self.format
    }

    /// Size of the upload in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.byte_len
    }

    /// The whole picture for finding faces in, upright; large JPEGs are reduced, see [`Self::overview_scale`].
    #[must_use]
    pub fn overview(&self) -> &RgbImage {
        &self.overview
    }

    /// Overview pixels per original pixel, at most 1.
    #[must_use]
    pub fn overview_scale(&self) -> f32 {
        self.overview_scale
    }

    /// The pixels of `area` (in original, upright pixels, clipped to the picture), at `min_scale` patch pixels per original
    /// pixel or more; 1 always suffices. Taken from the overview where that is fine enough, else from the full resolution.
    ///
    /// # Errors
    /// [`CaptureError::OutsidePicture`] where no part of `area` lies in the picture; a decoding error where the second
    /// pass fails.
    pub fn patch(&self, area: BoundingBox, min_scale: f32) -> Result<Patch, CaptureError> {
        let Some(source) = &self.source else {
            return self.cut(&self.overview, self.overview_scale, area);
        };
        if self.overview_scale >= min_scale {
            return self.cut(&self.overview, self.overview_scale, area);
        }
        if let Some(full) = self.full.get() {
            return self.cut(full, 1.0, area);
        }
        let picture = jpeg::decode(&source.bytes, &source.structure, 8)?;
        let picture = pixels::turn_upright(picture, source.structure.orientation);
        self.cut(self.full.get_or_init(|| picture), 1.0, area)
    }

    /// Cuts `area` out of `picture`, which shows the whole capture at `scale`.
    fn cut(
        &self,
        picture: &RgbImage,
        scale: f32,
        area: BoundingBox,
    ) -> Result<Patch, CaptureError> {
        // Whole pixels that the area touches.
        let span = |start: f32, extent: f32, limit: u32| {
            let first = (start * scale).floor().clamp(0.0, limit as f32);
            let end = ((start + extent) * scale).ceil().clamp(first, limit as f32);
            (first as u32, (end - first) as u32)
        };
        let (left, width) = span(area.x, area.width, picture.width());
        let (top, height) = span(area.y, area.height, picture.height());
        if width == 0 || height == 0 {
            return Err(CaptureError::OutsidePicture {
                width: self.width,
                height: self.height,
            });
        }
        Ok(Patch {
            pixels: pixels::crop(picture, left, top, width, height),
            origin: Point::new(left as f32 / scale, top as f32 / scale),
            scale,
        })
    }
}

#[cfg(test)]
mod tests;
