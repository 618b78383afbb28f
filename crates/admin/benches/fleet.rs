//! What a fleet's centre costs: rows a second that a box ships, what a door notices of a centre that
//! stands still or is cut off, and how long an analysis of the centre takes. `scripts/bench fleet`
//! runs it. It needs PostgreSQL's server, and disk in TMPDIR: some .6 GB a million rows.
//!
//! Settings by environment: `PARTS` (`shipping doors analysis`), `SHIPPED` (100000) rows of one box,
//! `ROUNDS` (5) and `REQUESTS` (200) a round at the door, `ROWS` (`1000000 10000000 100000000`) at
//! the centre, `PROVIDER` (`auto`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    dead_code,
    reason = "a measurement: a failure ends it, its table goes to stdout, and it uses a part of what measurements share"
)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use chrono::{TimeDelta, Utc};
use faceood_log::{FILE_NAME, InferenceLog, Settings, fixture};
use faceood_test_support::postgres::CertificateFiles;
use faceood_test_support::{Admin, Client, LogFixture, PostgresServer, photos, program};

mod analysed;
mod load;

use analysed::{Running, chart, numbers};
use load::{Daemon, Round, Target, number};

/// Different rows at the centre; more are copies of them, at other times.
const BASE: usize = 11_000;

/// Months that the copies lie in.
const MONTHS: usize = 6;

/// Rows that wait for a centre while a door is measured.
const WAITING: usize = 50_000;

fn main() {
    let parts = std::env::var("PARTS").unwrap_or_else(|_| "shipping doors analysis".to_owned());
    let is_wanted = |part| parts.split_whitespace().any(|wanted| wanted == part);
    if is_wanted("shipping") {
        shipping(number("SHIPPED", 100_000));
    }
    if is_wanted("doors") {
        doors(number("ROUNDS", 5), number("REQUESTS", 200));
    }
    if is_wanted("analysis") {
        analysis(&numbers("ROWS", "1000000 10000000 100000000"));
    }
}

fn centre(node: &str) -> PostgresServer {
    let server = PostgresServer::start();
    let url = server.owner_url();
    Admin::run(["fleet", "migrate", "--db", &url]).success();
    Admin::run(["fleet", "enrol", node, "--db", &url]).success();
    server
}

/// The flags with which `node` ships the log `database`.
fn ship(server: &PostgresServer, node: &str, database: &Path) -> Vec<String> {
    let CertificateFiles {
        ca,
        certificate,
        key,
    } = server.certificate(node);
    let shown = |path: PathBuf| path.to_string_lossy().into_owned();
    let options = [
        ("--db", shown(database.to_owned())),
        ("--to", server.url()),
        ("--node", node.to_owned()),
        ("--ca", shown(ca)),
        ("--certificate", shown(certificate)),
        ("--key", shown(key)),
    ];
    let options = options.map(|(name, value)| [name.to_owned(), value]);
    ["ship".to_owned()]
        .into_iter()
        .chain(options.into_iter().flatten())
        .collect()
}

/// Writes so many rows of the last day into the log in `folder`, as a daemon does.
fn fill(folder: &Path, rows: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let log = InferenceLog::open(&Settings::default(), folder)
            .await
            .unwrap();
        let begin = Utc::now() - TimeDelta::days(1);
        for first in (0..rows).step_by(500) {
            let record = |number: usize| {
                let seed = u16::try_from(number % 800).unwrap();
                let mut record = fixture::full_record(&format!("request-{number}"), seed);
                record.time = begin + TimeDelta::milliseconds(i64::try_from(number).unwrap());
                record
            };
            let batch = (first..rows.min(first + 500)).map(record).collect();
            log.append_all(batch).await.unwrap();
        }
        log.close().await;
    });
}

/// Rows a second to the centre, over TLS.
fn shipping(rows: usize) {
    let server = centre("gate");
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path(), rows);
    let options = ship(&server, "gate", &folder.path().join(FILE_NAME));
    let time = |what: &str, more: &[&str]| {
        let begin = Instant::now();
        let more = more.iter().map(|&option| option.to_owned());
        Admin::run(options.iter().cloned().chain(more)).success();
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "{what}: {rows} rows in {seconds:.2} s, {:.0} a second",
            rows as f64 / seconds
        );
    };
    time("new rows", &[]);
    time("rows that the centre has", &["--from-start"]);
    time("verified", &["--verify"]);
    let bytes: f64 = server
        .sql("SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'inferences'::regclass")
        .parse()
        .unwrap();
    println!(
        "{:.0} bytes a row at the centre, with indexes",
        bytes / rows as f64
    );
}

/// What the callers of a box notice of its centre.
fn doors(rounds: usize, requests: usize) {
    const STATES: [&str; 4] = [
        "no centre",
        "the centre stands still",
        "nobody listens there",
        "catching up",
    ];
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path(), WAITING);
    let daemon = Daemon::start(folder.path());
    // The log is that of the daemon's box.
    let client = Client::new(daemon.address.parse().expect("an address and a port"));
    let info = client.get("/v1/info").ok();
    let node = info["node"].as_str().expect("a name");
    let server = centre(node);
    let target = Target::new("faceood", &format!("http://{}/v1/extract", daemon.address));
    let photos = [photos::astronaut()];
    let database = folder.path().join(FILE_NAME);
    let options = ship(&server, node, &database);
    let mut answers: [Vec<(f64, u16)>; 4] = Default::default();
    let mut shipped = 0;
    for _ in 0..rounds {
        for (state, answers) in STATES.into_iter().zip(&mut answers) {
            let mut options = options.clone();
            if state == "nobody listens there" {
                options[4] = "postgres://127.0.0.1:1/faceood".to_owned();
            }
            if state == "catching up" {
                // All rows wait again.
                server.sql("TRUNCATE inferences, hourly");
                Admin::run(options.iter().cloned().chain(["--forget".to_owned()])).success();
            }
            let mut shipper = (state != "no centre").then(|| follow(&options));
            if state == "the centre stands still" {
                server.freeze();
            }
            let round = target.load(&photos, 1, requests);
            assert_eq!(round.codes.get(&200), Some(&requests), "{:?}", round.codes);
            answers.extend(round.latencies.into_iter().map(|latency| (latency, 200)));
            if state == "the centre stands still" {
                server.thaw();
            }
            if state == "catching up" {
                shipped += server
                    .sql("SELECT count(*) FROM inferences")
                    .parse::<usize>()
                    .unwrap();
            }
            if let Some(shipper) = &mut shipper {
                shipper.kill().expect("it is killed");
                shipper.wait().expect("it has ended");
            }
        }
    }
    println!(
        "{:<24} {:>8} {:>8} {:>6}",
        "one caller", "p50 ms", "p99 ms", "× p99"
    );
    let rounds = answers.map(|answers| Round::new(0.0, answers));
    let alone = rounds[0].quantile(0.99);
    for (state, round) in STATES.into_iter().zip(&rounds) {
        let p99 = round.quantile(0.99);
        println!(
            "{state:<24} {:>8.1} {p99:>8.1} {:>6.2}",
            round.quantile(0.5),
            p99 / alone
        );
    }
    println!("{shipped} rows were caught up with meanwhile");
    // All of it arrives in the end.
    let end = Admin::run(
        options
            .iter()
            .cloned()
            .chain(["--verify", "--json"].map(str::to_owned)),
    );
    assert_eq!(
        end.success().json()["verified"]["differing"],
        serde_json::json!([])
    );
}

/// As `faceood-ship.service` runs it: behind the daemon.
fn follow(options: &[String]) -> Child {
    let (path, rest) = (program("faceood-admin"), options);
    Command::new("nice")
        .args(["-n", "10", &path])
        .args(rest)
        .args(["--follow", "--interval", "1s"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("faceood-admin starts")
}

/// How long reports of the whole centre take, with every row read and with good ones counted by the
/// hour.
fn analysis(sizes: &[usize]) {
    let server = centre("gate");
    let folder = tempfile::tempdir().expect("a folder");
    base(&server, folder.path());
    println!(
        "{:>10} {:>8} {:>12} {:>9} {:>8} {:>12} {:>8}",
        "rows", "GB", "exact s", "rows/s", "MB", "by hour s", "MB"
    );
    let (mut exact, mut by_hour) = (Vec::new(), Vec::new());
    for &rows in sizes {
        grow(&server, rows);
        let bytes: f64 = server
            .sql("SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'inferences'::regclass")
            .parse()
            .unwrap();
        let report = folder.path().join("report.json");
        let url = server.owner_url();
        let analyse = |most_rows: &str| {
            let more = ["--most-rows", most_rows].map(OsStr::new);
            Running::start(OsStr::new(&url), &report, &more).end()
        };
        let all = analyse("1000000000000");
        let hours = analyse("1");
        println!(
            "{rows:>10} {:>8.2} {:>12.1} {:>9.0} {:>8.0} {:>12.1} {:>8.0}",
            bytes / 1e9,
            all.seconds,
            rows as f64 / all.seconds,
            all.megabytes,
            hours.seconds,
            hours.megabytes
        );
        exact.push((rows, all.seconds));
        by_hour.push((rows, hours.seconds));
    }
    let million = 1_000_000;
    for (costs, how) in [
        (exact, "every row read"),
        (by_hour, "good rows counted by the hour"),
    ] {
        let title = format!("analyze-logs of a centre, {how}: seconds against million rows");
        println!("\n{}", chart(&title, "M", million, &costs));
    }
}

/// The rows of which all others are copies: 1.6 % are low ones of five patterns.
fn base(server: &PostgresServer, folder: &Path) {
    let mut fixture = LogFixture::new(1);
    let kinds = ["noise", "blur", "motion_blur", "low_resolution", "mask"];
    let planted = BASE * 16 / 1000 / 20;
    fixture.clean(BASE - 20 * planted, 7, 40);
    for (index, kind) in (0..).step_by(4).zip(kinds) {
        for part in 1..=4 {
            let source = format!("gate-{}", index + part);
            fixture.plant(kind, planted, &source, 7, [0.0, 24.0]);
        }
    }
    let log = folder.join("base.db");
    fixture.write(&log);
    Admin::run(ship(server, "gate", &log)).success();
    server.sql("CREATE TABLE base AS SELECT * FROM inferences; ALTER TABLE base DROP COLUMN draw");
}

/// Adds copies until there are `rows`. They are counted by the hour as all rows are; only the indexes
/// are made at the end.
fn grow(server: &PostgresServer, rows: usize) {
    const COPIES: usize = 50;
    let present: usize = server
        .sql("SELECT count(*) FROM inferences")
        .parse()
        .unwrap();
    let first = present / BASE;
    let last = rows.div_ceil(BASE);
    let months =
        "SELECT faceood_partition(now() - m * interval '1 month') FROM generate_series(0, 7) AS m";
    server.sql(months);
    let of_indexes = |what: &str| {
        server.sql(&format!(
            "SELECT string_agg({what}, ';') FROM pg_indexes WHERE tablename = 'inferences' AND indexname <> 'inferences_pkey'"
        ))
    };
    let indexes = of_indexes("indexdef");
    server.sql(&of_indexes("'DROP INDEX ' || indexname"));
    server.sql("ALTER TABLE inferences DROP CONSTRAINT inferences_pkey");
    let names = server.sql(
        "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute \
         WHERE attrelid = 'base'::regclass AND attnum > 0 AND NOT attisdropped",
    );
    let values: Vec<&str> = names
        .split(", ")
        .map(|name| match name {
            "id" => "(lpad(to_hex((i * 2654435761) % 4294967296), 8, '0') || substr(id::text, 9, 16) || lpad(to_hex(i % 65536), 4, '0') || substr(id::text, 29))::uuid",
            "time" => "time - (i % MONTHS) * interval '1 month' + (i * 7 % 3600) * interval '1 second'",
            name => name,
        })
        .collect();
    let values = values.join(", ").replace("MONTHS", &MONTHS.to_string());
    for first in (first..last).step_by(COPIES) {
        let end = last.min(first + COPIES) - 1;
        server.sql(&format!(
            "INSERT INTO inferences ({names}) SELECT {values} FROM base, generate_series({first}::bigint, {end}) AS i"
        ));
    }
    server.sql(&format!(
        "SET maintenance_work_mem = '1GB'; ALTER TABLE inferences ADD PRIMARY KEY (node, time, id); {indexes}"
    ));
    server.sql("ANALYZE inferences");
}
