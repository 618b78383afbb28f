//! The installed service in a real systemd: what the scripts install, and whether the unit brings
//! the daemon back from everything that a machine may do to it.
//!
//! The test boots a systemd of its own (`tests/systemd/lab`) and runs itself inside, where it is
//! root, may install, and is alone on its loopback network. All is gone afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::support::{Client, photos, program, repository, wait_for};

mod callers;
mod doctor;
mod fleet;
mod guides;
mod quota;

/// Set inside the lab.
const INSIDE: &str = "INSIDE_SYSTEMD_LAB";

/// The lab's exit code where the machine does not permit one.
const NOT_PERMITTED: i32 = 77;

const CONFIG: &str = "/etc/faceood/config.toml";
const DATABASE: &str = "/var/lib/faceood/faceood.db";

#[test]
fn the_unit_is_hardened() {
    let Ok(output) = Command::new("systemd-analyze")
        .args([
            "security",
            "--offline=yes",
            "--no-pager",
            "systemd/faceoodd.service",
        ])
        .current_dir(repository())
        .output()
    else {
        eprintln!("skipped: there is no systemd-analyze here");
        return;
    };
    let report = String::from_utf8_lossy(&output.stdout);
    let exposure: f32 = report
        .lines()
        .find_map(|line| line.split_once("Overall exposure level for faceoodd.service: "))
        .and_then(|(_, level)| level.split_whitespace().next()?.parse().ok())
        .unwrap_or_else(|| panic!("no exposure level in {output:?}"));
    assert!(exposure <= 2.0, "{report}");
}

/// What is done inside, in this order, and what it is called in the report.
type Steps = [(&'static str, fn())];

#[test]
fn the_service_survives_what_a_machine_does_to_it() {
    in_a_systemd_of_its_own(
        "the_service_survives_what_a_machine_does_to_it",
        &[
            ("installs without starting", installs_without_starting),
            (
                "keeps a changed configuration",
                keeps_a_changed_configuration,
            ),
            ("starts as its own user", starts_as_its_own_user),
            (
                "loses nothing acknowledged when killed",
                loses_nothing_acknowledged_when_killed,
            ),
            ("is replaced when it hangs", is_replaced_when_it_hangs),
            ("reloads its policies", reloads_its_policies),
            (
                "uses the cores of its quota",
                quota::uses_the_cores_of_its_quota,
            ),
            (
                "comes back from the memory limit",
                comes_back_from_the_memory_limit,
            ),
            ("stops cleanly", stops_cleanly),
            (
                "leaves data unless told otherwise",
                leaves_data_unless_told_otherwise,
            ),
        ],
    );
}

#[test]
fn mishaps_are_named_with_the_way_out() {
    in_a_systemd_of_its_own(
        "mishaps_are_named_with_the_way_out",
        &[
            ("installs without starting", installs_without_starting),
            ("starts as its own user", starts_as_its_own_user),
            (
                "foreign files",
                doctor::foreign_files_are_named_and_given_back,
            ),
            (
                "an ordinary user",
                doctor::an_ordinary_user_is_told_whose_the_log_is,
            ),
            ("a network", callers::a_network_is_let_in_and_out_again),
            (
                "tokens by systemd",
                callers::systemd_hands_over_tokens_that_only_root_may_read,
            ),
            (
                "a broken driver",
                doctor::a_broken_driver_costs_speed_and_no_answer,
            ),
            ("a damaged library", doctor::a_damaged_library_is_named),
            ("a full disk", doctor::a_full_disk_is_named_and_survived),
        ],
    );
}

#[test]
fn a_box_of_a_fleet_is_restarted_without_a_refusal() {
    in_a_systemd_of_its_own(
        "a_box_of_a_fleet_is_restarted_without_a_refusal",
        &[
            ("installs without starting", installs_without_starting),
            ("units of a fleet", fleet::the_units_are_valid_and_off),
            ("socket activation", fleet::a_restart_refuses_nobody),
            (
                "several daemons",
                fleet::instances_have_their_own_folder_port_and_name,
            ),
            ("all is removed", fleet::nothing_of_a_fleet_is_left),
        ],
    );
}

#[test]
fn the_guides_are_followed_to_their_last_line() {
    in_a_systemd_of_its_own(
        "the_guides_are_followed_to_their_last_line",
        &[
            ("quick start", guides::the_quick_start_installs_and_watches),
            ("operators' guide", guides::the_operators_guide_is_followed),
        ],
    );
}

/// Boots the lab and runs this test in it again, which then takes the steps. `ROOTFS` names the
/// root of a fresh machine, in place of this one's.
fn in_a_systemd_of_its_own(test: &str, steps: &Steps) {
    if std::env::var_os(INSIDE).is_some() {
        inside(steps);
        return;
    }
    let itself = std::env::current_exe().expect("the test knows itself");
    let output = Command::new(repository().join("tests/systemd/lab"))
        .current_dir(repository())
        .arg("--see")
        .arg(itself.parent().expect("it lies in a folder"))
        .arg("--see")
        .arg(binaries())
        .arg(&itself)
        .args(["--exact", &format!("appliance::{test}"), "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("the lab starts");
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(NOT_PERMITTED) {
        eprintln!("skipped: no systemd can be booted here: {said}");
        return;
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}\n{printed}\n{said}",
        output.status
    );
    eprintln!("{said}");
}

/// The folder of the programs under test.
fn binaries() -> PathBuf {
    let mut path = PathBuf::from(program("faceoodd"));
    path.pop();
    path
}

fn inside(steps: &Steps) {
    let story = std::panic::catch_unwind(|| {
        for (name, step) in steps {
            let begin = std::time::Instant::now();
            step();
            eprintln!("{name}: {:.1} s", begin.elapsed().as_secs_f32());
        }
    });
    if let Err(failure) = story {
        eprintln!(
            "{}",
            run(&["systemctl", "status", "--no-pager", "--full", "faceoodd"]).1
        );
        eprintln!(
            "{}",
            run(&["journalctl", "--no-pager", "-n", "200", "-u", "faceoodd"]).1
        );
        std::panic::resume_unwind(failure);
    }
}

fn installs_without_starting() {
    succeed(&[
        "scripts/install",
        "--binaries",
        &binaries().to_string_lossy(),
    ]);
    for path in [
        "/usr/bin/faceoodd",
        "/usr/bin/faceood-admin",
        "/usr/share/faceood/models/default/manifest.toml",
        "/usr/share/man/man1/faceood-admin-doctor.1",
        "/usr/share/man/man8/faceoodd.8",
        "/usr/share/doc/faceood/docs/operations.md",
        "/usr/share/bash-completion/completions/faceood-admin",
        "/usr/share/bash-completion/completions/faceoodd",
        "/usr/share/zsh/vendor-completions/_faceoodd",
        "/usr/share/fish/vendor_completions.d/faceoodd.fish",
        CONFIG,
    ] {
        assert!(Path::new(path).exists(), "{path} was not installed");
    }
    assert_eq!(property("ActiveState"), "inactive");
    let (ok, report) = run(&["systemd-analyze", "verify", "faceoodd.service"]);
    assert!(ok && !report.contains("faceood"), "{report}");
}

fn keeps_a_changed_configuration() {
    let shipped = fs::read_to_string(CONFIG).expect("the configuration was installed");
    let changed = format!("{shipped}\n# The operator was here.\n");
    fs::write(CONFIG, &changed).expect("root may write");
    succeed(&[
        "scripts/install",
        "--binaries",
        &binaries().to_string_lossy(),
    ]);
    assert_eq!(fs::read_to_string(CONFIG).expect("it is there"), changed);
    assert_eq!(
        fs::read_to_string(format!("{CONFIG}.new")).expect("the new default lies beside it"),
        shipped
    );
}

fn starts_as_its_own_user() {
    succeed(&["systemctl", "start", "faceoodd"]);
    // `Type=notify`: the start above ended when the daemon said that it is warm.
    client().get("/readyz").expect_status(200);
    assert!(!property("StatusText").is_empty());
    // From a folder that is no checkout, as an operator calls it.
    succeed(&["env", "--chdir=/", "faceood-admin", "doctor"]);

    let status =
        fs::read_to_string(format!("/proc/{}/status", main_pid())).expect("the daemon runs");
    let field = |name: &str| {
        let value = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        value
            .unwrap_or_else(|| panic!("no {name} in\n{status}"))
            .split_whitespace()
            .next()
            .map(str::to_owned)
            .unwrap_or_default()
    };
    let uid = run(&["id", "-u", "faceood"]).1;
    assert_eq!(field("Uid"), uid.trim());
    assert_eq!(field("CapEff"), "0000000000000000");
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2");
    for folder in ["/var/lib/faceood", "/var/log/faceood"] {
        let mode = fs::metadata(folder)
            .expect("the folder was made")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o750, "{folder}");
    }
    let mode = fs::metadata(DATABASE)
        .expect("the database was made")
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "the log is nobody else's: {mode:o}");
}

fn loses_nothing_acknowledged_when_killed() {
    let photo = photos::astronaut();
    let stop = AtomicBool::new(false);
    let mut acknowledged = BTreeSet::new();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut acknowledged = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let answer = client().try_post_parts("/v1/extract", &[("image", &photo)]);
                        if let Some(answer) = answer.filter(|answer| answer.status == 200) {
                            acknowledged.push(
                                answer
                                    .header("x-request-id")
                                    .expect("every answer has one")
                                    .to_owned(),
                            );
                        } else {
                            thread::park_timeout(std::time::Duration::from_millis(10));
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        for _ in 0..3 {
            let rows = wait_for("rows to be written", || {
                Some(row_count()).filter(|rows| *rows > 0)
            });
            wait_for("more rows", || Some(row_count()).filter(|now| *now > rows));
            let pid = main_pid();
            succeed(&[
                "systemctl",
                "kill",
                "--kill-whom=main",
                "--signal=KILL",
                "faceoodd",
            ]);
            wait_until_replaced(&pid);
        }
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            acknowledged.extend(caller.join().expect("a caller does not fail"));
        }
    });
    let report = run(&["env", "--chdir=/", "faceood-admin", "doctor"]).1;
    assert!(report.contains("3 times within 24 h"), "{report}");
    assert!(!acknowledged.is_empty());
    let logged = logged_requests();
    let lost: Vec<_> = acknowledged.difference(&logged).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged requests have no row: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
}

fn is_replaced_when_it_hangs() {
    // The unit's own 20 s would do the same, only later.
    drop_in("WatchdogSec=5");
    let pid = main_pid();
    succeed(&[
        "systemctl",
        "kill",
        "--kill-whom=main",
        "--signal=STOP",
        "faceoodd",
    ]);
    wait_until_replaced(&pid);
    let journal = run(&["journalctl", "--no-pager", "-u", "faceoodd"]).1;
    assert!(journal.contains("Watchdog timeout"), "{journal}");
}

fn reloads_its_policies() {
    let accept = || client().get("/v1/info").ok()["policies"]["access"]["accept"].as_f64();
    assert_eq!(accept(), Some(0.6));
    let pid = main_pid();
    fs::write(CONFIG, "[policies.access]\naccept = 0.66\n").expect("root may write");
    succeed(&["systemctl", "reload", "faceoodd"]);
    wait_for("the new policy", || {
        accept().filter(|accept| (accept - 0.66).abs() < 1e-6)
    });

    fs::write(CONFIG, "[policies.access]\naccept = 7\n").expect("root may write");
    succeed(&["systemctl", "reload", "faceoodd"]);
    wait_for("word of the bad file", || {
        run(&["journalctl", "--no-pager", "-u", "faceoodd"])
            .1
            .contains("accept")
            .then_some(())
    });
    assert!(
        accept().is_some_and(|accept| (accept - 0.66).abs() < 1e-6),
        "a bad file replaced the policies"
    );
    assert_eq!(main_pid(), pid, "a reload is no restart");
    fs::write(CONFIG, "").expect("root may write");
}

fn comes_back_from_the_memory_limit() {
    let status =
        fs::read_to_string(format!("/proc/{}/status", main_pid())).expect("the daemon runs");
    let peak_kib: u64 = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .expect("the kernel tells the peak");
    // Enough to start and to answer ordinary pictures, not enough for several of the largest ones
    // at a time.
    // However long a slow machine decodes, no deadline ends it before it has taken the memory.
    drop_in(&format!(
        "MemoryMax={}K\nEnvironment=FACEOOD_PIPELINE__DEADLINE_MS=100000",
        peak_kib + 40 * 1024
    ));
    client()
        .extract(&photos::astronaut(), "")
        .expect_status(200);
    let pid = main_pid();
    let largest = photos::encoded(
        &photos::without_face(8000, 6000, 1),
        image::ImageFormat::Png,
    );
    let replaced = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !replaced.load(Ordering::Relaxed) {
                    client().try_post_parts("/v1/extract", &[("image", &largest)]);
                }
            });
        }
        // The scope ends with its threads, so these end also where the wait fails.
        let waited = std::panic::catch_unwind(|| wait_until_replaced(&pid));
        replaced.store(true, Ordering::Relaxed);
        if let Err(failure) = waited {
            std::panic::resume_unwind(failure);
        }
    });
    drop_in("");
    client()
        .extract(&photos::astronaut(), "")
        .expect_status(200);
}

fn stops_cleanly() {
    succeed(&["systemctl", "stop", "faceoodd"]);
    assert_eq!(property("ActiveState"), "inactive");
    assert_eq!(property("Result"), "success");
    assert_eq!(property("ExecMainStatus"), "0");
}

fn leaves_data_unless_told_otherwise() {
    succeed(&["systemctl", "start", "faceoodd"]);
    succeed(&["scripts/uninstall"]);
    assert_eq!(property("LoadState"), "not-found");
    for path in [
        "/usr/bin/faceoodd",
        "/usr/bin/faceood-admin",
        "/usr/lib/faceood",
        "/usr/share/faceood",
        "/usr/share/man/man1/faceood-admin-doctor.1",
        "/usr/share/bash-completion/completions/faceood-admin",
        "/usr/share/bash-completion/completions/faceoodd",
        "/usr/share/zsh/vendor-completions/_faceoodd",
        "/usr/share/fish/vendor_completions.d/faceoodd.fish",
    ] {
        assert!(!Path::new(path).exists(), "{path} was left");
    }
    for path in [CONFIG, DATABASE] {
        assert!(Path::new(path).exists(), "{path} was deleted");
    }
    succeed(&["scripts/uninstall", "--purge"]);
    for path in ["/etc/faceood", "/var/lib/faceood", "/var/log/faceood"] {
        assert!(!Path::new(path).exists(), "{path} was left by --purge");
    }
    assert!(!run(&["id", "faceood"]).0, "the user was left by --purge");
}

fn client() -> Client {
    Client::new(([127, 0, 0, 1], 7860).into())
}

/// Changes the unit for a while, and restarts it so.
fn drop_in(line: &str) {
    let folder = Path::new("/run/systemd/system/faceoodd.service.d");
    fs::create_dir_all(folder).expect("root may write");
    fs::write(folder.join("test.conf"), format!("[Service]\n{line}\n")).expect("root may write");
    succeed(&["systemctl", "daemon-reload"]);
    succeed(&["systemctl", "restart", "faceoodd"]);
}

/// Waits until another process serves in the place of this one, and is ready.
fn wait_until_replaced(pid: &str) {
    wait_for("systemd to replace the daemon", || {
        (property("ActiveState") == "active" && main_pid() != pid).then_some(())
    });
    wait_for("the new daemon's /readyz", || {
        client()
            .try_get("/readyz")
            .filter(|answer| answer.status == 200)
    });
}

fn main_pid() -> String {
    property("MainPID")
}

fn property(name: &str) -> String {
    let (_, printed) = run(&[
        "systemctl",
        "show",
        "--property",
        name,
        "--value",
        "faceoodd",
    ]);
    printed.trim().to_owned()
}

/// Runs a command in the checkout: whether it succeeded, and all it printed.
fn run(command: &[&str]) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(command[0])
        .args(&command[1..])
        .current_dir(repository())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    (status.success(), printed)
}

#[track_caller]
fn succeed(command: &[&str]) {
    let (ok, printed) = run(command);
    assert!(ok, "{command:?} failed:\n{printed}");
}

fn row_count() -> usize {
    logged_requests().len()
}

/// The request ids in the log, read as any other reader would, beside the running daemon.
fn logged_requests() -> BTreeSet<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let options = SqliteConnectOptions::new()
            .filename(DATABASE)
            .read_only(true);
        let mut connection = SqliteConnection::connect_with(&options)
            .await
            .expect("the database opens");
        let ids = sqlx::query_scalar("SELECT request_id FROM inferences")
            .fetch_all(&mut connection)
            .await;
        ids.expect("the rows are read").into_iter().collect()
    })
}
