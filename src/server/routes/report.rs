//! `GET /report`: the newest weekly report, where the timer `faceood-report.timer` writes them.

use std::path::PathBuf;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType};
use actix_web::{HttpResponse, web};

use crate::problem::ProblemCode;
use crate::server::problem_response::Problem;
use crate::server::state::AppState;

/// The page holds its style and loads nothing.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'";

/// Where the newest report is, if one has been written.
pub(super) fn newest(state: &AppState) -> PathBuf {
    let log = state.log.reader().path();
    log.with_file_name("reports").join("latest.html")
}

pub(super) async fn report(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let Ok(page) = tokio::fs::read(newest(&state)).await else {
        let detail =
            "no weekly report has been written: systemctl enable --now faceood-report.timer";
        return Err(Problem::new(ProblemCode::NotFound, detail));
    };
    Ok(HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .insert_header(("Referrer-Policy", "no-referrer"))
        .body(page))
}
