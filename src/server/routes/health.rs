//! `GET /healthz` (the process runs) and `GET /readyz` (it can serve).

use actix_web::{HttpResponse, web};
use chrono::SecondsFormat;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::ProblemCode;
use crate::server::problem_response::Problem;
use crate::server::state::AppState;
use crate::telemetry::metrics;

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub(super) struct HealthAnswer {
    /// `alive` or `ready`.
    #[schema(example = "ready")]
    pub(super) status: &'static str,
    /// What an operator should see to although requests are served.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<String>,
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

/// Whether requests are served: models warm, log writable, queue accepting.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    responses(
        (status = 200, description = "They are.", body = HealthAnswer),
        (status = 503, description = "They are not; `detail` says why.", body = crate::server::problem_response::ProblemBody<'static>, content_type = "application/problem+json"),
    )
)]
pub(super) async fn readyz(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let log = state.log.check().await;
    let pool = state.pool.readiness();
    let reason = match (pool, log.failing) {
        (Err(reason), _) => Some((reason.to_string(), reason.in_chinese())),
        (Ok(()), Some(failing)) => {
            let since = failing.since.to_rfc3339_opts(SecondsFormat::Secs, true);
            Some((
                format!(
                    "the log cannot be written since {since}: {}",
                    failing.reason
                ),
                format!("自 {since} 起日志无法写入：{}。", failing.chinese),
            ))
        }
        (Ok(()), None) => None,
    };
    metrics::ready(reason.is_none());
    match reason {
        Some((reason, chinese)) => {
            Err(Problem::new(ProblemCode::NotReady, reason).in_chinese(chinese))
        }
        None => Ok(HttpResponse::Ok().json(HealthAnswer {
            status: "ready",
            warnings: log.warnings,
        })),
    }
}
