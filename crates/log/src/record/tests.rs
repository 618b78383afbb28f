use faceood_engine::capture::ImageFormat;
use faceood_engine::embed::{EMBEDDING_LENGTH, Embedding};
use faceood_engine::geometry::{BoundingBox, Point};
use faceood_engine::quality::{CauseName, Component, Quality};

use super::*;
use crate::fixture::context;

fn face(x: f32) -> Face {
    let mut components = Components::default();
    components.set(Component::Noise, 4.5);
    Face {
        bounding_box: BoundingBox::new(x, 2.0, 30.0, 40.0),
        detection_score: 0.9,
        landmarks: [Point::default(); 5],
        pose: Default::default(),
        embedding: Embedding::normalise(&[1.0; EMBEDDING_LENGTH]).unwrap().0,
        embedding_norm: 0.98,
        network_norms: [("a".to_owned(), 1.5), ("b".to_owned(), f32::NAN)].into(),
        ood_logit: -1.25,
        quality: Quality {
            score: 0.5,
            interval: [0.4, 0.6],
            pass_probability: 0.7,
            grade: Grade::Fair,
            components,
            causes: vec![Cause {
                name: CauseName::Noise,
                weight: 0.3,
            }],
        },
        decision: Decision {
            scenario: "access".to_owned(),
            action: Action::Review,
            threshold: 0.6,
            reasons: vec![Reason::Quality],
        },
        thumbnail: Some(vec![0xff, 0xd8]),
    }
}

fn analysis(faces: Vec<Face>) -> Analysis {
    Analysis {
        faces_found: faces.len(),
        faces_omitted: 0,
        image: ImageFacts {
            width: 640,
            height: 480,
            format: ImageFormat::Webp,
            bytes: 1234,
        },
        faces,
        hints: Vec::new(),
        calibration_id: "c2".to_owned(),
        timings: Timings {
            total: 12.5,
            ..Timings::default()
        },
    }
}

#[test]
fn each_face_is_a_row_of_its_own() {
    let rows = context("r", "gate").analysed(Role::Image, &analysis(vec![face(1.0), face(7.0)]));
    let places: Vec<_> = rows
        .iter()
        .map(|row| (row.face_index, row.face_count, row.box_x))
        .collect();
    assert_eq!(
        places,
        [(Some(0), Some(2), Some(1.0)), (Some(1), Some(2), Some(7.0))]
    );
    assert!(rows[0].id < rows[1].id);
    let row = &rows[0];
    assert_eq!(row.image_format.as_deref(), Some("webp"));
    assert_eq!(row.total_ms, Some(12.5));
    assert_eq!(row.quality_score, Some(0.5));
    assert_eq!(row.action, Some(Action::Review));
    assert_eq!(row.reasons, Some(vec![Reason::Quality]));
    assert_eq!(row.components.get(Component::Noise), Some(4.5));
    assert_eq!(row.embedding.as_ref().map(Vec::len), Some(EMBEDDING_LENGTH));
    assert_eq!(row.thumbnail, Some(vec![0xff, 0xd8]));
    assert_eq!(row.source.as_deref(), Some("gate"));
    // The one that made the score, which may be newer than the request.
    assert_eq!(row.calibration_id.as_deref(), Some("c2"));
    assert_eq!(row.error_code, None);
    // What is no number cannot be stored in JSON.
    let norms = row.network_norms.as_ref().unwrap();
    assert_eq!(norms.keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_picture_without_a_face_is_one_row_and_no_error() {
    let rows = context("r", "gate").analysed(Role::Image, &analysis(Vec::new()));
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].face_count, Some(0));
    assert_eq!(rows[0].face_index, None);
    assert_eq!(rows[0].error_code, None);
    assert_eq!(rows[0].image_width, Some(640));
}

#[test]
fn a_failure_is_a_row_with_its_code() {
    let row =
        context("r", "gate").failed(Role::Probe, ProblemCode::UndecodableImage, "cut off", None);
    assert_eq!(row.error_code, Some(ProblemCode::UndecodableImage));
    assert_eq!(row.error_detail.as_deref(), Some("cut off"));
    assert_eq!((row.role, row.image_width), (Role::Probe, None));
    assert_eq!(row.scenario.as_deref(), Some("access"));
}

#[test]
fn the_side_of_a_comparison_that_is_an_embedding_has_its_score_and_the_verdict() {
    let mut row = context("r", "gate").given_embedding(Role::Reference, Some(0.8), None);
    row.set_comparison(0.61, Verdict::Same);
    assert_eq!(row.quality_score, Some(0.8));
    assert_eq!(
        (row.similarity, row.verdict),
        (Some(0.61), Some(Verdict::Same))
    );
    assert_eq!((row.image_width, row.embedding), (None, None));
}
