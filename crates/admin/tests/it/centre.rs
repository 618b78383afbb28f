//! `--db postgres://…`: the rows of three boxes, read from a centre instead of from their logs.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use faceood_engine::policy::{Action, Policy, Reason};
use faceood_fleet::{
    BoxPlace, Centre, CentreAddress, ClientFiles, Role, ShippedRow, enrol, migrate,
};
use faceood_log::{Column, Filter, LARGEST_PAGE, LogReader, Order, columns, to_values};
use faceood_test_support::PostgresServer;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::database::Outsider;
use crate::support::log_fixture::LogFixture;
use crate::support::{Admin, admin};

const BOXES: [&str; 3] = ["north", "east", "south"];

/// Three logs, and a centre that has their rows.
struct Fleet {
    folder: TempDir,
    server: PostgresServer,
}

impl Fleet {
    fn new() -> Self {
        let fleet = Self {
            folder: TempDir::new().unwrap(),
            server: PostgresServer::start(),
        };
        for (number, (name, seed)) in BOXES.into_iter().zip(1..).enumerate() {
            let mut fixture = LogFixture::new(seed);
            fixture.clean(700, 7, 4);
            fixture.plant(
                ["noise", "blur", "motion_blur"][number],
                90,
                "gate-1",
                7,
                [7.0, 21.0],
            );
            if name == "north" {
                // By the actions of a policy, also of rows that score well; the other boxes' rows
                // are of a release that did not log any.
                fixture.decide(&Policy {
                    accept: 0.6,
                    review: 0.4,
                    min_face_px: 0,
                    single_face: false,
                });
                let reject = |reason| Some((Action::Reject, vec![reason]));
                for row in fixture.rows.iter_mut().step_by(30) {
                    row.decided = reject(Reason::FaceTooSmall);
                }
                for row in fixture.rows.iter_mut().skip(1).step_by(60) {
                    row.decided = reject(Reason::SeveralFaces);
                }
            }
            fixture.rows[5].measured = None;
            fixture.rows[5].decided = None;
            fixture.rows[6].source = None;
            fixture.write(&fleet.log(name));
        }
        fleet.ship(&fleet.server, &BOXES);
        fleet
    }

    /// Lays the rows of these boxes into the centre `server`.
    fn ship(&self, server: &PostgresServer, boxes: &[&str]) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(self.ship_to(server, boxes));
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(name).with_extension("db")
    }

    async fn ship_to(&self, server: &PostgresServer, boxes: &[&str]) {
        let owner = CentreAddress::new(&server.owner_url(), &ClientFiles::default()).unwrap();
        migrate(&owner).await.unwrap();
        let is_shipped = |column: &&Column| !["embedding", "thumbnail"].contains(&column.name);
        let shipped: Vec<Column> = columns().iter().filter(is_shipped).copied().collect();
        for (&name, number) in boxes.iter().zip(1..) {
            let ring = (name == "east").then(|| "canary".to_owned());
            let role = Role::Box(BoxPlace {
                ring,
                ..BoxPlace::default()
            });
            enrol(&owner, name, &role).await.unwrap();
            let address = CentreAddress::new(&server.url(), &files(server, name)).unwrap();
            let mut centre = Centre::connect(&address, Some(name)).await.unwrap();
            let reader = LogReader::open(&self.log(name)).await.unwrap();
            let filter = Filter {
                limit: Some(LARGEST_PAGE),
                order: Order::OldestFirst,
                ..Filter::default()
            };
            let page = reader.query(&filter, None).await.unwrap();
            assert!(page.next.is_none());
            let value = |record| {
                let all = columns().iter().zip(to_values(record));
                let wanted = all.filter(|(column, _)| is_shipped(column));
                wanted.map(|(_, value)| value).collect()
            };
            let values: Vec<Vec<_>> = page.records.iter().map(value).collect();
            let rows: Vec<ShippedRow<'_>> = (1..)
                .zip(page.records.iter().zip(&values))
                .map(|(seq, (record, values))| ShippedRow {
                    seq: Some(seq),
                    id: record.id,
                    time: record.time,
                    values,
                })
                .collect();
            for rows in rows.chunks(500) {
                let log_id = Uuid::from_u128(number);
                let stored = centre.write(log_id, &shipped, rows).await.unwrap();
                assert_eq!(stored.rows, rows.len() as u64);
            }
            centre.close().await;
        }
        enrol(&owner, "analyst", &Role::Reader).await.unwrap();
    }

    /// Runs a subcommand on the centre as `role`.
    fn at_centre(&self, role: &str, arguments: &[&str]) -> Admin {
        let url = self.server.url();
        let url = url.replacen("127.0.0.1", &format!("{role}@127.0.0.1"), 1);
        let files = self.server.certificate(role);
        let mut command = admin::command();
        command
            .env("TZ", "UTC")
            .args(["--db", &url])
            .args(arguments);
        command.arg("--ca").arg(files.ca);
        command.arg("--certificate").arg(files.certificate);
        command.arg("--key").arg(files.key);
        Admin::finish(command)
    }

    /// Runs a subcommand on these logs.
    fn at_boxes(&self, boxes: &[&str], arguments: &[&str]) -> Admin {
        let mut command = admin::command();
        command.env("TZ", "UTC");
        for name in boxes {
            command.arg("--db").arg(self.log(name));
        }
        Admin::finish({
            command.args(arguments);
            command
        })
    }
}

fn files(server: &PostgresServer, role: &str) -> ClientFiles {
    let files = server.certificate(role);
    ClientFiles {
        ca: Some(files.ca),
        certificate: Some(files.certificate),
        key: Some(files.key),
    }
}

/// The report, but for where it was read.
fn report(run: Admin) -> Value {
    let mut report = run.success().json();
    report["window"]["inputs"].take();
    report
}

#[test]
fn a_centre_is_read_as_the_logs_of_its_boxes_are() {
    let fleet = Fleet::new();
    let csv = fleet.folder.path().join("assignments.csv");
    for options in [
        &["--format", "json"][..],
        &[
            "--format",
            "json",
            "--since",
            "2026-11-15T06:30:00Z",
            "--until",
            "2026-11-18",
        ],
        &["--format", "json", "--source", "east/gate-1"],
        &[
            "--format",
            "json",
            "--source",
            "gate-1",
            "--max-score",
            "0.3",
        ],
        &["--format", "json", "--assignments", csv.to_str().unwrap()],
    ] {
        let options = [&["analyze-logs"], options].concat();
        let boxes = report(fleet.at_boxes(&BOXES, &options));
        let assigned = fs::read(&csv).unwrap_or_default();
        let centre = report(fleet.at_centre("analyst", &options));
        assert_eq!(boxes, centre, "{options:?}");
        assert_eq!(assigned, fs::read(&csv).unwrap_or_default());
        assert!(
            !boxes["clusters"].as_array().unwrap().is_empty(),
            "{options:?}"
        );
    }

    // The logs in another order are the same logs.
    let options = ["analyze-logs", "--format", "json"];
    let first = report(fleet.at_boxes(&BOXES, &options));
    let turned = report(fleet.at_boxes(&["south", "north", "east"], &options));
    assert_eq!(first, turned);
    // A log that knows its box needs no name of its file.
    fs::copy(fleet.log("north"), fleet.log("x")).unwrap();
    Outsider::open(&fleet.log("x")).execute("UPDATE log_identity SET node = 'north'");
    let named = report(fleet.at_boxes(&["x", "east", "south"], &options));
    assert_eq!(first, named);

    // Some of the boxes, by name and by the ring that they were enrolled with.
    let some = [
        "analyze-logs",
        "--format",
        "json",
        "--node",
        "north",
        "--node",
        "south",
    ];
    let some = report(fleet.at_centre("analyst", &some));
    assert_eq!(some, report(fleet.at_boxes(&["north", "south"], &options)));
    let ring = ["analyze-logs", "--format", "json", "--ring", "canary"];
    let ring = report(fleet.at_centre("analyst", &ring));
    let sources = ring["fleet"].as_array().unwrap().iter();
    let mut sources = sources.map(|row| row["source"].as_str().unwrap());
    assert!(sources.all(|source| source.starts_with("east/")));
    assert_eq!(ring["clusters"][0]["label"], "blur");
    let before = fleet.folder.path().join("before.json");
    let before = before.to_str().unwrap();
    let mut earlier = ring.clone();
    earlier["window"]["inputs"] = serde_json::json!([]);
    fs::write(before, earlier.to_string()).unwrap();
    let again = [
        "analyze-logs",
        "--format",
        "json",
        "--ring",
        "canary",
        "--compare-to",
        before,
    ];
    let again = report(fleet.at_centre("analyst", &again));
    assert_eq!(again["comparison"]["new"], serde_json::json!([]));
    assert_eq!(again["clusters"], ring["clusters"]);
    let none = ["analyze-logs", "--ring", "stable"];
    let none = fleet.at_centre("analyst", &none).expect_code(1).stderr;
    assert!(
        none.contains("no box was enrolled with the ring \"stable\""),
        "{none}"
    );
    let file = ["analyze-logs", "--ring", "canary"];
    let file = fleet.at_boxes(&["north"], &file).expect_code(1).stderr;
    assert!(file.contains("--db postgres://"), "{file}");

    // Counted by the hour, the numbers of rows and patterns stay, and what comes from the sample of
    // good rows differs a little.
    let hourly = ["analyze-logs", "--format", "json", "--most-rows", "1500"];
    let hourly = report(fleet.at_centre("analyst", &hourly));
    assert_eq!(hourly["method"]["counted_by"], "hour");
    assert_eq!(first["method"]["counted_by"], Value::Null);
    assert_eq!(hourly["totals"], first["totals"]);
    let patterns = |report: &Value| report["clusters"].as_array().unwrap().clone();
    let pairs = patterns(&hourly).into_iter().zip(patterns(&first));
    assert_eq!(pairs.len(), patterns(&first).len());
    for (by_hour, by_row) in pairs {
        assert_eq!(by_hour["label"], by_row["label"]);
        assert_eq!(
            by_hour["sources"][0]["source"],
            by_row["sources"][0]["source"]
        );
        // Which rows are nearest follows a little from what is usual, and that from the sample.
        let [size, expected] = [&by_hour, &by_row].map(|pattern| pattern["size"].as_f64().unwrap());
        assert!(
            (size / expected - 1.0).abs() < 0.05,
            "{size} for {expected}"
        );
    }
    let counts = |report: &Value| -> BTreeMap<String, Value> {
        let rows = report["fleet"].as_array().unwrap().iter();
        let count = |row: &Value| {
            let source = row["source"].as_str().unwrap().to_owned();
            let counts = [
                &row["inferences"],
                &row["errors"],
                &row["low"],
                &row["share_low"],
                &row["actions"],
                &row["reasons"],
                &row["captures"],
            ];
            (source, serde_json::json!(counts))
        };
        rows.map(count).collect()
    };
    assert_eq!(counts(&hourly), counts(&first));
    let north = &counts(&first)["north/gate-1"];
    assert!(north[4]["review"].as_u64() > Some(0), "{north}");
    assert!(north[5]["face_too_small"].as_u64() > Some(0), "{north}");
    let good = |report: &Value| report["method"]["good_rows"].as_u64().unwrap();
    assert!(
        good(&hourly) < good(&first),
        "{} {}",
        good(&hourly),
        good(&first)
    );

    // A file has no counts by the hour.
    let mixed = fleet.at_centre(
        "analyst",
        &[
            "--db",
            fleet.log("north").to_str().unwrap(),
            "analyze-logs",
            "--most-rows",
            "1500",
        ],
    );
    let said = mixed.expect_code(1).stderr;
    assert!(said.contains("give the centre alone"), "{said}");
    // The same rows from two places are not counted twice.
    let twice = fleet.at_centre(
        "analyst",
        &["--db", fleet.log("north").to_str().unwrap(), "analyze-logs"],
    );
    let said = twice.expect_code(1).stderr;
    assert!(said.contains("hold the same rows"), "{said}");
}

#[test]
fn centres_of_several_regions_are_read_as_one() {
    let fleet = Fleet::new();
    let regions = [PostgresServer::start(), PostgresServer::start()];
    fleet.ship(&regions[0], &BOXES[..1]);
    fleet.ship(&regions[1], &BOXES[1..]);
    let [west, east] = regions.each_ref().map(PostgresServer::owner_url);
    let mut command = admin::command();
    command.env("TZ", "UTC");
    command.args(["--db", &west, "--db", &east]);
    command.args(["analyze-logs", "--format", "json"]);
    let whole = fleet.at_centre("analyst", &["analyze-logs", "--format", "json"]);
    assert_eq!(report(Admin::finish(command)), report(whole));
}

#[test]
fn rows_of_a_centre_are_exported_and_explained() {
    let fleet = Fleet::new();
    let lines = |run: Admin| -> BTreeMap<String, Value> {
        let text = run.success().stdout;
        let rows = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.map(|row| (row["id"].as_str().unwrap().to_owned(), row))
            .collect()
    };
    let export = ["export", "--format", "jsonl"];
    let mut expected = BTreeMap::new();
    for name in BOXES {
        for (id, mut row) in lines(fleet.at_boxes(&[name], &export)) {
            let source = row["source"].as_str().unwrap_or_default();
            row["source"] = format!("{name}/{source}").into();
            expected.insert(id, row);
        }
    }
    let all = lines(fleet.at_centre("analyst", &export));
    assert!(all == expected, "{} of {}", all.len(), expected.len());
    let part = [
        "export",
        "--format",
        "csv",
        "--source",
        "east/gate-1",
        "--max-score",
        "0.4",
    ];
    let part = fleet.at_centre("analyst", &part).success().stdout;
    let wanted = |row: &&Value| {
        row["source"] == "east/gate-1" && row["quality_score"].as_f64().is_some_and(|s| s <= 0.4)
    };
    assert_eq!(
        part.lines().count() - 1,
        expected.values().filter(wanted).count()
    );

    // An export of the centre is as good as the centre.
    let parquet = fleet.folder.path().join("all.parquet");
    let parquet = parquet.to_str().unwrap();
    let out = ["export", "--format", "parquet", "--out", parquet];
    fleet.at_centre("analyst", &out).success();
    let options = ["analyze-logs", "--format", "json"];
    let from_file = report(Admin::run([
        "--db",
        parquet,
        "analyze-logs",
        "--format",
        "json",
    ]));
    assert_eq!(
        from_file["clusters"],
        report(fleet.at_centre("analyst", &options))["clusters"]
    );

    // One request, by its id and by that of its row.
    let row = expected
        .values()
        .find(|row| row["source"] == "south/gate-1")
        .unwrap();
    for id in [&row["request_id"], &row["id"]] {
        let explained = ["explain", id.as_str().unwrap(), "--json"];
        let explained = fleet.at_centre("analyst", &explained).success().json();
        assert_eq!(explained["source"], "south/gate-1");
        assert_eq!(explained["samples"][0]["inference_id"], row["id"]);
    }
    let none = fleet
        .at_centre("analyst", &["explain", "nobody"])
        .expect_code(1)
        .stderr;
    assert!(
        none.contains("127.0.0.1:") && none.contains("/faceood"),
        "{none}"
    );
}

#[test]
fn what_cannot_be_read_at_a_centre_says_what_to_do() {
    let mut fleet = Fleet::new();
    // A box may see no other box's rows.
    let refused = fleet
        .at_centre("north", &["analyze-logs"])
        .expect_code(1)
        .stderr;
    assert!(refused.contains("the certificate of a reader"), "{refused}");
    // What works on a box's log does not take a centre.
    let url = fleet.server.url();
    for task in [
        &["prune", "--older-than", "30d"][..],
        &["doctor"],
        &["backup", "copy.db"],
    ] {
        let arguments = [&["--db", &url], task].concat();
        let refused = Admin::run(arguments).expect_code(1).stderr;
        assert!(
            refused.contains("the log of one box: give its file"),
            "{refused}"
        );
    }
    // A database of something else.
    fleet.server.sql("DROP TABLE inferences CASCADE");
    let empty = fleet
        .at_centre("analyst", &["analyze-logs"])
        .expect_code(1)
        .stderr;
    assert!(empty.contains("fleet migrate"), "{empty}");
    fleet.server.kill();
    let gone = fleet
        .at_centre("analyst", &["analyze-logs"])
        .expect_code(1)
        .stderr;
    assert!(gone.contains("/faceood failed while connecting"), "{gone}");
}
