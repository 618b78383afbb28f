//! `GET /metrics`: for Prometheus.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use chrono::Utc;

use crate::server::state::AppState;
use crate::telemetry::metrics as telemetry;

/// How long to wait for what the log knows of shipping: a disk that hangs must not hide the rest.
const PATIENCE: Duration = Duration::from_secs(1);

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
    let targets = tokio::time::timeout(PATIENCE, state.log.reader().targets()).await;
    if let Ok(Ok(targets)) = targets {
        telemetry::shipping(&targets, Utc::now());
    }
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(state.metrics.render())
}
