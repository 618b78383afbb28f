//! The decoded picture, and how a region is read at the needed resolution.
//!
//! Large baseline JPEGs are decoded at 1/2, 1/4 or 1/8 for the overview, which libjpeg-turbo does
//! while it inverts the DCT. A face that is large enough there is cut out of the overview. Else a
//! second pass decodes just its region at full size. For a third face elsewhere, the whole picture
//! is decoded. Undoing the entropy coding is half of a decode's cost, so a second pass happens only
//! when it is asked for, and its pixels are kept.

use std::cell::OnceCell;

use image::RgbImage;

use super::confined::Decoder;
use super::memory::Reservation;
use super::pixels::{self, Area, Turn};
use super::{CaptureError, ImageFormat, Patch, jpeg};
use crate::geometry::{BoundingBox, Point};

/// Largest share of the picture that is decoded alone. Beyond, the whole costs the same.
const MAX_REGION_SHARE: f64 = 0.5;

/// A decoded, upright picture.
#[derive(Debug)]
pub struct Capture {
    width: u32,
    height: u32,
    format: ImageFormat,
    byte_len: usize,
    overview: RgbImage,
    /// Overview pixels per original pixel: 1, or 1/2, 1/4 or 1/8 for a large JPEG.
    pub(super) overview_scale: f32,
    /// What the full resolution is decoded from, where the overview is smaller.
    source: Option<Source>,
    /// The memory that all of this may take; given back when the analysis is done.
    _memory: Reservation,
}

/// A JPEG whose overview was decoded at a fraction of its size.
#[derive(Debug)]
struct Source {
    decoder: Decoder,
    bytes: Vec<u8>,
    structure: jpeg::Structure,
    turn: Turn,
    /// The first region that was asked for at full size: upright pixels, and where they lie.
    region: OnceCell<(RgbImage, Area)>,
    /// All of the picture at full size, upright, once the region was not enough.
    whole: OnceCell<RgbImage>,
}

impl Capture {
    /// A capture whose overview is the picture at full resolution.
    pub(super) fn whole(
        picture: RgbImage,
        format: ImageFormat,
        byte_len: usize,
        memory: Reservation,
    ) -> Self {
        Self {
            _memory: memory,
            width: picture.width(),
            height: picture.height(),
            format,
            byte_len,
            overview: picture,
            overview_scale: 1.0,
            source: None,
        }
    }

    /// Decodes the overview of a JPEG whose structure has been checked.
    pub(super) fn from_jpeg(
        bytes: &[u8],
        structure: jpeg::Structure,
        memory: Reservation,
        decoder: &Decoder,
    ) -> Result<Self, CaptureError> {
        let turn = Turn::from(structure.orientation);
        let eighths = jpeg::overview_eighths(&structure);
        let byte_len = bytes.len();
        let bytes = jpeg::with_end(bytes, &structure);
        let mut overview =
            decoder
                .decode(&bytes, &structure, eighths)
                .map_err(|error| match error {
                    // More than the end marker was missing.
                    CaptureError::Damaged { .. } if !structure.complete => {
                        CaptureError::Truncated {
                            format: ImageFormat::Jpeg,
                        }
                    }
                    error => error,
                })?;
        if eighths == 8 {
            let picture = turn.apply(overview);
            return Ok(Self::whole(picture, ImageFormat::Jpeg, byte_len, memory));
        }
        if !turn.is_nothing() {
            // A last row or column of less than a whole pixel would shift a mirrored picture.
            let [width, height] =
                [structure.width, structure.height].map(|side| side * eighths / 8);
            if overview.dimensions() != (width, height) {
                overview = pixels::crop(&overview, 0, 0, width, height);
            }
            overview = turn.apply(overview);
        }
        let (width, height) = turn.upright_size(structure.width, structure.height);
        Ok(Self {
            width,
            height,
            format: ImageFormat::Jpeg,
            byte_len,
            overview,
            overview_scale: eighths as f32 / 8.0,
            source: Some(Source {
                decoder: decoder.clone(),
                bytes: bytes.into_owned(),
                structure,
                turn,
                region: OnceCell::new(),
                whole: OnceCell::new(),
            }),
            _memory: memory,
        })
    }

    /// Width of the original, upright picture in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height of the original, upright picture in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// What kind of file was sent.
    pub fn format(&self) -> ImageFormat {
        self.format
    }

    /// Size of the upload in bytes.
    pub fn byte_len(&self) -> usize {
        self.byte_len
    }

    /// The whole picture for finding faces in, upright; a large JPEG is reduced.
    pub fn overview(&self) -> &RgbImage {
        &self.overview
    }

    /// The pixels of `area` (in original, upright pixels, clipped to the picture), at `min_scale`
    /// patch pixels per original pixel or more; 1 always suffices. Taken from the overview where
    /// that is fine enough, else from the full resolution. For a large JPEG that is a second pass
    /// over the file, so ask for no more than is needed.
    ///
    /// # Errors
    /// [`CaptureError::OutsidePicture`] where no part of `area` lies in the picture; a decoding
    /// error where the second pass fails.
    pub fn patch(&self, area: BoundingBox, min_scale: f32) -> Result<Patch, CaptureError> {
        let source = match &self.source {
            Some(source) if min_scale > self.overview_scale => source,
            _ => {
                let scale = self.overview_scale;
                let touched = self.touched(area, scale, self.overview.dimensions())?;
                return Ok(cut(&self.overview, touched, (0, 0), scale));
            }
        };
        let touched = self.touched(area, 1.0, (self.width, self.height))?;
        if source.whole.get().is_none() {
            let small = touched.pixels() as f64
                <= MAX_REGION_SHARE * f64::from(self.width) * f64::from(self.height);
            if source.region.get().is_none() && small {
                let region = source.decode_region(touched)?;
                let _ = source.region.set(region);
            }
            if let Some((pixels, held)) = source.region.get()
                && held.contains(&touched)
            {
                return Ok(cut(pixels, touched, (held.x, held.y), 1.0));
            }
            let whole = source.decoder.decode(&source.bytes, &source.structure, 8)?;
            let _ = source.whole.set(source.turn.apply(whole));
        }
        match source.whole.get() {
            Some(whole) => Ok(cut(whole, touched, (0, 0), 1.0)),
            None => Err(self.outside()),
        }
    }

    /// The whole pixels that `area` touches, in a view of `size` that shows the picture at `scale`.
    fn touched(
        &self,
        area: BoundingBox,
        scale: f32,
        (width, height): (u32, u32),
    ) -> Result<Area, CaptureError> {
        let sides = [area.x, area.y, area.width, area.height];
        if !sides.into_iter().all(f32::is_finite) {
            return Err(self.outside());
        }
        let span = |start: f32, extent: f32, limit: u32| {
            let first = (start * scale).floor().clamp(0.0, limit as f32);
            let end = ((start + extent) * scale).ceil().clamp(first, limit as f32);
            (first as u32, (end - first) as u32)
        };
        let (x, width) = span(area.x, area.width, width);
        let (y, height) = span(area.y, area.height, height);
        if width == 0 || height == 0 {
            return Err(self.outside());
        }
        Ok(Area {
            x,
            y,
            width,
            height,
        })
    }

    fn outside(&self) -> CaptureError {
        CaptureError::OutsidePicture {
            width: self.width,
            height: self.height,
        }
    }
}

impl Source {
    /// `area` (upright) at full size, with what came along around it.
    fn decode_region(&self, area: Area) -> Result<(RgbImage, Area), CaptureError> {
        let (width, height) = (self.structure.width, self.structure.height);
        let stored = self.turn.stored(area, width, height);
        let decoder = &self.decoder;
        let (pixels, stored) = decoder.decode_region(&self.bytes, &self.structure, stored)?;
        let area = self.turn.upright(stored, width, height);
        Ok((self.turn.apply(pixels), area))
    }
}

/// Cuts `area` out of `view`, whose top left pixel is `first` of the picture at `scale`.
fn cut(view: &RgbImage, area: Area, first: (u32, u32), scale: f32) -> Patch {
    let (left, top) = (area.x - first.0, area.y - first.1);
    Patch {
        pixels: pixels::crop(view, left, top, area.width, area.height),
        origin: Point::new(area.x as f32 / scale, area.y as f32 / scale),
        scale,
    }
}
