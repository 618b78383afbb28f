//! The answer on a pair.

use serde::Serialize;
use utoipa::ToSchema;

use super::{FaceDto, HintDto};
use crate::pipeline::{ModelFacts, Timings};
use crate::policy::{Decision, Thresholds};
use crate::quality::Grade;

/// One side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The sample being questioned.
    Probe,
    /// The sample it is compared with.
    Reference,
}

impl Part {
    /// Both sides, probe first.
    pub const ALL: [Self; 2] = [Self::Probe, Self::Reference];

    /// Name of the part in a multipart form and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Reference => "reference",
        }
    }
}

/// The answer on a pair of faces.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Comparison)]
pub struct CompareAnswer<'a> {
    /// Under which the log has this request.
    pub request_id: &'a str,
    /// What answered.
    #[schema(value_type = ModelFacts)]
    pub model: &'a ModelFacts,
    /// Cosine of the two embeddings, −1…1.
    #[schema(example = 0.71)]
    pub similarity: f32,
    /// `untrusted` where a side is rejected, whatever the similarity; else `different`, `review` or `same`.
    #[schema(example = "same")]
    pub verdict: &'static str,
    /// The cuts on the similarity.
    pub thresholds: Thresholds,
    /// The sample being questioned.
    pub probe: ComparedSide,
    /// The sample it is compared with.
    pub reference: ComparedSide,
    /// Advice for the person in front of the camera.
    pub hints: Vec<SideHint>,
    /// Where the time went, both sides together; `total` is the time that passed, as both are analysed at once.
    pub timings_ms: Timings,
}

/// One side: the face that was found in its picture, or what is known of the embedding that was given.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ComparedSide)]
pub enum ComparedSide {
    /// It was a picture: its largest face.
    Image(Box<FaceDto>),
    /// It was an embedding.
    Embedding(GivenSide),
}

/// A side that was given as an embedding.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GivenSide)]
pub struct GivenSide {
    /// 512 numbers of unit length, where they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_items = 512, max_items = 512)]
    pub embedding: Option<Vec<f32>>,
    /// The quality that was given, or null: then the side counts as an accepted reference.
    #[schema(required = true)]
    pub quality: Option<GivenQuality>,
    /// What the scenario makes of it.
    pub decision: Decision,
}

/// A quality score that a caller kept with an embedding.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GivenQuality)]
pub struct GivenQuality {
    /// As it was given.
    pub score: f32,
    /// The score in a word.
    #[schema(value_type = String, example = "good")]
    pub grade: Grade,
}

/// Advice, and the side that it is for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SideHint)]
pub struct SideHint {
    /// The advice.
    #[serde(flatten)]
    pub hint: HintDto,
    /// The side.
    pub part: Part,
}
