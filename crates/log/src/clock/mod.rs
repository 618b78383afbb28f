//! Decides whether the wall clock can be trusted. A box without a battery starts in 1970, a time
//! service steps the clock, somebody types a wrong year: rows must not be deleted by one look.
//!
//! [`Watch`] compares each look with the one before and with the time that has really passed. After
//! a jump of more than a day the clock is in doubt until it is back where it was expected, has been
//! steady for a day, or an operator says that it is right. Meanwhile nothing is deleted by age, and
//! rows are marked.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A clock that is off by more than this has jumped.
pub(super) const JUMP: TimeDelta = TimeDelta::days(1);

/// A clock in doubt is believed again after so much running time without another jump.
pub(super) const STEADY_SECONDS: i64 = 24 * 60 * 60;

/// No row can be older than the program: a clock before this year has lost its battery.
const FIRST_YEAR: i32 = 2026;

/// One look at the machine's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What the wall clock shows.
    pub wall: DateTime<Utc>,
    /// How long the machine has run: nobody sets this clock.
    pub uptime: Duration,
    /// Whether a time service keeps the wall clock; `None` where that cannot be told.
    pub is_synchronised: Option<bool>,
}

/// Where the log reads the time: the machine's clocks, or what a test wants them to show.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Reading + Send + Sync>);

impl Clock {
    /// The clocks of this machine.
    pub fn of_machine() -> Self {
        Self::new(|| Reading {
            wall: Utc::now(),
            uptime: uptime(),
            is_synchronised: is_synchronised(),
        })
    }

    /// Clocks that show what `read` returns.
    pub fn new(read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    pub(super) fn read(&self) -> Reading {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}

/// Since the machine started, times of sleep included.
fn uptime() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

/// Whether a time service keeps this machine's clock, also seen from a container. Where adjtimex(2)
/// is forbidden, systemd-timesyncd's file tells; `None` where there is neither.
pub fn is_synchronised() -> Option<bool> {
    kernels_word().or_else(|| {
        let folder = Path::new("/run/systemd/timesync");
        let is_there = folder.is_dir();
        is_there.then(|| folder.join("synchronized").exists())
    })
}

/// As `timedatectl` reads it: the kernel's estimated error grows until a time service corrects the
/// clock, and stands at 16 s where none ever did. Its flag `STA_UNSYNC` tells less, since some
/// services set it to keep the kernel from the battery clock.
#[expect(
    unsafe_code,
    reason = "none of our libraries has a safe call for adjtimex"
)]
fn kernels_word() -> Option<bool> {
    const LARGEST_ERROR_US: libc::c_long = 16_000_000;
    // SAFETY: a `timex` is plain numbers, for which zero is a value; `modes` 0 sets nothing.
    let mut facts: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes into the struct that it is given, which lives through the call.
    let state = unsafe { libc::adjtimex(&raw mut facts) };
    (state >= 0).then_some(facts.maxerror < LARGEST_ERROR_US)
}

/// Why a row's time cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockMark {
    /// No time service kept the clock, or it stood before this program was made.
    Unsynchronised,
    /// The clock had jumped and nobody had confirmed it yet.
    Jumped,
}

/// What the wall clock showed after so much running time of all daemons on one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) time: DateTime<Utc>,
    pub(super) run_seconds: i64,
}

impl Moment {
    /// Whether a clock that showed `self` and then ran evenly would show `later`.
    pub(super) fn agrees(&self, later: &Self) -> bool {
        self.jump_to(later).abs() <= JUMP
    }

    /// By how much the clock was moved on the way from `self` to `later`.
    pub(super) fn jump_to(&self, later: &Self) -> TimeDelta {
        later.time - self.time - TimeDelta::seconds(later.run_seconds - self.run_seconds)
    }
}

/// A clock that jumped and has not been confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The first look after the last jump.
    pub(super) since: Moment,
    /// The last look that was believed.
    pub(super) expected: Moment,
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jump = self.expected.jump_to(&self.since);
        write!(
            formatter,
            "the clock jumped by {:+} days, from {} to {}",
            jump.num_days(),
            self.expected.time.format("%F %T"),
            self.since.time.format("%F %T UTC"),
        )
    }
}

/// What a look has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The clock jumped: it is in doubt from now on.
    Jumped(Doubt),
    /// It is back where it was expected.
    Returned,
    /// It has been steady for long enough.
    Settled,
}

/// Judges each look by the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Watch {
    pub(super) seen: Moment,
    /// Where this process began to trust the clock: a clock that is moved by less than a day at a
    /// time is found by what its moves come to.
    pub(super) anchor: Moment,
    pub(super) doubt: Option<Doubt>,
}

impl Watch {
    pub(super) fn trusting(seen: Moment) -> Self {
        Self {
            seen,
            anchor: seen,
            doubt: None,
        }
    }

    /// Takes a look into account.
    pub(super) fn look(&mut self, now: Moment) -> Option<Change> {
        let before = std::mem::replace(&mut self.seen, now);
        let is_even = before.agrees(&now);
        match &mut self.doubt {
            None if is_even && self.anchor.agrees(&now) => None,
            None => {
                let expected = if is_even { self.anchor } else { before };
                let since = now;
                Some(Change::Jumped(
                    *self.doubt.insert(Doubt { since, expected }),
                ))
            }
            Some(doubt) if doubt.expected.agrees(&now) => {
                self.doubt = None;
                self.anchor = now;
                Some(Change::Returned)
            }
            Some(doubt) if !is_even => {
                doubt.since = now;
                Some(Change::Jumped(*doubt))
            }
            Some(doubt) if now.run_seconds - doubt.since.run_seconds >= STEADY_SECONDS => {
                self.doubt = None;
                self.anchor = now;
                Some(Change::Settled)
            }
            Some(_) => None,
        }
    }
}

/// Whether this reading speaks against itself.
pub(super) fn mark_of(reading: &Reading) -> Option<ClockMark> {
    let is_free = reading.is_synchronised == Some(false);
    (is_free || reading.wall.year() < FIRST_YEAR).then_some(ClockMark::Unsynchronised)
}

#[cfg(test)]
pub(crate) mod tests;
