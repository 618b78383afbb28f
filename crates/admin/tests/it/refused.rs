//! `analyze-logs` on captures that were not accepted, by the action that was logged, and the report
//! that a manager reads.

use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use faceood_engine::policy::{Action, Policy, Reason};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::log_fixture::{LogFixture, begin};
use crate::support::{Admin, admin};

const ACCESS: Policy = Policy {
    accept: 0.6,
    review: 0.4,
    min_face_px: 0,
    single_face: false,
};

fn written(fixture: &LogFixture) -> TempDir {
    let folder = TempDir::new().unwrap();
    fixture.write(&folder.path().join("log.db"));
    folder
}

/// Runs the command on a terminal of so many columns, as far as it can know.
fn analyze(log: &TempDir, columns: Option<u32>, arguments: &[&str]) -> Admin {
    let mut command = admin::command();
    command.env("TZ", "UTC");
    command.env_remove("COLUMNS");
    command.envs(columns.map(|columns| ("COLUMNS", columns.to_string())));
    command.arg("--db").arg(log.path().join("log.db"));
    command.arg("analyze-logs").args(arguments);
    Admin::finish(command)
}

fn report(log: &TempDir, arguments: &[&str]) -> Value {
    let all = [&["--format", "json"], arguments].concat();
    analyze(log, None, &all).success().json()
}

/// Rows of a kind with scores in a range, spread over some days.
fn add(
    fixture: &mut LogFixture,
    kind: &str,
    count: i64,
    source: &str,
    scores: [f32; 2],
    days: i64,
) {
    for number in 0..count {
        let measured = fixture.measure(kind, scores);
        let time = begin() + TimeDelta::seconds(number * days * 86_400 / count);
        fixture.add(time, source, kind, measured);
    }
}

/// Two terminals that are in trouble though hardly a score is low: one is a little out of focus, the
/// other's faces are too small for it.
fn site(days: i64) -> LogFixture {
    let mut fixture = LogFixture::new(4);
    for gate in 1..=3 {
        add(
            &mut fixture,
            "clean",
            120,
            &format!("gate-{gate}"),
            [0.62, 1.0],
            days,
        );
    }
    add(&mut fixture, "blur", 26, "gate-4", [0.41, 0.59], days);
    add(&mut fixture, "clean", 17, "gate-4", [0.62, 1.0], days);
    add(&mut fixture, "clean", 42, "desk", [0.62, 1.0], days);
    fixture.decide(&ACCESS);
    let desk = fixture
        .rows
        .iter_mut()
        .filter(|row| row.source.as_deref() == Some("desk"));
    for row in desk.take(16) {
        row.decided = Some((Action::Reject, vec![Reason::FaceTooSmall]));
    }
    fixture
}

fn source<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut rows = report["fleet"].as_array().unwrap().iter();
    rows.find(|row| row["source"] == name).unwrap()
}

#[test]
fn what_was_not_accepted_is_counted_and_a_cut_on_the_score_stays_an_option() {
    let log = written(&site(7));
    let by_action = report(&log, &[]);
    assert_eq!(by_action["window"]["low_by"], "action");
    assert_eq!(by_action["totals"]["low"], 42);
    assert_eq!(
        by_action["totals"]["actions"],
        serde_json::json!({"accept": 403, "review": 26, "reject": 16})
    );
    let gate = source(&by_action, "gate-4");
    assert_eq!((&gate["low"], &gate["captures"]), (&26.into(), &43.into()));
    assert_eq!(gate["actions"]["review"], 26);
    assert_eq!(gate["reasons"], serde_json::json!({"quality": 26}));
    assert!((gate["share_low"].as_f64().unwrap() - 26.0 / 43.0).abs() < 1e-9);
    let desk = source(&by_action, "desk");
    assert_eq!(desk["actions"]["reject"], 16);
    assert_eq!(desk["reasons"], serde_json::json!({"face_too_small": 16}));
    assert_eq!(desk["top_cause"], "low_resolution", "{desk:#}");

    // What to do first names both, with where, what, share, remedy and gain.
    let steps = by_action["first_steps"].as_array().unwrap();
    let at = |name: &str| {
        let mut steps = steps.iter();
        steps
            .find(|step| step["sources"][0] == name)
            .unwrap_or_else(|| panic!("{by_action:#}"))
    };
    let gate = at("gate-4");
    assert!(gate["label"].as_str().unwrap().starts_with("blur"));
    assert_eq!(gate["captures"], 26);
    assert!((gate["share"].as_f64().unwrap() - 26.0 / 43.0).abs() < 1e-9);
    // gate-4 has too few others: those of all sources say it.
    let gain = gate["expected_gain"].as_f64().unwrap();
    assert!((gain - 403.0 / 419.0).abs() < 1e-9, "{gain}");
    assert!(gate["remedy"].as_str().unwrap().contains("focus the lens"));
    assert!(gate["remedy_zh"].as_str().unwrap().contains("对焦"));
    assert_eq!(at("desk")["label"], "low_resolution");

    let by_score = report(&log, &["--max-score", "0.4"]);
    assert_eq!(by_score["window"]["low_by"], "score");
    assert_eq!(by_score["totals"]["low"], 0);
    assert_eq!(by_score["first_steps"], serde_json::json!([]));
    // The shares of review and reject are told in both.
    assert_eq!(source(&by_score, "gate-4")["actions"]["review"], 26);

    let text = analyze(&log, None, &[]).success().stdout;
    let head =
        "445 captures were judged, 42 of them not accepted (9.4 %): 26 for review (5.8 %), 16";
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(joined.contains(head), "{text}");
    let line = text.lines().find(|line| line.starts_with("gate-4"));
    let cells: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(
        cells[..8],
        ["gate-4", "43", "60.5", "%", "60.5", "%", "0.0", "%"],
        "{text}"
    );
    let page = analyze(&log, None, &["--format", "html"]).success().stdout;
    for words in [
        "Do these first",
        "about 25 more accepted",
        "60.5 % (26)",
        "1 pattern",
    ] {
        let words = words.replace(
            "1 pattern",
            "<div class=\"number\">1</div><div>pattern</div>",
        );
        assert!(page.contains(&words), "{words}");
    }
}

#[test]
fn other_people_in_the_picture_are_no_fault_of_the_camera() {
    let mut fixture = site(7);
    add(&mut fixture, "clean", 60, "hall", [0.62, 1.0], 7);
    let count = fixture.rows.len();
    for row in &mut fixture.rows[count - 30..] {
        row.decided = Some((Action::Reject, vec![Reason::SeveralFaces]));
    }
    let report = report(&written(&fixture), &[]);
    assert_eq!(report["totals"]["low"], 72);
    let clusters = report["clusters"].as_array().unwrap().iter();
    let labels: Vec<_> = clusters
        .map(|cluster| cluster["label"].as_str().unwrap())
        .collect();
    assert!(!labels.contains(&"unknown"), "{report:#}");
    let mut steps = report["first_steps"].as_array().unwrap().iter();
    let step = steps.find(|step| step["sources"][0] == "hall").unwrap();
    assert_eq!(
        (&step["label"], &step["captures"]),
        (&"several_faces".into(), &30.into())
    );
    assert_eq!(source(&report, "hall")["reasons"]["several_faces"], 30);
}

#[test]
fn less_than_three_days_have_no_trend_and_nobody_reads_program_text() {
    for (days, trend) in [(0, "unknown"), (2, "unknown"), (7, "steady")] {
        let log = written(&site(days));
        let report = report(&log, &[]);
        assert_eq!(report["clusters"][0]["trend"], trend, "{report:#}");
        for language in ["en", "zh"] {
            let shown = |format| {
                let arguments = ["--format", format, "--language", language];
                analyze(&log, None, &arguments).success().stdout
            };
            let (text, page) = (shown("text"), shown("html"));
            for bad in ["`", "-0.0 ", "-0.00", "1 patterns", "1 captures", "unknown"] {
                assert!(!text.contains(bad), "{bad}: {text}");
                assert!(!page.contains(bad), "{bad}: {page}");
            }
            let [per_day, none] = match language {
                "en" => ["/day", "less than three days of data"],
                _ => ["每天", "数据不足三天"],
            };
            assert_eq!(text.contains(per_day), days == 7, "{text}");
            assert_eq!(page.contains(none), days < 7, "{page}");
            // Components have the names of the page.
            let (name, raw) = match language {
                "en" => (">Sharpness</td>", ">sharpness</td>"),
                _ => (">清晰度</td>", ">sharpness</td>"),
            };
            assert!(page.contains(name) && !page.contains(raw), "{page}");
            // The chart begins with the window.
            let begin = report["window"]["from"].as_str().unwrap();
            let begin: DateTime<Utc> = begin.parse().unwrap();
            let labels = match days {
                0 => begin.format(">%H:%M:%S<"),
                2 => begin.format(">%H:%M<"),
                _ => begin.format(">%m-%d<"),
            };
            assert!(page.contains(&labels.to_string()), "{labels}: {page}");
        }
    }
}

#[test]
fn text_fits_a_narrow_terminal_and_hundreds_of_sources_are_folded_away() {
    let mut fixture = site(7);
    for number in 0..300 {
        let name = format!("entrance-with-a-very-long-name-{number}\u{1b}[2J<b>");
        add(&mut fixture, "clean", 2, &name, [0.62, 1.0], 7);
    }
    fixture.decide(&ACCESS);
    let log = written(&fixture);
    for (columns, most) in [
        (None, 100),
        (Some(40), 40),
        (Some(80), 80),
        (Some(5), 36),
        (Some(500), 120),
    ] {
        for language in ["en", "zh"] {
            let text = analyze(&log, columns, &["--language", language])
                .success()
                .stdout;
            let widest = text
                .lines()
                .map(faceood_report::columns::width)
                .max()
                .unwrap();
            assert!(widest <= most, "{widest} of {most} columns: {text}");
            assert!(!text.contains('\u{1b}'));
        }
    }
    let page = analyze(&log, None, &["--format", "html"]).success().stdout;
    assert!(!page.contains("<b>") && !page.contains('\u{1b}'));
    // Twenty are shown, two hundred folded away, and the others are in the JSON.
    assert!(page.contains("<summary>200 more</summary>"), "{page}");
    assert!(page.contains("85 more are in the JSON report."), "{page}");
    let first = page.split("<h2>Sources</h2>").nth(1).unwrap();
    let place = |name: &str| first.find(name).unwrap();
    assert!(
        place(">gate-4</td>") < place("entrance-with"),
        "the worst come first"
    );
}

#[test]
fn logs_with_next_to_nothing_give_reports_that_say_so() {
    let empty = written(&LogFixture::new(1));
    let mut clean = LogFixture::new(2);
    add(&mut clean, "clean", 3, "gate-1", [0.62, 1.0], 1);
    clean.decide(&ACCESS);
    let mut failed = LogFixture::new(3);
    add(&mut failed, "clean", 1, "gate-1", [0.62, 1.0], 1);
    failed.rows[0].measured = None;
    for (log, says) in [
        (empty, "No capture was judged"),
        (written(&clean), "Every capture in this window was accepted"),
        (written(&failed), "1 request failed: 1 no_face"),
    ] {
        let page = analyze(&log, None, &["--format", "html"]).success().stdout;
        assert!(page.contains(says), "{says}: {page}");
        assert!(
            !page.contains("Do these first") && !page.contains("NaN"),
            "{page}"
        );
        let text = analyze(&log, Some(50), &[]).success().stdout;
        let in_one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            !text.contains("NaN") && in_one_line.contains(says),
            "{text}"
        );
    }
}

#[test]
fn reports_that_count_other_rows_are_not_compared() {
    let log = written(&site(7));
    let earlier = log.path().join("earlier.json");
    let file = earlier.to_str().unwrap();
    analyze(
        &log,
        None,
        &["--format", "json", "--max-score", "0.4", "--out", file],
    )
    .success();
    // As a release before wrote it.
    let mut old: Value = serde_json::from_slice(&fs::read(&earlier).unwrap()).unwrap();
    for (part, name) in [("window", "low_by"), ("totals", "actions")] {
        old[part].as_object_mut().unwrap().remove(name);
    }
    old.as_object_mut().unwrap().remove("first_steps");
    for row in old["fleet"].as_array_mut().unwrap() {
        for name in ["actions", "reasons", "captures"] {
            row.as_object_mut().unwrap().remove(name);
        }
    }
    fs::write(&earlier, old.to_string()).unwrap();
    let other = analyze(&log, None, &["--format", "json", "--compare-to", file]).success();
    assert_eq!(other.json()["comparison"], Value::Null);
    assert!(
        other.stderr.contains("they are not compared"),
        "{}",
        other.stderr
    );
    let gate = ["--compare-to", file, "--fail-on-drift"];
    let refused = analyze(&log, None, &gate).expect_code(1);
    assert!(
        refused.stderr.contains("give the same --max-score"),
        "{}",
        refused.stderr
    );
    let same = [&gate[..], &["--max-score", "0.4", "--format", "json"]].concat();
    let same = analyze(&log, None, &same).success();
    assert_eq!(same.json()["comparison"]["new"], serde_json::json!([]));
}
