//! What the service is and by which rules it answers.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::ThresholdsDto;
use crate::policy::Policy;

/// What runs here, by which rules, within which limits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Info)]
pub struct InfoAnswer<'a> {
    /// Always `faceood`.
    pub name: &'static str,
    /// Release of the daemon.
    pub version: &'static str,
    /// The models.
    #[schema(value_type = PackDto)]
    pub pack: PackDto<'a>,
    /// Where they run.
    #[schema(value_type = ProviderDto)]
    pub provider: ProviderDto<'a>,
    /// Which calibration turns logits into scores.
    pub calibration_id: &'a str,
    /// The scenario that decides where a request names none.
    pub default_scenario: &'static str,
    /// Rules by scenario.
    pub policies: BTreeMap<String, PolicyDto>,
    /// Cuts on the similarity of two embeddings.
    pub thresholds: ThresholdsDto,
    /// What is refused.
    pub limits: LimitsDto,
    /// What is stored.
    pub privacy: PrivacyDto,
    /// Where the newest report on what was answered is to be read; null where none has been written.
    #[schema(required = true, example = "/reports/latest")]
    pub report: Option<&'static str>,
}

/// The loaded model pack.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pack)]
pub struct PackDto<'a> {
    /// Its name.
    #[schema(example = "default")]
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its SHA-256.
    pub sha256: &'a str,
    /// Under which its files may be used.
    pub licence: &'a str,
}

/// Where the models run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Provider)]
pub struct ProviderDto<'a> {
    /// `cuda`, `openvino` or `cpu`: the one that really runs, not the one that was asked for.
    #[schema(example = "cpu")]
    pub name: &'a str,
    /// Why it is this one.
    pub reason: &'a str,
}

/// The rules of a scenario.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Policy)]
pub struct PolicyDto {
    /// At or above this quality score: accept.
    #[schema(example = 0.6)]
    pub accept: f32,
    /// At or above this quality score: review; below it: reject.
    #[schema(example = 0.4)]
    pub review: f32,
    /// A face whose shorter side is under this is rejected.
    #[schema(example = 48)]
    pub min_face_px: u32,
    /// Whether a picture with several faces is rejected.
    pub single_face: bool,
}

impl From<&Policy> for PolicyDto {
    fn from(policy: &Policy) -> Self {
        Self {
            accept: policy.accept,
            review: policy.review,
            min_face_px: policy.min_face_px,
            single_face: policy.single_face,
        }
    }
}

/// What is refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limits)]
pub struct LimitsDto {
    /// Largest picture in bytes.
    pub image_bytes: usize,
    /// Largest picture in pixels.
    pub image_pixels: u64,
    /// Pictures that may wait for a worker before requests are refused.
    pub queue: usize,
    /// Types that are read.
    #[schema(value_type = Vec<String>)]
    pub formats: [&'static str; 5],
}

/// What is stored of pictures and faces besides numbers about them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Privacy)]
pub struct PrivacyDto {
    /// Whether embeddings are kept in the log.
    pub keeps_embeddings: bool,
    /// Whether small pictures of faces are kept in the log.
    pub keeps_thumbnails: bool,
}
