//! What the tests share: a daemon of their own, the operator's command, an HTTP client, photos. No
//! state is shared between tests: each makes its own temporary folder and lets the system choose
//! the port.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::new_without_default,
    clippy::must_use_candidate,
    missing_docs,
    reason = "what fails here is a failed test, and its story goes to stderr"
)]

pub mod admin;
pub mod certificates;
pub mod client;
pub mod daemon;
pub mod database;
pub mod kept;
pub mod log_fixture;
pub mod pack_copy;
pub mod photos;
pub mod postgres;
pub mod stages;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use admin::Admin;
pub use certificates::TestAuthority;
pub use client::{Answer, Client};
pub use daemon::Daemon;
pub use log_fixture::LogFixture;
pub use pack_copy::PackCopy;
pub use postgres::PostgresServer;

/// How long anything may take before a test gives up. Far above what is usual: it only has to end a
/// hang.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// The checkout's top folder.
pub fn repository() -> &'static Path {
    // This package lies two folders below it.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// One of the built programs. They lie in the folder above the test's own program.
///
/// # Panics
/// Where it has not been built: `cargo test -p` of one package does not build the programs of
/// others.
#[must_use]
pub fn program(name: &str) -> String {
    let test = std::env::current_exe().expect("the test's own program has a path");
    let folder = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let program = folder.join(name);
    assert!(
        program.exists(),
        "{} has not been built: run `cargo build`, or all tests at once by `cargo test --workspace`",
        program.display()
    );
    program
        .into_os_string()
        .into_string()
        .expect("a UTF-8 path")
}

/// The folder of the model packs that ship.
pub fn models() -> PathBuf {
    repository().join("models")
}

/// Asks again and again until there is an answer, and fails the test at the deadline, naming what
/// it waited for.
#[track_caller]
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
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
