//! JPEGs are decoded in processes that may do nothing else, and that end with the daemon.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Daemon, photos, wait_for};

/// The processes that decode for `daemon`.
fn decoders(daemon: &Daemon) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    let children = tasks.filter_map(|task| {
        let path = task.ok()?.path().join("children");
        fs::read_to_string(path).ok()
    });
    let children: Vec<String> = children.collect();
    let numbers = children.iter().flat_map(|line| line.split_whitespace());
    let numbers = numbers.filter(|number| {
        let name = fs::read_to_string(format!("/proc/{number}/comm"));
        name.is_ok_and(|name| name.trim() == "faceood-decoder")
    });
    numbers
        .filter_map(|number| Pid::from_raw(number.parse().ok()?))
        .collect()
}

fn wait_for_the_end_of(decoders: &[Pid]) {
    wait_for("the decoders' end", || {
        // A process that nobody has waited for yet has ended as well.
        let lives = |decoder: &Pid| {
            let status = fs::read_to_string(format!("/proc/{}/status", decoder.as_raw_pid()));
            status.is_ok_and(|status| !status.contains("State:\tZ"))
        };
        (!decoders.iter().any(lives)).then_some(())
    });
}

#[test]
fn each_worker_has_one_that_has_given_up_its_rights() {
    let daemon = Daemon::with_config("[pipeline]\nworkers = 2\n");
    let decoders = decoders(&daemon);
    assert_eq!(decoders.len(), 2);
    for decoder in &decoders {
        let folder = format!("/proc/{}", decoder.as_raw_pid());
        let status = fs::read_to_string(format!("{folder}/status")).unwrap();
        for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "Threads:\t1"] {
            assert!(status.contains(line), "{line}: {status}");
        }
        let files = fs::read_dir(format!("{folder}/fd")).unwrap();
        let files = files.map(|file| fs::read_link(file.unwrap().path()).unwrap());
        for file in files {
            let file = file.to_string_lossy();
            let is_its_own = ["socket:", "/memfd:faceood-picture", "/dev/null"]
                .iter()
                .any(|own| file.starts_with(own));
            assert!(is_its_own, "{file}");
        }
    }
    let (status, _home) = daemon.stop();
    assert!(status.success(), "{status}");
    wait_for_the_end_of(&decoders);
}

#[test]
fn one_that_is_killed_costs_no_answer() {
    let daemon = Daemon::with_config("[pipeline]\nworkers = 1\n");
    let client = daemon.client();
    let before = client.extract(&photos::astronaut(), "").ok();
    for decoder in decoders(&daemon) {
        kill_process(decoder, Signal::KILL).unwrap();
    }
    let after = client.extract(&photos::astronaut(), "").ok();
    assert_eq!(after["faces"], before["faces"]);
    let text = daemon.output();
    assert!(text.contains("decodes JPEGs ended"), "{text}");

    let decoders = decoders(&daemon);
    assert_eq!(decoders.len(), 1);
    let _home = daemon.kill();
    wait_for_the_end_of(&decoders);
}

#[test]
fn the_settings_can_do_without_and_the_numbers_are_the_same() {
    let (confined, here) = (
        Daemon::start(),
        Daemon::with_config("[capture]\nconfined = false\n"),
    );
    assert!(decoders(&here).is_empty());
    let faces = |daemon: &Daemon| {
        let answer = daemon.client().extract(&photos::astronaut(), "").ok();
        answer["faces"].clone()
    };
    assert_eq!(faces(&confined), faces(&here));
}
