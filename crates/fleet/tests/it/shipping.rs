//! A box's log, shipped to the centre through all that can go wrong.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use faceood_fleet::{
    CentreAddress, ClientFiles, DayOutcome, FleetError, ShipPlan, Shipped, Stop, fleet_state,
    follow, migrate, rewind, ship,
};
use faceood_log::{FILE_NAME, Feedback, InferenceLog, Outbox, ReportedOutcome, fixture};
use faceood_test_support::PostgresServer;
use faceood_test_support::database::Outsider;
use tempfile::TempDir;

use crate::rows::{address, centre, enrol_box, owner, records, run, this_hour};
use crate::wire::Wire;

/// Rows, the sums of `hourly`, and different ids.
const COUNTS: &str = "SELECT (SELECT count(*) FROM inferences), (SELECT coalesce(sum(rows), 0) FROM hourly), \
    (SELECT count(DISTINCT id) FROM inferences)";

/// A box: its folder and its log.
pub(crate) struct Site {
    folder: TempDir,
    log: InferenceLog,
}

impl Site {
    pub(crate) async fn new(node: &str) -> Self {
        let (folder, log) = fixture::open(&fixture::keep_all()).await;
        log.set_node(node).await.unwrap();
        Self { folder, log }
    }

    /// Adds so many rows of the hour of `begin`.
    pub(crate) async fn add(&self, count: u16, begin: DateTime<Utc>) {
        for rows in records(count, begin).chunks(500) {
            self.log.append_all(rows.to_vec()).await.unwrap();
        }
    }

    pub(crate) fn plan(&self, address: CentreAddress) -> ShipPlan {
        ShipPlan {
            database: self.folder.path().join(FILE_NAME),
            address,
            node: None,
            with_notes: false,
        }
    }

    async fn tell(&self, request_id: &str, outcome: ReportedOutcome) {
        let feedback = Feedback {
            request_id: request_id.to_owned(),
            outcome,
            note: Some("a secret of the guard's".to_owned()),
            author: None,
            address: None,
            only_token: None,
        };
        let told = self.log.record_feedback(feedback).await.unwrap();
        assert!(told.is_some(), "{request_id} is in the log");
    }
}

async fn visit(plan: &ShipPlan) -> Result<Shipped, FleetError> {
    ship(plan, false, &Stop::default(), |_| {}).await
}

/// A server without TLS, to see and cut what is sent, and the address through `wire`.
async fn open_centre() -> (PostgresServer, Wire, CentreAddress) {
    let server = PostgresServer::start_open();
    migrate(&owner(&server)).await.unwrap();
    enrol_box(&server, "gate").await;
    let wire = Wire::to(server.port());
    let url = format!("postgres://127.0.0.1:{}/faceood?sslmode=disable", wire.port);
    let address = CentreAddress::new(&url, &ClientFiles::default()).unwrap();
    (server, wire, address)
}

#[test]
fn what_waits_is_shipped_once_and_a_cursor_set_back_adds_nothing() {
    run(async {
        let server = centre().await;
        let site = Site::new("gate").await;
        site.add(2500, this_hour()).await;
        let plan = site.plan(address(&server, "gate"));
        let shipped = visit(&plan).await.unwrap();
        assert_eq!((shipped.rows_sent, shipped.rows_stored), (2500, 2500));
        assert_eq!((&*shipped.node, shipped.is_complete), ("gate", true));
        assert_eq!(server.sql(COUNTS), "2500|2500|2500");
        // Nothing waits.
        assert_eq!(visit(&plan).await.unwrap().rows_sent, 0);
        site.add(10, this_hour()).await;
        assert_eq!(visit(&plan).await.unwrap().rows_stored, 10);
        rewind(&plan).await.unwrap();
        let again = visit(&plan).await.unwrap();
        assert_eq!((again.rows_sent, again.rows_stored), (2510, 0));
        assert_eq!(server.sql(COUNTS), "2510|2510|2510");
        let known =
            "SELECT node, pack, calibration_id, provider, unshipped, log_id IS NOT NULL FROM boxes";
        assert_eq!(server.sql(known), "gate|default|c1|cpu|0|t");
    });
}

#[test]
fn an_answer_lost_after_commit_stores_and_counts_nothing_twice() {
    run(async {
        let (server, wire, address) = open_centre().await;
        let site = Site::new("gate").await;
        site.add(5500, this_hour()).await;
        let plan = site.plan(address);
        let mut failures = 0;
        wire.lose(4);
        let mut sent = 0;
        loop {
            let visited = ship(&plan, false, &Stop::default(), |so_far| {
                sent = so_far.rows_sent;
            })
            .await;
            match visited {
                Ok(_) => break,
                Err(error) => {
                    assert!(error.is_passing(), "{error}");
                    failures += 1;
                }
            }
        }
        assert_eq!((failures, wire.left()), (4, 0));
        assert_eq!(server.sql(COUNTS), "5500|5500|5500");
        assert!(sent > 0);
    });
}

#[test]
fn a_server_killed_while_rows_arrive_is_caught_up_with() {
    run(async {
        let mut server = centre().await;
        let site = Site::new("gate").await;
        let plan = site.plan(address(&server, "gate"));
        let stop = Stop::default();
        let stopped = stop.clone();
        let shipper = std::thread::spawn(move || {
            run(async move {
                let interval = Duration::from_millis(20);
                follow(&plan, interval, &stopped, |_, _| {}).await.unwrap();
            });
        });
        for round in 0..4 {
            site.add(1500, this_hour() - TimeDelta::hours(round)).await;
            let rows = || {
                server
                    .sql("SELECT count(*) FROM inferences")
                    .parse::<i64>()
                    .unwrap()
            };
            let before = rows();
            // In the middle of it, as far as chance has it.
            faceood_test_support::wait_for("some rows", || (rows() > before).then_some(()));
            server.kill();
            server.resume();
        }
        let done = || (server.sql(COUNTS) == "6000|6000|6000").then_some(());
        faceood_test_support::wait_for("all rows", done);
        stop.ask();
        shipper.join().unwrap();
    });
}

#[test]
fn a_server_that_stands_still_holds_up_nothing_but_shipping() {
    run(async {
        let server = centre().await;
        let site = Site::new("gate").await;
        let plan = site.plan(address(&server, "gate"));
        site.add(10, this_hour()).await;
        visit(&plan).await.unwrap();
        server.freeze();
        let stop = Stop::default();
        let (stopped, followed) = (stop.clone(), plan.clone());
        let shipper = std::thread::spawn(move || {
            run(async move {
                let interval = Duration::from_millis(20);
                follow(&followed, interval, &stopped, |_, _| {})
                    .await
                    .unwrap();
            });
        });
        let begin = std::time::Instant::now();
        for _ in 0..20 {
            site.add(50, this_hour()).await;
        }
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(5), "1,000 rows took {took:?}");
        server.thaw();
        let done = || (server.sql(COUNTS) == "1010|1010|1010").then_some(());
        faceood_test_support::wait_for("all rows", done);
        stop.ask();
        shipper.join().unwrap();
    });
}

#[test]
fn a_row_that_cannot_be_taken_is_kept_aside_and_the_rest_passes() {
    run(async {
        let server = centre().await;
        let site = Site::new("gate").await;
        let mut rows = records(1200, this_hour());
        rows[700].error_detail = Some("a\0b".to_owned());
        for part in rows.chunks(400) {
            site.log.append_all(part.to_vec()).await.unwrap();
        }
        let plan = site.plan(address(&server, "gate"));
        let shipped = visit(&plan).await.unwrap();
        assert_eq!((shipped.rows_stored, shipped.rows_quarantined), (1199, 1));
        let mut outbox = Outbox::open(&plan.database, plan.address.target(), false)
            .await
            .unwrap();
        let backlog = outbox.backlog().await.unwrap();
        assert_eq!((backlog.rows, backlog.quarantined), (0, 1));
        assert_eq!(
            server.sql("SELECT quarantined, unshipped FROM boxes"),
            "1|0"
        );
        // It is no difference between both sides.
        let verified = ship(&plan, true, &Stop::default(), |_| {})
            .await
            .unwrap()
            .verified
            .unwrap();
        assert_eq!(verified.differing, []);
        assert!(verified.days >= 1);
    });
}

#[test]
fn feedback_before_and_after_shipping_counts_and_an_old_backup_changes_nothing() {
    run(async {
        let server = centre().await;
        let site = Site::new("gate").await;
        site.add(3, this_hour()).await;
        let plan = site.plan(address(&server, "gate"));
        site.tell("request-0", ReportedOutcome::Genuine).await;
        visit(&plan).await.unwrap();
        let backup = site.folder.path().join("old.db");
        faceood_log::backup(site.log.reader(), &backup)
            .await
            .unwrap();
        site.tell("request-1", ReportedOutcome::Impostor).await;
        site.tell("request-0", ReportedOutcome::Unusable).await;
        let shipped = visit(&plan).await.unwrap();
        assert_eq!((shipped.rows_stored, shipped.outcomes), (0, 2));
        let outcomes = "SELECT string_agg(coalesce(outcome, '-'), ' ' ORDER BY time), count(outcome_note) FROM inferences";
        assert_eq!(server.sql(outcomes), "unusable impostor -|0");
        let old = ShipPlan {
            database: backup,
            ..plan.clone()
        };
        rewind(&old).await.unwrap();
        let shipped = visit(&old).await.unwrap();
        assert_eq!(
            (shipped.rows_sent, shipped.rows_stored, shipped.outcomes),
            (3, 0, 0)
        );
        assert_eq!(server.sql(outcomes), "unusable impostor -|0");
        assert_eq!(server.sql(COUNTS), "3|3|3");
        // Notes leave the box only where that is asked for.
        let noted = ShipPlan {
            with_notes: true,
            ..plan
        };
        site.tell("request-2", ReportedOutcome::Genuine).await;
        visit(&noted).await.unwrap();
        assert_eq!(server.sql(outcomes), "unusable impostor genuine|1");
    });
}

#[test]
fn embeddings_pictures_and_notes_are_never_on_the_wire() {
    run(async {
        let (server, wire, address) = open_centre().await;
        let site = Site::new("gate").await;
        let embedding: Vec<f32> = (0..512_u16).map(|n| (f32::from(n) * 0.37).sin()).collect();
        let mut rows = records(40, this_hour());
        for row in &mut rows {
            row.embedding = Some(embedding.clone());
            row.thumbnail = Some(b"a picture of a face".to_vec());
        }
        site.log.append_all(rows).await.unwrap();
        site.tell("request-7", ReportedOutcome::Genuine).await;
        assert_eq!(visit(&site.plan(address)).await.unwrap().rows_stored, 40);
        let sent = wire.sent();
        let has = |part: &[u8]| sent.windows(part.len()).any(|window| window == part);
        assert!(
            has(b"request-7") && has(b"embedding_norm"),
            "the wire is seen"
        );
        let bytes: Vec<u8> = embedding[1..5]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let base64 = faceood_log::base64_text(&bytes);
        let decimal = embedding[3].to_string();
        for secret in [
            &bytes[..],
            hex.as_bytes(),
            &base64.as_bytes()[4..16],
            decimal.as_bytes(),
            b"a picture of a face",
            b"a secret of the guard",
            b"thumbnail",
            b"outcome_note",
            b" embedding,",
        ] {
            assert!(!has(secret), "{}", String::from_utf8_lossy(secret));
        }
        let columns = "SELECT count(*) FROM information_schema.columns WHERE column_name IN ('embedding', 'thumbnail')";
        assert_eq!(server.sql(columns), "0");
    });
}

#[test]
fn verifying_finds_and_mends_a_day_that_is_missing() {
    run(async {
        let server = centre().await;
        let site = Site::new("gate").await;
        let days = [1, 2, 3].map(|days| this_hour() - TimeDelta::days(days));
        for day in days {
            site.add(1100, day).await;
        }
        site.tell("request-5", ReportedOutcome::Genuine).await;
        let plan = site.plan(address(&server, "gate"));
        let verify = async || ship(&plan, true, &Stop::default(), |_| {}).await.unwrap();
        let clean = verify().await.verified.unwrap();
        assert!(clean.days >= 3 && clean.differing.is_empty(), "{clean:?}");
        // As after a disk of the centre's was restored.
        let lost = days[1].date_naive();
        server.sql(&format!(
            "DELETE FROM inferences WHERE time >= '{lost}' AND time < '{lost}'::date + 1; \
             UPDATE inferences SET outcome = NULL, outcome_time = NULL WHERE outcome IS NOT NULL"
        ));
        let found = verify().await.verified.unwrap();
        assert!(!found.has_losses());
        let mended: Vec<_> = found
            .differing
            .iter()
            .map(|day| (day.day, day.outcome))
            .collect();
        assert!(mended.contains(&(lost, DayOutcome::Mended)), "{found:?}");
        assert!(
            mended
                .iter()
                .all(|(_, outcome)| *outcome == DayOutcome::Mended)
        );
        assert_eq!(verify().await.verified.unwrap().differing, []);
        assert_eq!(server.sql(COUNTS), "3300|3300|3300");
        assert_eq!(server.sql("SELECT count(outcome) FROM inferences"), "1");
        // Rows that this log never had, as of a clone.
        server.sql(&format!(
            "INSERT INTO inferences (node, log_id, time, id) SELECT node, log_id, time, gen_random_uuid() \
             FROM inferences WHERE time >= '{lost}' LIMIT 1"
        ));
        let more = verify().await.verified.unwrap();
        let outcomes: Vec<_> = more.differing.iter().map(|day| day.outcome).collect();
        assert_eq!(outcomes, [DayOutcome::CentreHasMore]);
    });
}

#[test]
fn a_clone_is_told_from_a_log_that_moved() {
    run(async {
        let server = centre().await;
        let site = Site::new("gate").await;
        site.add(5, this_hour()).await;
        let plan = site.plan(address(&server, "gate"));
        visit(&plan).await.unwrap();
        // Restored elsewhere, while the first one rests.
        let moved = TempDir::new().unwrap();
        let copy = moved.path().join(FILE_NAME);
        faceood_log::backup(site.log.reader(), &copy).await.unwrap();
        let second = ShipPlan {
            database: copy,
            ..plan.clone()
        };
        visit(&second).await.unwrap();
        let window = [
            this_hour() - TimeDelta::days(1),
            this_hour() + TimeDelta::days(1),
        ];
        let state = async || {
            fleet_state(&owner(&server), window[0], window[1])
                .await
                .unwrap()
        };
        assert_eq!(state().await.clones, []);
        // The first one goes on: two live logs with one identity.
        visit(&plan).await.unwrap();
        let state = state().await;
        assert_eq!(state.clones.len(), 1);
        assert_eq!(state.clones[0].nodes, ["gate", "gate"]);
        assert_eq!(state.clones[0].addresses, ["127.0.0.1", "127.0.0.1"]);
        let days: u64 = state.boxes[0].days.values().map(|day| day.rows).sum();
        assert_eq!(days, 5);
    });
}

#[test]
fn two_at_once_take_turns() {
    run(async {
        let server = centre().await;
        let site = Site::new("gate").await;
        site.add(3000, this_hour()).await;
        let plan = site.plan(address(&server, "gate"));
        let (one, other) = tokio::join!(visit(&plan), visit(&plan));
        let sent = [one.unwrap(), other.unwrap()].map(|shipped| shipped.rows_sent);
        assert_eq!(sent.iter().sum::<u64>(), 3000, "{sent:?}");
        assert_eq!(server.sql(COUNTS), "3000|3000|3000");
    });
}

#[test]
fn what_can_never_work_is_said_at_once() {
    run(async {
        let server = centre().await;
        let site = Site::new("gate").await;
        // Another box's certificate.
        enrol_box(&server, "other").await;
        let url = format!("postgres://other@127.0.0.1:{}/faceood", server.port());
        let files = server.certificate("other");
        let files = ClientFiles {
            ca: Some(files.ca),
            certificate: Some(files.certificate),
            key: Some(files.key),
        };
        let wrong = CentreAddress::new(&url, &files).unwrap();
        let refused = visit(&site.plan(wrong)).await.unwrap_err().to_string();
        assert!(refused.contains("common name"), "{refused}");
        let missing = ShipPlan {
            database: Path::new("/nowhere/faceood.db").to_owned(),
            ..site.plan(address(&server, "gate"))
        };
        assert!(visit(&missing).await.is_err());
    });
}

#[test]
fn feedback_that_another_box_got_finds_its_row_now_or_later() {
    run(async {
        let server = centre().await;
        enrol_box(&server, "other").await;
        let (site, other) = (Site::new("gate").await, Site::new("other").await);
        let (plan, others_plan) = (
            site.plan(address(&server, "gate")),
            other.plan(address(&server, "other")),
        );
        let rows = records(6, Utc::now() - TimeDelta::seconds(10));
        site.log.append_all(rows[..3].to_vec()).await.unwrap();
        site.tell("request-2", ReportedOutcome::Genuine).await;
        visit(&plan).await.unwrap();
        // What the other box was told: about rows that are there, and rows that come later.
        let told = [
            ("request-1".to_owned(), "NULL"),
            ("request-2".to_owned(), "NULL"),
            ("request-3".to_owned(), "'east-gate'"),
            ("request-4".to_owned(), "'another token'"),
            (rows[5].id.to_string(), "NULL"),
            ("request-unknown".to_owned(), "NULL"),
        ];
        let lines = told.iter().zip(1..).map(|((request, token), number)| {
            let time = faceood_log::time_text(Utc::now() + TimeDelta::milliseconds(number));
            format!("('{time}', '{request}', 'impostor', 'a note', {token})")
        });
        let lines: Vec<String> = lines.collect();
        let insert = format!(
            "INSERT INTO late_feedback (time, request_id, outcome, note, token) VALUES {}",
            lines.join(", ")
        );
        let database = others_plan.database.clone();
        // It has a runtime of its own.
        let written = std::thread::spawn(move || {
            Outsider::open(&database).execute(Box::leak(insert.into_boxed_str()));
        });
        written.join().unwrap();
        assert_eq!(visit(&others_plan).await.unwrap().late_feedback, 6);
        let outcomes = "SELECT string_agg(coalesce(outcome, '-') || ' by ' || coalesce(outcome_node, '-'), ', ' ORDER BY time) \
            FROM inferences WHERE node = 'gate'";
        // The box's own word stands.
        assert_eq!(
            server.sql(outcomes),
            "- by -, impostor by other, genuine by -"
        );
        site.log.append_all(rows[3..].to_vec()).await.unwrap();
        visit(&plan).await.unwrap();
        assert_eq!(
            server.sql(outcomes),
            "- by -, impostor by other, genuine by -, impostor by other, - by -, impostor by other"
        );
        let joined = "SELECT string_agg(coalesce(joined_node, '-'), ' ' ORDER BY time, request_id), count(note) FROM late_feedback";
        assert_eq!(server.sql(joined), "gate - gate - gate -|0");
        // It is told once, and is no difference between box and centre.
        assert_eq!(visit(&others_plan).await.unwrap().late_feedback, 0);
        let verified = ship(&plan, true, &Stop::default(), |_| {})
            .await
            .unwrap()
            .verified;
        assert_eq!(verified.unwrap().differing, []);
        // A later word of the box itself counts.
        site.tell("request-1", ReportedOutcome::Unusable).await;
        assert_eq!(visit(&plan).await.unwrap().outcomes, 1);
        let own =
            "SELECT outcome, outcome_node IS NULL FROM inferences WHERE request_id = 'request-1'";
        assert_eq!(server.sql(own), "unusable|t");
    });
}
