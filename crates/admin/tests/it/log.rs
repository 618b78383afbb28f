//! What the operator does with the log beside a live daemon: explain, export, back up, prune.

use std::io::Read;
use std::process::Stdio;

use crate::support::{Admin, Daemon, admin, photos, program, repository};

/// A daemon that has answered: two extractions, a comparison, a refusal.
fn busy_daemon() -> Daemon {
    let daemon = Daemon::start();
    let client = daemon.client();
    let photo = photos::astronaut();
    client.extract(&photo, "?source=gate-1").ok();
    client.extract(&photo, "?source=gate-2").ok();
    client.compare(&photo, &photo, "?source=gate-2").ok();
    client
        .extract(b"no picture", "?source=gate-2")
        .problem(415, "unsupported_media_type");
    daemon
}

fn run(daemon: &Daemon, arguments: &[&str]) -> Admin {
    let data = daemon.data_dir();
    let mut all = vec!["--data-dir", data.to_str().unwrap()];
    all.extend(arguments);
    Admin::run(all)
}

/// The shell's limit on the size of files stands for a full disk: a write fails half-way.
fn no_cut_file_is_left_where_the_disk_is_full(daemon: &Daemon) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("log.csv");
    let mut command = admin::clean("sh");
    let script = r#"trap "" XFSZ; ulimit -f 1; exec "$@""#;
    command.args(["-c", script, "sh", &program("faceood-admin"), "--db"]);
    command.arg(daemon.data_dir().join("faceood.db"));
    command
        .args(["export", "--format", "csv", "--out"])
        .arg(&out);
    let failed = Admin::finish(command).expect_code(1);
    assert!(failed.stderr.contains("too large"), "{}", failed.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_decision_is_explained_from_the_log() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let small = photos::resized(&photos::pixels(&photos::astronaut()), 180, 180);
    let answer = client
        .compare(&photos::jpeg(&small, 95), &photos::astronaut(), "")
        .ok();
    let id = answer["request_id"].as_str().unwrap();
    assert_eq!(
        answer["probe"]["decision"]["reasons"],
        serde_json::json!(["face_too_small"]),
        "{answer}"
    );

    let explained = run(&daemon, &["explain", id, "--json"]).success().json();
    assert_eq!(explained["comparison"]["verdict"], answer["verdict"]);
    assert_eq!(explained["samples"][0]["role"], "probe");
    assert_eq!(
        explained["samples"][0]["score"],
        answer["probe"]["quality"]["score"]
    );
    let text = run(&daemon, &["explain", id]).success().stdout;
    for part in [
        "verdict: untrusted",
        "rejects the probe",
        "min_face_px (48 px",
        "What to do: bring camera and people nearer",
        "reference: accept",
        "sharpness",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }

    let refused = client.extract(b"no picture", "");
    let id = refused.header("x-request-id").unwrap().to_owned();
    let text = run(&daemon, &["explain", &id]).success().stdout;
    assert!(
        text.contains("Failed with unsupported_media_type (415)"),
        "{text}"
    );

    let run = run(&daemon, &["explain", "nobody"]).expect_code(1);
    assert!(
        run.stderr.contains("\"nobody\"")
            && run.stderr.contains("X-Request-Id")
            && run.stdout.is_empty(),
        "{}",
        run.stderr
    );
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_deleted() {
    let daemon = busy_daemon();
    let prune = ["prune", "--older-than", "0d", "--include-doubtful"];
    let nowhere = daemon.data_dir().join("none/report.txt");
    let out = ["--out", nowhere.to_str().unwrap()];
    let refused = run(&daemon, &[&prune[..], &out[..]].concat()).expect_code(1);
    assert!(
        refused.stderr.contains("none/report.txt"),
        "{}",
        refused.stderr
    );
    let refused = run(&daemon, &[&prune[..], &["--out", "-"]].concat()).expect_code(2);
    assert!(
        refused.stderr.contains("standard output"),
        "{}",
        refused.stderr
    );
    let rows = run(&daemon, &["export", "--format", "jsonl"]).success();
    assert_eq!(rows.stdout.lines().count(), 5);
    let nowhere = daemon.data_dir().join("none/copy.db");
    let refused = run(&daemon, &["backup", nowhere.to_str().unwrap()]).expect_code(1);
    assert!(
        refused.stderr.contains("there is no folder"),
        "{}",
        refused.stderr
    );
}

#[test]
fn the_log_is_exported_in_three_kinds() {
    let daemon = busy_daemon();
    let csv = run(&daemon, &["export", "--format", "csv"]).success();
    assert_eq!(csv.stdout.lines().count(), 1 + 5, "{}", csv.stdout);
    assert!(csv.stderr.contains("5 rows exported"), "{}", csv.stderr);
    let head = csv.stdout.lines().next().unwrap();
    assert!(
        head.starts_with("id,time,request_id") && head.contains(",sharpness,"),
        "{head}"
    );

    let jsonl = run(
        &daemon,
        &[
            "export", "--format", "jsonl", "--source", "gate-2", "--since", "1h",
        ],
    )
    .success();
    let rows: Vec<serde_json::Value> = jsonl
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row["source"] == "gate-2"));
    assert!(
        rows.windows(2)
            .all(|pair| pair[0]["time"].as_str() <= pair[1]["time"].as_str())
    );

    let turned = ["--since", "1h", "--until", "2h"];
    let export = ["export", "--format", "csv"];
    let told = run(&daemon, &[&export[..], &turned[..]].concat()).expect_code(2);
    assert!(
        told.stderr.contains("is not before --until"),
        "{}",
        told.stderr
    );

    let file = daemon.data_dir().join("log.parquet");
    let out = file.to_str().unwrap();
    run(&daemon, &["export", "--format", "parquet", "--out", out]).success();
    assert!(std::fs::read(&file).unwrap().starts_with(b"PAR1"));
    let again = run(&daemon, &["export", "--format", "parquet", "--out", out]).expect_code(1);
    assert!(
        again.stderr.contains("nothing is overwritten"),
        "{}",
        again.stderr
    );

    no_cut_file_is_left_where_the_disk_is_full(&daemon);

    let wrong = run(
        &daemon,
        &["export", "--format", "csv", "--since", "yesterday"],
    )
    .expect_code(2);
    assert!(
        wrong.stderr.contains("\"yesterday\"") && wrong.stderr.contains("7d"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let daemon = busy_daemon();
    let mut child = admin::command()
        .args([
            "--data-dir",
            daemon.data_dir().to_str().unwrap(),
            "export",
            "--format",
            "jsonl",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before anything can be written to it.
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(
        !stderr.contains("error") && !stderr.contains("panicked"),
        "{stderr}"
    );
}

#[test]
fn a_backup_is_a_whole_database_and_the_daemon_goes_on() {
    let daemon = busy_daemon();
    let copy = daemon.data_dir().join("copy.db");
    let copy = copy.to_str().unwrap();
    run(&daemon, &["backup", copy]).success();
    daemon.client().extract(&photos::astronaut(), "").ok();

    let rows = |arguments: &[&str]| Admin::run(arguments).success().stdout.lines().count();
    assert_eq!(rows(&["--db", copy, "export", "--format", "jsonl"]), 5);
    assert_eq!(
        rows(&[
            "--db",
            daemon.database().to_str().unwrap(),
            "export",
            "--format",
            "jsonl"
        ]),
        6
    );
    let again = run(&daemon, &["backup", copy]).expect_code(1);
    assert!(again.stderr.contains("exists"), "{}", again.stderr);
}

#[test]
fn what_tells_of_faces_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let daemon = busy_daemon();
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["backup"][..],
        &["export", "--format", "csv", "--out"],
        &["analyze-logs", "--out"],
    ] {
        let file = folder.path().join(arguments[0]);
        let mut command = admin::clean("sh");
        let script = r#"umask 022; exec "$@""#;
        command.args(["-c", script, "sh", &program("faceood-admin"), "--db"]);
        command.arg(daemon.database()).args(arguments).arg(&file);
        Admin::finish(command).success();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{arguments:?}");
    }
}

#[test]
fn pruning_says_first_and_then_does() {
    let daemon = busy_daemon();
    let rows = || {
        run(&daemon, &["export", "--format", "jsonl"])
            .success()
            .stdout
            .lines()
            .count()
    };
    let told = run(
        &daemon,
        &[
            "prune",
            "--older-than",
            "0m",
            "--include-doubtful",
            "--dry-run",
            "--json",
        ],
    )
    .success()
    .json();
    assert_eq!(
        (&told["rows_deleted"], &told["is_dry_run"]),
        (&5.into(), &true.into())
    );
    assert_eq!(rows(), 5);
    let kept = run(&daemon, &["prune", "--older-than", "1d", "--json"])
        .success()
        .json();
    assert_eq!(kept["rows_deleted"], 0);
    let done = run(
        &daemon,
        &[
            "prune",
            "--older-than",
            "0m",
            "--include-doubtful",
            "--json",
        ],
    )
    .success()
    .json();
    assert_eq!(
        (&done["rows_before"], &done["rows_deleted"]),
        (&5.into(), &5.into())
    );
    assert_eq!(rows(), 0);
    daemon.client().extract(&photos::astronaut(), "").ok();
    assert_eq!(rows(), 1);
}

#[test]
fn a_missing_database_is_told_from_an_empty_one() {
    let folder = tempfile::TempDir::new().unwrap();
    let run = Admin::run([
        "--data-dir",
        folder.path().to_str().unwrap(),
        "export",
        "--format",
        "csv",
    ])
    .expect_code(1);
    assert!(
        run.stderr.contains("faceood.db") && run.stderr.contains("--data-dir"),
        "{}",
        run.stderr
    );
    // Looking must not make it.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(repository().join("Cargo.toml").is_file());
}
