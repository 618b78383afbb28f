//! `extract` and `compare` without a daemon: the same pipeline, hence the same answers as over
//! REST.

use std::fs;

use serde_json::Value;

use crate::support::{Admin, Daemon, photos};

/// The answer without what differs from one request to the next.
fn lasting(mut answer: Value) -> Value {
    for key in ["request_id", "timings_ms", "file"] {
        answer.as_object_mut().unwrap().remove(key);
    }
    answer
}

#[test]
fn pictures_are_answered_as_over_rest() {
    let folder = tempfile::TempDir::new().unwrap();
    let (clear, noisy) = (
        folder.path().join("clear.jpg"),
        folder.path().join("noisy.jpg"),
    );
    fs::write(&clear, photos::astronaut()).unwrap();
    let picture = photos::noisy(&photos::pixels(&photos::astronaut()), 40.0, 1);
    fs::write(&noisy, photos::jpeg(&picture, 90)).unwrap();
    let daemon = Daemon::start();
    let client = daemon.client();
    // There lies what the daemon measured: both shall run the models alike.
    let data_dir = daemon.data_dir();
    let data_dir = data_dir.to_str().unwrap();

    let by_rest = client
        .extract(&fs::read(&clear).unwrap(), "?scenario=enroll&faces=all")
        .ok();
    let by_command = Admin::run([
        "--data-dir",
        data_dir,
        "extract",
        "--json",
        "--scenario",
        "enroll",
        "--faces",
        "all",
        clear.to_str().unwrap(),
    ])
    .success()
    .json();
    assert_eq!(by_command["file"], clear.to_str().unwrap());
    assert_eq!(lasting(by_command), lasting(by_rest));

    let by_rest = client
        .compare(&fs::read(&noisy).unwrap(), &fs::read(&clear).unwrap(), "")
        .ok();
    let by_command = Admin::run([
        "--data-dir",
        data_dir,
        "compare",
        "--json",
        noisy.to_str().unwrap(),
        clear.to_str().unwrap(),
    ])
    .success()
    .json();
    assert_eq!(lasting(by_command), lasting(by_rest));
}

#[test]
fn the_table_has_a_row_for_each_picture_and_failures_are_told() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let face = file("face.png", &photos::astronaut());
    let empty = file(
        "empty.jpg",
        &photos::jpeg(&photos::without_face(320, 240, 3), 90),
    );
    let text = file("text.jpg", b"not a picture");

    let run =
        Admin::run(["extract", "--no-embedding", "--json", &face, &empty, &text]).expect_code(1);
    let lines: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines[0]["faces"][0]["quality"]["score"].is_number());
    assert!(lines[0]["faces"][0].get("embedding").is_none());
    assert_eq!(lines[1]["type"], "urn:faceood:problem:no_face");
    assert_eq!(
        (&lines[2]["status"], lines[2]["file"].as_str()),
        (&415.into(), Some(text.as_str()))
    );

    let run = Admin::run(["extract", &face, &empty]).expect_code(1);
    assert!(
        run.stdout.lines().nth(1).unwrap().starts_with(&face),
        "{}",
        run.stdout
    );
    assert!(
        run.stderr.contains(&empty) && run.stderr.contains("no face"),
        "{}",
        run.stderr
    );

    let run = Admin::run(["compare", "--json", &face, &empty]).expect_code(1);
    assert_eq!(
        (&run.json()["part"], &run.json()["status"]),
        (&"reference".into(), &422.into())
    );
}

#[test]
fn an_unknown_scenario_and_a_missing_file_are_named() {
    let run = Admin::run(["extract", "--scenario", "garage", "x.jpg"]).expect_code(1);
    assert!(
        run.stderr.contains("\"garage\"") && run.stderr.contains("access, alarm"),
        "{}",
        run.stderr
    );
    let run = Admin::run(["extract", "no/such/file.jpg"]).expect_code(1);
    assert!(run.stderr.contains("no/such/file.jpg"), "{}", run.stderr);
    Admin::run(["extract"]).expect_code(2);
}
