//! `GET /healthz` (the process runs) and `GET /readyz` (it can serve).

use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use chrono::SecondsFormat;
use faceood_engine::problem::texts::ServiceFault;
use serde::Serialize;
use utoipa::ToSchema;

use crate::server::guard::Caller;
use crate::server::problem_response::Problem;
use crate::server::state::AppState;
use crate::telemetry::metrics;

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
struct HealthAnswer {
    /// `alive` or `ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// What an operator should see to although requests are served.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// Whether the process runs at all: touches neither models nor log.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "service",
    responses((status = 200, description = "It does.", body = HealthAnswer))
)]
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(HealthAnswer {
        status: "alive",
        warnings: Vec::new(),
    })
}

/// Whether requests are wanted: models warm, log writable, queue accepting, and no stop ahead.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    responses(
        (status = 200, description = "They are.", body = HealthAnswer),
        (status = 503, description = "They are not; `detail` says why.", body = crate::server::problem_response::ProblemBody<'static>, content_type = "application/problem+json"),
    )
)]
pub(super) async fn readyz(
    request: HttpRequest,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    state.readiness.note_asked();
    let log = state.log.check().await;
    let is_leaving = state.readiness.is_leaving();
    let leaving = is_leaving.then_some(ServiceFault::Stopping);
    let fault = leaving.or_else(|| state.pool.readiness().err());
    let problem = fault.as_ref().map(Problem::from);
    let problem = problem.or_else(|| {
        let failing = log.failing?;
        Some(Problem::from(&ServiceFault::LogFailing {
            since: failing.since.to_rfc3339_opts(SecondsFormat::Secs, true),
            fault: failing.reason,
        }))
    });
    metrics::ready(problem.is_none());
    // Why is told to whom the box knows.
    let is_known = Caller::of(&request).role.is_some();
    match problem {
        Some(problem) if is_known => Err(problem),
        Some(problem) => Err(Problem::from_status(problem.status_code(), None)),
        None => Ok(HttpResponse::Ok().json(HealthAnswer {
            status: "ready",
            warnings: if is_known { log.warnings } else { Vec::new() },
        })),
    }
}
