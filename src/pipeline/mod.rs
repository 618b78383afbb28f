//! The product on one page: how a picture becomes faces with embedding, quality and decision. READ FIRST.

use crate::capture::ImageFormat;
use crate::embed::Embedding;
use crate::face::Pose;
use crate::geometry::{BoundingBox, Point};
use crate::policy::Decision;
use crate::quality::Quality;
use std::collections::BTreeMap;

/// Facts of the submitted picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageFacts {
    /// Upright width in pixels.
    pub width: u32,
    /// Upright height in pixels.
    pub height: u32,
    /// Type by content.
    pub format: ImageFormat,
    /// Size of the upload.
    pub bytes: usize,
}

/// Everything said of one face.
#[derive(Clone, Debug, PartialEq)]
pub struct Face {
    /// Around the face, in original pixels.
    pub bounding_box: BoundingBox,
    /// The detector's confidence, 0…1.
    pub detection_score: f32,
    /// Eyes, nose, mouth corners, image left to right, in original pixels.
    pub landmarks: [Point; 5],
    /// Head rotation.
    pub pose: Pose,
    /// The face as numbers.
    pub embedding: Embedding,
    /// Length before normalisation as the pack defines it.
    pub embedding_norm: f32,
    /// Output length of each network, by name.
    pub network_norms: BTreeMap<String, f32>,
    /// Raw output of the OOD head.
    pub ood_logit: f32,
    /// How far it can be trusted.
    pub quality: Quality,
    /// What the asked scenario makes of it.
    pub decision: Decision,
}

/// Milliseconds spent in each stage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// Waiting for a worker.
    pub queue_ms: f32,
    /// Bytes → pixels.
    pub decode_ms: f32,
    /// Finding faces.
    pub detect_ms: f32,
    /// Landmarks, pose and warp.
    pub align_ms: f32,
    /// The embedder's run.
    pub embed_ms: f32,
    /// Components, score, causes, decision.
    pub judge_ms: f32,
    /// From the upload's arrival at the pipeline to the answer.
    pub total_ms: f32,
}

/// The pipeline's answer on one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// The picture.
    pub image: ImageFacts,
    /// Faces, largest first (area, then nearness to the centre).
    pub faces: Vec<Face>,
    /// Advice for the person in front of the camera.
    pub hints: Vec<crate::quality::hints::HintCode>,
    /// Where the time went.
    pub timings: Timings,
}
