//! What `doctor` and the daemon say where the machine is not as it should be: each mishap is made,
//! named, and mended by the command that `doctor` gives.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{CONFIG, DATABASE, client, run, succeed};
use crate::support::wait_for;

const GPU_LIBRARY: &str = "/usr/lib/faceood/onnxruntime-gpu";

/// Files of another user's: the daemon cannot commit, and `doctor` says whose they are.
pub(super) fn foreign_files_are_named_and_given_back() {
    succeed(&["systemctl", "stop", "faceoodd"]);
    succeed(&["chown", "root:", DATABASE]);
    let owner = check(&doctor(1), "owner");
    assert_eq!(owner["status"], "failed", "{owner:#}");
    assert!(
        text(&owner, "found").contains(&format!("faceood cannot write {DATABASE}")),
        "{owner:#}"
    );
    mend(&owner);
    assert_eq!(check(&doctor(0), "owner")["status"], "ok");

    succeed(&["chmod", "-R", "o+rX", "/var/lib/faceood"]);
    let access = check(&doctor(0), "access");
    assert_eq!(access["status"], "warning", "{access:#}");
    mend(&access);
    assert_eq!(check(&doctor(0), "access")["status"], "ok");
    succeed(&["systemctl", "start", "faceoodd"]);
}

/// A user who may not read the log is told so, and how; not that there is none.
pub(super) fn an_ordinary_user_is_told_whose_the_log_is() {
    for task in ["doctor", "prune", "analyze-logs"] {
        let as_nobody = [
            "env",
            "--chdir=/",
            "runuser",
            "-u",
            "nobody",
            "--",
            "faceood-admin",
            task,
        ];
        let (done, said) = run(&as_nobody);
        assert!(!done, "{said}");
        assert!(said.contains("this user may not look into it"), "{said}");
        let way_out = if task == "doctor" {
            "sudo faceood-admin doctor"
        } else {
            "sudo -u faceood faceood-admin"
        };
        assert!(said.contains(way_out), "{said}");
        assert!(!said.contains("is taken by another program"), "{said}");
    }
}

/// A driver that is loaded and whose CUDA does not work: models run on the processor where nothing
/// else was asked for, and the start is refused where CUDA was.
pub(super) fn a_broken_driver_costs_speed_and_no_answer() {
    fs::write("/dev/nvidiactl", "").expect("root may write");
    succeed(&["cp", "-R", "/usr/lib/faceood/onnxruntime", GPU_LIBRARY]);
    // A library that has the name of one with CUDA, and cannot do it.
    fs::write(
        format!("{GPU_LIBRARY}/libonnxruntime_providers_cuda.so"),
        "",
    )
    .expect("root may write");
    succeed(&["systemctl", "restart", "faceoodd"]);
    let provider = client().get("/v1/info").ok()["provider"].clone();
    assert_ne!(provider["name"], "cuda", "{provider:#}");
    assert!(
        text(&provider, "reason").contains("not cuda f32: provider cuda"),
        "{provider:#}"
    );
    let report = doctor(0);
    let driver = check(&report, "driver");
    assert_eq!(driver["status"], "warning", "{driver:#}");
    assert!(text(&driver, "advice").contains("nvidia-smi"), "{driver:#}");
    assert_eq!(check(&report, "cuda")["status"], "warning", "{report:#}");

    fs::write(CONFIG, "[runtime]\nprovider = \"cuda\"\n").expect("root may write");
    let (started, said) = run(&["systemctl", "restart", "faceoodd"]);
    assert!(!started, "{said}");
    let report = doctor(1);
    for name in ["driver", "cuda", "library"] {
        assert_eq!(check(&report, name)["status"], "failed", "{report:#}");
    }
    fs::write(CONFIG, "").expect("root may write");
    fs::remove_dir_all(GPU_LIBRARY).expect("it was made above");
    fs::remove_file("/dev/nvidiactl").expect("it was made above");
    succeed(&["systemctl", "restart", "faceoodd"]);
}

/// A library that is not what was fetched is not loaded, and named.
pub(super) fn a_damaged_library_is_named() {
    let folder = "/usr/lib/faceood/onnxruntime";
    let list = fs::read_to_string(format!("{folder}/files.sha256")).expect("it was installed");
    let library = list
        .lines()
        .filter_map(|line| line.split_once("  "))
        .find(|(_, name)| name.starts_with("libonnxruntime.so"))
        .map(|(_, name)| format!("{folder}/{name}"))
        .expect("the library is listed");
    let whole = fs::read(&library).expect("it was installed");
    fs::write(&library, &whole[..whole.len() / 2]).expect("root may write");
    let doctor = Command::new("faceood-admin")
        .args(["doctor", "--json"])
        .env("FACEOOD_RUNTIME__PROVIDER", "cpu")
        .current_dir("/")
        .output()
        .expect("it was installed");
    let report = serde_json::from_slice(&doctor.stdout).expect("a report");
    let files = check(&report, "library files");
    assert_eq!(files["status"], "failed", "{files:#}");
    assert!(
        text(&files, "found").contains("another SHA-256"),
        "{files:#}"
    );
    assert_eq!(check(&report, "library")["status"], "skipped");
    fs::write(&library, whole).expect("root may write");
}

/// A full disk: requests are refused with the reason, `doctor` says what to do, and all goes on
/// once there is room.
pub(super) fn a_full_disk_is_named_and_survived() {
    succeed(&["systemctl", "stop", "faceoodd"]);
    let folder = "/var/lib/faceood";
    succeed(&[
        "mount",
        "-t",
        "tmpfs",
        "-o",
        "size=8m,mode=750,uid=faceood,gid=faceood",
        "tmpfs",
        folder,
    ]);
    succeed(&["systemctl", "start", "faceoodd"]);
    let filler = format!("{folder}/filler");
    let (_, said) = run(&["dd", "if=/dev/zero", &format!("of={filler}"), "bs=64k"]);
    assert!(said.contains("No space left"), "{said}");
    let photo = crate::support::photos::astronaut();
    let refusal = wait_for("the log to be full", || {
        let answer = client().try_post_parts("/v1/extract", &[("image", &photo)])?;
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(refusal.json()["type"], "urn:faceood:problem:not_ready");
    let report = doctor(1);
    for name in ["disk", "data folder", "daemon"] {
        let check = check(&report, name);
        assert_eq!(check["status"], "failed", "{report:#}");
    }
    assert!(
        text(&check(&report, "data folder"), "advice").contains("make room"),
        "{report:#}"
    );
    fs::remove_file(filler).expect("it was made above");
    wait_for("the daemon to go on", || {
        let answer = client().try_post_parts("/v1/extract", &[("image", &photo)])?;
        (answer.status == 200).then_some(())
    });
    assert_eq!(
        check(&doctor(0), "disk")["status"],
        "warning",
        "8 MB are little"
    );
    succeed(&["systemctl", "stop", "faceoodd"]);
    succeed(&["umount", folder]);
    succeed(&["systemctl", "start", "faceoodd"]);
}

/// What `doctor` says, called from a folder that is no checkout.
#[track_caller]
pub(super) fn doctor(code: i32) -> Value {
    let output = Command::new("faceood-admin")
        .args(["doctor", "--json"])
        .current_dir("/")
        .output()
        .expect("it was installed");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(output.status.code(), Some(code), "{report:#}");
    report
}

#[track_caller]
pub(super) fn check(report: &Value, name: &str) -> Value {
    let checks = report["checks"].as_array().expect("a list");
    let found = checks.iter().find(|check| check["name"] == name);
    found
        .unwrap_or_else(|| panic!("no check {name} in {report:#}"))
        .clone()
}

pub(super) fn text<'a>(check: &'a Value, field: &str) -> &'a str {
    check[field].as_str().unwrap_or_default()
}

/// Runs the command that the advice ends with.
#[track_caller]
fn mend(check: &Value) {
    let advice = text(check, "advice");
    let command = advice.rsplit("sudo ").next().expect("a command");
    succeed(&["bash", "-c", command]);
}
