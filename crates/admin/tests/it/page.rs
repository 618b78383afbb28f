//! The page and the documentation: complete in the binary, in the reader's language.

use crate::support::{Daemon, program, repository};

#[test]
fn the_page_says_what_the_service_does_in_both_languages_and_asks_nobody_else() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let page = |language: &str| {
        let request = client
            .http()
            .get(client.url("/"))
            .header("accept-language", language);
        let response = request.send().unwrap();
        assert_eq!(response.status(), 200);
        let policy = response.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        response.text().unwrap()
    };
    assert!(page("en").contains("<html lang=\"en\""));
    assert!(page("zh-CN").contains("<html lang=\"zh\""));
    for file in [
        "/page/app.js",
        "/page/style.css",
        "/docs",
        "/docs/swagger-ui-bundle.js",
    ] {
        let body = client.get(file).expect_status(200);
        assert!(!body.body.is_empty(), "{file}");
    }

    let info = client.get("/v1/info").ok();
    let provider = info["provider"]["name"].as_str().unwrap();
    assert!(["cpu", "cuda", "openvino"].contains(&provider), "{info}");
    let names: Vec<_> = info["policies"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["access", "alarm", "enroll", "search"]);
    assert_eq!(info["limits"]["image_bytes"], 20_000_000);
}

#[test]
fn metrics_count_what_happened() {
    use crate::support::photos;
    let daemon = Daemon::start();
    let client = daemon.client();
    client
        .extract(&photos::astronaut(), "?source=never-a-label")
        .ok();
    client
        .extract(b"nonsense", "")
        .problem(415, "unsupported_media_type");
    client
        .compare(&photos::astronaut(), &photos::astronaut(), "")
        .ok();
    let text = client.get("/metrics").expect_status(200).text();
    for line in [
        "faceood_requests_total{endpoint=\"/v1/extract\",status=\"200\",code=\"ok\"} 1",
        "faceood_requests_total{endpoint=\"/v1/extract\",status=\"415\",code=\"unsupported_media_type\"} 1",
        "faceood_verdicts_total{scenario=\"access\",verdict=\"same\"} 1",
        "faceood_actions_total{scenario=\"access\",action=\"accept\"} 3",
        "faceood_quality_score_count 3",
        "faceood_embedding_norm_count 3",
        "faceood_stage_duration_seconds_count{stage=\"decode\"} 3",
        "faceood_log_rows_total 4",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
    for name in [
        "faceood_queue_depth",
        "faceood_queue_wait_seconds_bucket",
        "faceood_provider_info",
        "faceood_pack_info",
        "faceood_build_info",
        "faceood_process_resident_bytes",
        "faceood_request_duration_seconds_bucket",
        "faceood_ready",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(name)),
            "{name} is not in\n{text}"
        );
    }
    assert!(!text.contains("never-a-label"), "a source is a label");
}

#[test]
fn the_weekly_report_is_linked_once_there_is_one() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let linked = || client.get("/v1/info").expect_status(200).json()["report"].clone();
    assert!(linked().is_null());
    let problem = client.get("/reports/latest").problem(404, "not_found");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("faceood-report.timer")
    );

    let reports = daemon.data_dir().join("reports");
    let write_report = || {
        let weekly = std::process::Command::new(repository().join("scripts/weekly-report"))
            .arg(&reports)
            .env("ADMIN", program("faceood-admin"))
            .env("FACEOOD_DATA_DIR", daemon.data_dir())
            .status()
            .unwrap();
        assert!(weekly.success());
    };
    write_report();
    assert_eq!(linked(), "/reports/latest");
    let report = client.get("/reports/latest").expect_status(200);
    assert!(
        report
            .header("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    let report = report.text();
    assert!(report.contains("<html lang=\"en\">"));
    let way_back = "<a href=\"../\">← faceood</a>";
    assert!(report.contains(way_back), "{report}");
    let file = std::fs::read_to_string(reports.join("latest.html")).unwrap();
    assert!(!file.contains(way_back), "a file leads nowhere");
    let docs = client.get("/docs").expect_status(200).text();
    assert!(docs.contains("<a href=\"./\">"), "{docs}");

    // Twelve of each kind are kept, the newest ones.
    for week in 10..30 {
        for kind in ["html", "json"] {
            std::fs::copy(
                reports.join("latest.html"),
                reports.join(format!("report-2020-W{week}.{kind}")),
            )
            .unwrap();
        }
    }
    std::fs::copy(
        std::fs::read_dir(&reports)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                path.extension().is_some_and(|kind| kind == "json")
                    && !path.to_string_lossy().contains("2020")
            })
            .unwrap(),
        reports.join("report-2020-W29.json"),
    )
    .unwrap();
    write_report();
    let mut left: Vec<String> = std::fs::read_dir(&reports)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(
        left.iter().filter(|name| name.ends_with(".json")).count(),
        12,
        "{left:?}"
    );
    assert_eq!(
        left.iter()
            .filter(|name| name.starts_with("report-") && name.ends_with(".html"))
            .count(),
        12
    );
    assert!(
        left.contains(&"report-2020-W29.html".to_owned())
            && !left.contains(&"report-2020-W10.html".to_owned())
    );
}
