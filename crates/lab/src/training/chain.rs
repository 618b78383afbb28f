//! The product's own pipeline from a picture to the features that the OOD head reads.

use std::collections::HashMap;
use std::io::Cursor;

use image::{ImageFormat, RgbImage};

use super::{Networks, TrainingError};
use faceood_engine::capture::{self, Capture, pixels};
use faceood_engine::checkpoint::Checkpoint;
use faceood_engine::face::{AlignedFace, Aligner, DetectedFace, Detector, FaceError, Search};
use faceood_engine::geometry::{BoundingBox, Point};
use faceood_engine::runtime::{InputTransform, Placement, Runtime, Session};

/// Side of the square around a face that is cut out of a picture of several, as a multiple of the
/// face's longer side. The warp reads no more.
const SURROUNDINGS: f32 = 2.0;
/// Overlap (IoU) from which a face found in the part is the one that was cut out.
const SAME_FACE_IOU: f32 = 0.5;
/// Least shorter side in pixels of a good photo of a person.
const LEAST_PX: f32 = 40.0;
/// Largest yaw of a good photo, in degrees. Copies of others would get too high a target.
const MOST_YAW: f32 = 25.0;

pub(super) struct Chain {
    detector: Detector,
    aligner: Aligner,
    features: Session,
    input: InputTransform,
}

/// What the networks say of one face.
#[derive(Clone, Debug)]
pub(super) struct NetworkOutputs {
    /// 512 numbers, of unit length to rounding.
    pub(super) embedding: Vec<f32>,
    /// Output length of each network.
    pub(super) norms: Vec<f32>,
    /// What the head reads.
    pub(super) features: Vec<f32>,
}

impl NetworkOutputs {
    /// Cosine to another face.
    pub(super) fn similarity(&self, other: &Self) -> f64 {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            let pairs = a.iter().zip(b);
            pairs.map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
        };
        let (one, two) = (&self.embedding, &other.embedding);
        dot(one, two) / (dot(one, one) * dot(two, two)).sqrt()
    }
}

impl Chain {
    /// Opens the sessions on the CPU in full precision, because other providers round differently.
    pub(super) fn open(runtime: &Runtime, networks: &Networks) -> Result<Self, TrainingError> {
        let open = |name: &str, bytes: &[u8]| runtime.open(name, bytes, Placement::Host);
        Ok(Self {
            detector: Detector::new(
                open("detector", &networks.detector)?,
                networks.detector_settings.clone(),
            ),
            aligner: Aligner::new(
                open("landmarks", &networks.landmarks)?,
                networks.landmarks_settings.clone(),
                networks.template,
            ),
            features: open("features", &networks.features)?,
            input: networks.features_input,
        })
    }

    /// The largest face of a picture; `None` if there is none.
    pub(super) fn find(
        &mut self,
        picture: &RgbImage,
    ) -> Result<Option<(DetectedFace, AlignedFace)>, TrainingError> {
        let capture = as_capture(picture)?;
        let faces = self.detect(&capture, Search::Largest)?;
        let Some(face) = faces.into_iter().next() else {
            return Ok(None);
        };
        let aligned = self.aligner.align(&capture, &face)?;
        Ok(Some((face, aligned)))
    }

    fn detect(
        &mut self,
        capture: &Capture,
        search: Search,
    ) -> Result<Vec<DetectedFace>, TrainingError> {
        match self.detector.detect(capture, search, &Checkpoint::OPEN) {
            Err(FaceError::NoFace { .. }) => Ok(Vec::new()),
            found => Ok(found?),
        }
    }

    /// One picture for each person: the whole one if it shows one face, else the
    /// surroundings of each face. Faces too small or turned too far for a good photo are
    /// left out, and those whose surroundings show another face as the largest.
    pub(super) fn people(&mut self, picture: &RgbImage) -> Result<Vec<RgbImage>, TrainingError> {
        let faces = self.detect(&as_capture(picture)?, Search::All)?;
        let is_alone = faces.len() == 1;
        let mut people = Vec::new();
        for face in faces {
            let bounds = face.bounding_box;
            if bounds.shorter_side() < LEAST_PX {
                continue;
            }
            let (part, left, top) = if is_alone {
                (picture.clone(), 0, 0)
            } else {
                surroundings(picture, &bounds)
            };
            let place = BoundingBox {
                x: bounds.x - left as f32,
                y: bounds.y - top as f32,
                ..bounds
            };
            let is_good = self.find(&part)?.is_some_and(|(found, aligned)| {
                found.bounding_box.iou(&place) > SAME_FACE_IOU && aligned.pose.yaw.abs() <= MOST_YAW
            });
            if is_good {
                people.push(part);
            }
        }
        Ok(people)
    }

    /// Runs the networks on the square `area` as if the detector had found a face there; `None` if
    /// no face's points fit on it.
    pub(super) fn see_as_face(
        &mut self,
        picture: &RgbImage,
        area: BoundingBox,
    ) -> Result<Option<NetworkOutputs>, TrainingError> {
        // Usual places of eyes, nose and mouth in a face's box.
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
        match self.aligner.align(&as_capture(picture)?, &face) {
            Err(FaceError::Degenerate { .. }) => Ok(None),
            aligned => self.see(&aligned?.crop).map(Some),
        }
    }

    /// Runs the networks on an aligned face.
    pub(super) fn see(&mut self, crop: &RgbImage) -> Result<NetworkOutputs, TrainingError> {
        let input = self.input;
        let (width, height) = (crop.width() as usize, crop.height() as usize);
        let shape = [1, input.channels.planes(), height, width];
        let mut planes = vec![0.0; shape.iter().product()];
        input.write(crop.as_raw(), &mut planes, width * height, 0);
        let outputs = self.features.run(&shape, &planes)?;
        let mut outputs: HashMap<_, _> = outputs.into_iter().collect();
        let mut take = |name: &str| {
            let found = outputs.remove(name);
            found.map_or_else(Vec::new, |tensor| tensor.values)
        };
        Ok(NetworkOutputs {
            embedding: take("embedding"),
            norms: take("network_norms"),
            features: take("features"),
        })
    }
}

/// The part of a picture around a face, and where its top left corner lies.
fn surroundings(picture: &RgbImage, face: &BoundingBox) -> (RgbImage, u32, u32) {
    let side = SURROUNDINGS * face.width.max(face.height);
    let area = BoundingBox::square(face.centre(), side);
    let (left, top) = (area.x.max(0.0) as u32, area.y.max(0.0) as u32);
    let (right, bottom) = ((area.x + side) as u32, (area.y + side) as u32);
    let part = pixels::crop(picture, left, top, right - left, bottom - top);
    (part, left, top)
}

/// The picture as an upload that loses nothing.
fn as_capture(picture: &RgbImage) -> Result<Capture, TrainingError> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Bmp)?;
    Ok(capture::decode(&bytes, &capture::Settings::default())?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::building::recipe::PackSources;
    use faceood_engine::runtime::{ProviderChoice, Settings};

    #[test]
    fn each_person_of_a_picture_gets_a_picture() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let Ok(sources) = PackSources::read(&root.join("vendor/pack-sources")) else {
            eprintln!(
                "skipped: vendor/pack-sources is not there, run scripts/build-pack --fetch-only"
            );
            return;
        };
        let runtime = Runtime::load(&Settings {
            provider: ProviderChoice::Cpu,
            ..Settings::default()
        })
        .unwrap();
        let networks = Networks::of_recipe(&sources).unwrap();
        let mut chain = Chain::open(&runtime, &networks).unwrap();
        let one = image::open(root.join("tests/photos/astronaut.jpg"))
            .unwrap()
            .into_rgb8();
        assert_eq!(chain.people(&one).unwrap(), std::slice::from_ref(&one));

        let half = pixels::resize(&one, 256, 256);
        // A face of 22 px is nobody's good photo.
        let small = pixels::resize(&one, 128, 128);
        let mut crowd = RgbImage::new(700, 400);
        for (person, x) in [(&half, 0), (&half, 256), (&small, 540)] {
            image::imageops::replace(&mut crowd, person, x, 60);
        }
        let people = chain.people(&crowd).unwrap();
        assert_eq!(people.len(), 2);
        for part in &people {
            let (face, _) = chain.find(part).unwrap().unwrap();
            let middle = face.bounding_box.centre();
            let (width, height) = (part.width() as f32, part.height() as f32);
            assert!((middle.x / width - 0.5).abs() < 0.1 && (middle.y / height - 0.5).abs() < 0.1);
        }
    }
}
