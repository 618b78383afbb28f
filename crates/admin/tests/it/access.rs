//! `access`, beside a live daemon and where there is nothing to show.

use crate::support::database::Outsider;
use crate::support::{Admin, Daemon, photos};

const EVENTS: &str = "
    INSERT INTO access (time, address, token, endpoint, refusal) VALUES
        ('2026-11-20T08:00:00.000000Z', '192.0.2.7', NULL, '/v1/extract', 'wrong_token'),
        ('2026-11-21T08:00:00.000000Z', '192.0.2.7', NULL, '/v1/extract', 'wrong_token'),
        ('2026-11-21T09:00:00.000000Z', NULL, 'east-gate', '/v1/inferences', 'role');
    INSERT INTO token_use VALUES
        ('east-gate', 12, '2026-11-19T00:00:00.000000Z', '2026-11-21T10:00:00.000000Z', '192.0.2.1');";

fn run(daemon: &Daemon, options: &[&str]) -> Admin {
    let data = daemon.data_dir();
    let mut arguments = vec!["--data-dir", data.to_str().unwrap(), "access"];
    arguments.extend(options);
    Admin::run(arguments)
}

#[test]
fn refusals_and_uses_are_shown_beside_a_live_daemon() {
    let daemon = Daemon::start();
    let nothing = run(&daemon, &[]).success().stdout;
    assert!(nothing.contains("no request was refused"), "{nothing}");
    assert!(nothing.contains("no token has been used"), "{nothing}");

    Outsider::open(&daemon.database()).execute(EVENTS);
    let shown = run(&daemon, &[]).success().stdout;
    let has = |words: &[&str]| {
        let has_all = |line: &str| words.iter().all(|word| line.contains(word));
        assert!(
            shown.lines().any(has_all),
            "no line has {words:?}:\n{shown}"
        );
    };
    has(&["3 requests were refused", "UTC"]);
    has(&[
        "wrong_token",
        " 2 ",
        "192.0.2.7",
        "–",
        "/v1/extract",
        "2026-11-20 08:00:00",
        "2026-11-21 08:00:00",
    ]);
    has(&["role", " 1 ", "local socket", "east-gate", "/v1/inferences"]);
    has(&[
        "east-gate",
        "12",
        "2026-11-19 00:00:00",
        "2026-11-21 10:00:00",
        "192.0.2.1",
    ]);

    let json = |options: &[&str]| {
        let options = [options, &["--format", "json"]].concat();
        run(&daemon, &options).success().json()
    };
    let all = json(&[]);
    assert_eq!(
        (&all["refused"], &all["groups_omitted"]),
        (&3.into(), &0.into())
    );
    assert_eq!(
        (&all["groups"][0]["count"], &all["groups"][1]["refusal"]),
        (&2.into(), &"role".into())
    );
    assert_eq!(all["tokens"][0]["uses"], 12);
    assert_eq!(json(&["--limit", "1"])["groups_omitted"], 1);
    assert_eq!(json(&["--address", "192.0.2.7"])["refused"], 2);
    assert_eq!(json(&["--refusal", "role"])["refused"], 1);
    let day = json(&["--since", "2026-11-21", "--until", "2026-11-21T09:00:00Z"]);
    assert_eq!(day["refused"], 1);

    let page = daemon.data_dir().join("access.html");
    let out = page.to_str().unwrap();
    run(&daemon, &["--format", "html", "--out", out]).success();
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(
        page.contains(">wrong_token</td>") && page.contains(">192.0.2.7</td>"),
        "{page}"
    );

    // The daemon goes on, and deletes refusals as it does rows.
    daemon.client().extract(&photos::astronaut(), "").ok();
    let data = daemon.data_dir();
    let prune = [
        "--data-dir",
        data.to_str().unwrap(),
        "prune",
        "--older-than",
        "0m",
    ];
    let told = Admin::run(prune.iter().chain(&["--dry-run", "--json"]))
        .success()
        .json();
    assert_eq!(told["refusals_deleted"], 3);
    let told = Admin::run(prune).success().stdout;
    assert!(told.contains("3 refused requests deleted"), "{told}");
    assert_eq!(json(&[])["refused"], 0);
}

#[test]
fn what_cannot_be_shown_is_said() {
    let daemon = Daemon::start();
    let wrong = run(&daemon, &["--refusal", "mood"]).expect_code(2);
    assert!(wrong.stderr.contains("wrong_token"), "{}", wrong.stderr);
    let wrong = run(&daemon, &["--address", "gate-3"]).expect_code(2);
    assert!(wrong.stderr.contains("--address"), "{}", wrong.stderr);
    let wrong = run(&daemon, &["--since", "1d", "--until", "2d"]).expect_code(2);
    assert!(
        wrong.stderr.contains("is not before --until"),
        "{}",
        wrong.stderr
    );
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("faceood.db");
    let missing = Admin::run(["--db", missing.to_str().unwrap(), "access"]).expect_code(1);
    assert!(
        missing.stderr.contains("there is no database"),
        "{}",
        missing.stderr
    );
}
