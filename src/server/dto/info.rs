//! What the service is and by which rules it answers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::ThresholdsDto;
use crate::pipeline::tuning::{Trial, Tuning};
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
    /// `f32` or `bf16`.
    #[schema(example = "f32")]
    pub precision: &'a str,
    /// Into what PReLU is rewritten: `convolutions`, `minimum`, or `published` where it stays.
    #[schema(example = "convolutions")]
    pub form: &'a str,
    /// Pictures that are analysed at once, each with sessions of its own.
    #[schema(example = 2)]
    pub sessions: usize,
    /// Threads of the embedder's session.
    #[schema(example = 1)]
    pub threads: usize,
    /// The measurement that chose it; null where the settings did, or where nothing was measured.
    #[schema(required = true)]
    pub chosen_by: Option<ChosenByDto<'a>>,
}

/// What was measured to choose how the models run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChosenBy)]
pub struct ChosenByDto<'a> {
    /// When.
    pub measured_at: DateTime<Utc>,
    /// Name of the processor.
    pub processor: &'a str,
    /// Those of its instructions that models are fast with.
    pub features: &'a [String],
    /// Cores that the daemon may use.
    pub cores: usize,
    /// Every way that was tried.
    pub candidates: Vec<CandidateDto<'a>>,
}

/// One way to run the models, and how it did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Candidate)]
pub struct CandidateDto<'a> {
    /// `cuda`, `openvino` or `cpu`.
    pub provider: &'a str,
    /// `f32` or `bf16`.
    pub precision: &'a str,
    /// Into what PReLU is rewritten.
    pub form: &'a str,
    /// Pictures that are analysed at once.
    pub sessions: usize,
    /// Threads of each session.
    pub threads: usize,
    /// Test faces that went through the whole pipeline each second; null where it did not run.
    #[schema(required = true)]
    pub requests_per_second: Option<f64>,
    /// Median time of a run of the embedder while all sessions run, milliseconds.
    #[schema(required = true)]
    pub embed_ms: Option<f64>,
    /// Cosine between its embedding of the test face and that of ONNX Runtime's CPU kernels in f32.
    #[schema(required = true)]
    pub cosine: Option<f32>,
    /// Its quality score of the test face less theirs.
    #[schema(required = true)]
    pub score_difference: Option<f32>,
    /// Why it could not be chosen; null where it could.
    #[schema(required = true)]
    pub excluded: Option<&'a str>,
}

impl<'a> From<&'a Tuning> for ChosenByDto<'a> {
    fn from(tuning: &'a Tuning) -> Self {
        let candidate = |trial: &'a Trial| CandidateDto {
            provider: trial.candidate.provider.name(),
            precision: trial.candidate.precision.name(),
            form: trial.candidate.form.name(),
            sessions: trial.sessions,
            threads: trial.candidate.threads,
            requests_per_second: trial.requests_per_second,
            embed_ms: trial.embed_ms,
            cosine: trial.cosine,
            score_difference: trial.score_difference,
            excluded: trial.excluded.as_deref(),
        };
        Self {
            measured_at: tuning.measured_at,
            processor: &tuning.basis.processor,
            features: &tuning.basis.features,
            cores: tuning.basis.cores,
            candidates: tuning.trials.iter().map(candidate).collect(),
        }
    }
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
    /// Most faces of a picture that are analysed where all are asked for; the largest come first.
    pub max_faces: usize,
    /// Most milliseconds from the end of an upload to the answer.
    pub deadline_ms: u64,
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
