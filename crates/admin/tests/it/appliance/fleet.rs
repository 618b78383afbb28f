//! What a fleet adds to the installed service, as the guide docs/fleet.md has it: sockets that
//! outlive the daemon, several daemons on one machine, and the unit that ships.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::{client, property, run, succeed};
use crate::support::{Client, photos, wait_for};

const UNITS: [&str; 4] = [
    "faceoodd.socket",
    "faceoodd.service",
    "faceoodd@0.service",
    "faceood-ship.service",
];

/// systemd finds nothing wrong in them, and nobody has switched them on.
pub(super) fn the_units_are_valid_and_off() {
    for unit in UNITS {
        let (ok, report) = run(&["systemd-analyze", "verify", unit]);
        assert!(ok && !report.contains("faceood"), "{unit}: {report}");
        assert_ne!(property_of(unit, "ActiveState"), "active", "{unit}");
    }
    let (_, report) = run(&[
        "systemd-analyze",
        "security",
        "--no-pager",
        "faceood-ship.service",
    ]);
    let exposure: f32 = report
        .lines()
        .find_map(|line| line.split_once("Overall exposure level for faceood-ship.service: "))
        .and_then(|(_, level)| level.split_whitespace().next()?.parse().ok())
        .unwrap_or_else(|| panic!("no exposure level in {report}"));
    assert!(exposure <= 1.5, "{report}");
}

/// A restart, as an upgrade makes it, while callers come by a new connection each time.
pub(super) fn a_restart_refuses_nobody() {
    succeed(&["systemctl", "enable", "--now", "faceoodd.socket"]);
    // The first caller starts the daemon, and has its answer.
    client()
        .extract(&photos::astronaut(), "")
        .expect_status(200);
    assert_eq!(property("ActiveState"), "active");
    let stop = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    client()
                        .quality(&photos::astronaut(), "")
                        .expect_status(200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let story = std::panic::catch_unwind(|| {
            for _ in 0..3 {
                let before = answered.load(Ordering::Relaxed);
                let pid = property("MainPID");
                succeed(&["systemctl", "restart", "faceoodd"]);
                assert_ne!(property("MainPID"), pid);
                wait_for("answers of the new daemon", || {
                    (answered.load(Ordering::Relaxed) > before).then_some(())
                });
            }
        });
        stop.store(true, Ordering::Relaxed);
        if let Err(failure) = story {
            std::panic::resume_unwind(failure);
        }
    });
    let (_, journal) = run(&["journalctl", "--no-pager", "-u", "faceoodd"]);
    assert!(!journal.contains("ending without them"), "{journal}");
    succeed(&[
        "systemctl",
        "disable",
        "--now",
        "faceoodd.socket",
        "faceoodd.service",
    ]);
}

/// Two daemons side by side: each has its own folder, port and name.
pub(super) fn instances_have_their_own_folder_port_and_name() {
    fs::write("/etc/faceood/instance-2.env", "FACEOOD_NODE=second\n").expect("root may write");
    succeed(&["systemctl", "start", "faceoodd@1", "faceoodd@2"]);
    for (number, node) in [(1_u16, "lab-1"), (2, "second")] {
        let client = Client::new(([127, 0, 0, 1], 7860 + number).into());
        client.extract(&photos::astronaut(), "").expect_status(200);
        assert_eq!(client.get("/v1/info").ok()["node"], node);
        let database = format!("/var/lib/faceood/{number}/faceood.db");
        assert!(Path::new(&database).exists(), "{database}");
    }
    // What faceoodd.service has in /run goes when it stops; the others stay as they are.
    succeed(&["systemctl", "start", "faceoodd"]);
    succeed(&["systemctl", "stop", "faceoodd"]);
    for number in [1_u16, 2] {
        let client = Client::new(([127, 0, 0, 1], 7860 + number).into());
        client.extract(&photos::astronaut(), "").expect_status(200);
        let unit = format!("faceoodd@{number}.service");
        assert_eq!(property_of(&unit, "NRestarts"), "0", "{unit}");
        assert!(Path::new(&format!("/run/faceood-{number}")).is_dir());
    }
    let stop = ["systemctl", "stop", "faceoodd@1", "faceoodd@2"];
    succeed(&stop);
    assert_eq!(property_of("faceoodd@1.service", "Result"), "success");
}

/// What is left of them when the service is taken away.
pub(super) fn nothing_of_a_fleet_is_left() {
    succeed(&[
        "systemctl",
        "enable",
        "--now",
        "faceoodd.socket",
        "faceoodd@1",
    ]);
    succeed(&["scripts/uninstall", "--purge"]);
    for unit in UNITS {
        assert_eq!(property_of(unit, "LoadState"), "not-found", "{unit}");
        assert_ne!(property_of(unit, "ActiveState"), "active", "{unit}");
    }
    assert_ne!(property_of("faceoodd@1.service", "ActiveState"), "active");
    for folder in ["/etc/systemd/system", "/usr/lib/systemd/system"] {
        let (_, found) = run(&["find", folder, "-name", "faceood*"]);
        assert_eq!(found, "");
    }
}

fn property_of(unit: &str, name: &str) -> String {
    let (_, printed) = run(&["systemctl", "show", "--property", name, "--value", unit]);
    printed.trim().to_owned()
}
