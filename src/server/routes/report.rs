//! `GET /reports/latest`: the newest report of `faceood-admin analyze-logs --format html`.

use std::path::{Path, PathBuf};

use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType};
use actix_web::{HttpResponse, web};
use faceood_engine::problem::ProblemCode;

use crate::server::problem_response::Problem;
use crate::server::state::AppState;

/// A report is one file with its style and pictures in it. It loads nothing and runs nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; sandbox allow-popups allow-same-origin";

/// The newest report in `folder`: names are dates, so the last name is the newest file.
pub(super) async fn latest(folder: PathBuf) -> Option<PathBuf> {
    web::block(move || newest(&folder)).await.ok().flatten()
}

fn newest(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "html"))
        .max()
}

pub(super) async fn report(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let missing = || {
        Problem::new(
            ProblemCode::NotFound,
            "no weekly report has been written yet: systemctl enable --now faceood-report.timer, or scripts/weekly-report by hand",
        )
    };
    let path = latest(state.info.reports_dir.clone()).await;
    let path = path.ok_or_else(missing)?;
    let text = web::block(move || std::fs::read(path)).await;
    let text = text.ok().and_then(Result::ok).ok_or_else(missing)?;
    Ok(HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .body(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_report_is_the_last_by_name_and_nothing_else_counts() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest(folder.path()), None);
        assert_eq!(newest(&folder.path().join("missing")), None);
        for name in [
            "2026-01-05.html",
            "2026-01-12.html",
            "2026-01-19.json",
            "zz.tmp",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let expected = folder.path().join("2026-01-12.html");
        assert_eq!(newest(folder.path()), Some(expected));
    }
}
