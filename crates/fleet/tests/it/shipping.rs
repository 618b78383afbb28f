//! A box's log, shipped to the centre through all that can go wrong.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use faceood_fleet::{
    CentreAddress, ClientFiles, DayOutcome, FleetError, ShipPlan, Shipped, Stop, fleet_state,
    migrate, rewind, ship,
};
use faceood_log::{FILE_NAME, Feedback, InferenceLog, Outbox, ReportedOutcome, fixture};
use faceood_test_support::PostgresServer;
use tempfile::TempDir;

use crate::rows::{address, centre, enrol_box, owner, records, run, this_hour};
use crate::wire::Wire;

/// Rows, the sums of `hourly`, and different ids.
pub(crate) const COUNTS: &str = "SELECT (SELECT count(*) FROM inferences), (SELECT coalesce(sum(rows), 0) FROM hourly), \
    (SELECT count(DISTINCT id) FROM inferences)";

/// A box: its folder and its log.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) log: InferenceLog,
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

    pub(crate) async fn tell(&self, request_id: &str, outcome: ReportedOutcome) {
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

pub(crate) async fn visit(plan: &ShipPlan) -> Result<Shipped, FleetError> {
    ship(plan, false, &Stop::default(), |_| {}).await
}

/// A server without TLS, to see and cut what is sent, and the address through `wire`.
pub(crate) async fn open_centre() -> (PostgresServer, Wire, CentreAddress) {
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
