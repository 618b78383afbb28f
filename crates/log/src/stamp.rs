//! The time and the id of a new row. Within a process both only go forward, unlike the clock.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use uuid::{ContextV7, Timestamp, Uuid};

static STAMPS: Mutex<Option<Stamps>> = Mutex::new(None);

/// An id and a time for a row that is made now.
pub(super) fn next() -> (Uuid, DateTime<Utc>) {
    let (wall, at) = (Utc::now(), Instant::now());
    let mut stamps = STAMPS.lock().unwrap_or_else(PoisonError::into_inner);
    stamps
        .get_or_insert_with(|| Stamps::new(wall, at))
        .next(wall, at)
}

/// Follows the wall clock again, wherever it has been set.
pub(super) fn follow() {
    *STAMPS.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

struct Stamps {
    last: DateTime<Utc>,
    at: Instant,
    ids: ContextV7,
}

impl Stamps {
    fn new(wall: DateTime<Utc>, at: Instant) -> Self {
        Self {
            last: wall.trunc_subsecs(6),
            at,
            ids: ContextV7::new(),
        }
    }

    /// After a step back time goes on at half its pace until the wall clock has caught up: rows
    /// keep their order and distances that mean something.
    fn next(&mut self, wall: DateTime<Utc>, at: Instant) -> (Uuid, DateTime<Utc>) {
        let passed = at.saturating_duration_since(self.at) / 2;
        let carried = self.last + TimeDelta::from_std(passed).unwrap_or_default();
        self.last = wall.max(carried).trunc_subsecs(6);
        self.at = at;
        let seconds = u64::try_from(self.last.timestamp()).unwrap_or(0);
        let stamp = Timestamp::from_unix(&self.ids, seconds, self.last.timestamp_subsec_nanos());
        (Uuid::new_v7(stamp), self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn neither_time_nor_id_goes_back_when_the_clock_does() {
        let start: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().unwrap();
        let at = Instant::now();
        let mut stamps = Stamps::new(start, at);
        let look = |stamps: &mut Stamps, seconds: u64, set_back: TimeDelta| {
            let passed = Duration::from_secs(seconds);
            let wall = start + TimeDelta::from_std(passed).unwrap() - set_back;
            stamps.next(wall, at + passed)
        };
        let mut all = vec![look(&mut stamps, 0, TimeDelta::zero())];
        for seconds in 1..100 {
            all.push(look(&mut stamps, seconds, TimeDelta::days(3650)));
        }
        // Two rows of one moment are told apart by their ids.
        all.push(look(&mut stamps, 99, TimeDelta::days(3650)));
        assert!(all.windows(2).all(|pair| pair[0].1 <= pair[1].1));
        assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(all[99].1, start + TimeDelta::milliseconds(49_500));
    }

    #[test]
    fn a_small_step_back_is_caught_up_with() {
        let start: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().unwrap();
        let at = Instant::now();
        let mut stamps = Stamps::new(start, at);
        let step = TimeDelta::seconds(10);
        let passed = Duration::from_secs(30);
        let wall = start + TimeDelta::from_std(passed).unwrap() - step;
        assert_eq!(stamps.next(wall, at + passed).1, wall);
    }
}
