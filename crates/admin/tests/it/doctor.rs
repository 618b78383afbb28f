//! `doctor`, `completions` and the command line itself.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::daemon::Home;
use crate::support::database::Outsider;
use crate::support::{Admin, Daemon, models, program, repository, wait_for};

/// The check of this name.
fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    checks
        .iter()
        .find(|check| check["name"] == name)
        .unwrap_or_else(|| panic!("no check {name} in {report:#}"))
}

#[test]
fn a_running_daemon_is_found_healthy() {
    let daemon = Daemon::start();
    let run = Admin::run([
        "--data-dir",
        daemon.data_dir().to_str().unwrap(),
        "doctor",
        "--json",
    ])
    .success();
    let report = run.json();
    for name in [
        "settings",
        "library files",
        "library",
        "models",
        "memory",
        "disk",
        "data folder",
        "owner",
        "access",
        "database",
        "daemon",
    ] {
        assert_ne!(check(&report, name)["status"], "failed", "{report:#}");
    }
    assert_eq!(check(&report, "daemon")["status"], "ok");
    // Whatever the umask of who started it.
    assert_eq!(check(&report, "access")["status"], "ok", "{report:#}");
    assert_eq!(check(&report, "models")["status"], "ok");
    let text = Admin::run(["--data-dir", daemon.data_dir().to_str().unwrap(), "doctor"])
        .success()
        .stdout;
    assert!(
        text.lines()
            .any(|line| line.starts_with("ok") && line.contains("daemon")),
        "{text}"
    );
}

#[test]
fn a_daemon_on_the_network_alone_is_asked_by_its_socket() {
    let home = Home::new().with_token().listen("0.0.0.0:0");
    let daemon = home
        .config("[server]\nsocket = \"faceood.sock\"\n")
        .start_unready();
    let watch = || daemon.home().admin(&["watch", "--once"]).success().stdout;
    let doctor = || daemon.home().admin(&["doctor", "--json"]).json();
    let found = |report: &Value| {
        check(report, "daemon")["found"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let socket = daemon.data_dir().join("faceood.sock");
    let shown = wait_for("the daemon", || {
        Some(watch()).filter(|shown| shown.contains("ready  /"))
    });
    assert!(
        !shown.contains("sock  ? "),
        "the metrics, too, are open to it: {shown}"
    );
    assert_eq!(found(&doctor()), format!("ready at {}", socket.display()));

    // Somebody took the socket's file away.
    fs::remove_file(&socket).unwrap();
    assert!(found(&doctor()).contains("is not there"));
    // Or the settings name none.
    daemon.home().write_config("");
    let report = doctor();
    let alone = check(&report, "daemon");
    assert_eq!(alone["status"], "warning", "{alone:#}");
    let address = daemon.address().to_string();
    let reason = format!("the daemon listens on the network alone ({address})");
    assert_eq!(found(&report), reason);
    let (shown, advice) = (watch(), alone["advice"].as_str().unwrap());
    for words in [&reason, advice, "lag unknown"] {
        assert!(shown.contains(words), "no {words} in {shown}");
    }
    for way in ["server.socket", "127.0.0.1:7860"] {
        assert!(advice.contains(way), "{advice}");
    }
}

#[test]
fn callers_and_their_tokens_are_looked_at() {
    let home = Home::new();
    let (config, data) = (home.config_file(), home.data_dir());
    let admin = |arguments: &[&str]| home.admin(arguments);
    let status = |name: &str| {
        let report = admin(&["doctor", "--json"]).json();
        check(&report, name)["status"].as_str().unwrap().to_owned()
    };
    fs::create_dir_all(&data).unwrap();
    assert_eq!(status("callers"), "ok");
    assert_eq!(status("tokens"), "skipped");

    home.write_config("listen = \"0.0.0.0:0\"\n");
    assert_eq!(status("tokens"), "failed", "the daemon would not start");
    home.write_config("listen = \"0.0.0.0:0\"\n[server]\nopen = true\n");
    assert_eq!(status("callers"), "warning");
    home.write_config("listen = \"0.0.0.0:0\"\n");
    admin(&[
        "token",
        "add",
        "gate-3",
        "--role",
        "terminal",
        "--expires",
        "30d",
    ])
    .success();
    assert_eq!(status("tokens"), "ok");
    assert_eq!(status("tokens file"), "ok");
    let file = config.with_file_name("tokens.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(status("tokens file"), "warning");
    fs::write(&file, "[[token]]\n").unwrap();
    assert_eq!(status("tokens"), "failed");
}

#[test]
fn what_is_wrong_is_named_with_what_to_do() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let data = path("data");
    fs::create_dir(&data).unwrap();
    fs::write(
        path("data/faceood.db"),
        "this is no database, whatever its name says",
    )
    .unwrap();
    fs::write(path("data/faceood.db.corrupt-20261101T000000Z"), "x").unwrap();
    // A pack with one byte changed.
    let pack = path("models/default");
    fs::create_dir_all(&pack).unwrap();
    for entry in fs::read_dir(models().join("default")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(
            entry.path(),
            format!("{pack}/{}", entry.file_name().to_str().unwrap()),
        )
        .unwrap();
    }
    let landmarks = format!("{pack}/landmarks.onnx");
    let mut bytes = fs::read(&landmarks).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&landmarks, bytes).unwrap();

    let run = Admin::run([
        "--data-dir",
        &data,
        "--models-dir",
        &path("models"),
        "doctor",
        "--json",
    ])
    .expect_code(1);
    let report = run.json();
    assert_eq!(report["status"], "failed");
    for (name, status, part) in [
        ("models", "failed", "landmarks.onnx"),
        ("database", "failed", "faceood.db"),
        ("damaged database", "warning", "corrupt-20261101T000000Z"),
    ] {
        let check = check(&report, name);
        assert_eq!(check["status"], status, "{check:#}");
        assert!(check["found"].as_str().unwrap().contains(part), "{check:#}");
        assert!(check["advice"].is_string(), "{check:#}");
    }
    let text = Admin::run([
        "--data-dir",
        &data,
        "--models-dir",
        &path("models"),
        "doctor",
    ])
    .expect_code(1)
    .stdout;
    assert!(text.contains("What to do:\n"), "{text}");
}

#[test]
fn damage_that_no_query_has_met_is_found() {
    let daemon = Daemon::start();
    daemon.client().extract(b"", "").expect_status(400);
    let (status, home) = daemon.stop();
    assert!(status.success());
    let look = || {
        let folder = home.data_dir();
        Admin::run(["--data-dir", folder.to_str().unwrap(), "doctor", "--json"])
    };
    let sound = look().success().json();
    let pages = check(&sound, "database pages");
    assert_eq!(pages["status"], "ok", "{pages:#}");
    assert!(
        pages["found"].as_str().unwrap().contains(" s,"),
        "{pages:#}"
    );

    // An index that only look-ups by request use.
    let (begin, length) = Outsider::open(&home.database()).root_page("inferences_request");
    let file = fs::OpenOptions::new()
        .write(true)
        .open(home.database())
        .unwrap();
    file.write_all_at(&vec![0x5a; length as usize], begin)
        .unwrap();
    let damaged = look().expect_code(1).json();
    assert_eq!(check(&damaged, "database")["status"], "ok", "{damaged:#}");
    let pages = check(&damaged, "database pages");
    assert_eq!(pages["status"], "failed", "{pages:#}");
    assert!(
        pages["found"].as_str().unwrap().contains("damaged"),
        "{pages:#}"
    );
    assert!(
        pages["advice"].as_str().unwrap().contains("backup"),
        "{pages:#}"
    );
}

#[test]
fn a_mistake_in_the_settings_is_a_failed_check() {
    let folder = tempfile::TempDir::new().unwrap();
    let config = folder.path().join("config.toml");
    fs::write(&config, "\n\nlisten = 3\n").unwrap();
    let run = Admin::run(["--config", config.to_str().unwrap(), "doctor", "--json"]).expect_code(1);
    let report = run.json();
    let found = check(&report, "settings")["found"].as_str().unwrap();
    assert!(
        found.contains("`listen` is 3") && found.contains("line 3"),
        "{found}"
    );
    // The other settings hold for the other checks.
    let elsewhere = folder.path().join("elsewhere");
    let elsewhere = elsewhere.to_str().unwrap();
    let settings = format!("listen = 3\ndata_dir = {elsewhere:?}\n");
    fs::write(&config, settings).unwrap();
    let run = Admin::run(["--config", config.to_str().unwrap(), "doctor", "--json"]).expect_code(1);
    let report = run.json();
    let database = check(&report, "database")["found"].as_str().unwrap();
    assert!(database.contains(elsewhere), "{database}");
    fs::write(&config, "[log]\nretention_days = 180\n").unwrap();
    let run = Admin::run(["--config", config.to_str().unwrap(), "doctor", "--json"]);
    let report = run.json();
    let found = check(&report, "settings")["found"].as_str().unwrap();
    assert!(
        found.ends_with("set to what holds anyway: log.retention_days"),
        "{found}"
    );
}

#[test]
fn completions_know_the_subcommands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Admin::run(["completions", shell]).success().stdout;
        assert!(
            script.contains("doctor") && script.contains("export"),
            "{shell}"
        );
        let daemon = Admin::run(["completions", shell, "--program", "faceoodd"]);
        let script = daemon.success().stdout;
        assert!(
            script.contains("faceoodd") && script.contains("print-config"),
            "{shell}"
        );
    }
    let run = Admin::run(["completions", "cmd.exe"]).expect_code(2);
    assert!(run.stderr.contains("bash"), "{}", run.stderr);
}

#[test]
fn a_wrong_command_line_is_usage_and_help_is_none() {
    Admin::run(["docter"]).expect_code(2);
    Admin::run(["doctor", "--jsn"]).expect_code(2);
    Admin::run::<&str>([]).expect_code(2);
    let help = Admin::run(["--help"]).success().stdout;
    assert!(
        help.contains("Exit codes") && help.contains("explain"),
        "{help}"
    );
    assert!(
        Admin::run(["--version"])
            .success()
            .stdout
            .starts_with("faceood-admin ")
    );
}

#[test]
fn progress_and_colours_are_for_terminals_only() {
    let folder = tempfile::TempDir::new().unwrap();
    let data = folder.path().to_str().unwrap();
    let piped = Admin::run(["--data-dir", data, "doctor"]);
    assert_eq!(piped.stderr, "", "a pipe gets no progress");
    assert!(!piped.stdout.contains('\u{1b}'), "{}", piped.stdout);

    // On a terminal (script(1) makes one): progress, and colours unless the reader minds.
    let shown = |no_color: &str| {
        let program = program("faceood-admin");
        let commands = format!("{program} --data-dir {data} doctor; {program} docter");
        let output = Command::new("script")
            .args(["--quiet", "--command", &commands, "/dev/null"])
            .current_dir(repository())
            .env("TERM", "xterm")
            .env("NO_COLOR", no_color)
            .stdin(Stdio::null())
            .output();
        output
            .ok()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (Some(plain), Some(coloured)) = (shown("1"), shown("")) else {
        eprintln!("skipped: there is no script(1) here");
        return;
    };
    assert!(plain.contains("looking at everything"), "{plain}");
    // Of all escapes only those that set a colour or a weight end in m.
    let has_colours = |shown: &str| {
        let codes = shown.split("\u{1b}[").skip(1);
        codes
            .filter_map(|code| {
                code.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
                    .chars()
                    .next()
            })
            .any(|end| end == 'm')
    };
    assert!(has_colours(&coloured), "{coloured}");
    assert!(!has_colours(&plain), "{plain}");
}
