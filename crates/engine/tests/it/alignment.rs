//! Box, landmarks, warp and embedding agree with the same chain written with OpenCV
//! (`tests/reference/alignment.py`).

use std::path::PathBuf;

use faceood_engine::checkpoint::Checkpoint;
use faceood_engine::embed::Embedding;
use faceood_engine::face::{DetectedFace, Search};
use faceood_engine::geometry::{BoundingBox, Point};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::support::stages::{Stages, capture};
use crate::support::{photos, repository};

/// Least cosine between our embedding and the reference's, from the same box on.
const LEAST_COSINE: f32 = 0.99;

/// Least cosine where each has found the box itself. Both shrink the picture for the detector with
/// another filter, and a box that differs by 2 % moves the landmarks of a small face by a pixel.
const LEAST_COSINE_OF_OWN_BOX: f32 = 0.98;

/// SFace's part of the default pack's embedding stands at its end.
const SFACE_LENGTH: usize = 128;

#[derive(Deserialize)]
struct Reference {
    photo: String,
    sha256: String,
    #[serde(rename = "box")]
    bounds: [f32; 4],
    detection_score: f32,
    points: [[f32; 2]; 5],
    landmarks: [[f32; 2]; 5],
    sface: Vec<f32>,
}

fn references() -> Vec<Reference> {
    let path = repository().join("tests/reference/alignment.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The photo as the script saw it: the committed one, or one of the packages' that
/// `FACEOOD_TEST_PHOTOS` holds.
fn photo(reference: &Reference) -> Option<Vec<u8>> {
    let committed = repository().join("tests/photos");
    let fetched = std::env::var_os("FACEOOD_TEST_PHOTOS").map(PathBuf::from);
    let bytes = [Some(committed), fetched]
        .into_iter()
        .flatten()
        .find_map(|folder| std::fs::read(folder.join(&reference.photo)).ok())?;
    assert_eq!(
        hex::encode(Sha256::digest(&bytes)),
        reference.sha256,
        "{} is another file than the reference was made of",
        reference.photo
    );
    Some(bytes)
}

fn nearest<'a>(faces: &'a [DetectedFace], bounds: &BoundingBox) -> &'a DetectedFace {
    faces
        .iter()
        .max_by(|one, other| {
            let [one, other] = [one, other].map(|face| face.bounding_box.iou(bounds));
            one.total_cmp(&other)
        })
        .expect("a face was found")
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

fn sface_part(embedding: &Embedding) -> &[f32] {
    let values = embedding.values();
    &values[values.len() - SFACE_LENGTH..]
}

#[test]
fn embeddings_agree_with_opencv() {
    let mut stages = Stages::open();
    let mut compared = 0;
    for reference in references() {
        let Some(bytes) = photo(&reference) else {
            eprintln!(
                "SKIPPED: {} is not here; FACEOOD_TEST_PHOTOS names the folder of the packages' photos",
                reference.photo
            );
            continue;
        };
        let capture = capture(&bytes);
        let faces = stages
            .detector
            .detect(&capture, Search::Largest, &Checkpoint::OPEN)
            .unwrap();
        let [x, y, width, height] = reference.bounds;
        let bounds = BoundingBox::new(x, y, width, height);
        let face = nearest(&faces, &bounds);
        let iou = face.bounding_box.iou(&bounds);
        let given = DetectedFace {
            bounding_box: bounds,
            detection_score: reference.detection_score,
            points: reference.points.map(|[x, y]| Point::new(x, y)),
        };
        let aligned = [&given, face].map(|face| stages.aligner.align(&capture, face).unwrap());
        let off = aligned[0]
            .landmarks
            .iter()
            .zip(reference.landmarks)
            .map(|(point, [x, y])| (point.x - x).hypot(point.y - y))
            .fold(0.0, f32::max);
        let crops = [&aligned[0].crop, &aligned[1].crop];
        let embedded = stages.embedder.embed_crops(&crops).unwrap();
        let [same_box, own_box] =
            [0, 1].map(|index| cosine(sface_part(&embedded[index].embedding), &reference.sface));
        eprintln!(
            "{}: box IoU {iou:.3}, landmarks off by {off:.2} px at most, cosine {same_box:.5}, from our own box {own_box:.5}",
            reference.photo
        );
        assert!(iou > 0.8, "{}: {face:?}", reference.photo);
        assert!(same_box >= LEAST_COSINE, "{}: {same_box}", reference.photo);
        assert!(
            own_box >= LEAST_COSINE_OF_OWN_BOX,
            "{}: {own_box}",
            reference.photo
        );
        compared += 1;
    }
    assert!(compared >= 1);
}

#[test]
fn the_crop_agrees_with_opencv() {
    let mut stages = Stages::open();
    let capture = capture(&photos::astronaut());
    let faces = stages
        .detector
        .detect(&capture, Search::Largest, &Checkpoint::OPEN)
        .unwrap();
    let aligned = stages.aligner.align(&capture, &faces[0]).unwrap();
    let reference =
        std::fs::read(repository().join("tests/reference/astronaut_aligned.png")).unwrap();
    let reference = photos::pixels(&reference);
    let difference = aligned
        .crop
        .as_raw()
        .iter()
        .zip(reference.as_raw())
        .map(|(&ours, &theirs)| f32::from(ours.abs_diff(theirs)))
        .sum::<f32>()
        / reference.as_raw().len() as f32;
    assert!(difference < 3.0, "mean difference {difference} of 255");
    let embedded = stages
        .embedder
        .embed_crops(&[&aligned.crop, &reference])
        .unwrap();
    let cosine = embedded[0].embedding.similarity(&embedded[1].embedding);
    assert!(cosine >= LEAST_COSINE, "{cosine}");
}
