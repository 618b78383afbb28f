//! What answers look like in JSON, over HTTP and on the operator's command line alike. Types
//! without a shape of their own here go out as they are: [`ModelFacts`], [`ImageFacts`], [`Pose`],
//! [`Decision`], [`Timings`].
//!
//! Coordinates are rounded to a hundredth of a pixel and times to a microsecond. Scores,
//! similarities and embeddings are not rounded, so that a caller who compares them with a cut comes
//! to the decision that was made here.

mod compare;

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

pub use self::compare::{CompareAnswer, ComparedSide, GivenQuality, GivenSide, Part, SideHint};
use super::{Analysis, Face, ImageFacts, ModelFacts, Timings};
use crate::face::Pose;
use crate::policy::Decision;
use crate::quality::hints::HintCode;
use crate::quality::{Cause, Grade, Language, Quality};

/// A rectangle in pixels, origin top left; it may reach over the edge of the picture.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Box)]
pub struct BoxDto {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Extent to the right.
    pub width: f32,
    /// Extent downwards.
    pub height: f32,
}

/// How far a face can be trusted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quality)]
pub struct QualityDto {
    /// The similarity that this capture is expected to reach against a good reference, on a fixed 0–1 curve.
    #[schema(example = 0.83)]
    pub score: f32,
    /// Where another shot of the same scene would score 9 times in 10.
    #[schema(example = json!([0.74, 0.9]), min_items = 2, max_items = 2)]
    pub interval: [f32; 2],
    /// Calibrated probability that this capture reaches a similarity of 0.45 against a good reference.
    pub pass_probability: f32,
    /// The score in a word: excellent from .80, good from .60, fair from .40, poor from .30, else bad.
    #[schema(value_type = String, example = "excellent")]
    pub grade: Grade,
    /// What was measured; null where it could not be assessed.
    #[schema(value_type = std::collections::BTreeMap<String, Option<f32>>)]
    pub components: BTreeMap<&'static str, Option<f32>>,
    /// What pulls the score down, largest weight first.
    #[schema(value_type = Vec<CauseDto>)]
    pub causes: Vec<Cause>,
}

/// Documents [`Cause`], which goes out as it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cause)]
pub struct CauseDto {
    /// noise, blur, motion_blur, low_resolution, compression, underexposure, overexposure, screen_recapture, occlusion,
    /// mask, pose or unknown.
    #[schema(example = "noise")]
    pub name: String,
    /// Its share of what is missing to a good score; all weights of a face sum to at most 1.
    pub weight: f32,
}

impl From<Quality> for QualityDto {
    fn from(quality: Quality) -> Self {
        let components = quality.components.iter();
        Self {
            score: quality.score,
            interval: quality.interval,
            pass_probability: quality.pass_probability,
            grade: quality.grade,
            components: components
                .map(|(component, value)| (component.name(), value))
                .collect(),
            causes: quality.causes,
        }
    }
}

/// One face of a picture.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Face)]
pub struct FaceDto {
    /// Around the face.
    pub r#box: BoxDto,
    /// The detector's confidence that this is a face, 0–1. Not a quality, not a similarity.
    pub detection_score: f32,
    /// Eyes, nose, mouth corners, image left to right: x and y in pixels.
    #[schema(min_items = 5, max_items = 5)]
    pub landmarks: [[f32; 2]; 5],
    /// Rotation of the head.
    pub pose: Pose,
    /// 512 numbers of unit length, where they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_items = 512, max_items = 512)]
    pub embedding: Option<Vec<f32>>,
    /// Length before normalisation, as the pack defines it: about 1 for clean faces with the default pack, less for worse.
    pub embedding_norm: f32,
    /// How far it can be trusted.
    pub quality: QualityDto,
    /// What the scenario makes of it.
    pub decision: Decision,
}

impl FaceDto {
    /// The wire shape of `face`, with its embedding or without.
    pub fn new(face: Face, with_embedding: bool) -> Self {
        let bounds = face.bounding_box;
        Self {
            r#box: BoxDto {
                x: hundredth(bounds.x),
                y: hundredth(bounds.y),
                width: hundredth(bounds.width),
                height: hundredth(bounds.height),
            },
            detection_score: face.detection_score,
            landmarks: face
                .landmarks
                .map(|point| [hundredth(point.x), hundredth(point.y)]),
            pose: Pose {
                yaw: hundredth(face.pose.yaw),
                pitch: hundredth(face.pose.pitch),
                roll: hundredth(face.pose.roll),
            },
            embedding: with_embedding.then(|| face.embedding.values().to_vec()),
            embedding_norm: face.embedding_norm,
            quality: face.quality.into(),
            decision: face.decision,
        }
    }
}

/// Advice for the person in front of the camera.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hint)]
pub struct HintDto {
    /// `no_face`, `image_too_small`, `move_closer`, `more_light`, `less_light`, `hold_still`, `face_camera`, `uncover_face`,
    /// `several_faces` or `avoid_screen`.
    #[schema(example = "move_closer")]
    pub code: &'static str,
    /// The advice in English, or in Chinese for `Accept-Language: zh`.
    pub message: &'static str,
}

impl HintDto {
    /// The advice in `language`.
    pub fn new(hint: HintCode, language: Language) -> Self {
        Self {
            code: hint.code(),
            message: hint.message(language),
        }
    }
}

/// The answer on one picture.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Extraction)]
pub struct ExtractAnswer<'a> {
    /// Under which the log has this request.
    pub request_id: &'a str,
    /// What answered.
    #[schema(value_type = ModelFacts)]
    pub model: &'a ModelFacts,
    /// The picture.
    pub image: ImageFacts,
    /// Faces, largest first.
    pub faces: Vec<FaceDto>,
    /// How many faces were found: where only the largest is asked for, as far as the search saw
    /// others on its way.
    pub faces_found: usize,
    /// How many of the faces asked for are left out, because a picture may have no more than
    /// `limits.max_faces` of `/v1/info`.
    pub faces_omitted: usize,
    /// Advice for the person in front of the camera.
    pub hints: Vec<HintDto>,
    /// Where the time went.
    pub timings_ms: Timings,
}

impl<'a> ExtractAnswer<'a> {
    /// The wire shape of `analysis`.
    pub fn new(
        request_id: &'a str,
        model: &'a ModelFacts,
        analysis: Analysis,
        with_embedding: bool,
        language: Language,
    ) -> Self {
        let (faces, hints) = (analysis.faces.into_iter(), analysis.hints.into_iter());
        Self {
            request_id,
            model,
            image: analysis.image,
            faces: faces
                .map(|face| FaceDto::new(face, with_embedding))
                .collect(),
            faces_found: analysis.faces_found,
            faces_omitted: analysis.faces_omitted,
            hints: hints.map(|hint| HintDto::new(hint, language)).collect(),
            timings_ms: rounded(analysis.timings),
        }
    }
}

/// Times to the microsecond, as answers have them.
pub fn rounded(timings: Timings) -> Timings {
    let thousandth = |ms: f32| (ms * 1000.0).round() / 1000.0;
    Timings {
        queue: thousandth(timings.queue),
        decode: thousandth(timings.decode),
        detect: thousandth(timings.detect),
        align: thousandth(timings.align),
        embed: thousandth(timings.embed),
        judge: thousandth(timings.judge),
        total: thousandth(timings.total),
    }
}

fn hundredth(number: f32) -> f32 {
    (number * 100.0).round() / 100.0
}
