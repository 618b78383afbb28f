//! Rows arrive once, are counted once, and later words about them count.

use chrono::{DateTime, TimeDelta, Utc};
use faceood_log::{InferenceRecord, ReportedOutcome};
use uuid::Uuid;

use crate::rows::{LOG, centre, connect, records, run, shipped, store, this_hour};

/// Counts that must be the same: rows, and the sums of `hourly`.
const COUNTS: &str = "SELECT (SELECT count(*) FROM inferences), (SELECT sum(rows) FROM hourly), \
    (SELECT count(*) FROM inferences WHERE quality_score <= 0.4::real), (SELECT sum(low) FROM hourly)";

fn told(record: &mut InferenceRecord, outcome: ReportedOutcome, time: DateTime<Utc>) {
    record.outcome = Some(outcome);
    record.outcome_time = Some(time);
}

#[test]
fn a_row_is_stored_and_counted_once_however_often_it_is_sent() {
    run(async {
        let server = centre().await;
        let columns = shipped();
        let rows = records(300, this_hour());
        let mut box_one = connect(&server, "gate").await;
        assert_eq!(store(&mut box_one, &columns, &rows).await, (300, 0, vec![]));
        assert_eq!(server.sql(COUNTS), "300|300|100|100");
        // Half of them again, with some new ones.
        let more = [
            &rows[150..],
            &records(50, this_hour() - TimeDelta::hours(2)),
        ]
        .concat();
        assert_eq!(store(&mut box_one, &columns, &more).await, (50, 0, vec![]));
        box_one.close().await;
        let mut again = connect(&server, "gate").await;
        assert_eq!(store(&mut again, &columns, &rows).await, (0, 0, vec![]));
        assert_eq!(server.sql(COUNTS), "350|350|117|117");
        let moments = "SELECT count(*), bool_and(abs(score_sum / scored - mean) < 1e-9 \
                AND abs(score_squares / scored - (score_sum / scored) ^ 2 - variance) < 1e-9 \
                AND normed = rows AND errors = rows AND reviewed = rows AND accepted = 0) \
            FROM hourly JOIN (SELECT date_trunc('hour', time) AS hour, avg(quality_score::float8) AS mean, \
                var_pop(quality_score::float8) AS variance FROM inferences GROUP BY 1) AS rows USING (hour)";
        assert_eq!(server.sql(moments), "2|t");
        // Every column arrived, in its type and to the last digit.
        let row = "SELECT embedding_norm = 0.142::real, network_norms ->> 'mobile', causes -> 0 ->> 'name', \
            image_bytes, clock_run_seconds, role, extra IS NULL, draw BETWEEN 0 AND 1, pose_yaw::text \
            FROM inferences WHERE request_id = 'request-42' ORDER BY time DESC LIMIT 1";
        assert_eq!(
            server.sql(row),
            "t|2.5|motion_blur|123456|7|probe|t|t|0.142"
        );
        // A month's partition was made, and nothing fell beside it.
        assert_eq!(server.sql("SELECT count(*) FROM inferences_default"), "0");
    });
}

#[test]
fn an_outcome_that_is_newer_counts_and_an_older_one_does_not() {
    run(async {
        let server = centre().await;
        let columns = shipped();
        let mut rows = records(3, this_hour());
        let now = this_hour();
        let mut centre = connect(&server, "gate").await;
        // Told before it was shipped.
        told(&mut rows[0], ReportedOutcome::Genuine, now);
        assert_eq!(store(&mut centre, &columns, &rows).await, (3, 0, vec![]));
        // Told after.
        told(&mut rows[1], ReportedOutcome::Impostor, now);
        assert_eq!(store(&mut centre, &columns, &rows).await, (0, 1, vec![]));
        // Told otherwise, then an old backup is shipped.
        let backup = rows.clone();
        told(
            &mut rows[1],
            ReportedOutcome::Unusable,
            now + TimeDelta::seconds(9),
        );
        assert_eq!(store(&mut centre, &columns, &rows).await, (0, 1, vec![]));
        assert_eq!(store(&mut centre, &columns, &backup).await, (0, 0, vec![]));
        let outcomes =
            "SELECT string_agg(coalesce(outcome, '-'), ' ' ORDER BY time) FROM inferences";
        assert_eq!(server.sql(outcomes), "genuine unusable -");
        assert_eq!(server.sql("SELECT sum(rows) FROM hourly"), "3");
    });
}

#[test]
fn a_row_that_the_server_refuses_stands_alone_and_the_rest_passes() {
    run(async {
        let server = centre().await;
        let columns = shipped();
        let mut rows = records(100, this_hour());
        rows[41].error_detail = Some("nobody\0there".to_owned());
        rows[77].source = Some("\0".to_owned());
        let mut centre = connect(&server, "gate").await;
        let (new, _, mut refused) = store(&mut centre, &columns, &rows).await;
        refused.sort_by_key(|(id, _)| *id);
        let ids: Vec<Uuid> = refused.iter().map(|(id, _)| *id).collect();
        assert_eq!((new, ids), (98, vec![rows[41].id, rows[77].id]));
        assert!(refused[0].1.contains("0x00"), "{refused:?}");
        assert_eq!(server.sql(COUNTS), "98|98|34|34");
        // The connection is as good as before.
        rows[41].error_detail = None;
        rows[77].source = None;
        assert_eq!(store(&mut centre, &columns, &rows).await, (2, 0, vec![]));
        assert_eq!(server.sql(COUNTS), "100|100|34|34");
    });
}

#[test]
fn rows_of_a_broken_clock_wait_until_their_month_comes() {
    run(async {
        let server = centre().await;
        let columns = shipped();
        let mut centre = connect(&server, "gate").await;
        let mut rows = records(2, "1970-01-01T00:00:00Z".parse().unwrap());
        rows.extend(records(3, this_hour() + TimeDelta::days(400)));
        assert_eq!(store(&mut centre, &columns, &rows).await, (5, 0, vec![]));
        assert_eq!(server.sql("SELECT count(*) FROM inferences_default"), "5");
        // Rows of a month that had no partition when they came.
        let past = this_hour() - TimeDelta::days(70);
        server.sql(&format!(
            "INSERT INTO inferences (node, log_id, time, id) SELECT 'gate', '{LOG}', '{}', gen_random_uuid() \
             FROM generate_series(1, 3)",
            past.to_rfc3339()
        ));
        assert_eq!(server.sql("SELECT count(*) FROM inferences_default"), "8");
        assert_eq!(
            store(&mut centre, &columns, &records(1, past)).await,
            (1, 0, vec![])
        );
        assert_eq!(server.sql("SELECT count(*) FROM inferences_default"), "5");
        let partition = format!("SELECT count(*) FROM inferences_{}", past.format("%Y_%m"));
        assert_eq!(server.sql(&partition), "4");
        assert_eq!(server.sql("SELECT sum(rows) FROM hourly"), "9");
    });
}

#[test]
fn both_sides_of_a_day_can_be_compared() {
    run(async {
        let server = centre().await;
        let columns = shipped();
        let mut rows = records(40, this_hour());
        told(&mut rows[7], ReportedOutcome::Genuine, this_hour());
        let mut centre = connect(&server, "gate").await;
        store(&mut centre, &columns, &rows).await;
        let day = rows[0].time.date_naive();
        let of_day = rows.iter().filter(|row| row.time.date_naive() == day);
        let mut expected = faceood_fleet::CentreDay::default();
        for row in of_day {
            let (high, low) = row.id.as_u64_pair();
            expected.rows += 1;
            expected.id_high ^= high;
            expected.id_low ^= low;
            expected.outcomes += u64::from(row.outcome.is_some());
        }
        assert_eq!(centre.day(LOG, day, &[]).await.unwrap(), expected);
        let other = Uuid::from_u128(8);
        assert_eq!(centre.day(other, day, &[]).await.unwrap().rows, 0);
    });
}
