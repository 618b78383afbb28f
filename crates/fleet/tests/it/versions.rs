//! Boxes and centre of different releases.

use faceood_fleet::migrate;

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
        let lifted = "SELECT count(*), count(similarity), bool_and(similarity = 0.1::real + 0) IS NOT NULL, \
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
