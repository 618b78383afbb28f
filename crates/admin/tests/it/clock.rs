//! A wall clock that jumps under a running daemon: the real programs, with a library laid before
//! the C library's clock.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::daemon::Home;
use crate::support::{Client, admin, photos};

/// Adds the seconds that stand in the file `$CLOCK_OFFSET` to the wall clock, and to no other.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int outcome = (int)syscall(SYS_clock_gettime, clock, now);
    const char *path = getenv("CLOCK_OFFSET");
    if (outcome == 0 && clock == CLOCK_REALTIME && path) {
        FILE *file = fopen(path, "r");
        long long seconds = 0;
        if (file) {
            if (fscanf(file, "%lld", &seconds) == 1)
                now->tv_sec += seconds;
            fclose(file);
        }
    }
    return outcome;
}
"#;

const TEN_YEARS: &str = "315360000";

/// Builds the library in `folder`; `None` where there is no C compiler.
fn library(folder: &Path) -> Option<std::path::PathBuf> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, LIBRARY).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    built
        .is_ok_and(|status| status.success())
        .then_some(library)
}

fn warnings(client: &Client) -> String {
    let ready = client.get("/readyz").ok();
    ready["warnings"].to_string()
}

#[test]
fn a_jump_of_ten_years_is_told_deletes_nothing_and_keeps_the_order_of_rows() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = library(folder.path()) else {
        eprintln!("skipped: no C compiler (cc), so no clock can be laid before the real one");
        return;
    };
    let offset = folder.path().join("offset");
    fs::write(&offset, "0").unwrap();
    let variables = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("CLOCK_OFFSET", offset.to_str().unwrap()),
    ];
    let home = variables
        .iter()
        .fold(Home::new(), |home, (name, value)| home.env(name, value));
    let daemon = home.start();
    let client = daemon.client();
    let photo = photos::astronaut();
    client.quality(&photo, "").ok();
    assert_eq!(warnings(&client), "null");

    fs::write(&offset, TEN_YEARS).unwrap();
    client.quality(&photo, "").ok();
    let told = warnings(&client);
    assert!(told.contains("jumped by +3650 days"), "{told}");
    let metrics = client.get("/metrics").text();
    assert!(metrics.contains("\nfaceood_clock_in_doubt 1"), "{metrics}");
    let data = daemon.data_dir();
    let prune = |arguments: &[&str]| {
        let mut command = admin::command();
        command
            .args(["--data-dir", data.to_str().unwrap(), "prune"])
            .args(arguments)
            .envs(variables);
        command.output().unwrap()
    };
    let refused = prune(&[]);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("--trust-clock"), "{stderr}");

    fs::write(&offset, "0").unwrap();
    for _ in 0..3 {
        client.quality(&photo, "").ok();
    }
    let told = warnings(&client);
    assert!(
        told.contains("set back") && !told.contains("jumped"),
        "{told}"
    );
    let log = client.get("/v1/inferences").ok();
    let rows: Vec<_> = log["inferences"].as_array().unwrap().iter().rev().collect();
    assert_eq!(rows.len(), 5);
    for pair in rows.windows(2) {
        for column in ["time", "id"] {
            assert!(
                pair[0][column].as_str() <= pair[1][column].as_str(),
                "{pair:?}"
            );
        }
    }
    assert!(
        rows[1..].iter().all(|row| row["clock"] == "jumped"),
        "{rows:?}"
    );
    // The whole log, though four of its rows are of the future.
    let exported = admin::command()
        .args([
            "--data-dir",
            data.to_str().unwrap(),
            "export",
            "--format",
            "jsonl",
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&exported.stdout).lines().count(), 5);
    let accepted = prune(&["--trust-clock"]);
    let stdout = String::from_utf8_lossy(&accepted.stdout);
    assert!(stdout.contains("0 of 5 rows deleted"), "{stdout}");
}
