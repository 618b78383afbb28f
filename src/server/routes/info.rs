//! `GET /v1/info`: what runs here and by which rules.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use faceood_engine::pipeline::tuning::{Trial, Tuning};
use faceood_engine::policy::{DEFAULT_SCENARIO, Policies, Thresholds};
use serde::Serialize;
use utoipa::ToSchema;

use crate::server::parameters::{NoParameters, read};
use crate::server::problem_response::Problem;
use crate::server::state::AppState;
use crate::server::tls::Tls;

/// What runs here, by which rules, within which limits.
#[derive(Serialize, ToSchema)]
#[schema(as = Info)]
pub(super) struct InfoAnswer<'a> {
    /// Always `faceood`.
    name: &'static str,
    /// Release of the daemon.
    version: &'static str,
    /// The name of this box among others, as in the header `X-Faceood-Node`.
    #[schema(example = "box-1")]
    node: &'a str,
    /// The models.
    #[schema(value_type = PackDto)]
    pack: PackDto<'a>,
    /// Where they run.
    #[schema(value_type = ProviderDto)]
    provider: ProviderDto<'a>,
    /// Which calibration turns logits into scores.
    calibration_id: &'a str,
    /// The scenario that decides where a request names none.
    default_scenario: &'static str,
    /// Rules by scenario.
    #[schema(value_type = std::collections::BTreeMap<String, PolicyDto>)]
    policies: &'a Policies,
    /// Cuts on the similarity of two embeddings.
    thresholds: Thresholds,
    /// What is refused.
    limits: LimitsDto,
    /// What is stored.
    privacy: PrivacyDto,
    /// Where the newest report on what was answered is to be read; null where none has been written.
    #[schema(required = true, example = "/reports/latest")]
    report: Option<&'static str>,
    /// How addresses off loopback speak TLS; null where none does.
    #[schema(required = true)]
    tls: Option<TlsDto>,
}

/// How addresses off loopback speak TLS.
#[derive(Serialize, ToSchema)]
#[schema(as = Tls)]
struct TlsDto {
    /// SHA-256 fingerprint of the certificate.
    certificate_sha256: String,
    /// When the certificate ends.
    certificate_ends: DateTime<Utc>,
    /// Whether clients show a certificate: `off`, `optional` or `required`.
    #[schema(example = "off")]
    client_auth: &'static str,
    /// Where the certificate of the box's own authority is to be had; null where a certificate was
    /// configured.
    #[schema(required = true, example = "/ca.pem")]
    authority: Option<&'static str>,
    /// SHA-256 fingerprint of that authority.
    #[schema(required = true)]
    authority_sha256: Option<String>,
}

impl From<&Tls> for TlsDto {
    fn from(tls: &Tls) -> Self {
        let certificate = tls.certificate();
        let authority_sha256 = tls.authority_sha256();
        Self {
            certificate_sha256: certificate.sha256,
            certificate_ends: certificate.not_after,
            client_auth: tls.client_auth().name(),
            authority: authority_sha256.as_ref().map(|_| "/ca.pem"),
            authority_sha256,
        }
    }
}

/// The loaded model pack.
#[derive(Serialize, ToSchema)]
#[schema(as = Pack)]
struct PackDto<'a> {
    /// Its name.
    #[schema(example = "default")]
    name: &'a str,
    /// Its version.
    version: &'a str,
    /// Its SHA-256.
    sha256: &'a str,
    /// Under which its files may be used.
    licence: &'a str,
}

/// Where the models run.
#[derive(Serialize, ToSchema)]
#[schema(as = Provider)]
struct ProviderDto<'a> {
    /// `cuda`, `openvino` or `cpu`: the one that really runs, not the one that was asked for.
    #[schema(example = "cpu")]
    name: &'a str,
    /// Why it is this one.
    reason: &'a str,
    /// `f32` or `bf16`.
    #[schema(example = "f32")]
    precision: &'a str,
    /// Into what PReLU is rewritten: `convolutions`, `minimum`, or `published` where it stays.
    #[schema(example = "convolutions")]
    form: &'a str,
    /// Pictures that are analysed at once, each with sessions of its own.
    #[schema(example = 2)]
    sessions: usize,
    /// Threads of the embedder's session.
    #[schema(example = 1)]
    threads: usize,
    /// The measurement that chose it; null where the settings did, or where nothing was measured.
    #[schema(required = true)]
    chosen_by: Option<ChosenByDto<'a>>,
}

/// What was measured to choose how the models run.
#[derive(Serialize, ToSchema)]
#[schema(as = ChosenBy)]
struct ChosenByDto<'a> {
    /// When.
    measured_at: DateTime<Utc>,
    /// Name of the processor.
    processor: &'a str,
    /// Those of its instructions that models are fast with.
    features: &'a [String],
    /// Cores that the daemon may use.
    cores: usize,
    /// Every way that was tried.
    candidates: Vec<CandidateDto<'a>>,
}

/// One way to run the models, and how it did.
#[derive(Serialize, ToSchema)]
#[schema(as = Candidate)]
struct CandidateDto<'a> {
    /// `cuda`, `openvino` or `cpu`.
    provider: &'a str,
    /// `f32` or `bf16`.
    precision: &'a str,
    /// Into what PReLU is rewritten.
    form: &'a str,
    /// Pictures that are analysed at once.
    sessions: usize,
    /// Threads of each session.
    threads: usize,
    /// Test faces that went through the whole pipeline each second; null where it did not run.
    #[schema(required = true)]
    requests_per_second: Option<f64>,
    /// Median time of a run of the embedder while all sessions run, milliseconds.
    #[schema(required = true)]
    embed_ms: Option<f64>,
    /// Cosine between its embedding of the test face and that of ONNX Runtime's CPU kernels in f32.
    #[schema(required = true)]
    cosine: Option<f32>,
    /// Its quality score of the test face less theirs.
    #[schema(required = true)]
    score_difference: Option<f32>,
    /// Why it could not be chosen; null where it could.
    #[schema(required = true)]
    excluded: Option<&'a str>,
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
#[derive(ToSchema)]
#[schema(as = Policy)]
#[expect(dead_code, reason = "documents the type that goes out")]
struct PolicyDto {
    /// At or above this quality score: accept.
    #[schema(example = 0.6)]
    accept: f32,
    /// At or above this quality score: review; below it: reject.
    #[schema(example = 0.4)]
    review: f32,
    /// A face whose shorter side is under this is rejected.
    #[schema(example = 48)]
    min_face_px: u32,
    /// Whether a picture with several faces is rejected.
    single_face: bool,
}

/// What is refused.
#[derive(Serialize, ToSchema)]
#[schema(as = Limits)]
struct LimitsDto {
    /// Largest picture in bytes.
    image_bytes: usize,
    /// Largest picture in pixels.
    image_pixels: u64,
    /// Pictures that may wait for a worker before requests are refused.
    queue: usize,
    /// Most faces of a picture that are analysed where all are asked for; the largest come first.
    max_faces: usize,
    /// Most milliseconds from the end of an upload to the answer.
    deadline_ms: u64,
    /// Types that are read.
    #[schema(value_type = Vec<String>)]
    formats: [&'static str; 5],
}

/// What is stored of pictures and faces besides numbers about them.
#[derive(Serialize, ToSchema)]
#[schema(as = Privacy)]
struct PrivacyDto {
    /// Whether embeddings are kept in the log.
    keeps_embeddings: bool,
    /// Whether small pictures of faces are kept in the log.
    keeps_thumbnails: bool,
}

/// Pack, provider, policies, thresholds, limits and version.
#[utoipa::path(
    get,
    path = "/v1/info",
    tag = "service",
    responses(
        (status = 200, description = "What runs here.", body = InfoAnswer<'static>),
        super::descriptions::ReadProblems,
    )
)]
pub(super) async fn info(
    request: HttpRequest,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let _: NoParameters = read(&request)?;
    let info = &state.info;
    let plan = &info.chosen.plan;
    let policies = state.policies();
    let report = super::report::latest(info.reports_dir.clone()).await;
    let assembly = state.pool.assembly();
    let calibration = assembly.calibration();
    Ok(HttpResponse::Ok().json(InfoAnswer {
        name: "faceood",
        version: env!("CARGO_PKG_VERSION"),
        node: info.node.as_str(),
        pack: PackDto {
            name: &info.model.pack,
            version: &info.model.version,
            sha256: &info.model.sha256,
            licence: &info.licence,
        },
        provider: ProviderDto {
            name: &info.model.provider,
            reason: &plan.reason,
            precision: plan.candidate.precision.name(),
            form: plan.candidate.form.name(),
            sessions: state.pool.workers(),
            threads: plan.candidate.threads,
            chosen_by: info.chosen.tuning.as_ref().map(Into::into),
        },
        calibration_id: calibration.id(),
        default_scenario: DEFAULT_SCENARIO,
        policies: &policies,
        thresholds: assembly.thresholds(),
        limits: LimitsDto {
            image_bytes: state.uploads.image_bytes,
            image_pixels: info.max_pixels,
            queue: state.pool.capacity(),
            max_faces: state.pool.settings().max_faces,
            deadline_ms: state.pool.settings().deadline_ms,
            formats: ["jpeg", "png", "webp", "bmp", "tiff"],
        },
        privacy: PrivacyDto {
            keeps_embeddings: info.keeps_embeddings,
            keeps_thumbnails: info.keeps_thumbnails,
        },
        report: report.map(|_| "/reports/latest"),
        tls: state.tls.as_ref().map(Into::into),
    }))
}
