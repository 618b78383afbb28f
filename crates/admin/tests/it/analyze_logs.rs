//! `analyze-logs` on logs with planted patterns, on logs without any, and on logs as they should
//! not be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::{TimeDelta, Utc};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::database::Outsider;
use crate::support::log_fixture::{LogFixture, Row, adjusted_rand, begin, hour};
use crate::support::{Admin, admin};

/// A database in a folder of its own.
struct Log {
    folder: TempDir,
}

impl Log {
    fn of(fixture: &LogFixture) -> Self {
        let log = Self {
            folder: TempDir::new().unwrap(),
        };
        fixture.write(&log.path("log.db"));
        log
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Admin {
        analyze(&self.path("log.db"), arguments)
    }

    fn report(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--format", "json"];
        all.extend(arguments);
        self.run(&all).success().json()
    }
}

/// Runs the command with hours in UTC, whatever zone the machine is in.
fn analyze(database: &Path, arguments: &[&str]) -> Admin {
    analyze_in("UTC", &[database], arguments)
}

fn analyze_in(zone: &str, databases: &[&Path], arguments: &[&str]) -> Admin {
    let mut command = admin::command();
    command.env("TZ", zone);
    for database in databases {
        command.arg("--db").arg(database);
    }
    command.arg("analyze-logs").args(arguments);
    Admin::finish(command)
}

fn clusters(report: &Value) -> &Vec<Value> {
    report["clusters"].as_array().unwrap()
}

/// A site with five faults, and clean captures around them.
fn site(seed: u64) -> LogFixture {
    let mut fixture = LogFixture::new(seed);
    fixture.clean(1500, 7, 12);
    fixture.plant("noise", 90, "gate-3", 7, [22.0, 29.0]);
    fixture.plant("blur", 70, "gate-5", 7, [7.0, 21.0]);
    fixture.plant("motion_blur", 80, "gate-6", 7, [7.0, 9.0]);
    fixture.plant("low_resolution", 60, "gate-8", 7, [7.0, 21.0]);
    fixture.plant("underexposure", 60, "gate-9", 7, [12.0, 15.0]);
    fixture
}

fn assigned(log: &Log) -> BTreeMap<String, String> {
    let text = fs::read_to_string(log.path("a.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("inference_id,cluster_id"));
    lines
        .map(|line| line.split_once(',').unwrap())
        .map(|(id, cluster)| (id.to_owned(), cluster.to_owned()))
        .collect()
}

#[test]
fn planted_patterns_are_found_whatever_the_order_of_the_rows() {
    let mut right = 0;
    let mut all = 0;
    for seed in 1..=3 {
        let mut fixture = site(seed);
        let log = Log::of(&fixture);
        let out = log.path("a.csv");
        let report = log.report(&["--assignments", out.to_str().unwrap()]);
        let truth = fixture.truth();
        let low = fixture.low(0.4);
        let assigned = assigned(&log);
        let planted: Vec<String> = low.iter().map(|id| truth[id].clone()).collect();
        let found: Vec<String> = low
            .iter()
            .map(|id| assigned.get(id).cloned().unwrap_or_default())
            .collect();
        let alike = adjusted_rand(&planted, &found);
        assert!(
            alike >= 0.8,
            "seed {seed}: adjusted Rand {alike:.3}\n{report:#}"
        );
        let clustered = found.iter().filter(|cluster| !cluster.is_empty()).count();
        assert!(
            clustered * 100 >= low.len() * 85,
            "seed {seed}: {clustered} of {}",
            low.len()
        );
        let unclustered = report["unclustered"].as_u64().unwrap() as usize;
        assert_eq!(unclustered, low.len() - clustered);
        for cluster in clusters(&report) {
            let id = cluster["id"].to_string();
            let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
            for (low, found) in planted.iter().zip(&found) {
                if *found == id {
                    *kinds.entry(low).or_default() += 1;
                }
            }
            let most = kinds.iter().max_by_key(|(_, count)| **count).unwrap().0;
            all += 1;
            right += usize::from(cluster["causes"][0]["name"] == *most);
        }
        // Another order of the same rows is the same log.
        fixture.rows.reverse();
        let shuffled = Log::of(&fixture);
        assert_eq!(
            without_inputs(shuffled.report(&[])),
            without_inputs(log.report(&[]))
        );
    }
    assert!(
        right * 100 >= all * 80,
        "{right} of {all} first causes are the planted ones"
    );
    assert!(all >= 13, "{all}");
}

fn without_inputs(mut report: Value) -> Value {
    report["window"]["inputs"] = Value::Null;
    report
}

#[test]
fn a_pattern_is_described_by_place_hours_and_remedy() {
    let log = Log::of(&site(4));
    let report = log.report(&[]);
    let noise = clusters(&report)
        .iter()
        .find(|cluster| cluster["label"] == "noise")
        .unwrap();
    assert_eq!(noise["sources"][0]["source"], "gate-3");
    assert!(noise["sources"][0]["lift"].as_f64().unwrap() > 3.0);
    assert_eq!(noise["sources"].as_array().unwrap().len(), 1, "{noise:#}");
    let hours: Vec<u64> = noise["hours"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_u64().unwrap())
        .collect();
    assert_eq!(
        (hours.len(), hours.iter().sum::<u64>()),
        (24, noise["size"].as_u64().unwrap())
    );
    assert_eq!(hours[12], 0);
    let peak = noise["peak_hours"].as_array().unwrap();
    assert!(peak[0] == 22 || peak[0] == 23, "{noise:#}");
    let summary = noise["summary"].as_str().unwrap();
    assert!(
        summary.starts_with("camera gate-3, 2") && summary.contains("sensor noise"),
        "{summary}"
    );
    let advice = noise["advice"].as_str().unwrap();
    assert!(
        advice.contains("add light") && advice.contains("of these captures would be accepted"),
        "{advice}"
    );
    assert!(noise["summary_zh"].as_str().unwrap().contains("传感器噪点"));
    assert!(noise["embedding_norm"]["z"].as_f64().unwrap() < -1.0);
    assert!(noise["components"]["noise"]["z"].as_f64().unwrap() > 3.0);
    for exemplar in noise["exemplars"].as_array().unwrap() {
        assert!(exemplar.as_str().unwrap().len() == 36);
    }
    for p in ["cluster", "share", "sources", "hours"] {
        assert!(
            (0.0..=1.0).contains(&noise["p_values"][p].as_f64().unwrap()),
            "{noise:#}"
        );
    }
    assert_eq!(report["schema"], 1);
    assert_eq!(report["fleet"].as_array().unwrap().len(), 12);
}

#[test]
fn text_and_page_fit_and_hold_nothing_that_a_source_is_called() {
    let mut fixture = site(5);
    let name = "<script>alert(1)</script>\u{1b}[31m\"'&";
    for row in &mut fixture.rows {
        if row.source.as_deref() == Some("gate-3") {
            row.source = Some(name.to_owned());
        }
    }
    let log = Log::of(&fixture);
    for language in ["en", "zh"] {
        let text = log.run(&["--language", language]).success().stdout;
        assert!(
            !text.contains('\u{1b}'),
            "no colours in a pipe, no escapes of a source"
        );
        for line in text.lines() {
            assert!(columns(line) <= 100, "{} columns: {line}", columns(line));
        }
        let page = log
            .run(&["--format", "html", "--language", language])
            .success()
            .stdout;
        for foreign in ["http:", "https:", "@import", "url(", "<script", "\u{1b}"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(page.contains("<svg") && page.trim_end().ends_with("</html>"));
        assert!(page.contains("&lt;script&gt;alert(1)"));
        assert!(page.contains(&format!("<html lang=\"{language}\"")));
    }
}

fn columns(line: &str) -> usize {
    line.chars()
        .map(|c| {
            if (c as u32) > 0x2e7f && (c as u32) < 0xff61 {
                2
            } else {
                1
            }
        })
        .sum()
}

#[test]
fn clean_logs_have_nothing_to_report() {
    for seed in 1..=20 {
        let mut fixture = LogFixture::new(seed);
        fixture.clean(1200, 7, 6);
        // Some captures of any site are bad, each for a reason of its own.
        for (number, kind) in ["blur", "mask", "noise", "motion_blur"]
            .into_iter()
            .cycle()
            .take(12)
            .enumerate()
        {
            fixture.plant(kind, 1, &format!("gate-{}", 1 + number % 6), 7, [7.0, 21.0]);
        }
        let log = Log::of(&fixture);
        let run = log
            .run(&["--format", "json", "--fail-on-drift"])
            .expect_code(0);
        let report = run.json();
        assert_eq!(clusters(&report).len(), 0, "seed {seed}: {report:#}");
        assert_eq!(
            report["norm_anomalies"].as_array().unwrap().len(),
            0,
            "seed {seed}: {report:#}"
        );
        for row in report["fleet"].as_array().unwrap() {
            assert!(
                row["drift"].is_null() && row["is_worse"] == false,
                "seed {seed}: {row}"
            );
        }
        assert_eq!(report["unclustered"], report["totals"]["low"]);
    }
}

#[test]
fn one_broad_population_has_no_patterns() {
    for seed in 1..=20 {
        let mut fixture = LogFixture::new(seed);
        fixture.clean(600, 7, 6);
        for _ in 0..200 {
            // Every cause in some part, each row in other parts: there is no place where rows
            // gather.
            let mut measured = fixture.measure("blur", [0.0, 0.4]);
            let weights: Vec<f32> = (0..measured.causes.len() - 1)
                .map(|_| (-fixture.unit().max(1e-9).ln()) as f32)
                .collect();
            let sum: f32 = weights.iter().sum();
            for (cause, weight) in measured
                .causes
                .iter_mut()
                .zip(weights.into_iter().chain([0.0]))
            {
                *cause = weight / sum;
            }
            let source = format!("gate-{}", 1 + (fixture.unit() * 6.0) as usize);
            let time = begin() + TimeDelta::seconds((fixture.unit() * 6e5) as i64);
            fixture.add(time, &source, "broad", measured);
        }
        let report = Log::of(&fixture).report(&[]);
        assert_eq!(clusters(&report).len(), 0, "seed {seed}: {report:#}");
    }
}

#[test]
fn a_rise_of_the_low_share_is_found_within_500_rows_and_told_by_the_exit_code() {
    for seed in 1..=3 {
        let mut fixture = LogFixture::new(seed);
        for number in 0..1500_i64 {
            let risen = number >= 1000;
            let source = "gate-1";
            let share = if risen { 0.15 } else { 0.05 };
            let kind = if fixture.unit() < share {
                "blur"
            } else {
                "clean"
            };
            let scores = if kind == "blur" {
                [0.0, 0.4]
            } else {
                [0.41, 1.0]
            };
            let measured = fixture.measure(kind, scores);
            fixture.add(
                begin() + TimeDelta::minutes(5 * number),
                source,
                kind,
                measured,
            );
        }
        fixture.clean(600, 5, 3);
        let log = Log::of(&fixture);
        let run = log
            .run(&["--format", "json", "--fail-on-drift"])
            .expect_code(3);
        let report = run.json();
        let row = report["fleet"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["source"] == "gate-1")
            .unwrap();
        assert_eq!(row["drift"]["is_rising"], true, "seed {seed}: {row:#}");
        let since: chrono::DateTime<Utc> = row["drift"]["since"].as_str().unwrap().parse().unwrap();
        let planted = begin() + TimeDelta::minutes(5000);
        assert!(
            (since - planted).abs() < TimeDelta::minutes(5 * 150),
            "seed {seed}: {since}"
        );
        log.run(&["--format", "json"]).expect_code(0);
    }
}

#[test]
fn a_shift_of_the_norm_is_found_and_fifty_quiet_streams_and_a_new_pack_are_none() {
    let mut fixture = LogFixture::new(9);
    let mut norms = Vec::new();
    for _ in 0..2000 {
        norms.push(f64::from(fixture.measure("clean", [0.41, 1.0]).norm));
    }
    let mean = norms.iter().sum::<f64>() / norms.len() as f64;
    let deviation =
        (norms.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / norms.len() as f64).sqrt();
    for stream in 0..52 {
        for number in 0..200_i64 {
            let mut measured = fixture.measure("clean", [0.41, 1.0]);
            let is_late = number >= 120;
            if stream == 50 && is_late {
                measured.norm -= deviation as f32;
            }
            if stream == 51 && is_late {
                measured.norm *= 20.0;
            }
            let time = begin() + TimeDelta::minutes(30 * number);
            let row = fixture.add(time, &format!("s-{stream:02}"), "clean", measured);
            if stream == 51 && is_late {
                row.model = ["b".to_owned(), "c2".to_owned()];
            }
        }
    }
    let report = Log::of(&fixture).report(&[]);
    let found = report["norm_anomalies"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["source"], "s-50");
    assert_eq!(found[0]["direction"], "lower");
    let from: chrono::DateTime<Utc> = found[0]["from"].as_str().unwrap().parse().unwrap();
    assert!(
        (from - begin() - TimeDelta::minutes(3600)).abs() < TimeDelta::hours(12),
        "{from}"
    );
    assert_eq!(
        found[0]["coincides"],
        serde_json::json!(["pack pack-b"]),
        "what else began then is said"
    );
}

#[test]
fn an_earlier_report_says_what_is_new_gone_and_grown() {
    let mut earlier = LogFixture::new(21);
    earlier.clean(1500, 7, 6);
    earlier.plant("noise", 60, "gate-2", 7, [7.0, 21.0]);
    earlier.plant("blur", 60, "gate-3", 7, [7.0, 21.0]);
    let mut now = LogFixture::new(22);
    now.clean(1500, 7, 6);
    now.plant("noise", 150, "gate-2", 7, [7.0, 21.0]);
    now.plant("motion_blur", 60, "gate-4", 7, [7.0, 21.0]);
    let (earlier, now) = (Log::of(&earlier), Log::of(&now));
    let file = now.path("earlier.json");
    earlier
        .run(&["--format", "json", "--out", file.to_str().unwrap()])
        .success();
    let report = now.report(&["--compare-to", file.to_str().unwrap()]);
    let label = |id: &Value| {
        let found = clusters(&report)
            .iter()
            .find(|cluster| cluster["id"] == *id)
            .unwrap();
        found["label"].as_str().unwrap().to_owned()
    };
    let comparison = &report["comparison"];
    let new: Vec<String> = comparison["new"]
        .as_array()
        .unwrap()
        .iter()
        .map(label)
        .collect();
    assert_eq!(new, ["motion_blur"]);
    let grown = comparison["grown"].as_array().unwrap();
    assert_eq!((grown.len(), label(&grown[0]["id"]).as_str()), (1, "noise"));
    assert!((grown[0]["factor"].as_f64().unwrap() - 2.5).abs() < 0.4);
    let gone = comparison["gone"].as_array().unwrap();
    assert!(
        gone.len() == 1 && gone[0].as_str().unwrap().contains("out of focus"),
        "{gone:?}"
    );
    now.run(&["--compare-to", file.to_str().unwrap(), "--fail-on-drift"])
        .expect_code(3);

    fs::write(&file, "{}").unwrap();
    let wrong = now
        .run(&["--compare-to", file.to_str().unwrap()])
        .expect_code(1);
    assert!(wrong.stderr.contains("no report of"), "{}", wrong.stderr);
}

#[test]
fn logs_of_several_boxes_and_exports_are_told_apart_by_their_names() {
    let log = Log::of(&site(6));
    let elsewhere = Log::of(&site(7));
    let (one, other) = (log.path("north.db"), log.path("south.parquet"));
    fs::copy(log.path("log.db"), &one).unwrap();
    Admin::run([
        "--db",
        elsewhere.path("log.db").to_str().unwrap(),
        "export",
        "--format",
        "parquet",
        "--out",
        other.to_str().unwrap(),
    ])
    .success();
    let both = analyze_in("UTC", &[&one, &other], &["--format", "json"])
        .success()
        .json();
    let alone = analyze(&other, &["--format", "json"]).success().json();
    let databases = [log.report(&[]), elsewhere.report(&[])];
    assert_eq!(
        without_inputs(alone),
        without_inputs(databases[1].clone()),
        "an export is as good as its log"
    );
    let rows = |report: &Value| report["totals"]["inferences"].as_u64().unwrap();
    assert_eq!(rows(&both), databases.iter().map(rows).sum::<u64>());
    let turned = analyze_in("UTC", &[&other, &one], &["--format", "json"]);
    assert_eq!(
        without_inputs(turned.success().json()),
        without_inputs(both.clone())
    );
    let sources: Vec<&str> = both["fleet"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["source"].as_str().unwrap())
        .collect();
    assert_eq!(sources.len(), 24);
    assert!(
        sources.contains(&"north/gate-3") && sources.contains(&"south/gate-3"),
        "{sources:?}"
    );
    let one_source = analyze_in(
        "UTC",
        &[&one, &other],
        &["--format", "json", "--source", "north/gate-3"],
    );
    assert_eq!(
        one_source.success().json()["fleet"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    // A log beside its copy, and a file by two paths.
    let link = log.path("link.db");
    std::os::unix::fs::symlink(&one, &link).unwrap();
    for (another, says) in [
        (&log.path("log.db"), "hold the same rows"),
        (&link, "is given twice"),
    ] {
        let refused = analyze_in("UTC", &[&one, another], &[]).expect_code(1);
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
    }

    let twice =
        Admin::run(["--db", "a.db", "--db", "b.db", "export", "--format", "csv"]).expect_code(1);
    assert!(
        twice.stderr.contains("only analyze-logs"),
        "{}",
        twice.stderr
    );
}

#[test]
fn hours_are_local_also_where_the_clock_changes() {
    let mut fixture = LogFixture::new(31);
    fixture.clean(800, 7, 6);
    let shift = |row: &mut Row| {
        row.time -= begin()
            - "2026-10-22T00:00:00Z"
                .parse::<chrono::DateTime<Utc>>()
                .unwrap();
    };
    // Always at 02:30 in Berlin, which is 00:30 UTC before 25 October 2026 and 01:30 UTC after.
    for day in 0..7 {
        for _ in 0..12 {
            let measured = fixture.measure("noise", [0.0, 0.4]);
            let utc = if day < 3 { 30 } else { 90 };
            let time = begin() + TimeDelta::days(day) + TimeDelta::minutes(utc);
            fixture.add(time, "gate-1", "noise", measured);
        }
    }
    fixture.rows.iter_mut().for_each(shift);
    let log = Log::of(&fixture);
    let report = analyze_in(
        "Europe/Berlin",
        &[&log.path("log.db")],
        &["--format", "json"],
    )
    .success()
    .json();
    assert_eq!(
        clusters(&report)[0]["hours"][2],
        clusters(&report)[0]["size"],
        "{report:#}"
    );
    assert_eq!(report["window"]["utc_offset"], "+01:00");
    let utc = log.report(&[]);
    assert_eq!(clusters(&utc)[0]["hours"][2], 0);
    assert_eq!(
        fixture
            .rows
            .iter()
            .filter(|row| row.kind == "noise" && hour(row) == 0)
            .count(),
        36
    );
}

#[test]
fn odd_logs_give_sound_reports() {
    // Nothing at all.
    let empty = Log::of(&LogFixture::new(1)).report(&[]);
    assert_eq!(
        (
            empty["totals"]["inferences"].as_u64(),
            clusters(&empty).len()
        ),
        (Some(0), 0)
    );
    for format in ["text", "html"] {
        let report = Log::of(&LogFixture::new(1)).run(&["--format", format]);
        let shown = report.success().stdout;
        assert!(
            shown.contains("No capture was judged in this window."),
            "{shown}"
        );
    }
    // One row, without a source.
    let mut one = LogFixture::new(2);
    let measured = one.measure("noise", [0.0, 0.4]);
    one.add(begin(), "", "noise", measured).source = None;
    let report = Log::of(&one).report(&[]);
    assert_eq!(
        (&report["totals"]["low"], &report["unclustered"]),
        (&1.into(), &1.into())
    );
    // All rows equal.
    let mut equal = LogFixture::new(3);
    let measured = equal.measure("blur", [0.0, 0.4]);
    for _ in 0..200 {
        equal.add(begin(), "gate-1", "blur", measured.clone());
    }
    let report = Log::of(&equal).report(&[]);
    assert_eq!(clusters(&report)[0]["size"], 200);
    assert_eq!(report["fleet"][0]["low"], 200);
    // Failed requests, and rows of which next to nothing was measured.
    let mut nulls = site(7);
    for (number, row) in nulls.rows.iter_mut().enumerate() {
        if number % 10 == 0 {
            row.measured = None;
        } else if let (0, Some(measured)) = (number % 3, &mut row.measured) {
            measured.norm = f32::NAN;
            measured.box_px = [f32::NAN; 2];
            measured.components.fill(f32::NAN);
        }
    }
    let report = Log::of(&nulls).report(&[]);
    assert_eq!(report["totals"]["errors"], 186);
    assert!(clusters(&report).len() >= 4, "{report:#}");
    // A window without low rows.
    let clean = {
        let mut clean = LogFixture::new(8);
        clean.clean(300, 3, 2);
        Log::of(&clean)
    };
    let report = clean.report(&["--max-score", "0"]);
    assert_eq!(
        (&report["totals"]["low"], clusters(&report).len()),
        (&0.into(), 0)
    );
    let report = clean.report(&["--since", "2030-01-01"]);
    assert_eq!(report["totals"]["inferences"], 0);
    // A clock that was set back in the middle of the week.
    let mut back = site(10);
    let length = back.rows.len();
    for row in &mut back.rows[length / 2..] {
        row.time -= TimeDelta::days(400);
    }
    let report = Log::of(&back).report(&[]);
    assert!(clusters(&report).len() >= 4, "{report:#}");
    for cluster in clusters(&report) {
        assert!(cluster["first_seen"].as_str() <= cluster["last_seen"].as_str());
    }
}

#[test]
fn several_packs_and_calibrations_in_one_window_are_no_anomaly() {
    let mut fixture = site(11);
    for row in &mut fixture.rows {
        if row.time > begin() + TimeDelta::days(3) {
            row.model = ["b".to_owned(), "c2".to_owned()];
            if let Some(measured) = &mut row.measured {
                measured.norm *= 7.0;
            }
        }
        if row.time > begin() + TimeDelta::days(5) {
            row.model[1] = "c3".to_owned();
        }
    }
    let report = Log::of(&fixture).report(&[]);
    assert_eq!(
        report["norm_anomalies"].as_array().unwrap().len(),
        0,
        "{report:#}"
    );
    assert_eq!(clusters(&report).len(), 5, "{report:#}");
    let z = clusters(&report)[0]["embedding_norm"]["z"]
        .as_f64()
        .unwrap();
    assert!(
        z < 0.0 && z > -60.0,
        "each norm is held against those of its pack: {z}"
    );
}

#[test]
fn a_large_log_is_learnt_from_a_sample_and_says_so() {
    let mut fixture = LogFixture::new(15);
    fixture.clean(600, 7, 8);
    for (kind, count, source) in [
        ("noise", 2500, "gate-1"),
        ("blur", 1500, "gate-2"),
        ("mask", 700, "gate-3"),
    ] {
        fixture.plant(kind, count, source, 7, [7.0, 21.0]);
    }
    let log = Log::of(&fixture);
    let out = log.path("a.csv");
    let report = log.report(&["--assignments", out.to_str().unwrap()]);
    assert_eq!(report["method"]["is_sample"], true);
    assert_eq!(report["method"]["learnt_from"], 4000);
    let truth = fixture.truth();
    let assigned = assigned(&log);
    let low = fixture.low(0.4);
    let planted: Vec<String> = low.iter().map(|id| truth[id].clone()).collect();
    let found: Vec<String> = low
        .iter()
        .map(|id| assigned.get(id).cloned().unwrap_or_default())
        .collect();
    assert!(adjusted_rand(&planted, &found) >= 0.8, "{report:#}");
    let sizes: u64 = clusters(&report)
        .iter()
        .map(|cluster| cluster["size"].as_u64().unwrap())
        .sum();
    assert_eq!(sizes as usize, assigned.len());
    assert!(
        assigned.len() * 100 >= low.len() * 85,
        "{} of {}",
        assigned.len(),
        low.len()
    );
    let text = log.run(&["--seed", "7"]).success().stdout;
    assert!(
        text.contains("a sample of 4000 low rows (seed 7)"),
        "{text}"
    );
}

#[test]
fn sixty_five_thousand_sources_are_compared() {
    let mut fixture = LogFixture::new(12);
    let measured = fixture.measure("clean", [0.41, 1.0]);
    for number in 0..65_000_i64 {
        fixture.add(
            begin() + TimeDelta::seconds(number),
            &format!("s{number}"),
            "clean",
            measured.clone(),
        );
    }
    fixture.plant("noise", 60, "gate-1", 1, [0.0, 10.0]);
    let log = Log::of(&fixture);
    let report = log.report(&[]);
    assert_eq!(report["fleet"].as_array().unwrap().len(), 65_001);
    assert_eq!(clusters(&report)[0]["sources"][0]["source"], "gate-1");
    let text = log.run(&[]).success().stdout;
    assert!(text.lines().count() < 60 && text.contains("more"), "{text}");
}

#[test]
fn wrong_questions_places_and_files_are_told() {
    let log = Log::of(&site(13));
    let no_folder = log.path("nowhere/report.json");
    for (arguments, code, said) in [
        (vec!["--max-score", "2"], 2, "0 to 1"),
        (vec!["--since", "yesterday"], 2, "7d"),
        (
            vec!["--since", "2026-11-02", "--until", "2026-11-01"],
            2,
            "not before",
        ),
        (vec!["--min-cluster-size", "1"], 2, "2"),
        (vec!["--format", "pdf"], 2, "html"),
        (
            vec!["--out", no_folder.to_str().unwrap()],
            1,
            "can be written to",
        ),
        (
            vec!["--assignments", log.folder.path().to_str().unwrap()],
            1,
            "it is a folder",
        ),
        (
            vec!["--compare-to", "nothing.json"],
            1,
            "cannot read nothing.json",
        ),
    ] {
        let run = log.run(&arguments).expect_code(code);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
    }
    // A failure leaves nothing half-written behind.
    let left: Vec<_> = fs::read_dir(log.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().ends_with(".part")),
        "{left:?}"
    );

    let missing = analyze(&log.path("none.db"), &[]).expect_code(1);
    assert!(
        missing.stderr.contains("does not exist"),
        "{}",
        missing.stderr
    );
    let torn = log.path("torn.db");
    let mut bytes = fs::read(log.path("log.db")).unwrap();
    let length = bytes.len();
    bytes[4096 * 4..length / 2].fill(0x5a);
    fs::write(&torn, bytes).unwrap();
    let damaged = analyze(&torn, &[]).expect_code(1);
    for said in ["damaged", "restore a backup"] {
        assert!(damaged.stderr.contains(said), "{}", damaged.stderr);
    }
    fs::write(
        &torn,
        "not a database, but long enough to be taken for one by its size",
    )
    .unwrap();
    let foreign = analyze(&torn, &[]).expect_code(1);
    assert!(foreign.stderr.contains("torn.db"), "{}", foreign.stderr);
    let parquet = log.path("wrong.parquet");
    fs::write(&parquet, "PAR1 is not enough").unwrap();
    let wrong = analyze(&parquet, &[]).expect_code(1);
    assert!(wrong.stderr.contains("wrong.parquet"), "{}", wrong.stderr);
}

#[test]
fn a_log_of_an_older_schema_is_read_as_it_is() {
    let log = Log::of(&site(14));
    let before = log.report(&[]);
    let mut outsider = Outsider::open(&log.path("log.db"));
    outsider.execute(
        "DROP INDEX inferences_outcome; ALTER TABLE inferences DROP COLUMN outcome; \
         ALTER TABLE inferences DROP COLUMN outcome_note; ALTER TABLE inferences DROP COLUMN outcome_time; \
         DELETE FROM _sqlx_migrations WHERE version > 1;",
    );
    assert_eq!(log.report(&[]), before);
    // One column fewer than ever was: such a measure is left out.
    outsider.execute("ALTER TABLE inferences DROP COLUMN recapture_pattern");
    let report = log.report(&[]);
    assert_eq!(clusters(&report).len(), clusters(&before).len());
    assert!(clusters(&report)[0]["components"]["recapture_pattern"].is_null());
    // A newer one may mean something else by the same names.
    outsider.execute("UPDATE _sqlx_migrations SET version = 9000");
    let newer = log.run(&[]).expect_code(1);
    assert!(newer.stderr.contains("newer release"), "{}", newer.stderr);
}
