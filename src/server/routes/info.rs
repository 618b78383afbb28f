//! `GET /v1/info`: what runs here and by which rules.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::policy::DEFAULT_SCENARIO;
use crate::server::dto::{InfoAnswer, LimitsDto, PackDto, PrivacyDto, ProviderDto};
use crate::server::parameters::{NoParameters, read};
use crate::server::problem_response::Problem;
use crate::server::state::AppState;

/// Pack, provider, policies, thresholds, limits and version.
#[utoipa::path(
    get,
    path = "/v1/info",
    tag = "service",
    responses(
        (status = 200, description = "What runs here.", body = InfoAnswer<'static>),
        super::docs::ReadProblems,
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
    let calibration = state.pool.assembly().calibration();
    Ok(HttpResponse::Ok().json(InfoAnswer {
        name: "faceood",
        version: env!("CARGO_PKG_VERSION"),
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
        policies: policies
            .iter()
            .map(|(name, policy)| (name.to_owned(), policy.into()))
            .collect(),
        thresholds: info.thresholds.into(),
        limits: LimitsDto {
            image_bytes: state.uploads.image_bytes,
            image_pixels: info.max_pixels,
            queue: state.pool.capacity(),
            max_faces: state.pool.max_faces(),
            deadline_ms: state.pool.deadline_ms(),
            formats: ["jpeg", "png", "webp", "bmp", "tiff"],
        },
        privacy: PrivacyDto {
            keeps_embeddings: info.keeps_embeddings,
            keeps_thumbnails: info.keeps_thumbnails,
        },
        report: report.map(|_| "/reports/latest"),
    }))
}
