//! Networks that are cut, servers that die or stand still, and centres that refuse everything.

use std::thread::JoinHandle;
use std::time::Duration;

use chrono::TimeDelta;
use faceood_fleet::{FleetError, ShipPlan, Stop, follow, migrate, ship};
use faceood_log::Outbox;
use faceood_test_support::{PostgresServer, wait_for};

use crate::rows::{address, centre, records, run, this_hour};
use crate::shipping::{COUNTS, Site, open_centre, visit};

/// Ships in a thread of its own, again and again.
struct Shipper {
    stop: Stop,
    thread: JoinHandle<()>,
}

impl Shipper {
    fn start(plan: ShipPlan) -> Self {
        let stop = Stop::default();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            run(async move {
                let interval = Duration::from_millis(20);
                follow(&plan, interval, &stopped, |_, _| {}).await.unwrap();
            });
        });
        Self { stop, thread }
    }

    fn end(self) {
        self.stop.ask();
        self.thread.join().unwrap();
    }
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
        let shipper = Shipper::start(plan);
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
            wait_for("some rows", || (rows() > before).then_some(()));
            server.kill();
            server.resume();
        }
        let done = || (server.sql(COUNTS) == "6000|6000|6000").then_some(());
        wait_for("all rows", done);
        shipper.end();
    });
}

#[test]
fn a_server_that_stands_still_or_is_cut_off_holds_up_nothing_but_shipping() {
    run(async {
        let (server, wire, address) = open_centre().await;
        let site = Site::new("gate").await;
        let plan = site.plan(address);
        site.add(10, this_hour()).await;
        visit(&plan).await.unwrap();
        server.freeze();
        let shipper = Shipper::start(plan.clone());
        for _ in 0..20 {
            site.add(50, this_hour()).await;
        }
        // All of them are in the log, and none of them at the centre.
        let mut outbox = Outbox::open(&plan.database, plan.address.target(), false)
            .await
            .unwrap();
        assert_eq!(outbox.backlog().await.unwrap().rows, 1000);
        server.thaw();
        wait_for("all rows", || {
            (server.sql(COUNTS) == "1010|1010|1010").then_some(())
        });
        // No connection, for as long as it takes to write 50,000 rows.
        wire.cut();
        for hour in 1..=10 {
            site.add(5000, this_hour() - TimeDelta::hours(hour)).await;
        }
        assert_eq!(server.sql(COUNTS), "1010|1010|1010");
        assert_eq!(outbox.backlog().await.unwrap().rows, 50_000);
        wire.mend();
        wait_for("all rows", || {
            (server.sql(COUNTS) == "51010|51010|51010").then_some(())
        });
        shipper.end();
    });
}

#[test]
fn a_centre_that_refuses_everything_is_at_fault_and_no_row_is_passed_over() {
    run(async {
        let server = centre().await;
        let site = Site::new("gate").await;
        let plan = site.plan(address(&server, "gate"));
        let mut rows = records(200, this_hour());
        // Rows that no centre takes come first, more than it needs to be suspected.
        for row in &mut rows[..60] {
            row.error_detail = Some("a\0b".to_owned());
        }
        site.log.append_all(rows).await.unwrap();
        server.sql("ALTER TABLE inferences ADD CONSTRAINT made_by_somebody CHECK (source IS NULL)");
        let error = visit(&plan).await.unwrap_err();
        assert!(matches!(error, FleetError::Unfit(_)) && error.is_passing());
        assert!(error.to_string().contains("made_by_somebody"), "{error}");
        let mut outbox = Outbox::open(&plan.database, plan.address.target(), false)
            .await
            .unwrap();
        let waiting = async |outbox: &mut Outbox| {
            let backlog = outbox.backlog().await.unwrap();
            (backlog.rows, backlog.quarantined)
        };
        assert_eq!(waiting(&mut outbox).await, (200, 0));
        server.sql("ALTER TABLE inferences DROP CONSTRAINT made_by_somebody");
        assert_eq!(visit(&plan).await.unwrap().rows_stored, 140);
        assert_eq!(waiting(&mut outbox).await, (0, 60));
    });
}

#[test]
fn a_database_that_cannot_hold_every_text_is_no_centre() {
    run(async {
        let server = PostgresServer::start();
        server.sql("CREATE DATABASE old ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
        let url = server.owner_url().replace("/faceood", "/old");
        let address = faceood_fleet::CentreAddress::new(&url, &Default::default()).unwrap();
        let error = migrate(&address).await.unwrap_err().to_string();
        assert!(
            error.contains("LATIN1") && error.contains("UTF8"),
            "{error}"
        );
    });
}

#[test]
fn verifying_beside_new_rows_and_feedback_finds_no_difference() {
    run(async {
        let server = centre().await;
        let site = Site::new("gate").await;
        site.add(3000, this_hour()).await;
        let plan = site.plan(address(&server, "gate"));
        visit(&plan).await.unwrap();
        let stop = Stop::default();
        let busy = async {
            let mut number = 0;
            while !stop.is_asked() {
                site.add(1, this_hour() + TimeDelta::seconds(number)).await;
                let request = format!("request-{}", number % 3000);
                site.tell(&request, faceood_log::ReportedOutcome::Genuine)
                    .await;
                number += 7;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            number
        };
        let verifying = async {
            for _ in 0..5 {
                let shipped = ship(&plan, true, &Stop::default(), |_| {}).await.unwrap();
                assert_eq!(shipped.verified.unwrap().differing, []);
            }
            stop.ask();
        };
        let (number, ()) = tokio::join!(busy, verifying);
        assert!(number > 7, "it was busy");
    });
}
