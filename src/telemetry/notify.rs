//! The daemon's word to its supervisor (systemd's notify protocol), and its watch over itself.
//!
//! The watchdog is fed by a real inference and by nothing else: a daemon whose models hang or whose
//! answers are wrong gets no ping and is replaced. Without a supervisor the same watch ends the
//! process after repeated failures, so that whatever started it can start it again.

use std::future::Future;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Pause between two looks at ourselves where the supervisor does not ask for a shorter one.
const INTERVAL: Duration = Duration::from_secs(10);

/// Pings in each of the supervisor's periods, so that one late ping is not fatal.
const PINGS_PER_PERIOD: u32 = 3;

/// Failures in a row that end the watch.
const FAILURES_ALLOWED: u32 = 3;

/// Longest that a look may take before it counts as a failure.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says that requests are answered from now on.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that the daemon is draining and will end.
pub fn stopping() {
    send(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Says that the settings are read again; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "no monotonic clock to report a reload with"),
    }
}

/// The daemon failed its own check too often in a row and had better be replaced.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{failures} checks in a row failed, the last one because {reason}")]
pub struct Unhealthy {
    failures: u32,
    reason: String,
}

/// How often and how patiently the daemon looks at itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    interval: Duration,
    patience: Duration,
    failures_allowed: u32,
}

impl Rhythm {
    /// The supervisor's, if it watches us, otherwise our own.
    pub fn of_process() -> Self {
        Self::within(sd_notify::watchdog_enabled())
    }

    fn within(period: Option<Duration>) -> Self {
        let asked = period.map(|period| period / PINGS_PER_PERIOD);
        Self {
            interval: asked.map_or(INTERVAL, |asked| asked.min(INTERVAL)),
            // Longer than the supervisor's period: it is the one to decide that a look hangs.
            patience: period.map_or(PATIENCE, |period| period.max(PATIENCE)),
            failures_allowed: FAILURES_ALLOWED,
        }
    }
}

/// Watches the daemon for as long as it lives: every success of `check` feeds the watchdog and
/// shows `status_line()`; returns only when `check` has failed too often in a row.
pub async fn watch<Check, Checked>(
    rhythm: Rhythm,
    mut check: Check,
    mut status_line: impl FnMut() -> String,
) -> Unhealthy
where
    Check: FnMut() -> Checked,
    Checked: Future<Output = Result<(), String>>,
{
    let mut failures = 0;
    loop {
        let started = Instant::now();
        let outcome = tokio::time::timeout(rhythm.patience, check()).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let waited = rhythm.patience.as_secs_f32();
            Err(format!("the check has not ended after {waited:.1} s"))
        });
        match outcome {
            Ok(()) => {
                if failures > 0 {
                    tracing::info!(failures, "the daemon's check of itself succeeds again");
                }
                failures = 0;
                let line = status_line();
                send(&[NotifyState::Watchdog, NotifyState::Status(&line)]);
            }
            Err(reason) => {
                failures += 1;
                tracing::error!(failures, reason, "the daemon failed its check of itself");
                if failures >= rhythm.failures_allowed {
                    return Unhealthy { failures, reason };
                }
            }
        }
        tokio::time::sleep(rhythm.interval.saturating_sub(started.elapsed())).await;
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const RHYTHM: Rhythm = Rhythm {
        interval: Duration::ZERO,
        patience: Duration::from_secs(60),
        failures_allowed: 3,
    };

    #[test]
    fn pings_come_three_times_a_period_and_at_least_every_ten_seconds() {
        let interval =
            |seconds: Option<u64>| Rhythm::within(seconds.map(Duration::from_secs)).interval;
        assert_eq!(interval(None), INTERVAL);
        assert_eq!(interval(Some(6)), Duration::from_secs(2));
        assert_eq!(interval(Some(600)), INTERVAL);
    }

    #[tokio::test]
    async fn failures_in_a_row_end_the_watch_and_a_success_forgives() {
        let outcomes = Cell::new(0);
        let check = || {
            outcomes.set(outcomes.get() + 1);
            let fails = outcomes.get() != 3;
            async move {
                if fails {
                    Err("the models are gone".to_owned())
                } else {
                    Ok(())
                }
            }
        };
        let end = watch(RHYTHM, check, String::new).await;
        assert_eq!(outcomes.get(), 6);
        assert_eq!(end.failures, 3);
        assert_eq!(end.reason, "the models are gone");
    }

    #[tokio::test]
    async fn a_check_that_hangs_is_a_failure() {
        let rhythm = Rhythm {
            patience: Duration::ZERO,
            failures_allowed: 1,
            ..RHYTHM
        };
        let end = watch(rhythm, std::future::pending, String::new).await;
        assert!(end.reason.contains("not ended"), "{end}");
    }
}
