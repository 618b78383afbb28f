//! `GET /reports/latest`: the newest report of `faceood-admin analyze-logs --format html`.

use std::path::{Path, PathBuf};

use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType};
use actix_web::{HttpResponse, web};
use faceood_engine::problem::ProblemCode;

use crate::server::problem_page::POLICY;
use crate::server::problem_response::Problem;
use crate::server::state::AppState;

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
        let mut problem = Problem::new(
            ProblemCode::NotFound,
            "no weekly report has been written yet: `sudo systemctl start faceood-report` writes one now, `sudo systemctl enable \
             --now faceood-report.timer` one each week. Without the service, `faceood-admin analyze-logs --format html --out \
             report.html` writes one to a file",
        );
        let chinese = "尚无周报：`sudo systemctl start faceood-report` 可立即生成，`sudo systemctl enable --now \
                       faceood-report.timer` 每周生成一次。未安装为服务时，可用 `faceood-admin analyze-logs --format html --out \
                       report.html` 写入文件。";
        problem.chinese = Some(chinese.to_owned());
        problem
    };
    let path = latest(state.info.reports_dir.clone()).await;
    let path = path.ok_or_else(missing)?;
    let bytes = web::block(move || std::fs::read(path)).await;
    let bytes = bytes.ok().and_then(Result::ok).ok_or_else(missing)?;
    let text = with_way_back(String::from_utf8_lossy(&bytes).into_owned());
    Ok(HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .body(text))
}

/// The report with a link to the service's page, which a report on a disk has no use for. The link
/// is relative, so that a prefix which a proxy adds is kept.
fn with_way_back(mut text: String) -> String {
    const MAIN: &str = "<main>";
    if let Some(begin) = text.find(MAIN) {
        let link = "<p class=\"screen-only\"><a href=\"../\">← faceood</a></p>";
        text.insert_str(begin + MAIN.len(), link);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_leads_back_to_the_page_and_anything_else_stays_as_it_is() {
        let report = with_way_back("<body><main><h1>a</h1></main>".to_owned());
        assert!(report.starts_with("<body><main><p") && report.ends_with("</p><h1>a</h1></main>"));
        assert!(report.contains("href=\"../\""), "{report}");
        let other = "<title>new</title>".to_owned();
        assert_eq!(with_way_back(other.clone()), other);
    }

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
