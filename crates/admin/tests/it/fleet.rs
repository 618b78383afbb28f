//! `ship` and `fleet`: a box's log and a centre, as an operator sets them up.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::{Admin, LogFixture, PostgresServer, admin, log_fixture, wait_for};

/// A log of an older release's rows, and what `ship` needs to reach the centre.
pub(crate) struct ShippingBox {
    _folder: Option<TempDir>,
    database: PathBuf,
    options: Vec<String>,
}

impl ShippingBox {
    fn new(server: &PostgresServer, node: &str, rows: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("faceood.db");
        let mut fixture = LogFixture::new(7);
        fixture.clean(rows, 3, 2);
        fixture.write(&database);
        Self {
            _folder: Some(folder),
            ..Self::of(server, node, database)
        }
    }

    /// Ships the log that is there.
    pub(crate) fn of(server: &PostgresServer, node: &str, database: PathBuf) -> Self {
        let files = server.certificate(node);
        let shown = |path: PathBuf| path.to_string_lossy().into_owned();
        let options = [
            ("--db", shown(database.clone())),
            ("--to", server.url()),
            ("--node", node.to_owned()),
            ("--ca", shown(files.ca)),
            ("--certificate", shown(files.certificate)),
            ("--key", shown(files.key)),
        ];
        let options = options.into_iter();
        Self {
            _folder: None,
            database,
            options: options
                .flat_map(|(name, value)| [name.to_owned(), value])
                .collect(),
        }
    }

    /// `ship` with these options, to its end.
    pub(crate) fn ship(&self, more: &[&str]) -> Admin {
        let more = more.iter().map(|&option| option.to_owned());
        let arguments = ["ship".to_owned()].into_iter().chain(self.options.clone());
        Admin::run(arguments.chain(more))
    }

    /// Ships again and again, beside the test.
    pub(crate) fn follow(&self) -> Child {
        let mut command = admin::command();
        let options = ["--follow", "--interval", "1s"];
        command.arg("ship").args(&self.options).args(options);
        command.stderr(Stdio::null()).spawn().unwrap()
    }
}

/// A centre that was set up by the command, with the box `gate-3`.
pub(crate) fn centre() -> PostgresServer {
    let server = PostgresServer::start();
    let url = server.owner_url();
    let migrated = Admin::run(["fleet", "migrate", "--db", &url]).success();
    assert!(
        migrated.stderr.contains("schema version 3"),
        "{}",
        migrated.stderr
    );
    for admitted in ["is admitted", "was admitted before"] {
        let enrol = ["fleet", "enrol", "gate-3", "--site", "berlin", "--db", &url];
        let enrolled = Admin::run(enrol).success();
        assert!(enrolled.stderr.contains(admitted), "{}", enrolled.stderr);
    }
    server
}

#[test]
fn an_operator_sets_up_a_centre_ships_and_looks_at_the_fleet() {
    let server = centre();
    let gate = ShippingBox::new(&server, "gate-3", 1500);
    let shipped = gate.ship(&["--format", "json"]).success().json();
    assert_eq!(
        (&shipped["rows_sent"], &shipped["rows_stored"]),
        (&1500.into(), &1500.into())
    );
    assert_eq!(server.sql("SELECT sum(rows) FROM hourly"), "1500");
    let verified = gate.ship(&["--verify"]).success();
    assert!(
        verified.stdout.contains("0 rows of gate-3 sent"),
        "{}",
        verified.stdout
    );
    assert!(
        verified.stdout.contains("days compared, 0 differed"),
        "{}",
        verified.stdout
    );
    let again = gate.ship(&["--from-start", "--json"]).success().json();
    assert_eq!(
        (&again["rows_sent"], &again["rows_stored"]),
        (&1500.into(), &0.into())
    );

    let since = log_fixture::begin().to_rfc3339();
    let fleet = |format: &str| {
        let url = server.owner_url();
        Admin::run(["fleet", "--db", &url, "--since", &since, "--format", format]).success()
    };
    let report = fleet("json").json();
    let row = &report["boxes"][0];
    assert_eq!(
        (row["node"].as_str(), row["site"].as_str()),
        (Some("gate-3"), Some("berlin"))
    );
    assert_eq!((&row["rows"], &row["unshipped"]), (&1500.into(), &0.into()));
    assert_eq!(report["clones"], serde_json::json!([]));
    let text = fleet("text").stdout;
    assert!(
        text.contains("gate-3") && text.contains("berlin") && text.contains("1500"),
        "{text}"
    );
    assert!(fleet("html").stdout.contains(">gate-3</td>"));

    // A copy that ships while the first one lives is a clone.
    let copy = gate.database.with_file_name("copy.db");
    let copied = Admin::run([
        "backup",
        "--db",
        &gate.database.to_string_lossy(),
        &copy.to_string_lossy(),
    ]);
    copied.success();
    let mut options = gate.options.clone();
    options[1] = copy.to_string_lossy().into_owned();
    Admin::run(["ship".to_owned()].into_iter().chain(options)).success();
    gate.ship(&[]).success();
    let text = fleet("text").stdout;
    assert!(text.contains("is shipped by two at once"), "{text}");

    let forgotten = gate.ship(&["--forget"]).success();
    assert!(
        forgotten.stderr.contains("is forgotten"),
        "{}",
        forgotten.stderr
    );
}

#[test]
fn following_ships_until_it_is_ended() {
    let server = centre();
    let gate = ShippingBox::new(&server, "gate-3", 3000);
    let mut follower = gate.follow();
    wait_for("all rows", || {
        (server.sql("SELECT count(*) FROM inferences") == "3000").then_some(())
    });
    let id = Pid::from_raw(i32::try_from(follower.id()).unwrap()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
    let ended = wait_for("the end of ship --follow", || follower.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn what_is_wrong_with_a_centre_is_said_with_what_to_do() {
    let server = PostgresServer::start();
    let gate = ShippingBox::new(&server, "gate-3", 3);
    // Nobody has enrolled it.
    let stranger = gate.ship(&[]).expect_code(1);
    assert!(stranger.stderr.contains("gate-3"), "{}", stranger.stderr);
    let said = |arguments: &[&str], code: i32, what: &str| {
        let database = gate.database.to_string_lossy();
        let all: Vec<&str> = ["--db", &database]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let answer = Admin::run(all).expect_code(code);
        assert!(answer.stderr.contains(what), "{}", answer.stderr);
    };
    said(
        &["ship", "--to", "mysql://centre/x"],
        2,
        "postgres://centre.example/faceood",
    );
    let plain = "postgres://me:secret@centre.example/faceood?sslmode=disable";
    said(&["ship", "--to", plain], 2, "verify-full");
    said(
        &["ship", "--to", "postgres://127.0.0.1:1/faceood"],
        1,
        "127.0.0.1:1/faceood failed while connecting",
    );
    said(
        &["ship", "--to", &server.url(), "--interval", "0s"],
        2,
        "30s",
    );
    said(&["fleet"], 2, "postgres://centre.example/faceood");
    said(&["ship"], 1, "set ship.to in the settings");
    let unready = Admin::run(["fleet", "--db", &server.owner_url()]).expect_code(1);
    assert!(
        unready.stderr.contains("fleet migrate"),
        "{}",
        unready.stderr
    );
}
