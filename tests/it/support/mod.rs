//! What the tests share: a daemon of their own, the operator's command, an HTTP client, photos. No state is shared between
//! tests: each makes its own temporary folder and lets the system choose the port.

#![allow(
    dead_code,
    unused_imports,
    reason = "a drawer of tools: not every one is in use all the time"
)]

pub(crate) mod admin;
pub(crate) mod client;
pub(crate) mod daemon;
pub(crate) mod database;
pub(crate) mod log_fixture;
pub(crate) mod pack_copy;
pub(crate) mod photos;
pub(crate) mod stages;
pub(crate) mod torch;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(crate) use admin::Admin;
pub(crate) use client::{Answer, Client};
pub(crate) use daemon::Daemon;
pub(crate) use log_fixture::LogFixture;
pub(crate) use pack_copy::PackCopy;

/// How long anything may take before a test gives up. Far above what is usual: it only has to end a hang.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// The checkout's top folder.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the model packs that ship.
pub(crate) fn models() -> PathBuf {
    repository().join("models")
}

/// Asks again and again until there is an answer, and fails the test at the deadline, naming what it waited for.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            begin.elapsed() < DEADLINE,
            "waited {DEADLINE:?} in vain for {what}"
        );
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
