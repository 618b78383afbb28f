//! Requests and bytes a second: the limits that count what came, whatever it asks for.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use faceood_engine::problem::texts::AccessFault;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};

use super::{Settings, whole_seconds};

/// Keys after which the limiters forget those that are at rest.
const MANY_KEYS: usize = 10_000;

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `access.rate_requests`.
    Requests,
    /// `access.rate_bytes`.
    Bytes,
    /// `access.pictures_at_once`, with as many waiting as may wait.
    Pictures,
    /// `access.processor_share`.
    Processor,
}

impl Limit {
    /// The setting that holds it.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Requests => "access.rate_requests",
            Self::Bytes => "access.rate_bytes",
            Self::Pictures => "access.pictures_at_once",
            Self::Processor => "access.processor_share",
        }
    }
}

/// A request that has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// Which limit it met.
    pub limit: Limit,
    /// After which time another try can succeed.
    pub wait: Duration,
}

impl From<OverLimit> for AccessFault {
    fn from(over: OverLimit) -> Self {
        Self::OverLimit {
            setting: over.limit.setting(),
            seconds: whole_seconds(over.wait),
        }
    }
}

/// Requests and bytes a second of each key.
pub(super) struct Rates<K: Clone + Eq + Hash> {
    requests: DefaultKeyedRateLimiter<K>,
    bytes: DefaultKeyedRateLimiter<K>,
    pub(super) most_bytes: u32,
}

impl<K: Clone + Eq + Hash> Rates<K> {
    /// As the settings have them for one caller, `times` over.
    pub(super) fn new(settings: &Settings, times: u32) -> Self {
        let limiter = |a_second: u32| {
            let a_second = NonZeroU32::new(a_second.saturating_mul(times));
            RateLimiter::keyed(Quota::per_second(a_second.unwrap_or(NonZeroU32::MIN)))
        };
        Self {
            requests: limiter(settings.rate_requests),
            bytes: limiter(settings.rate_bytes),
            most_bytes: settings.rate_bytes,
        }
    }

    pub(super) fn count(&self, key: &K, bytes: u64) -> Result<(), OverLimit> {
        if self.requests.len() > MANY_KEYS {
            self.requests.retain_recent();
            self.bytes.retain_recent();
        }
        let counted = self.requests.check_key(key);
        counted.map_err(|until| over(Limit::Requests, &until))?;
        self.count_bytes(key, bytes)
    }

    pub(super) fn count_bytes(&self, key: &K, bytes: u64) -> Result<(), OverLimit> {
        // A single upload of more than a second's worth takes the whole second.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Some(bytes) = NonZeroU32::new(bytes.min(self.most_bytes))
            && let Ok(counted) = self.bytes.check_key_n(key, bytes)
        {
            counted.map_err(|until| over(Limit::Bytes, &until))?;
        }
        Ok(())
    }
}

fn over(limit: Limit, until: &NotUntil<<DefaultClock as Clock>::Instant>) -> OverLimit {
    OverLimit {
        limit,
        wait: until.wait_time_from(DefaultClock::default().now()),
    }
}
