//! Calibrations made on site: put in force without a restart, refused when broken, named in every
//! row.

use std::collections::BTreeMap;
use std::fs;

use faceood_engine::policy::Thresholds;
use faceood_engine::quality::Calibration;
use faceood_engine::quality::calibration::{Observations, Provenance};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::daemon::Home;
use crate::support::{Admin, Daemon, photos, wait_for};

/// The line that asks for a calibration in the data folder.
const SETTING: &str = "calibration_file = \"site.json\"\n";

/// A calibration under which similarity rises with the signal, times `slope`.
fn calibration(slope: f64) -> Calibration {
    let signals: Vec<f64> = (0..400).map(|step| f64::from(step) / 400.0).collect();
    let observations = Observations {
        similarities: signals.iter().map(|signal| slope * signal).collect(),
        signals,
        pairs: Vec::new(),
    };
    let provenance = Provenance {
        method: "planted".to_owned(),
        date: "2026-01-01".to_owned(),
        counts: BTreeMap::new(),
    };
    Calibration::fit(&observations, provenance).unwrap()
}

fn active(daemon: &Daemon) -> String {
    let info = daemon.client().get("/v1/info").ok();
    info["calibration_id"].as_str().unwrap().to_owned()
}

/// Reloads, and waits until the text log has said so once more.
fn reload(daemon: &Daemon, said: &str) {
    let count = || daemon.output().matches(said).count();
    let before = count();
    daemon.signal(Signal::HUP);
    wait_for(said, || (count() > before).then_some(()));
}

fn explained(daemon: &Daemon, request_id: &str) -> Value {
    let (config, data) = (daemon.home().config_file(), daemon.data_dir());
    let command = [
        "--config",
        config.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
    ];
    Admin::run([&command[..], &["explain", request_id, "--json"]].concat())
        .success()
        .json()
}

/// Score and calibration of the row of a new request.
fn judged(daemon: &Daemon) -> (f64, String) {
    let answer = daemon.client().extract(&photos::astronaut(), "").ok();
    let log = daemon.client().get("/v1/inferences?limit=1").ok();
    let row = &log["inferences"][0];
    assert_eq!(row["request_id"], answer["request_id"]);
    let score = answer["faces"][0]["quality"]["score"].as_f64().unwrap();
    assert!((row["quality_score"].as_f64().unwrap() - score).abs() < 1e-6);
    (score, row["calibration_id"].as_str().unwrap().to_owned())
}

#[test]
fn a_reload_puts_a_calibration_in_force_and_a_broken_one_keeps_the_old() {
    const READ: &str = "the calibration was read again";
    const KEPT: &str = "the old one stays in force";
    let daemon = Daemon::start();
    let file = daemon.data_dir().join("site.json");
    let own = active(&daemon);
    let (score, id) = judged(&daemon);
    assert_eq!(id, own);

    // Every worker takes it up: there are more pictures than workers.
    let new = calibration(0.5);
    fs::write(&file, new.to_json().unwrap()).unwrap();
    daemon.home().write_config(SETTING);
    reload(&daemon, READ);
    assert_eq!(active(&daemon), new.id());
    for _ in 0..4 {
        let (lower, id) = judged(&daemon);
        assert_eq!(id, new.id());
        assert!(lower < score - 0.2, "{lower} after {score}");
    }
    let failed = daemon.client().extract(b"nothing", "");
    assert_eq!(failed.status, 415);
    let log = daemon.client().get("/v1/inferences?limit=1").ok();
    assert_eq!(
        log["inferences"][0]["calibration_id"],
        new.id(),
        "failures name it too"
    );

    // Cuts on the similarity that it carries are in force with it.
    let cuts = Thresholds::new(1.0, 0.875).unwrap();
    let stricter = calibration(0.9).with_thresholds(Some(cuts));
    fs::write(&file, stricter.to_json().unwrap()).unwrap();
    reload(&daemon, READ);
    let thresholds = serde_json::to_value(cuts).unwrap();
    let (client, photo) = (daemon.client(), photos::astronaut());
    assert_eq!(client.get("/v1/info").ok()["thresholds"], thresholds);
    let smaller = photos::jpeg(&photos::resized(&photos::pixels(&photo), 400, 400), 80);
    let compared = client.compare(&photo, &smaller, "?scenario=search").ok();
    assert_eq!(compared["thresholds"], thresholds);
    assert_eq!(compared["verdict"], "review", "{compared}");
    let told = explained(&daemon, compared["request_id"].as_str().unwrap());
    assert_eq!(told["comparison"]["same_from"], 1.0, "{told}");
    fs::write(&file, new.to_json().unwrap()).unwrap();
    reload(&daemon, READ);

    let text = calibration(0.9).to_json().unwrap();
    let foreign = calibration(0.9).for_embedder(&"ab".repeat(32));
    let broken = [
        (text[..text.len() / 2].to_owned(), "not valid"),
        (text.replace("planted", "edited"), "edited by hand"),
        (foreign.to_json().unwrap(), "made for the embedder abab"),
    ];
    for (broken, said) in broken {
        fs::write(&file, broken).unwrap();
        reload(&daemon, KEPT);
        let output = daemon.output();
        assert!(output.contains(said), "{said:?} is not in:\n{output}");
        assert_eq!(judged(&daemon).1, new.id());
    }
    fs::remove_file(&file).unwrap();
    reload(&daemon, KEPT);
    assert_eq!(active(&daemon), new.id());

    daemon.home().write_config("");
    reload(&daemon, READ);
    assert_eq!(judged(&daemon), (score, own));
}

#[test]
fn a_daemon_does_not_start_with_a_calibration_it_cannot_use() {
    let home = Home::new().config(SETTING);
    let output = home.command().arg("--check").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("site.json") && stderr.contains("calibrate"),
        "{stderr}"
    );

    let doctor = || {
        let (config, data) = (home.config_file(), home.data_dir());
        let folders = [
            "--config",
            config.to_str().unwrap(),
            "--data-dir",
            data.to_str().unwrap(),
        ];
        let report = Admin::run([&folders[..], &["doctor", "--json"]].concat()).json();
        let checks = report["checks"].as_array().unwrap();
        let about = |name: &str| checks.iter().find(|check| check["name"] == name);
        [about("models"), about("calibration")]
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect::<String>()
    };
    assert!(doctor().contains("empty calibration_file"), "{}", doctor());

    fs::create_dir_all(home.data_dir()).unwrap();
    let new = calibration(0.8);
    fs::write(home.data_dir().join("site.json"), new.to_json().unwrap()).unwrap();
    let output = home.command().arg("--check").output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains(new.id()), "{stdout}");
    assert!(doctor().contains(new.id()), "{}", doctor());
    assert_eq!(active(&home.start()), new.id());
}
