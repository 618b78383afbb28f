//! Calibrating on site: from answers and feedback, or from photos, to scores under another
//! calibration.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::database::Outsider;
use crate::support::{Admin, Daemon, PostgresServer, admin, photos, wait_for};

/// Enough outcomes to learn from.
const PLANTED: u32 = 700;

fn calibrate(daemon: &Daemon, arguments: &[&str]) -> Admin {
    let (config, data) = (daemon.home().config_file(), daemon.data_dir());
    let mut all = vec!["--config", config.to_str().unwrap()];
    all.extend(["--data-dir", data.to_str().unwrap(), "calibrate"]);
    all.extend(arguments);
    Admin::run(all)
}

fn tell(daemon: &Daemon, request_id: &str, outcome: &str) {
    let body = json!({ "request_id": request_id, "outcome": outcome });
    daemon.client().post_json("/v1/feedback", &body).ok();
}

#[test]
fn feedback_becomes_a_calibration_that_judges_the_next_picture() {
    let daemon = Daemon::with_config("node = \"gate-3\"\n");
    let client = daemon.client();
    let photo = photos::astronaut();
    let before = client.extract(&photo, "").ok();
    let compared = client.compare(&photo, &photo, "?source=gate-1").ok();
    let request_id = compared["request_id"].as_str().unwrap();
    tell(&daemon, request_id, "genuine");

    let file = daemon.data_dir().join("site.json");
    let out = file.to_str().unwrap();
    let few = calibrate(&daemon, &["--from-log", "--out", out]).expect_code(1);
    assert!(
        few.stderr.contains("1 of at least 500, 499 are missing"),
        "{}",
        few.stderr
    );
    assert!(!file.exists());

    // A site whose people reach .15 less than the pack expects at every signal, and now and then a
    // useless picture.
    Outsider::open(&daemon.database()).copy_row(
        request_id,
        PLANTED,
        &[
            ("ood_logit", "0.3 + 0.6 * (i * 7919 % 700) / 700"),
            (
                "similarity",
                "0.15 + 0.6 * (i * 7919 % 700) / 700 + 0.04 * (i % 2) - 0.02",
            ),
        ],
    );
    for index in 0..PLANTED {
        let outcome = match index % 25 {
            0 => "impostor",
            1 => "unusable",
            _ => "genuine",
        };
        tell(&daemon, &format!("copy-{index}"), outcome);
    }

    let report = calibrate(&daemon, &["--from-log", "--out", out, "--json"])
        .success()
        .json();
    let info = client.get("/v1/info").ok();
    assert_eq!(report["before"], info["calibration_id"]);
    let counts = &report["counts"];
    assert_eq!(
        (
            &counts["outcomes"],
            &counts["left_out_impostor"],
            &counts["captures"]
        ),
        (&json!(701), &json!(28), &json!(673)),
        "{counts}"
    );
    let error = |when: &str| report["ece"]["similarity"][when]["value"].as_f64().unwrap();
    assert!((error("before") - 0.15).abs() < 0.05, "{report}");
    assert!(error("after") < 0.03, "{report}");
    let change = &report["ece"]["similarity"]["change"]["interval"];
    assert!(change[1].as_f64().unwrap() < 0.0, "{report}");

    daemon
        .home()
        .write_config("calibration_file = \"site.json\"\n");
    daemon.signal(Signal::HUP);
    wait_for("the new calibration", || {
        let info = client.get("/v1/info").ok();
        (info["calibration_id"] == report["after"]).then_some(())
    });
    let after = client.extract(&photo, "").ok();
    let rows = client.get("/v1/inferences?limit=1").ok();
    let row = &rows["inferences"][0];
    assert_eq!(row["request_id"], after["request_id"]);
    assert_eq!(row["calibration_id"], report["after"]);
    let score = |answer: &Value| answer["faces"][0]["quality"]["score"].as_f64().unwrap();
    assert!(score(&after) < score(&before) - 0.05, "{after}");

    // What is in force is judged now; without --out nothing is written.
    let text = fs::read_to_string(&file).unwrap();
    let again = calibrate(&daemon, &["--from-log"]).success().stdout;
    for part in [
        "nothing is written",
        "no reason to put",
        "left out impostor",
    ] {
        assert!(again.contains(part), "{part:?} is not in:\n{again}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    // The same from the centre of a fleet, when the rows are there.
    let server = PostgresServer::start();
    let owner = server.owner_url();
    Admin::run(["fleet", "migrate", "--db", &owner]).success();
    Admin::run(["fleet", "enrol", "gate-3", "--db", &owner]).success();
    let files = server.certificate("gate-3");
    let mut ship = admin::command();
    ship.arg("--db").arg(daemon.database());
    ship.args(["ship", "--to", &server.url()]);
    for (option, file) in [
        ("--ca", files.ca),
        ("--certificate", files.certificate),
        ("--key", files.key),
    ] {
        ship.arg(option).arg(file);
    }
    Admin::finish(ship).success();
    let of_all = ["--db", &owner, "calibrate", "--from-log", "--json"];
    let fleet = Admin::run(of_all).success().json();
    assert_eq!(fleet["counts"], report["counts"]);
    assert_eq!(fleet["after"], report["after"]);
}

#[test]
fn too_few_photos_are_refused_with_what_is_missing() {
    let folder = tempfile::TempDir::new().unwrap();
    let people = folder.path().join("people");
    let photo = photos::astronaut();
    let nobody = photos::jpeg(&photos::without_face(200, 200, 5), 90);
    for (name, bytes) in [
        ("anna/1.jpg", &photo),
        ("anna/2.jpg", &photo),
        ("ben/1.jpg", &photo),
        ("ben/2.jpg", &nobody),
        ("carl/1.jpg", &b"no picture".to_vec()),
    ] {
        let path = people.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let out = folder.path().join("site.json");
    let arguments = [people.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let run = |arguments: &[&str]| Admin::run([&["calibrate"], arguments].concat());
    let refused = run(&arguments).expect_code(1);
    for part in [
        "2 of at least 300, 298 are missing",
        "1 of at least 30, 29 are missing",
        "without a face 1",
        "unreadable 1",
        "only one of the person 1",
        "carl/1.jpg is left out",
    ] {
        let said = &refused.stderr;
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
    assert!(!out.exists());

    let empty = folder.path().join("people/anna");
    let said = run(&[empty.to_str().unwrap()]).expect_code(1).stderr;
    assert!(said.contains("PERSON/PICTURE.jpg"), "{said}");
    let cuts = run(&[arguments[0], "--carry-cuts"]).expect_code(1).stderr;
    let missing = "pairs of different people, for the cuts: 2 of at least 10000, 9998 are missing";
    assert!(cuts.contains(missing), "{cuts}");
    run(&[]).expect_code(2);
    run(&["--from-log", "--carry-cuts"]).expect_code(2);
    run(&[arguments[0], "--from-log"]).expect_code(2);
    run(&[arguments[0], "--since", "7d"]).expect_code(2);
}
