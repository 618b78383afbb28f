//! Where to look for faces, at which sizes, and when to stop: YuNet run over scaled views of one capture.

use std::borrow::Cow;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::{DetectedFace, FaceError, nms};
use crate::capture::{Capture, pixels};
use crate::geometry::{BoundingBox, Point};
use crate::runtime::Session;

/// What a search is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// The largest face. Stops as soon as a larger one cannot be missing; small faces beside it may go unreported.
    #[default]
    Largest,
    /// Every face.
    All,
}

/// Sizes and thresholds of the detector's passes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectorSettings {
    /// Longer side of the first pass over the whole picture, in pixels.
    pub first_side: u32,
    /// Longer sides of the passes that follow when nothing was found, or when every face is wanted.
    pub further_sides: Vec<u32>,
    /// A candidate of this score is a face.
    pub threshold: f32,
    /// A candidate of this score is a face when nothing better is there.
    pub low_threshold: f32,
    /// Longer side of the pass with the low threshold: small enough to average noise away.
    pub low_side: u32,
}

impl Default for DetectorSettings {
    fn default() -> Self {
        Self {
            first_side: 320,
            further_sides: vec![640, 960],
            threshold: 0.6,
            low_threshold: 0.3,
            low_side: 160,
        }
    }
}

/// Share of the longer side that is laid around a picture whose face may be cut off by the frame.
const BORDER_SHARE: f32 = 0.3;

/// Finds faces.
pub struct Detector {
    network: Network,
    settings: DetectorSettings,
}

impl Detector {
    /// `session` runs YuNet with free height and width.
    #[must_use]
    pub fn new(session: Session, settings: DetectorSettings) -> Self {
        Self {
            network: Network::new(session),
            settings,
        }
    }

    /// Faces of the picture, largest first, then by nearness to its centre; boxes in original pixels. Never empty.
    ///
    /// # Errors
    /// [`FaceError::NoFace`] when every pass came back empty; else if the network fails.
    pub fn detect(
        &mut self,
        capture: &Capture,
        search: Search,
    ) -> Result<Vec<DetectedFace>, FaceError> {
        let (first, high, low) = (
            self.settings.first_side,
            self.settings.threshold,
            self.settings.low_threshold,
        );
        let mut found = self.whole(capture, first, 0.0, high)?;
        if found.is_empty() {
            found = self.whole(capture, first, BORDER_SHARE, high)?;
        }
        if found.is_empty() {
            found = self.whole(capture, self.settings.low_side, BORDER_SHARE, low)?;
        }
        for side in self.settings.further_sides.clone() {
            if !found.is_empty() && search == Search::Largest {
                break;
            }
            let longer = capture.width().max(capture.height());
            if longer > first {
                found.extend(self.whole(capture, side.min(longer), 0.0, high)?);
            }
        }
        let mut faces = nms::suppress(found);
        if faces.is_empty() {
            return Err(FaceError::NoFace {
                width: capture.width(),
                height: capture.height(),
            });
        }
        nms::sort_for_report(&mut faces, capture.width() as f32, capture.height() as f32);
        Ok(faces)
    }

    /// One pass over the whole picture, its longer side brought to `side` (never enlarged).
    fn whole(
        &mut self,
        capture: &Capture,
        side: u32,
        border_share: f32,
        threshold: f32,
    ) -> Result<Vec<DetectedFace>, FaceError> {
        let overview = capture.overview();
        let picture = shrink(overview, side);
        let border = (border_share * picture.width().max(picture.height()) as f32) as u32;
        let candidates = self.network.pass(&picture, border, threshold)?;
        let scale_x = capture.width() as f32 / picture.width() as f32;
        let scale_y = capture.height() as f32 / picture.height() as f32;
        Ok(candidates
            .into_iter()
            .map(|candidate| scaled(&candidate, scale_x, scale_y))
            .collect())
    }
}

/// `picture` with its longer side at most `side`.
fn shrink(picture: &RgbImage, side: u32) -> Cow<'_, RgbImage> {
    let longer = picture.width().max(picture.height());
    if longer <= side {
        return Cow::Borrowed(picture);
    }
    let scale = f64::from(side) / f64::from(longer);
    let shrunk = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    Cow::Owned(pixels::resize(
        picture,
        shrunk(picture.width()),
        shrunk(picture.height()),
    ))
}

fn scaled(face: &DetectedFace, x: f32, y: f32) -> DetectedFace {
    let bounds = face.bounding_box;
    DetectedFace {
        bounding_box: BoundingBox::new(
            bounds.x * x,
            bounds.y * y,
            bounds.width * x,
            bounds.height * y,
        ),
        detection_score: face.detection_score,
        points: face
            .points
            .map(|point| Point::new(point.x * x, point.y * y)),
    }
}
