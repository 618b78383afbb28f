//! `lan` without writing anything; `appliance::callers` tests what it writes.

use std::path::Path;

use crate::support::daemon::Home;

/// What a dry run says.
fn said(home: &Home, arguments: &[&str]) -> String {
    home.admin(&[&["lan", "--dry-run"], arguments].concat())
        .success()
        .stdout
}

#[test]
fn a_dry_run_shows_the_file_and_each_step_that_is_left() {
    let home = Home::new();
    let shown = said(&home, &["192.168.1.0/24", "10.0.0.17"]);
    for part in [
        "faceoodd.service.d/lan.conf would be:",
        "[Service]\nIPAddressAllow=192.168.1.0/24\nIPAddressAllow=10.0.0.17/32\n",
        home.config_file().to_str().unwrap(),
        "listen = [\"127.0.0.1:7860\", \"0.0.0.0:7861\"]",
        "1. in ",
        "2. make a token",
        "3. sudo systemctl daemon-reload && sudo systemctl restart faceoodd",
        "4. check everything: sudo faceood-admin doctor",
    ] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
}

#[test]
fn what_is_there_already_is_not_asked_for() {
    let home = Home::new().config("listen = [\"127.0.0.1:7860\", \"192.168.1.5:7861\"]\n");
    home.admin(&["token", "add", "gate-3", "--role", "terminal"])
        .success();
    let shown = said(&home, &["192.168.1.0/24"]);
    for done in ["listen =", "token add"] {
        assert!(!shown.contains(done), "{shown}");
    }
    let another = said(&home, &["192.168.1.0/24", "--listen", "192.168.1.5:7862"]);
    let line = "listen = [\"127.0.0.1:7860\", \"192.168.1.5:7861\", \"192.168.1.5:7862\"]";
    assert!(another.contains(line), "{another}");

    let open = Home::new().config("[server]\nopen = true\n");
    let shown = said(&open, &["192.168.1.0/24"]);
    assert!(shown.contains("nobody is asked for a token"), "{shown}");
}

#[test]
fn the_line_for_the_settings_fits_what_they_have() {
    let home = Home::new();
    for (arguments, line) in [
        (
            &["fd00:1::/64"][..],
            "listen = [\"127.0.0.1:7860\", \"[::]:7861\"]",
        ),
        // All addresses with the port of loopback include loopback.
        (
            &["10.0.0.0/8", "--listen", "0.0.0.0:7860"],
            "listen = \"0.0.0.0:7860\"",
        ),
        (
            &["10.0.0.0/8", "--listen", "10.0.0.5:443"],
            "listen = [\"127.0.0.1:7860\", \"10.0.0.5:443\"]",
        ),
    ] {
        let shown = said(&home, arguments);
        assert!(shown.contains(line), "no {line} in {shown}");
        home.write_config(&format!("{line}\n"));
        home.admin(&["doctor", "--json"]).json();
        home.write_config("");
    }
}

#[test]
fn mistakes_are_told_before_anything_is_written() {
    let home = Home::new();
    for (arguments, code, part) in [
        (&["lan", "192.168.1.5/24"][..], 2, "192.168.1.0/24"),
        (&["lan", "gate-3"], 2, "no network"),
        (&["lan"], 2, "NETWORK"),
        (&["lan", "10.0.0.0/8", "--undo"], 2, "--undo"),
        (
            &["lan", "10.0.0.0/8", "--listen", "127.0.0.1:7861"],
            2,
            "this machine alone",
        ),
        (&["lan", "--dry-run", "0.0.0.0/0"], 1, "--anywhere"),
        (&["lan", "--dry-run", "10.0.0.0/8", "::/0"], 1, "--anywhere"),
    ] {
        let refused = home.admin(arguments).expect_code(code);
        assert!(
            refused.stderr.contains(part),
            "{arguments:?}: {}",
            refused.stderr
        );
    }
    let anywhere = said(&home, &["0.0.0.0/0", "--anywhere"]);
    assert!(anywhere.contains("IPAddressAllow=0.0.0.0/0"), "{anywhere}");

    // Where systemd runs, this would write.
    if !Path::new("/run/systemd/system").is_dir() {
        let refused = home.admin(&["lan", "10.0.0.0/8"]).expect_code(1);
        assert!(
            refused.stderr.contains("no systemd runs here"),
            "{}",
            refused.stderr
        );
        assert!(refused.stderr.contains("--dry-run"), "{}", refused.stderr);
    }
}
