//! What a box's certificate can do, and what it cannot.

use faceood_fleet::{BoxFacts, BoxPlace, Centre, CentreAddress, ClientFiles, Role, enrol, migrate};
use faceood_test_support::PostgresServer;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use uuid::Uuid;

use crate::rows::{
    LOG, address, centre, connect, enrol_box, owner, records, run, shipped, store, this_hour,
};

/// A connection with a box's certificate, for statements of an attacker.
async fn raw(server: &PostgresServer, node: &str) -> PgConnection {
    let files = server.certificate(node);
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(server.port())
        .database("faceood")
        .username(node)
        .ssl_mode(PgSslMode::VerifyFull)
        .ssl_root_cert(files.ca)
        .ssl_client_cert(files.certificate)
        .ssl_client_key(files.key);
    options.connect().await.unwrap()
}

/// How many rows a statement touches, or the server's refusal.
async fn attempt(connection: &mut PgConnection, statement: &str) -> Result<u64, String> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await;
    done.map(|done| done.rows_affected())
        .map_err(|error| error.to_string())
}

#[test]
fn a_box_can_touch_nothing_of_another() {
    run(async {
        let server = centre().await;
        enrol_box(&server, "other").await;
        let columns = shipped();
        let mut gate = connect(&server, "gate").await;
        store(&mut gate, &columns, &records(5, this_hour())).await;
        gate.introduce(&BoxFacts::default()).await.unwrap();
        let mut other = raw(&server, "other").await;
        let seen = "SELECT count(*) FROM inferences";
        let count: i64 = sqlx::query_scalar(seen)
            .fetch_one(&mut other)
            .await
            .unwrap();
        assert_eq!(count, 0);
        for harmless in [
            "UPDATE inferences SET outcome = 'impostor'",
            "UPDATE boxes SET version = 'x' WHERE node = 'gate'",
            "UPDATE shippers SET last_seen = now()",
        ] {
            assert_eq!(attempt(&mut other, harmless).await, Ok(0), "{harmless}");
        }
        let partition = server.sql(
            "SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'inferences'::regclass \
             AND inhrelid::regclass::text <> 'inferences_default'",
        );
        for refused in [
            "INSERT INTO inferences (node, log_id, time, id) VALUES ('gate', gen_random_uuid(), now(), gen_random_uuid())",
            "INSERT INTO boxes (node) VALUES ('gate')",
            "INSERT INTO late_feedback (node, request_id, time, outcome) VALUES ('gate', 'x', now(), 'genuine')",
            "DELETE FROM inferences",
            "TRUNCATE inferences",
            "UPDATE inferences SET quality_score = 1",
            "UPDATE inferences SET node = 'other'",
            "UPDATE boxes SET site = 'x'",
            "SELECT * FROM hourly",
            "UPDATE hourly SET rows = 0",
            "SELECT faceood_join('{request-1}')",
            "CREATE TABLE mine (a int)",
            "SET ROLE gate",
            "SET ROLE postgres",
            "ALTER TABLE inferences DISABLE ROW LEVEL SECURITY",
            &format!("SELECT * FROM {partition}"),
        ] {
            let said = attempt(&mut other, refused).await;
            let said = said.expect_err(refused);
            let is_refusal = ["permission denied", "row-level security", "must be owner"];
            assert!(
                is_refusal.iter().any(|word| said.contains(word)),
                "{refused}: {said}"
            );
        }
        // Of its own rows it can change nothing but outcomes, and delete none.
        let mut own = raw(&server, "gate").await;
        let told = attempt(
            &mut own,
            "UPDATE inferences SET outcome = 'genuine', outcome_time = now()",
        );
        assert_eq!(told.await, Ok(5));
        for refused in [
            "DELETE FROM inferences",
            "UPDATE inferences SET quality_score = 1",
        ] {
            assert!(attempt(&mut own, refused).await.is_err(), "{refused}");
        }
        assert_eq!(server.sql(seen), "5");
    });
}

#[test]
fn the_certificate_says_who_a_box_is() {
    run(async {
        let server = centre().await;
        enrol_box(&server, "other").await;
        // As another than the certificate says.
        let files = server.certificate("other");
        let files = ClientFiles {
            ca: Some(files.ca),
            certificate: Some(files.certificate),
            key: Some(files.key),
        };
        let claimed = CentreAddress::new(&server.url(), &files).unwrap();
        let refused = Centre::connect(&claimed, Some("gate")).await.unwrap_err();
        assert!(refused.to_string().contains("gate"), "{refused}");
        // As a box that nobody enrolled.
        let refused = Centre::connect(&address(&server, "stranger"), Some("stranger")).await;
        assert!(refused.is_err());
        // Without a certificate.
        let files = ClientFiles {
            ca: files.ca,
            ..ClientFiles::default()
        };
        let bare = CentreAddress::new(&server.url(), &files).unwrap();
        assert!(Centre::connect(&bare, Some("gate")).await.is_err());
        // To a server whose certificate comes from somebody else.
        let stranger = PostgresServer::start();
        let files = ClientFiles {
            ca: Some(stranger.certificate("gate").ca),
            ..files
        };
        let wrong = CentreAddress::new(&server.url(), &files).unwrap();
        let refused = Centre::connect(&wrong, Some("gate")).await.unwrap_err();
        assert!(refused.to_string().contains("ertificate"), "{refused}");
        // The log of one box with the certificate of another.
        let named = format!("postgres://gate@127.0.0.1:{}/faceood", server.port());
        let files = server.certificate("gate");
        let files = ClientFiles {
            ca: Some(files.ca),
            certificate: Some(files.certificate),
            key: Some(files.key),
        };
        let named = CentreAddress::new(&named, &files).unwrap();
        let refused = Centre::connect(&named, Some("other")).await.unwrap_err();
        let text = refused.to_string();
        assert!(
            text.contains("\"gate\"") && text.contains("\"other\""),
            "{text}"
        );
    });
}

#[test]
fn enrolling_is_repeated_without_harm_and_takes_over_no_other_role() {
    run(async {
        let server = centre().await;
        let owner = owner(&server);
        let at = |site: &str| {
            Role::Box(BoxPlace {
                site: Some(site.to_owned()),
                ..BoxPlace::default()
            })
        };
        assert!(
            enrol(&owner, "north.1", &at("berlin"))
                .await
                .unwrap()
                .is_new
        );
        assert!(
            !enrol(&owner, "north.1", &Role::Box(BoxPlace::default()))
                .await
                .unwrap()
                .is_new
        );
        assert_eq!(
            server.sql("SELECT site FROM boxes WHERE node = 'north.1'"),
            "berlin"
        );
        for wrong in [
            "",
            "pg_x",
            "faceood_box",
            "a\"b",
            "postgres",
            "a b",
            &"x".repeat(64),
        ] {
            assert!(enrol(&owner, wrong, &at("x")).await.is_err(), "{wrong}");
        }
        assert!(
            enrol(&owner, "grafana", &Role::Reader)
                .await
                .unwrap()
                .is_new
        );
        // A reader reads all, and writes nothing.
        let mut gate = connect(&server, "gate").await;
        store(&mut gate, &shipped(), &records(2, this_hour())).await;
        let mut reader = raw(&server, "grafana").await;
        for all in [
            "SELECT * FROM inferences",
            "SELECT * FROM hourly",
            "SELECT * FROM boxes",
        ] {
            assert!(attempt(&mut reader, all).await.unwrap() > 0, "{all}");
        }
        assert!(
            attempt(&mut reader, "UPDATE inferences SET outcome = 'genuine'")
                .await
                .is_err()
        );
        assert!(attempt(&mut reader, "DELETE FROM hourly").await.is_err());
    });
}

#[test]
fn a_database_without_tables_is_named() {
    run(async {
        let server = PostgresServer::start();
        let refused = Centre::connect(&owner(&server), None).await.unwrap_err();
        assert!(refused.to_string().contains("fleet migrate"), "{refused}");
        assert!(refused.is_passing());
        let first = migrate(&owner(&server)).await.unwrap();
        assert!(first.version >= 1 && first.columns.contains(&"pose_yaw".to_owned()));
        assert!(
            !first
                .columns
                .iter()
                .any(|name| name == "embedding" || name == "thumbnail")
        );
        let again = migrate(&owner(&server)).await.unwrap();
        assert_eq!((again.columns.len(), again.rows_lifted), (0, 0));
    });
}

#[test]
fn what_a_box_says_of_itself_is_known_by_the_centres_clock() {
    run(async {
        let server = centre().await;
        let mut gate = connect(&server, "gate").await;
        let mut facts = BoxFacts {
            log_id: LOG,
            instance: Uuid::from_u128(1),
            version: "0.1.0".to_owned(),
            pack: Some("default".to_owned()),
            unshipped: 12,
            quarantined: 1,
            ..BoxFacts::default()
        };
        gate.introduce(&facts).await.unwrap();
        facts.unshipped = 0;
        gate.introduce(&facts).await.unwrap();
        let known = "SELECT node, version, pack, unshipped, quarantined, now() - last_seen < '1 min', \
            host((SELECT address FROM shippers)) FROM boxes";
        assert_eq!(server.sql(known), "gate|0.1.0|default|0|1|t|127.0.0.1");
        assert_eq!(server.sql("SELECT count(*) FROM shippers"), "1");
    });
}
