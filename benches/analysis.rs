//! How long `faceood-admin analyze-logs` takes and how much memory, on logs of many low rows. `scripts/bench analysis` runs it.
//!
//! ROWS="100000 1000000" are the numbers of low rows (a tenth as many good ones come with them); the logs are made in TMPDIR, some
//! 0.9 GB a million, and deleted afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    dead_code,
    reason = "a measurement: a failure ends it, its table goes to stdout, and it uses a part of the tests' generator"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

#[path = "../tests/it/support/log_fixture/mod.rs"]
mod log_fixture;

use log_fixture::LogFixture;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Different rows; more are copies of them, each a little off in time and in every component.
const BASE: usize = 11_000;

fn main() {
    let rows = std::env::var("ROWS").unwrap_or_else(|_| "100000 1000000".to_owned());
    println!(
        "{:>10} {:>8} {:>9} {:>9} {:>8} {:>9}",
        "low rows", "log GB", "seconds", "rows/s", "MB", "patterns"
    );
    for rows in rows.split_whitespace() {
        let rows: usize = rows.parse().expect("ROWS are numbers");
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log.db");
        make(&log, rows);
        let (seconds, megabytes, patterns) = measure(&log);
        let gigabytes = std::fs::metadata(&log).expect("it is there").len() as f64 / 1e9;
        println!(
            "{rows:>10} {gigabytes:>8.2} {seconds:>9.2} {:>9.0} {megabytes:>8.0} {patterns:>9}",
            1.1 * rows as f64 / seconds
        );
    }
}

/// A log, written in the order of time as a daemon does, with `low` low rows of five patterns and a tenth as many good ones.
fn make(path: &Path, low: usize) {
    let mut fixture = LogFixture::new(1);
    fixture.clean(BASE / 11, 7, 40);
    for (index, kind) in ["noise", "blur", "motion_blur", "low_resolution", "mask"]
        .into_iter()
        .enumerate()
    {
        for part in 0..4 {
            fixture.plant(
                kind,
                BASE / 22,
                &format!("gate-{}", 1 + 4 * index + part),
                7,
                [0.0, 24.0],
            );
        }
    }
    fixture.write(path);
    let copies = (11 * low / 10).div_ceil(fixture.rows.len());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        let names: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info('inferences')")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let values: Vec<String> = names
            .iter()
            .map(|name| match name.as_str() {
                "id" => "printf('%08x', i * 2654435761 % 4294967296) || substr(id, 9, 16) || printf('%04x', i) || substr(id, 29)".to_owned(),
                "request_id" => "'copy-' || i".to_owned(),
                "time" => "strftime('%Y-%m-%dT%H:%M:%f000Z', time, '+' || (i * 7 % 3600) || ' seconds')".to_owned(),
                name if faceood::quality::Component::ALL.iter().any(|c| c.name() == name) => {
                    format!("{name} * (0.98 + 0.04 * (abs(random()) % 1000) / 1000)")
                }
                name => name.to_owned(),
            })
            .collect();
        let statement = format!(
            "PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL; \
             WITH RECURSIVE copies(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM copies WHERE i + 1 < {copies}) \
             INSERT INTO inferences ({}) SELECT {} FROM copies, (SELECT * FROM inferences) AS base ORDER BY 2; \
             PRAGMA wal_checkpoint(TRUNCATE);",
            names.join(", "),
            values.join(", ")
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// Seconds, megabytes at most, and patterns found.
fn measure(log: &Path) -> (f64, f64, usize) {
    let admin = std::env::var_os("ADMIN").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_faceood-admin")),
        PathBuf::from,
    );
    let begin = Instant::now();
    let mut child = Command::new(admin)
        .arg("--db")
        .arg(log)
        .args(["analyze-logs", "--format", "json", "--out"])
        .arg(log.with_extension("json"))
        .stdin(Stdio::null())
        .spawn()
        .expect("faceood-admin starts");
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0.0_f64;
    let ended = loop {
        if let Some(line) = std::fs::read_to_string(&status)
            .unwrap_or_default()
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
        {
            let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0.0);
            most = most.max(kilobytes / 1000.0);
        }
        if let Some(ended) = child.try_wait().expect("it can be waited for") {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let seconds = begin.elapsed().as_secs_f64();
    assert!(ended.success(), "it failed");
    let text = std::fs::read_to_string(log.with_extension("json")).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    (
        seconds,
        most,
        report["clusters"].as_array().map_or(0, Vec::len),
    )
}
