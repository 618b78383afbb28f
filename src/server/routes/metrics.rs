//! `GET /metrics`: for Prometheus.

use actix_web::{HttpResponse, web};

use crate::server::state::AppState;
use crate::telemetry::metrics as telemetry;

/// Everything that is counted, in Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "service",
    responses((status = 200, description = "Prometheus' text format.", body = String, content_type = "text/plain"))
)]
pub(super) async fn metrics(state: web::Data<AppState>) -> HttpResponse {
    telemetry::queue(state.pool.depth(), state.pool.capacity());
    let is_failing = state.log.health().failing.is_some();
    telemetry::log_failing(is_failing);
    let is_ready = state.pool.readiness().is_ok() && !is_failing;
    telemetry::ready(is_ready);
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(state.metrics.render())
}
