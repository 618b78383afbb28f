//! `watch` and `man`, as an operator has them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Admin, Daemon, photos, program};

#[test]
fn watch_shows_what_the_box_did() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let good = photos::astronaut();
    let blurred = photos::jpeg(&photos::blurred(&photos::pixels(&good), 7.0), 90);
    let answer = client.extract(&good, "?source=gate-1").ok();
    let score = answer["faces"][0]["quality"]["score"].as_f64().unwrap();
    client.extract(&blurred, "?source=gate-2").ok();
    client
        .extract(b"nonsense", "?source=gate-3")
        .problem(415, "unsupported_media_type");

    let data_dir = daemon.data_dir();
    let folder = data_dir.to_str().unwrap();
    let shown = Admin::run(["--data-dir", folder, "watch", "--once"])
        .success()
        .stdout;
    let has = |words: &[&str]| {
        assert!(
            shown
                .lines()
                .any(|line| words.iter().all(|word| line.contains(word))),
            "no line has {words:?}:\n{shown}"
        );
    };
    has(&["ready", &daemon.address().to_string()]);
    has(&["0.3 requests/s", "0 rows wait", "1 failed in a minute"]);
    has(&["access", "accept      1  50%", "reject      1  50%"]);
    has(&["gate-1", "0%", &format!("{score:.2}")]);
    has(&["gate-2", "100%"]);
    has(&["gate-2", "access", "quality", "blur"]);
    has(&["gate-3", "unsupported_media_type"]);
    assert!(shown.lines().count() <= 24, "{shown}");

    let refused = Admin::run(["--data-dir", folder, "watch"]).expect_code(1);
    assert!(refused.stderr.contains("--once"), "{}", refused.stderr);
    let wrong = Admin::run(["--data-dir", folder, "watch", "--interval", "0"]).expect_code(1);
    assert!(wrong.stderr.contains("0.1 to 3600"), "{}", wrong.stderr);
}

#[test]
fn watch_fills_a_terminal_and_gives_it_back() {
    // From util-linux: a terminal for programs that want one.
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: there is no script(1) here");
        return;
    }
    let daemon = Daemon::start();
    let command = format!(
        "stty rows 24 cols 80; '{}' --data-dir '{}' watch --interval 0.2",
        program("faceood-admin"),
        daemon.data_dir().display()
    );
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // What is typed before the program reads waits in the terminal.
    terminal.stdin.as_mut().unwrap().write_all(b"q").unwrap();
    let output = terminal.wait_with_output().unwrap();
    let drawn = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{:?}\n{drawn}", output.status);
    assert!(
        drawn.contains("faceood") && drawn.contains("ready"),
        "{drawn}"
    );
    let (entered, left) = ("\u{1b}[?1049h", "\u{1b}[?1049l");
    assert!(drawn.contains(entered), "the alternate screen: {drawn}");
    assert!(
        drawn.rfind(left) > drawn.rfind(entered),
        "the terminal is given back: {drawn}"
    );
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    Admin::run(["man", "--out", folder.path().to_str().unwrap()]).success();
    let read = |name: &str| {
        let file: &Path = &folder.path().join(name);
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    for subcommand in ["doctor", "watch", "export", "models-verify"] {
        let page = read(&format!("man1/faceood-admin-{subcommand}.1"));
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
        let footer = format!(
            "1 \"\" \"faceood {}\" \"faceood manual\"",
            env!("CARGO_PKG_VERSION")
        );
        assert!(page.contains(&footer), "{page}");
        let examples = ".SH EXAMPLES\n.EX\n  faceood\\-admin ";
        assert!(page.contains(examples) && page.ends_with(".EE\n"), "{page}");
        assert!(!page.contains(".SH EXTRA"), "{page}");
    }
    assert!(read("man1/faceood-admin.1").contains("doctor"));
    let daemon = read("man8/faceoodd.8");
    assert!(daemon.contains("\\-\\-print\\-config"), "{daemon}");
    assert!(
        daemon
            .lines()
            .any(|line| line.starts_with(".TH faceoodd 8")),
        "{daemon}"
    );

    let shown = Admin::run(["man"]).success().stdout;
    assert_eq!(shown, read("man1/faceood-admin.1"));
}
