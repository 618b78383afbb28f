//! Wrong tokens, counted by the address that sent them. An address and never a token is blocked:
//! whoever guesses must not be able to lock a door's own token out.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Wrong tokens within [`WINDOW`] after which an address is blocked.
const MOST: usize = 10;

const WINDOW: Duration = Duration::from_secs(60);

/// How long an address is blocked.
const BLOCK: Duration = Duration::from_secs(5 * 60);

/// Most addresses that are remembered; beyond it the one that was quiet for longest is forgotten.
const MOST_ADDRESSES: usize = 10_000;

/// Recent failures by address.
#[derive(Debug, Default)]
pub(super) struct Failures {
    by_address: HashMap<IpAddr, Record>,
}

#[derive(Debug, Default)]
struct Record {
    recent: VecDeque<Instant>,
    blocked_until: Option<Instant>,
}

impl Failures {
    /// How long `address` is still blocked.
    pub(super) fn blocked(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let until = self
            .by_address
            .get(&address.to_canonical())?
            .blocked_until?;
        until
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())
    }

    /// Counts a wrong token. True where it is the one that blocks the address.
    pub(super) fn count(&mut self, address: IpAddr, now: Instant) -> bool {
        let address = address.to_canonical();
        if !self.by_address.contains_key(&address) && self.by_address.len() >= MOST_ADDRESSES {
            self.forget(now);
        }
        let record = self.by_address.entry(address).or_default();
        record.recent.push_back(now);
        record
            .recent
            .retain(|&then| now.duration_since(then) < WINDOW);
        let is_full = record.recent.len() >= MOST;
        if is_full {
            record.recent.clear();
            record.blocked_until = Some(now + BLOCK);
        }
        is_full
    }

    /// Forgets who has done nothing lately, or else the one that was quiet for longest.
    fn forget(&mut self, now: Instant) {
        let last = |record: &Record| record.blocked_until.max(record.recent.back().copied());
        self.by_address
            .retain(|_, record| last(record).is_some_and(|last| now < last + WINDOW));
        if self.by_address.len() >= MOST_ADDRESSES {
            let oldest = self
                .by_address
                .iter()
                .min_by_key(|(_, record)| last(record));
            if let Some(address) = oldest.map(|(address, _)| *address) {
                self.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_minute_block_the_address_for_five_minutes_and_no_other() {
        let mut failures = Failures::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let [one, other] = ["192.168.1.5", "192.168.1.6"].map(|text| text.parse().unwrap());
        for second in 0..9 {
            assert!(!failures.count(one, at(second)));
        }
        assert!(failures.blocked(one, at(9)).is_none());
        assert!(failures.count(one, at(9)));
        assert_eq!(
            failures.blocked(one, at(10)),
            Some(Duration::from_secs(299))
        );
        assert!(failures.blocked(other, at(10)).is_none());
        assert!(failures.blocked(one, at(309)).is_none());
        assert!(!failures.count(one, at(310)), "the count begins anew");
    }

    #[test]
    fn slow_mistakes_never_block() {
        let mut failures = Failures::default();
        let (start, address) = (Instant::now(), "10.0.0.1".parse().unwrap());
        for minute in 0..100 {
            assert!(!failures.count(address, start + Duration::from_secs(minute * 7)));
        }
    }

    #[test]
    fn a_mapped_address_is_the_address_itself() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        let [plain, mapped] = ["10.0.0.1", "::ffff:10.0.0.1"].map(|text| text.parse().unwrap());
        for _ in 0..MOST {
            failures.count(mapped, now);
        }
        assert!(failures.blocked(plain, now).is_some());
    }

    #[test]
    fn many_addresses_do_not_take_memory_without_end() {
        let mut failures = Failures::default();
        let start = Instant::now();
        for number in 0..MOST_ADDRESSES as u32 + 50 {
            let moment = start + Duration::from_millis(u64::from(number));
            failures.count(IpAddr::from(number.to_be_bytes()), moment);
        }
        assert_eq!(failures.by_address.len(), MOST_ADDRESSES);
    }
}
