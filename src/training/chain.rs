//! The product's own way from a picture to numbers, up to what the OOD head reads.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};

use super::TrainingError;
use crate::capture::{self, Capture};
use crate::face::{AlignedFace, Aligner, DetectedFace, Detector, Search};
use crate::geometry::{BoundingBox, Point};
use crate::pack::build::prepare_bytes;
use crate::pack::build::recipe::{self, Sources};
use crate::pipeline::{aligner_settings, detector_settings};
use crate::runtime::{Placement, Runtime, Session};

/// Sessions of one thread.
pub(super) struct Chain {
    detector: Detector,
    aligner: Aligner,
    features: Session,
}

/// What the networks say of one face.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// 512 numbers, of unit length to rounding.
    pub(super) embedding: Vec<f32>,
    /// Output length of each network.
    pub(super) norms: Vec<f32>,
    /// What the head reads.
    pub(super) features: Vec<f32>,
}

impl Seen {
    /// Cosine to another face.
    pub(super) fn similarity(&self, other: &Self) -> f64 {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter()
                .zip(b)
                .map(|(&x, &y)| f64::from(x) * f64::from(y))
                .sum()
        };
        let (one, two) = (&self.embedding, &other.embedding);
        dot(one, two) / (dot(one, one) * dot(two, two)).sqrt()
    }
}

impl Chain {
    /// Opens the sessions, all on the CPU and in full precision: other providers round differently.
    pub(super) fn open(runtime: &Runtime, sources: &Sources) -> Result<Self, TrainingError> {
        let (detector, detector_bytes) = sources.detector()?;
        let (landmarks, landmarks_bytes) = sources.landmarks()?;
        let open = |name: &str, bytes: &[u8]| runtime.open(name, bytes, Placement::Host);
        Ok(Self {
            detector: Detector::new(
                open("detector", &prepare_bytes("detector", &detector_bytes)?)?,
                detector_settings(&detector),
            ),
            aligner: Aligner::new(
                open("landmarks", &prepare_bytes("landmarks", &landmarks_bytes)?)?,
                aligner_settings(&landmarks, &recipe::TEMPLATE),
            ),
            features: open("features", &sources.feature_graph()?)?,
        })
    }

    /// The largest face of a picture; `None` where none is found.
    pub(super) fn find(
        &mut self,
        picture: &RgbImage,
    ) -> Result<Option<(DetectedFace, AlignedFace)>, TrainingError> {
        let capture = as_capture(picture)?;
        let faces = match self.detector.detect(&capture, Search::Largest) {
            Ok(faces) => faces,
            Err(crate::face::FaceError::NoFace { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(face) = faces.into_iter().next() else {
            return Ok(None);
        };
        let aligned = self.aligner.align(&capture, &face)?;
        Ok(Some((face, aligned)))
    }

    /// What would be aligned if the detector took the square `area` for a face; `None` where no face's points can be put on it.
    pub(super) fn pretend(
        &mut self,
        picture: &RgbImage,
        area: BoundingBox,
    ) -> Result<Option<AlignedFace>, TrainingError> {
        let capture = as_capture(picture)?;
        // Where a face in this box would have its eyes, nose and mouth.
        let at = |x: f32, y: f32| Point::new(area.x + x * area.width, area.y + y * area.height);
        let face = DetectedFace {
            bounding_box: area,
            detection_score: 0.6,
            points: [
                at(0.3, 0.4),
                at(0.7, 0.4),
                at(0.5, 0.6),
                at(0.35, 0.8),
                at(0.65, 0.8),
            ],
        };
        match self.aligner.align(&capture, &face) {
            Ok(aligned) => Ok(Some(aligned)),
            Err(crate::face::FaceError::Degenerate { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs the networks on an aligned face.
    pub(super) fn see(&mut self, crop: &RgbImage) -> Result<Seen, TrainingError> {
        let input = recipe::embedder_input().transform();
        let (width, height) = (crop.width() as usize, crop.height() as usize);
        let shape = [1, input.channels.planes(), height, width];
        let mut planes = vec![0.0; shape.iter().product()];
        input.write(crop.as_raw(), &mut planes, width * height, 0);
        let outputs = self.features.run(&shape, &planes)?;
        let take = |name: &str| {
            outputs
                .iter()
                .find(|(found, _)| found == name)
                .map(|(_, tensor)| tensor.values.clone())
                .unwrap_or_default()
        };
        Ok(Seen {
            embedding: take("embedding"),
            norms: take("network_norms"),
            features: take("features"),
        })
    }
}

/// The picture as an upload that loses nothing.
fn as_capture(picture: &RgbImage) -> Result<Capture, TrainingError> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Bmp)?;
    Ok(capture::decode(&bytes, &capture::Settings::default())?)
}
