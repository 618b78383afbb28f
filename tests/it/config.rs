//! Settings, from the outside: what the daemon says of them, what it refuses, and what a reload
//! changes.

use std::fs;
use std::net::TcpListener;
use std::process::Output;

use rustix::process::Signal;

use crate::support::daemon::Home;
use crate::support::{Daemon, program, wait_for};

/// The ended run of a daemon that does not serve.
fn run(home: &Home, arguments: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = home.command().args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn each_value_is_printed_with_where_it_came_from() {
    let home = Home::new()
        .config("[log]\n\ndurability = \"full\"\n")
        .env("FACEOOD_CAPTURE__MAX_BYTES", "5_000_000");
    let (code, stdout, stderr) = run(&home, &["--print-config"]);
    assert_eq!(code, 0, "{stderr}");
    let line = |key: &str| {
        let start = format!("{key} = ");
        let found = stdout.lines().find(|line| line.starts_with(&start));
        found
            .unwrap_or_else(|| panic!("{key} is not in:\n{stdout}"))
            .to_owned()
    };
    assert!(
        line("listen").contains("\"127.0.0.1:0\"") && line("listen").ends_with("# flag --listen")
    );
    let durability = line("log.durability");
    assert!(
        durability.contains("\"full\"") && durability.ends_with("config.toml, line 3"),
        "{durability}"
    );
    let bytes = line("capture.max_bytes");
    assert!(
        bytes.contains(" 5000000 ") && bytes.ends_with("# environment FACEOOD_CAPTURE__MAX_BYTES"),
        "{bytes}"
    );
    assert!(line("log.on_failure").ends_with("# default"));
    assert!(line("policies.enroll.min_face_px").contains(" 112 "));
}

#[test]
fn every_mistake_is_named_at_once_and_no_restart_is_worth_a_try() {
    let home = Home::new()
        .config("[log]\ndurabilty = \"full\"\n[capture]\nmax_bytes = -1\n")
        .env("FACEOOD_LISTN", "127.0.0.1:1");
    let (code, stdout, stderr) = run(&home, &[]);
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    for part in [
        "unknown key `log.durabilty`",
        "config.toml, line 2",
        "did you mean `log.durability`?",
        "`capture.max_bytes` is -1",
        "line 4",
        "unknown environment variable FACEOOD_LISTN",
        "did you mean `FACEOOD_LISTEN`?",
    ] {
        assert!(stderr.contains(part), "{part:?} is not in:\n{stderr}");
    }
    assert!(
        !home.data_dir().exists(),
        "nothing is touched before the settings are right"
    );
    assert_eq!(run(&home, &["--check"]).0, 1);
}

#[test]
fn a_check_passes_or_names_what_is_missing() {
    let home = Home::new();
    let (code, stdout, stderr) = run(&home, &["--check"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.contains("faceood-default") && stdout.contains(" runs on "),
        "{stdout}"
    );
    assert!(!home.data_dir().exists(), "a check leaves no trace");

    let home = Home::new().config("pack = \"gone\"\n");
    let (code, _, stderr) = run(&home, &["--check"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("models/gone"), "{stderr}");

    let home = Home::new();
    let tokens = home.config_file().with_file_name("tokens.toml");
    fs::write(tokens, "[[token]]\n").unwrap();
    let (code, _, stderr) = run(&home, &["--check"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("is no file of tokens"), "{stderr}");
}

#[test]
fn a_port_that_is_taken_is_named_and_no_other_is_tried() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // The later of two flags would be refused by clap, so by the environment in a home without the
    // flag.
    let home = Home::new();
    let mut command = crate::support::admin::clean(&program("faceoodd"));
    command
        .arg("--config")
        .arg(home.config_file())
        .arg("--data-dir")
        .arg(home.data_dir())
        .env("FACEOOD_LISTEN", &address);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&address), "{stderr}");
    assert_eq!(stderr.matches("--listen").count(), 1, "{stderr}");
    assert!(!home.data_dir().join("address").exists());
}

#[test]
fn one_line_tells_the_address() {
    let daemon = Daemon::start();
    let address = daemon.address().to_string();
    let output = daemon.output();
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| line.contains(&address))
        .collect();
    assert_eq!(lines.len(), 1, "{output}");
    assert!(
        lines[0].contains(&format!("listening on http://{address}")),
        "{output}"
    );
}

#[test]
fn a_reload_changes_policies_and_a_mistake_keeps_the_old_ones() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let accept = || {
        client.get("/v1/info").ok()["policies"]["access"]["accept"]
            .as_f64()
            .unwrap()
    };
    let is_near = |value: f64, wanted: f64| (value - wanted).abs() < 1e-6;
    assert!(is_near(accept(), 0.6));

    daemon.home().write_config(
        "pack = \"other\"\n[policies.access]\naccept = 0.75\n[policies.night]\naccept = 0.9\nreview = 0.8\n",
    );
    daemon.signal(Signal::HUP);
    wait_for("the new cut", || is_near(accept(), 0.75).then_some(()));
    assert!(client.get("/v1/info").ok()["policies"]["night"].is_object());
    // Lines are written by a thread of their own, a moment later.
    wait_for("the key that waits for a restart", || {
        let output = daemon.output();
        let mut lines = output
            .lines()
            .filter(|line| line.contains("only a restart"));
        lines
            .any(|line| line.contains("keys=\"pack\""))
            .then_some(())
    });

    daemon
        .home()
        .write_config("[policies.access]\naccept = 0.1\nreview = 0.9\n");
    daemon.signal(Signal::HUP);
    wait_for("the refusal in the log", || {
        daemon
            .output()
            .contains("the old policies stay in force")
            .then_some(())
    });
    assert!(is_near(accept(), 0.75));
    let output = daemon.output();
    assert!(
        output.contains("policies.access.review") && output.contains("line 3"),
        "{output}"
    );
}

#[test]
fn text_logs_are_json_lines_without_pixels_or_embeddings() {
    let daemon = Daemon::start();
    let answer = daemon
        .client()
        .extract(&crate::support::photos::astronaut(), "?source=gate-3")
        .ok();
    let (status, home) = daemon.stop();
    assert!(status.success());
    let logs = home.data_dir().join("logs");
    let files: Vec<_> = std::fs::read_dir(logs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let mut requests = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            if line["request_id"] == answer["request_id"] {
                assert!(line.to_string().len() < 1000, "{line}");
                requests.push(line);
            }
        }
    }
    assert_eq!(requests.len(), 1, "one line a request: {requests:?}");
    let line = &requests[0];
    assert_eq!(line["source"], "gate-3");
    assert_eq!(line["action"], answer["faces"][0]["decision"]["action"]);
    let decimals = |name: &str| {
        assert!(line[name].is_number(), "{line}");
        let text = line[name].to_string();
        text.split_once('.')
            .map_or(0, |(_, decimals)| decimals.len())
    };
    assert!(decimals("score") <= 4 && decimals("ms") <= 1, "{line}");
}
