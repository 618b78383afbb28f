//! How long `faceood-admin analyze-logs` takes and how much memory, and what a daemon's callers
//! feel of it. `scripts/bench analysis` runs it.
//!
//! SITE="1000000" are the rows of logs as a site without a fault has them, of which 1.6 % are low.
//! ROWS="100000 300000 1000000" are the low rows of logs with a tenth as many good ones. The logs
//! are made in TMPDIR, some 1 GB a million rows, and deleted afterwards. ADMIN names another
//! `faceood-admin` to measure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    dead_code,
    reason = "a measurement: a failure ends it, its table goes to stdout, and it uses a part of the tests' generator"
)]

use std::path::Path;

use faceood_log::{ColumnKind, columns};
use faceood_test_support::{LogFixture, repository};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

mod analysed;
mod load;
use analysed::{Running, chart, numbers};
use load::{Daemon, Round, Target};

/// Different rows; more are copies of them, each a little off in time and in every component.
const BASE: usize = 11_000;

const LOG: &str = "faceood.db";

/// Low rows among a thousand of a site without a fault.
const SITE_LOW: usize = 16;

fn main() {
    println!(
        "{:>10} {:>10} {:>8} {:>9} {:>9} {:>9} {:>8} {:>9}",
        "rows", "low rows", "log GB", "cold s", "warm s", "rows/s", "MB", "patterns"
    );
    for rows in numbers("SITE", "1000000") {
        let folder = tempfile::tempdir().expect("a folder");
        measure(&folder.path().join(LOG), rows, SITE_LOW * rows / 1000);
    }
    let mut costs = Vec::new();
    let mut felt = String::new();
    let rows = numbers("ROWS", "100000 300000 1000000");
    for (place, &low) in rows.iter().enumerate() {
        let folder = tempfile::tempdir().expect("a folder");
        costs.push((low, measure(&folder.path().join(LOG), 11 * low / 10, low)));
        if place + 1 == rows.len() {
            felt = interference(folder.path());
        }
    }
    let title = "analyze-logs: seconds against low rows";
    println!("{felt}\n\n{}", chart(title, "k", 1000, &costs));
}

/// Makes a log, analyses it twice and prints a line; the seconds with the log in the page cache.
fn measure(log: &Path, rows: usize, low: usize) -> f64 {
    make(log, rows, low);
    forget(log);
    let begin = || Running::start(log.as_os_str(), &log.with_extension("json"), &[]);
    let cold = begin().end();
    let warm = begin().end();
    println!(
        "{rows:>10} {low:>10} {:>8.2} {:>9.2} {:>9.2} {:>9.0} {:>8.0} {:>9}",
        std::fs::metadata(log).expect("it is there").len() as f64 / 1e9,
        cold.seconds,
        warm.seconds,
        rows as f64 / warm.seconds,
        cold.megabytes.max(warm.megabytes),
        warm.patterns
    );
    warm.seconds
}

/// Takes the file out of the page cache.
fn forget(path: &Path) {
    let file = std::fs::File::open(path).expect("it is there");
    file.sync_all().expect("it can be written to the disk");
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("it is a file");
}

/// What one caller after the other feels of an analysis of the daemon's own log: in turns with it
/// and without.
fn interference(folder: &Path) -> String {
    /// Requests of a round without an analysis.
    const REQUESTS: usize = 200;
    const ROUNDS: usize = 3;
    let photo = std::fs::read(repository().join("tests/photos/astronaut.jpg")).expect("a photo");
    let daemon = Daemon::start(folder);
    let target = Target::new("faceood", &format!("http://{}/v1/extract", daemon.address));
    let photos = [photo];
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.extend(target.load(&photos, 1, REQUESTS).latencies);
        let log = folder.join(LOG);
        let mut analysis = Running::start(log.as_os_str(), &log.with_extension("json"), &[]);
        while !analysis.has_ended() {
            beside.extend(target.load(&photos, 1, 20).latencies);
        }
    }
    let [alone, beside] = [alone, beside].map(|latencies| {
        let answers = latencies
            .into_iter()
            .map(|latency| (latency, 200))
            .collect();
        Round::new(0.0, answers)
    });
    format!(
        "one caller after the other: p50 {:.1}, p99 {:.1} ms alone ({} requests); p50 {:.1}, p99 {:.1} ms beside an analysis ({}): p99 × {:.2}",
        alone.quantile(0.5),
        alone.quantile(0.99),
        alone.latencies.len(),
        beside.quantile(0.5),
        beside.quantile(0.99),
        beside.latencies.len(),
        beside.quantile(0.99) / alone.quantile(0.99)
    )
}

/// A log of `rows`, written in the order of time as a daemon does, of which about `low` are low
/// ones of five patterns.
fn make(path: &Path, rows: usize, low: usize) {
    let mut fixture = LogFixture::new(1);
    let planted = (BASE * low).div_ceil(20 * rows);
    fixture.clean(BASE - 20 * planted, 7, 40);
    for (index, kind) in ["noise", "blur", "motion_blur", "low_resolution", "mask"]
        .into_iter()
        .enumerate()
    {
        for part in 0..4 {
            fixture.plant(
                kind,
                planted,
                &format!("gate-{}", 1 + 4 * index + part),
                7,
                [0.0, 24.0],
            );
        }
    }
    fixture.write(path);
    let copies = rows.div_ceil(BASE);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        let names: Vec<&str> = columns().iter().map(|column| column.name).collect();
        let values: Vec<String> = columns()
            .iter()
            .map(|column| match column.name {
                "id" => "printf('%08x', i * 2654435761 % 4294967296) || substr(id, 9, 16) || printf('%04x', i) || substr(id, 29)".to_owned(),
                "request_id" => "'copy-' || i".to_owned(),
                "time" => "strftime('%Y-%m-%dT%H:%M:%f000Z', time, '+' || (i * 7 % 3600) || ' seconds')".to_owned(),
                name if faceood_engine::quality::Component::ALL.iter().any(|c| c.name() == name) => {
                    format!("{name} * (0.98 + 0.04 * (abs(random()) % 1000) / 1000)")
                }
                // What the fixture leaves out and a daemon writes, since it makes rows longer.
                name if name.starts_with("error_") || name.starts_with("outcome") => name.to_owned(),
                name => match column.kind {
                    ColumnKind::Real => format!("coalesce({name}, random() % 100000 / 7.0)"),
                    ColumnKind::Integer => format!("coalesce({name}, abs(random() % 2000))"),
                    ColumnKind::Text | ColumnKind::Json => format!("coalesce({name}, '[]')"),
                    ColumnKind::Time | ColumnKind::Blob => name.to_owned(),
                },
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
