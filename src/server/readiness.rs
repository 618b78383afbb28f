//! Whether the service still wants requests, and whether anybody asks before it sends some.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A load balancer asks every few seconds; one that has not asked for so long is not there.
const WATCHED_FOR: Duration = Duration::from_secs(30);

/// What `/readyz` knows beside models and log. A cheap handle.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_leaving: AtomicBool,
    asked: Mutex<Option<Instant>>,
}

impl Readiness {
    /// From now on `/readyz` says that the service stops. Says whether anybody has asked lately, and
    /// so is to be given the time to ask again.
    pub fn leave(&self) -> bool {
        self.0.is_leaving.store(true, Ordering::Relaxed);
        let asked = self.0.asked.lock();
        let asked = *asked.unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|asked| asked.elapsed() < WATCHED_FOR)
    }

    /// Whether the service is about to stop.
    pub(super) fn is_leaving(&self) -> bool {
        self.0.is_leaving.load(Ordering::Relaxed)
    }

    /// Somebody asks.
    pub(super) fn note_asked(&self) {
        let mut asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = Some(Instant::now());
    }
}
