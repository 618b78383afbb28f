//! Who may call the daemon: tokens, their roles, and how much each caller may ask for.
//!
//! [`Tokens`] is the file that `faceood-admin token` writes, and the daemon for callers on its Unix
//! socket. [`AccessControl`] keeps it in force while the daemon runs, and counts failures and
//! requests. It knows nothing of HTTP: the middleware `server::guard` asks it.

mod budget;
mod control;
mod failures;
mod listed;
mod meter;
mod rates;
mod role;
mod sessions;
mod tokens;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::budget::Turn;
pub use self::control::{AccessControl, Credentials, Unknown};
pub use self::listed::ListedToken;
pub use self::meter::Meter;
pub use self::rates::OverLimit;
pub use self::role::Role;
pub use self::sessions::SESSION_SECONDS;
pub use self::tokens::{PREFIX, Presented, Secret, Token, TokenError, TokenState, Tokens};

/// Table `[access]` of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The file of tokens. Empty: `tokens.toml` among systemd's credentials, else beside the
    /// configuration file, else in the data folder.
    pub tokens_file: PathBuf,
    /// Requests a second of one token; ten times as many of one address that is not this machine.
    pub rate_requests: u32,
    /// Bytes of uploads a second of one token; ten times as many of one address.
    pub rate_bytes: u32,
    /// Pictures that one token may have in flight, of which a comparison has two; more wait for
    /// their turn.
    pub pictures_at_once: usize,
    /// Share of all worker threads that one token may keep busy, as a mean over a minute.
    pub processor_share: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tokens_file: PathBuf::new(),
            rate_requests: 50,
            rate_bytes: 100_000_000,
            pictures_at_once: 2,
            processor_share: 0.8,
        }
    }
}

/// `wait` as a caller is told it: at least a second, and never too short.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs_f64().ceil() as u64).max(1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
