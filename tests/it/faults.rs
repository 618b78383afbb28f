//! What breaks under a daemon that runs: a network that computes nonsense, a locked database, a
//! full disk. It says so, gives no answer that it cannot stand by, and goes on when the fault is
//! gone.

use std::fs;

use faceood_engine::pack::network::graph::{Node, Tensor};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::support::PackCopy;
use crate::support::daemon::Home;
use crate::support::database::Outsider;
use crate::support::{Client, Daemon, photos, wait_for};

/// Mean level of an aligned face below which the altered embedder gives NaN: between the photo's
/// (about 115) and that of its copy at a fifth of the light.
const TOO_DARK: f32 = 60.0;

/// The default pack, but its embedding is NaN for dark faces: everything that looks at it before it
/// serves finds it sound.
fn pack_that_fails_in_the_dark() -> PackCopy {
    let pack = PackCopy::new();
    pack.edit_graph("embedder", |graph| {
        let face = graph.input[0].name().to_owned();
        let outputs = graph.node.iter_mut().flat_map(|node| &mut node.output);
        for output in outputs.filter(|output| *output == "embedding") {
            "sound_embedding".clone_into(output);
        }
        graph.initializer.extend([
            Tensor::floats("third", &[3, 1], &[1.0 / 3.0; 3]),
            Tensor::floats("too_dark", &[1], &[TOO_DARK]),
            // Not 0: a graph optimiser may take a product with 0 for 0.
            Tensor::floats("hardly", &[1], &[1e-20]),
        ]);
        graph.node.extend([
            Node::new("GlobalAveragePool", &[&face], "light_planes"),
            Node::new("Flatten", &["light_planes"], "light_channels"),
            Node::new("MatMul", &["light_channels", "third"], "light"),
            Node::new("Sub", &["light", "too_dark"], "light_left"),
            Node::new("Sqrt", &["light_left"], "nan_in_the_dark"),
            Node::new("Mul", &["nan_in_the_dark", "hardly"], "nothing_or_nan"),
            Node::new("Add", &["sound_embedding", "nothing_or_nan"], "embedding"),
        ]);
    });
    pack
}

#[test]
fn a_network_that_gives_nan_is_an_internal_error_of_that_picture_alone() {
    let pack = pack_that_fails_in_the_dark();
    let daemon = Home::new().models_dir(pack.models_dir()).start();
    let client = daemon.client();
    let bright = photos::astronaut();
    let dark = photos::jpeg(&photos::lit(&photos::pixels(&bright), 0.2), 95);
    let sound = client.extract(&bright, "").ok();
    for _ in 0..2 {
        let answer = client.extract(&dark, "?source=cellar");
        let id = answer.header("x-request-id").unwrap().to_owned();
        let problem = answer.problem(500, "internal");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("request id"), "{detail}");
        assert!(
            !detail.contains("embedding") && !detail.contains('/'),
            "{detail}"
        );
        let row = &client.get("/v1/inferences?source=cellar").ok()["inferences"][0];
        assert_eq!(
            (&row["request_id"], &row["error_code"]),
            (&id.into(), &"internal".into())
        );

        let again = client.extract(&bright, "").ok();
        assert_eq!(again["faces"], sound["faces"]);
        assert_eq!(client.get("/readyz").status, 200);
    }
    wait_for("the reason in the text log", || {
        daemon.output().contains("\"embedding\"").then_some(())
    });
}

/// Asks until `count` answers are acknowledged, and gives their ids.
fn acknowledged(client: &Client, count: usize) -> Vec<String> {
    let photo = photos::astronaut();
    let answers = (0..count).map(|_| client.quality(&photo, "").ok());
    let id = |answer: serde_json::Value| answer["request_id"].as_str().unwrap().to_owned();
    answers.map(id).collect()
}

#[test]
fn a_locked_log_refuses_with_the_way_out_and_loses_nothing() {
    let daemon = Daemon::with_config("[log]\nbusy_timeout_ms = 20\n");
    let client = daemon.client();
    let mut ids = acknowledged(&client, 3);
    let mut outsider = Outsider::open(&daemon.database());
    let photo = photos::astronaut();
    let refused = outsider.while_locked(|| {
        let answers = [
            client.quality(&photo, ""),
            client.extract(&photo, ""),
            client.compare(&photo, &photo, ""),
        ];
        let refused = answers.map(|answer| {
            assert!(answer.header("retry-after").is_some());
            let problem = answer.problem(503, "not_ready");
            let detail = problem["detail"].as_str().unwrap();
            assert!(
                detail.contains("locked") && detail.contains("end it"),
                "{detail}"
            );
            problem["request_id"].as_str().unwrap().to_owned()
        });
        let problem = client.get("/readyz").problem(503, "not_ready");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("locked") && detail.contains("since"),
            "{detail}"
        );
        assert_eq!(client.get("/healthz").status, 200);
        refused
    });
    wait_for("readiness after the lock is gone", || {
        (client.get("/readyz").status == 200).then_some(())
    });
    ids.extend(acknowledged(&client, 2));
    let (status, _home) = daemon.stop();
    assert!(status.success());
    let rows: Vec<String> = outsider.rows().into_iter().map(|(id, _)| id).collect();
    assert_eq!(rows, ids);
    assert!(refused.iter().all(|id| !rows.contains(id)), "{refused:?}");
}

#[test]
fn a_log_that_may_be_passed_over_is_and_what_is_lost_is_counted() {
    let daemon = Daemon::with_config("[log]\nbusy_timeout_ms = 20\non_failure = \"continue\"\n");
    let client = daemon.client();
    let lost = || -> f64 {
        let metrics = client.get("/metrics").text();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("faceood_log_rows_lost_total "));
        line.map_or(0.0, |number| number.trim().parse().unwrap())
    };
    let mut kept = acknowledged(&client, 2);
    assert_eq!(lost(), 0.0);
    let mut outsider = Outsider::open(&daemon.database());
    let photo = photos::astronaut();
    outsider.while_locked(|| {
        acknowledged(&client, 3);
        // A comparison has two rows.
        client.compare(&photo, &photo, "").ok();
        assert_eq!(lost(), 5.0);
        client.get("/readyz").problem(503, "not_ready");
    });
    wait_for("readiness after the lock is gone", || {
        (client.get("/readyz").status == 200).then_some(())
    });
    kept.extend(acknowledged(&client, 2));
    assert_eq!(lost(), 5.0);
    let rows: Vec<String> = outsider.rows().into_iter().map(|(id, _)| id).collect();
    assert_eq!(rows, kept);
}

/// Small, yet the write-ahead log never grows so far that it is folded in.
const DISK_BYTES: u64 = 3 << 20;

/// What other files leave to the log: a few requests' worth.
const ROOM_BYTES: u64 = 256 << 10;

#[test]
fn a_full_disk_refuses_until_space_is_freed_and_keeps_what_was_acknowledged() {
    let Some(home) = Home::new().disk(DISK_BYTES) else {
        eprintln!(
            "skipped: nothing can be mounted here (unshare --map-root-user --mount), so no disk can be filled"
        );
        return;
    };
    let daemon = home.start();
    let client = daemon.client();
    let folder = daemon.seen_data_dir();
    let facts = rustix::fs::statvfs(&folder).unwrap();
    let free = facts.f_bavail * facts.f_frsize;
    assert!(
        (ROOM_BYTES..DISK_BYTES).contains(&free),
        "{free} bytes are free"
    );
    let ballast = folder.join("ballast");
    fs::write(&ballast, vec![0; (free - ROOM_BYTES) as usize]).unwrap();

    let photo = photos::astronaut();
    let mut ids = Vec::new();
    let problem = loop {
        let answer = client.quality(&photo, "");
        if answer.status != 200 {
            break answer.problem(503, "not_ready");
        }
        ids.push(answer.json()["request_id"].as_str().unwrap().to_owned());
        assert!(ids.len() < 1000, "the disk does not get full");
    };
    assert!(!ids.is_empty(), "not one row found room");
    for problem in [problem, client.get("/readyz").problem(503, "not_ready")] {
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("full") && detail.contains("free some space"),
            "{detail}"
        );
    }
    client.extract(&photo, "").problem(503, "not_ready");
    assert_eq!(client.get("/healthz").status, 200);
    // What is there can be read all the while.
    let newest = &client.get("/v1/inferences?limit=1").ok()["inferences"][0];
    assert_eq!(
        newest["request_id"].as_str(),
        ids.last().map(String::as_str)
    );

    fs::remove_file(&ballast).unwrap();
    wait_for("readiness after space was freed", || {
        (client.get("/readyz").status == 200).then_some(())
    });
    ids.extend(acknowledged(&client, 3));

    // The disk ends with the daemon, so what a crash would leave behind is looked at.
    let left = tempfile::TempDir::new().unwrap();
    for file in ["faceood.db", "faceood.db-wal"] {
        fs::copy(folder.join(file), left.path().join(file)).unwrap();
    }
    let rows = Outsider::open(&left.path().join("faceood.db")).rows();
    let rows: Vec<String> = rows.into_iter().map(|(id, _)| id).collect();
    assert_eq!(rows, ids);
}

#[test]
fn a_database_that_is_deleted_while_it_is_used_loses_no_acknowledged_row() {
    let daemon = Daemon::start();
    let client = daemon.client();
    acknowledged(&client, 2);
    fs::remove_file(daemon.database()).unwrap();
    let ids = acknowledged(&client, 2);
    let ready = client.get("/readyz").ok();
    let warning = ready["warnings"][0].as_str().unwrap();
    assert!(warning.contains("deleted or replaced"), "{ready}");
    let metrics = client.get("/metrics").text();
    assert!(
        metrics.contains("\nfaceood_log_reopened_total 1"),
        "{metrics}"
    );
    let rows = Outsider::open(&daemon.database()).rows();
    let rows: Vec<String> = rows.into_iter().map(|(id, _)| id).collect();
    assert_eq!(rows, ids);
    assert!(daemon.output().contains("deleted or replaced"));
}

#[test]
fn exhausted_file_descriptors_are_told_as_such() {
    let daemon = Daemon::start();
    let client = daemon.client();
    acknowledged(&client, 1);
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    let before = getrlimit(Resource::Nofile);
    // No number is left for a new file; those that are open stay.
    let none = Rlimit {
        current: Some(3),
        ..before
    };
    prlimit(pid, Resource::Nofile, none).unwrap();
    // So that the log has to be opened anew.
    fs::remove_file(daemon.database()).unwrap();
    let problem = client
        .quality(&photos::astronaut(), "")
        .problem(503, "not_ready");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("too many are open"), "{detail}");
    prlimit(pid, Resource::Nofile, before).unwrap();
    wait_for("readiness with descriptors", || {
        (client.get("/readyz").status == 200).then_some(())
    });
    acknowledged(&client, 1);
    assert!(daemon.output().contains("too many are open"));
}
