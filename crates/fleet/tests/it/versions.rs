//! Boxes and centre of different releases.

use std::ops::ControlFlow;

use faceood_fleet::{CentreFilter, CentreReader, migrate};

use crate::rows::{centre, connect, owner, records, run, shipped, store, this_hour};

#[test]
fn what_an_old_centre_has_no_column_for_waits_and_is_lifted() {
    run(async {
        let server = centre().await;
        // A centre of before these columns, one of each type.
        let newer = [
            "scenario",
            "similarity",
            "image_bytes",
            "network_norms",
            "causes",
        ];
        for column in newer {
            server.sql(&format!("ALTER TABLE inferences DROP COLUMN {column}"));
        }
        let columns = shipped();
        let mut rows = records(20, this_hour());
        rows[3].similarity = None;
        rows[5].similarity = Some(-0.25);
        let mut gate = connect(&server, "gate").await;
        assert_eq!(store(&mut gate, &columns, &rows).await, (20, 0, vec![]));
        assert_eq!(
            server.sql("SELECT count(*) FROM inferences WHERE extra ? 'similarity'"),
            "19"
        );
        // Sent again by a box that the centre has not caught up with: nothing changes.
        assert_eq!(store(&mut gate, &columns, &rows).await, (0, 0, vec![]));
        let migrated = migrate(&owner(&server)).await.unwrap();
        assert_eq!(migrated.rows_lifted, 20);
        let mut added = migrated.columns.clone();
        added.sort();
        let mut expected = newer.to_vec();
        expected.sort_unstable();
        assert_eq!(added, expected);
        let lifted = "SELECT count(*), count(similarity), min(similarity) = -0.25::real, \
            bool_and(scenario = 'access' AND image_bytes = 123456 AND network_norms ->> 'mobile' = '2.5' \
            AND causes -> 0 ->> 'name' = 'motion_blur' AND extra IS NULL) FROM inferences";
        assert_eq!(server.sql(lifted), "20|19|t|t");
        let exact = "SELECT similarity::text FROM inferences WHERE request_id = 'request-7'";
        assert_eq!(server.sql(exact), "0.107");
        // A new connection writes into the columns.
        gate.close().await;
        let mut gate = connect(&server, "gate").await;
        let more = records(5, this_hour() - chrono::TimeDelta::hours(1));
        assert_eq!(store(&mut gate, &columns, &more).await, (5, 0, vec![]));
        assert_eq!(
            server.sql("SELECT count(*) FROM inferences WHERE extra IS NOT NULL"),
            "0"
        );
    });
}

#[test]
fn one_value_that_does_not_fit_keeps_no_other_from_its_column() {
    run(async {
        let server = centre().await;
        for column in ["similarity", "image_bytes", "outcome_time"] {
            server.sql(&format!(
                "ALTER TABLE inferences DROP COLUMN {column} CASCADE"
            ));
        }
        let mut gate = connect(&server, "gate").await;
        let columns = shipped();
        let rows = records(6, this_hour());
        assert_eq!(store(&mut gate, &columns, &rows).await, (6, 0, vec![]));
        // As of a release that means something else by the name.
        server.sql(
            "UPDATE inferences SET extra = extra || '{\"similarity\": \"very\", \"of_the_future\": 1}' WHERE request_id = 'request-1'; \
             UPDATE inferences SET extra = extra || '{\"image_bytes\": 1e300, \"outcome_time\": \"today or so\"}' \
             WHERE request_id = 'request-2'",
        );
        let migrated = migrate(&owner(&server)).await.unwrap();
        assert_eq!((migrated.rows_lifted, migrated.rows_kept), (6, 2));
        let lifted = "SELECT count(similarity), count(image_bytes), count(extra) FROM inferences";
        assert_eq!(server.sql(lifted), "5|5|2");
        let kept = "SELECT string_agg(extra::text, ' ' ORDER BY time) FROM inferences WHERE extra IS NOT NULL";
        assert_eq!(
            server.sql(kept),
            "{\"similarity\": \"very\", \"of_the_future\": 1} \
             {\"image_bytes\": 1e300, \"outcome_time\": \"today or so\"}"
                .replace("1e300", &format!("1{}", "0".repeat(300)))
        );
        // Again, it changes nothing.
        let migrated = migrate(&owner(&server)).await.unwrap();
        assert_eq!((migrated.rows_lifted, migrated.rows_kept), (0, 2));
    });
}

#[test]
fn words_of_a_newer_box_are_left_out_and_counted() {
    run(async {
        let server = centre().await;
        let mut gate = connect(&server, "gate").await;
        let rows = records(3, this_hour());
        store(&mut gate, &shipped(), &rows).await;
        server.sql(
            "UPDATE inferences SET outcome = 'undecided', causes = '[{\"name\": \"haze\", \"weight\": 0.5}]' \
             WHERE request_id = 'request-1'",
        );
        let reader = CentreReader::new(owner(&server));
        let mut snapshot = reader.snapshot().await.unwrap();
        let mut seen = Vec::new();
        let left_out = snapshot
            .export(&CentreFilter::default(), |_, record| {
                seen.push((record.request_id, record.outcome, record.causes.is_some()));
                ControlFlow::Continue(())
            })
            .await
            .unwrap();
        let expected = [
            ("request-0", true),
            ("request-1", false),
            ("request-2", true),
        ];
        assert_eq!(
            seen,
            expected.map(|(request, has_causes)| (request.to_owned(), None, has_causes))
        );
        assert_eq!(left_out, 2);
        snapshot.close().await;
        let explained = reader.by_request("request-1").await.unwrap();
        assert_eq!(explained.len(), 1);
    });
}

#[test]
fn what_an_old_box_does_not_have_is_null() {
    run(async {
        let server = centre().await;
        let mut columns = shipped();
        columns.retain(|column| !["token", "clock", "outcome_note"].contains(&column.name));
        let mut gate = connect(&server, "gate").await;
        let rows = records(4, this_hour());
        assert_eq!(store(&mut gate, &columns, &rows).await, (4, 0, vec![]));
        let empty =
            "SELECT count(*), count(token), count(clock), count(outcome_note) FROM inferences";
        assert_eq!(server.sql(empty), "4|0|0|0");
    });
}
