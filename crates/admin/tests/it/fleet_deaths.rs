//! Rows that arrive once, whoever is killed while they are written; and many rows of three boxes.
//! `scripts/test-fleet` runs this with more deaths and more rows.

use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use faceood_log::{FILE_NAME, InferenceLog, Settings, fixture};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::fleet::{ShippingBox, centre};
use crate::support::daemon::Home;
use crate::support::{Admin, Client, PostgresServer, photos, wait_for};

/// Rows, the sums of `hourly`, and different ids.
const COUNTS: &str = "SELECT (SELECT count(*) FROM inferences), (SELECT coalesce(sum(rows), 0) FROM hourly), \
    (SELECT count(DISTINCT id) FROM inferences)";

/// Rows that are written at once.
const BATCH: u64 = 500;

fn setting(name: &str, usual: u64) -> u64 {
    let set = std::env::var(name);
    set.map_or(usual, |number| number.parse().expect("a number"))
}

/// How often each is killed.
fn deaths() -> u64 {
    setting("FLEET_DEATHS", 3)
}

fn counted(server: &PostgresServer) -> u64 {
    let rows = server.sql("SELECT count(*) FROM inferences");
    rows.parse().unwrap()
}

/// A shipper that does not outlive its test.
struct Follower<'a> {
    gate: &'a ShippingBox,
    child: Child,
}

impl<'a> Follower<'a> {
    fn start(gate: &'a ShippingBox) -> Self {
        let child = gate.follow();
        Self { gate, child }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn kill_and_start(&mut self) {
        self.kill();
        self.child = self.gate.follow();
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A log, written by a process like the daemon's.
struct Written {
    folder: TempDir,
    log: InferenceLog,
    runtime: Runtime,
}

impl Written {
    fn by(node: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let settings = Settings::default();
        let log = runtime.block_on(async {
            let log = InferenceLog::open(&settings, folder.path()).await.unwrap();
            log.set_node(node).await.unwrap();
            log
        });
        Self {
            folder,
            log,
            runtime,
        }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join(FILE_NAME)
    }

    fn add(&self, begin: u64) {
        let record = |number: u64| {
            let seed = u16::try_from(number % 800).unwrap();
            let mut record = fixture::full_record(&format!("request-{number}"), seed);
            record.time = Utc::now();
            record
        };
        let rows = (begin..begin + BATCH).map(record).collect();
        self.runtime.block_on(self.log.append_all(rows)).unwrap();
    }
}

#[test]
fn each_row_arrives_once_though_shipper_and_server_are_killed() {
    let mut server = centre();
    let written = Written::by("gate-3");
    let gate = ShippingBox::of(&server, "gate-3", written.database());
    let (is_over, rows) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                written.add(rows.load(Ordering::Relaxed));
                rows.fetch_add(BATCH, Ordering::Relaxed);
                // About as many as can be shipped.
                std::thread::sleep(Duration::from_millis(150));
            }
        });
        // In the middle of it, as far as chance has it.
        let some_arrive = |server: &PostgresServer| {
            let before = counted(server);
            wait_for("some rows", || (counted(server) > before).then_some(()));
        };
        let mut follower = Follower::start(&gate);
        for _ in 0..deaths() {
            some_arrive(&server);
            follower.kill_and_start();
            some_arrive(&server);
            server.kill();
            server.resume();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let rows = rows.into_inner();
    // The rest, after the pause that a failure may have left.
    let end = gate.ship(&["--verify", "--json"]).success().json();
    assert_eq!(end["verified"]["differing"], serde_json::json!([]));
    assert_eq!(server.sql(COUNTS), format!("{rows}|{rows}|{rows}"));
    assert!(rows >= 2 * deaths() * BATCH, "{rows} rows were written");
}

#[test]
fn each_answer_of_a_daemon_arrives_once_though_it_is_killed_and_its_shipper_and_the_server() {
    let mut server = centre();
    let photo = photos::astronaut();
    let home = Home::new().config("node = \"gate-3\"\n");
    let gate = ShippingBox::of(&server, "gate-3", home.database());
    let mut daemon = home.start();
    let mut follower = Follower::start(&gate);
    let mut answered = Vec::new();
    for death in 0..deaths() {
        let acknowledged = Mutex::new(Vec::new());
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| ask_until(&is_over, &daemon.client(), &photo, &acknowledged));
            }
            let count = || {
                let ids = acknowledged.lock();
                ids.unwrap_or_else(PoisonError::into_inner).len()
            };
            wait_for("answers", || (count() >= 4).then_some(()));
            match death % 3 {
                0 => follower.kill_and_start(),
                1 => server.kill(),
                _ => {}
            }
            daemon.signal(Signal::KILL);
            is_over.store(true, Ordering::Relaxed);
        });
        if death % 3 == 1 {
            server.resume();
        }
        daemon.wait_exit();
        daemon = daemon.into_home().start();
        answered.extend(acknowledged.into_inner().unwrap());
    }
    follower.kill();
    let end = gate.ship(&["--verify", "--json"]).success().json();
    assert_eq!(end["verified"]["differing"], serde_json::json!([]));
    let database = daemon.database();
    let stats = Admin::run([
        "export",
        "--db",
        &database.to_string_lossy(),
        "--format",
        "jsonl",
    ]);
    let rows = stats.success().stdout.lines().count();
    assert_eq!(server.sql(COUNTS), format!("{rows}|{rows}|{rows}"));
    assert!(answered.len() as u64 >= 4 * deaths());
    for id in answered {
        let found = server.sql(&format!(
            "SELECT count(*) FROM inferences WHERE request_id = '{id}'"
        ));
        assert_eq!(found, "1", "{id}");
    }
}

fn ask_until(is_over: &AtomicBool, client: &Client, photo: &[u8], answered: &Mutex<Vec<String>>) {
    while !is_over.load(Ordering::Relaxed) {
        // Where the connection breaks, the daemon is gone.
        let Some(answer) = client.try_post_parts("/v1/quality", &[("image", photo)]) else {
            return;
        };
        let id = answer.ok()["request_id"].as_str().unwrap().to_owned();
        let mut answered = answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.push(id);
    }
}

#[test]
fn three_boxes_ship_all_their_rows_at_once() {
    let server = centre();
    let rows = setting("FLEET_ROWS", 5000).next_multiple_of(BATCH);
    let nodes = ["gate-1", "gate-2", "gate-3"];
    let owner = server.owner_url();
    std::thread::scope(|scope| {
        for node in nodes {
            let (server, owner) = (&server, &owner);
            scope.spawn(move || {
                Admin::run(["fleet", "enrol", node, "--db", owner]).success();
                let written = Written::by(node);
                for begin in (0..rows).step_by(BATCH as usize) {
                    written.add(begin);
                }
                let gate = ShippingBox::of(server, node, written.database());
                let shipped = gate.ship(&["--verify", "--json"]).success().json();
                assert_eq!(shipped["rows_stored"], rows);
                assert_eq!(shipped["verified"]["differing"], serde_json::json!([]));
                eprintln!("{node}: {rows} rows in {} s", shipped["seconds"]);
            });
        }
    });
    let all = 3 * rows;
    assert_eq!(server.sql(COUNTS), format!("{all}|{all}|{all}"));
    let by_node = "SELECT string_agg(rows::text, ' ') FROM (SELECT count(*) AS rows FROM inferences GROUP BY node) AS boxes";
    assert_eq!(server.sql(by_node), format!("{rows} {rows} {rows}"));
}
