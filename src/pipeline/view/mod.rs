//! Wire shapes: what answers look like in JSON, and nothing else. Last stop of the data's way, over HTTP and on the operator's
//! command line alike.
//!
//! Coordinates are rounded to a hundredth of a pixel and times to a microsecond; scores, similarities and embeddings go out
//! as they are, so that a caller who compares them with a cut comes to the decision that was made here.

mod compare;

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

pub use self::compare::{
    CompareAnswer, ComparedSide, GivenQuality, GivenSide, Part, SideHint, ThresholdsDto,
};
use super::{Analysis, Face, ImageFacts, ModelFacts, Timings};
use crate::geometry::{BoundingBox, Point};
use crate::policy::Decision;
use crate::quality::hints::HintCode;
use crate::quality::{Cause, Grade, Language, Quality};

/// What answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Model)]
pub struct ModelDto<'a> {
    /// Name of the model pack.
    #[schema(example = "default")]
    pub pack: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its SHA-256: embeddings of packs that differ in it must not be compared.
    pub sha256: &'a str,
    /// Where it runs: `cuda`, `openvino` or `cpu`.
    #[schema(example = "cpu")]
    pub provider: &'a str,
}

impl<'a> From<&'a ModelFacts> for ModelDto<'a> {
    fn from(facts: &'a ModelFacts) -> Self {
        Self {
            pack: &facts.pack,
            version: &facts.version,
            sha256: &facts.sha256,
            provider: &facts.provider,
        }
    }
}

/// The picture as it was understood: upright, type by content.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Image)]
pub struct ImageDto {
    /// Upright width in pixels.
    pub width: u32,
    /// Upright height in pixels.
    pub height: u32,
    /// `jpeg`, `png`, `webp`, `bmp` or `tiff`.
    #[schema(example = "jpeg")]
    pub format: &'static str,
}

impl From<&ImageFacts> for ImageDto {
    fn from(facts: &ImageFacts) -> Self {
        Self {
            width: facts.width,
            height: facts.height,
            format: facts.format.name(),
        }
    }
}

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

impl From<&BoundingBox> for BoxDto {
    fn from(bounds: &BoundingBox) -> Self {
        Self {
            x: hundredth(bounds.x),
            y: hundredth(bounds.y),
            width: hundredth(bounds.width),
            height: hundredth(bounds.height),
        }
    }
}

/// Rotation of the head in degrees; 0 is a frontal, upright head.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pose)]
pub struct PoseDto {
    /// Turn; positive: the nose points to the image's right.
    pub yaw: f32,
    /// Nod; positive: the nose points up.
    pub pitch: f32,
    /// Tilt; positive: clockwise on the screen.
    pub roll: f32,
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
        let components = quality
            .components
            .iter()
            .map(|(component, value)| (component.name(), value))
            .collect();
        Self {
            score: quality.score,
            interval: quality.interval,
            pass_probability: quality.pass_probability,
            grade: quality.grade,
            components,
            causes: quality.causes,
        }
    }
}

/// What the scenario's policy makes of a face.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decision)]
pub struct DecisionDto {
    /// The scenario that decided.
    #[schema(example = "access")]
    pub scenario: String,
    /// `accept`, `review` or `reject`.
    #[schema(example = "accept")]
    pub action: &'static str,
    /// The policy's accept cut on the quality score.
    pub threshold: f32,
    /// What decided, where the action is not accept: `quality`, `face_too_small`, `several_faces`.
    #[schema(value_type = Vec<String>)]
    pub reasons: Vec<&'static str>,
}

impl From<Decision> for DecisionDto {
    fn from(decision: Decision) -> Self {
        Self {
            scenario: decision.scenario,
            action: decision.action.name(),
            threshold: decision.threshold,
            reasons: decision
                .reasons
                .iter()
                .map(|reason| reason.name())
                .collect(),
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
    pub pose: PoseDto,
    /// 512 numbers of unit length, where they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_items = 512, max_items = 512)]
    pub embedding: Option<Vec<f32>>,
    /// Length before normalisation, as the pack defines it: about 1 for clean faces with the default pack, less for worse.
    pub embedding_norm: f32,
    /// How far it can be trusted.
    pub quality: QualityDto,
    /// What the scenario makes of it.
    pub decision: DecisionDto,
}

impl FaceDto {
    /// The wire shape of `face`, with its embedding or without.
    #[must_use]
    pub fn new(face: Face, with_embedding: bool) -> Self {
        Self {
            r#box: BoxDto::from(&face.bounding_box),
            detection_score: face.detection_score,
            landmarks: face.landmarks.map(pair),
            pose: PoseDto {
                yaw: hundredth(face.pose.yaw),
                pitch: hundredth(face.pose.pitch),
                roll: hundredth(face.pose.roll),
            },
            embedding: with_embedding.then(|| face.embedding.values().to_vec()),
            embedding_norm: face.embedding_norm,
            quality: face.quality.into(),
            decision: face.decision.into(),
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
    #[must_use]
    pub fn new(hint: HintCode, language: Language) -> Self {
        Self {
            code: hint.code(),
            message: hint.message(language),
        }
    }
}

/// Milliseconds in each stage. `total` counts waiting and everything in between too.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Timings)]
pub struct TimingsDto {
    /// Waiting for a worker.
    pub queue: f32,
    /// Bytes → pixels.
    pub decode: f32,
    /// Finding faces.
    pub detect: f32,
    /// Landmarks, pose and warp.
    pub align: f32,
    /// Embedding, norm and OOD logit.
    pub embed: f32,
    /// Components, score, causes, decision.
    pub judge: f32,
    /// From the picture's arrival to the answer.
    pub total: f32,
}

impl From<&Timings> for TimingsDto {
    fn from(timings: &Timings) -> Self {
        Self {
            queue: thousandth(timings.queue_ms),
            decode: thousandth(timings.decode_ms),
            detect: thousandth(timings.detect_ms),
            align: thousandth(timings.align_ms),
            embed: thousandth(timings.embed_ms),
            judge: thousandth(timings.judge_ms),
            total: thousandth(timings.total_ms),
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
    #[schema(value_type = ModelDto)]
    pub model: ModelDto<'a>,
    /// The picture.
    pub image: ImageDto,
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
    pub timings_ms: TimingsDto,
}

impl<'a> ExtractAnswer<'a> {
    /// The wire shape of `analysis`.
    #[must_use]
    pub fn new(
        request_id: &'a str,
        model: &'a ModelFacts,
        analysis: Analysis,
        with_embedding: bool,
        language: Language,
    ) -> Self {
        Self {
            request_id,
            model: model.into(),
            image: (&analysis.image).into(),
            faces: analysis
                .faces
                .into_iter()
                .map(|face| FaceDto::new(face, with_embedding))
                .collect(),
            faces_found: analysis.faces_found,
            faces_omitted: analysis.faces_omitted,
            hints: analysis
                .hints
                .into_iter()
                .map(|hint| HintDto::new(hint, language))
                .collect(),
            timings_ms: (&analysis.timings).into(),
        }
    }
}

fn pair(point: Point) -> [f32; 2] {
    [hundredth(point.x), hundredth(point.y)]
}

fn hundredth(number: f32) -> f32 {
    (number * 100.0).round() / 100.0
}

fn thousandth(number: f32) -> f32 {
    (number * 1000.0).round() / 1000.0
}
