//! A box that gets another name.

use chrono::TimeDelta;
use faceood_fleet::{BoxPlace, Role, Stop, enrol, fleet_state, forget, rewind, ship};
use faceood_log::ReportedOutcome;

use crate::rows::{address, centre, owner, run, this_hour};
use crate::shipping::{COUNTS, Site, visit};

/// Rows and counts of each name.
const BY_NODE: &str = "SELECT string_agg(node || ' ' || rows, ', ' ORDER BY node) FROM \
    (SELECT node, count(*) AS rows FROM inferences GROUP BY node) AS counted";
const COUNTED_BY_NODE: &str = "SELECT string_agg(node || ' ' || rows, ', ' ORDER BY node) FROM \
    (SELECT node, sum(rows) AS rows FROM hourly GROUP BY node HAVING sum(rows) > 0) AS counted";

fn was(name: &str) -> Role {
    Role::Box(BoxPlace {
        was: Some(name.to_owned()),
        ..BoxPlace::default()
    })
}

#[test]
fn its_history_goes_with_it_and_is_not_sent_twice() {
    run(async {
        let server = centre().await;
        let site = Site::new("gate").await;
        site.add(1200, this_hour()).await;
        site.tell("request-3", ReportedOutcome::Genuine).await;
        visit(&site.plan(address(&server, "gate"))).await.unwrap();
        server.sql("UPDATE boxes SET site = 'berlin', ring = 'canary'");

        site.log.set_node("door").await.unwrap();
        let place = Role::Box(BoxPlace::default());
        assert!(enrol(&owner(&server), "door", &place).await.unwrap().is_new);
        let plan = site.plan(address(&server, "door"));
        site.add(10, this_hour() - TimeDelta::hours(1)).await;
        site.tell("request-700", ReportedOutcome::Impostor).await;
        let told = visit(&plan).await.unwrap_err();
        assert!(
            told.is_passing(),
            "it goes on when the centre's owner has done it"
        );
        let told = told.to_string();
        for part in [
            "\"gate\"",
            "\"door\"",
            "fleet enrol door --was gate",
            "ship --forget",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(server.sql(BY_NODE), "gate 1200");

        let enrolled = enrol(&owner(&server), "door", &was("gate")).await.unwrap();
        assert_eq!((enrolled.is_new, enrolled.rows_renamed), (false, 1200));
        let shipped = visit(&plan).await.unwrap();
        assert_eq!((shipped.rows_stored, shipped.outcomes), (10, 1));
        // From the start, and day by day: all is there already.
        rewind(&plan).await.unwrap();
        let again = ship(&plan, true, &Stop::default(), |_| {}).await.unwrap();
        assert_eq!((again.rows_sent, again.rows_stored), (1210, 0));
        assert_eq!(again.verified.unwrap().differing, []);
        assert_eq!(server.sql(COUNTS), "1210|1210|1210");
        assert_eq!(server.sql(BY_NODE), "door 1210");
        assert_eq!(server.sql(COUNTED_BY_NODE), "door 1210");
        assert_eq!(
            server.sql("SELECT node, site, ring FROM boxes"),
            "door|berlin|canary"
        );
        // Nobody comes under the old name, and one log under two names is no clone.
        let window = [
            this_hour() - TimeDelta::days(1),
            this_hour() + TimeDelta::days(1),
        ];
        let state = fleet_state(&owner(&server), window[0], window[1]).await;
        assert_eq!(state.unwrap().clones, []);
        let other = Site::new("gate").await;
        assert!(visit(&other.plan(address(&server, "gate"))).await.is_err());
        // There is nothing left to rename.
        let gone = enrol(&owner(&server), "door", &was("gate"))
            .await
            .unwrap_err();
        assert!(gone.to_string().contains("no other box \"gate\""), "{gone}");
    });
}

#[test]
fn what_was_sent_under_both_names_is_there_once() {
    run(async {
        let server = centre().await;
        let site = Site::new("gate").await;
        site.add(300, this_hour()).await;
        visit(&site.plan(address(&server, "gate"))).await.unwrap();
        let place = Role::Box(BoxPlace::default());
        enrol(&owner(&server), "door", &place).await.unwrap();
        site.log.set_node("door").await.unwrap();
        let plan = site.plan(address(&server, "door"));
        // As the message says that one can do.
        forget(&plan).await.unwrap();
        site.tell("request-3", ReportedOutcome::Genuine).await;
        assert_eq!(visit(&plan).await.unwrap().rows_stored, 300);
        assert_eq!(server.sql(BY_NODE), "door 300, gate 300");
        let enrolled = enrol(&owner(&server), "door", &was("gate")).await.unwrap();
        assert_eq!(enrolled.rows_renamed, 0);
        assert_eq!(server.sql(BY_NODE), "door 300");
        assert_eq!(server.sql(COUNTED_BY_NODE), "door 300");
        let outcome = "SELECT count(outcome), max(request_id) FILTER (WHERE outcome = 'genuine') FROM inferences";
        assert_eq!(server.sql(outcome), "1|request-3");
    });
}
