//! How fast rows are shipped. Run it alone:
//! `cargo test -p faceood-fleet --test it speed -- --ignored --nocapture`.

use std::time::Instant;

use chrono::TimeDelta;
use faceood_fleet::Stop;

use crate::rows::{address, centre, run, this_hour};
use crate::shipping::Site;

/// Rows of the log.
const ROWS: u16 = 50_000;

#[test]
#[ignore = "it measures, and takes a minute"]
fn speed() {
    run(async {
        let server = centre().await;
        let site = Site::new("gate").await;
        site.add(ROWS, this_hour() - TimeDelta::days(1)).await;
        let plan = site.plan(address(&server, "gate"));
        let time = async |what: &str| {
            let begin = Instant::now();
            let shipped = faceood_fleet::ship(&plan, false, &Stop::default(), |_| {}).await;
            let (rows, seconds) = (shipped.unwrap().rows_sent, begin.elapsed().as_secs_f64());
            eprintln!(
                "{what}: {rows} rows in {seconds:.2} s, {:.0} a second",
                rows as f64 / seconds
            );
        };
        time("new rows").await;
        faceood_fleet::rewind(&plan).await.unwrap();
        time("rows that the centre has").await;
        time("nothing").await;
        let begin = Instant::now();
        let verified = faceood_fleet::ship(&plan, true, &Stop::default(), |_| {}).await;
        let days = verified.unwrap().verified.unwrap();
        assert_eq!(days.differing, []);
        eprintln!("verifying: {:.2} s", begin.elapsed().as_secs_f64());
        let size = "SELECT pg_size_pretty(sum(pg_total_relation_size(inhrelid))), sum(pg_total_relation_size(inhrelid)) / 50000 \
            FROM pg_inherits WHERE inhparent = 'inferences'::regclass";
        eprintln!(
            "in PostgreSQL with its indexes, and bytes a row: {}",
            server.sql(size)
        );
    });
}
