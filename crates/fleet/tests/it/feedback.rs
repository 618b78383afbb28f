//! Outcomes that come before, while and after their rows are shipped, at the same box or another.

use chrono::{TimeDelta, Utc};
use faceood_fleet::{ShipPlan, Stop, rewind, ship};
use faceood_log::ReportedOutcome;
use faceood_test_support::database::Outsider;

use crate::rows::{address, centre, enrol_box, records, run, this_hour};
use crate::shipping::{COUNTS, Site, open_centre, visit};

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

#[test]
fn feedback_while_its_row_is_in_flight_is_not_lost() {
    run(async {
        let (server, wire, address) = open_centre().await;
        let site = Site::new("gate").await;
        site.add(1500, this_hour()).await;
        let plan = site.plan(address);
        wire.hold();
        let shipper = std::thread::spawn(move || {
            let mut shipped = None;
            run(async { shipped = Some(visit(&plan).await.unwrap()) });
            shipped.unwrap()
        });
        // The box has sent the first batch and waits for its end.
        faceood_test_support::wait_for("a batch in flight", || wire.is_holding().then_some(()));
        site.tell("request-5", ReportedOutcome::Impostor).await;
        site.tell("request-1400", ReportedOutcome::Genuine).await;
        wire.release();
        let shipped = shipper.join().unwrap();
        assert_eq!(
            (shipped.rows_sent, shipped.rows_stored, shipped.outcomes),
            (1501, 1500, 1)
        );
        let told = "SELECT string_agg(request_id || ' ' || outcome, ', ' ORDER BY time) FROM inferences WHERE outcome IS NOT NULL";
        assert_eq!(server.sql(told), "request-5 impostor, request-1400 genuine");
        assert_eq!(server.sql(COUNTS), "1500|1500|1500");
    });
}

#[test]
fn of_two_words_the_later_one_counts_whatever_the_clock_said() {
    run(async {
        let server = centre().await;
        let site = Site::new("gate").await;
        site.add(2, this_hour()).await;
        let plan = site.plan(address(&server, "gate"));
        site.tell("request-0", ReportedOutcome::Genuine).await;
        site.tell("request-1", ReportedOutcome::Genuine).await;
        visit(&plan).await.unwrap();
        // As if both had been told under a clock that stood a year ahead.
        let ahead = "UPDATE inferences SET outcome_time = outcome_time + interval '1 year'";
        server.sql(ahead);
        site.tell("request-0", ReportedOutcome::Impostor).await;
        assert_eq!(visit(&plan).await.unwrap().outcomes, 1);
        let outcomes = "SELECT string_agg(outcome, ' ' ORDER BY time), max(outcome_time) < now() + interval '1 day' FROM inferences \
            WHERE request_id = 'request-0'";
        assert_eq!(server.sql(outcomes), "impostor|t");
        // A log that was restored from before the correction, in which the clock stood ahead, too.
        let stale = site.folder.path().join("stale.db");
        faceood_log::backup(site.log.reader(), &stale)
            .await
            .unwrap();
        let database = stale.clone();
        let written = std::thread::spawn(move || {
            Outsider::open(&database).execute(
                "UPDATE inferences SET outcome = 'unusable', seq = 1, \
                 outcome_time = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '+1 year') WHERE request_id = 'request-0'",
            );
        });
        written.join().unwrap();
        let stale = ShipPlan {
            database: stale,
            ..plan.clone()
        };
        rewind(&stale).await.unwrap();
        assert_eq!(visit(&stale).await.unwrap().outcomes, 0);
        assert_eq!(server.sql(outcomes), "impostor|t");
    });
}
