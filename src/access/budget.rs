//! How much one caller may ask for: requests, bytes, pictures in flight, and time of the workers.
//! So that one terminal that runs wild does not starve the others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use super::rates::{Limit, OverLimit, Rates};
use super::{Settings, lock};

/// Requests of one token that may wait for their turn.
const MOST_WAITING: usize = 8;

/// Seconds over which the share of the workers is a mean.
const PROCESSOR_SECONDS: f64 = 60.0;

/// A token that keeps more than this share of the workers busy, as a mean over some seconds, leaves
/// a worker free while others ask too: else its pictures, which may be large, are in every worker
/// when one of another caller comes. A gate with ten frames a second stays below it.
const LIGHT_SHARE: f64 = 0.25;

/// Seconds over which that share is a mean.
const LIGHT_SECONDS: f64 = 2.0;

/// A token that has asked within this time counts as one that asks.
const RECENTLY: Duration = Duration::from_secs(60);

/// An address may ask for so many times what a token may, because several gates can stand behind one.
const CALLERS_BEHIND_AN_ADDRESS: u32 = 10;

/// The budgets of all callers.
pub(super) struct Budgets {
    addresses: Rates<IpAddr>,
    tokens: Rates<String>,
    pictures_at_once: usize,
    workers: f64,
    /// Share of the workers that one token may keep busy.
    share: f64,
    of_tokens: Mutex<HashMap<String, Arc<TokenBudget>>>,
}

struct TokenBudget {
    pictures: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// When it last asked about a picture.
    asked: Mutex<Instant>,
    processor: Mutex<WorkerTime>,
    recent: Mutex<WorkerTime>,
    /// The workers that it may have at once while its use is not light and others ask; `None`: all.
    in_work: Option<Arc<Semaphore>>,
}

/// Worker seconds that may be used, and come back as time passes.
struct WorkerTime {
    left: f64,
    most: f64,
    a_second: f64,
    counted: Instant,
}

impl WorkerTime {
    /// `a_second` come back each second, and as many as `seconds` bring are kept.
    fn new(a_second: f64, seconds: f64) -> Self {
        Self {
            left: a_second * seconds,
            most: a_second * seconds,
            a_second,
            counted: Instant::now(),
        }
    }

    /// What is left now. Negative: more was used.
    fn left(&mut self) -> f64 {
        let now = Instant::now();
        let passed = now.duration_since(self.counted).as_secs_f64();
        self.left = (self.left + passed * self.a_second).min(self.most);
        self.counted = now;
        self.left
    }

    /// After which time the debt is paid; `None` where there is none.
    fn wait(&mut self) -> Option<Duration> {
        let debt = -self.left();
        (debt > 0.0).then(|| Duration::from_secs_f64(debt / self.a_second.max(1e-3)))
    }

    fn spend(&mut self, spent: Duration) {
        // No debt is so large that it outlasts what caused it for long.
        self.left = (self.left - spent.as_secs_f64()).max(-self.most);
    }
}

/// One request about pictures: as long as any clone of this lives, it counts as in flight.
#[derive(Clone)]
pub struct Turn(Arc<InFlight>);

struct InFlight {
    budget: Arc<TokenBudget>,
    /// Whether no other token asks, which could need a worker.
    is_alone: bool,
    _permit: OwnedSemaphorePermit,
}

impl Turn {
    /// Begins an analysis. Where the token has used much lately, and others ask too, this waits for
    /// one of its pictures in work, at most until `deadline`.
    pub async fn begin(&self, deadline: Instant) -> Charge {
        let budget = &self.0.budget;
        let may_all = self.0.is_alone || lock(&budget.recent).left() > 0.0;
        let in_work = budget.in_work.clone().filter(|_| !may_all);
        let permit = match in_work {
            Some(in_work) => {
                let permit = timeout_at(deadline.into(), in_work.acquire_owned()).await;
                permit.ok().and_then(Result::ok)
            }
            None => None,
        };
        Charge {
            turn: self.clone(),
            spent: Duration::ZERO,
            _permit: permit,
        }
    }
}

/// One analysis, which ends when this is dropped: by the worker, also where its caller has left.
pub struct Charge {
    turn: Turn,
    spent: Duration,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Charge {
    /// A worker spent so much on it.
    pub fn spent(&mut self, spent: Duration) {
        self.spent = spent;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let budget = &self.turn.0.budget;
        for time in [&budget.processor, &budget.recent] {
            lock(time).spend(self.spent);
        }
    }
}

impl Budgets {
    pub(super) fn new(settings: &Settings, workers: usize) -> Self {
        Self {
            addresses: Rates::new(settings, CALLERS_BEHIND_AN_ADDRESS),
            tokens: Rates::new(settings, 1),
            pictures_at_once: settings.pictures_at_once,
            workers: workers as f64,
            share: f64::from(settings.processor_share),
            of_tokens: Mutex::default(),
        }
    }

    /// Counts a request of `bytes` against the address that it comes from.
    pub(super) fn of_address(&self, address: IpAddr, bytes: u64) -> Result<(), OverLimit> {
        self.addresses.count(&address.to_canonical(), bytes)
    }

    /// Counts a request of `bytes` against the token `name`.
    pub(super) fn of_token(&self, name: &str, bytes: u64) -> Result<(), OverLimit> {
        self.tokens.count(&name.to_owned(), bytes)
    }

    /// Counts `bytes` of a request that has been counted already.
    pub(super) fn more_bytes(
        &self,
        address: Option<IpAddr>,
        token: Option<&str>,
        bytes: u64,
    ) -> Result<(), OverLimit> {
        if let Some(address) = address {
            self.addresses.count_bytes(&address.to_canonical(), bytes)?;
        }
        match token {
            Some(name) => self.tokens.count_bytes(&name.to_owned(), bytes),
            None => Ok(()),
        }
    }

    /// Most bytes for which a single request is charged.
    pub(super) fn most_bytes(&self) -> u64 {
        self.tokens.most_bytes.into()
    }

    /// Waits until the token `name` may have so many more `pictures` in flight, or as many as it may
    /// ever have.
    pub(super) async fn turn(
        &self,
        name: &str,
        pictures: u32,
        patience: Duration,
    ) -> Result<Turn, OverLimit> {
        let (budget, is_alone) = self.of(name);
        let most = u32::try_from(self.pictures_at_once).unwrap_or(u32::MAX);
        let wanted = pictures.min(most);
        if let Some(wait) = lock(&budget.processor).wait() {
            let limit = Limit::Processor;
            return Err(OverLimit { limit, wait });
        }
        let over = OverLimit {
            limit: Limit::Pictures,
            wait: Duration::from_secs(1),
        };
        let pictures = Arc::clone(&budget.pictures);
        let permit = match Arc::clone(&pictures).try_acquire_many_owned(wanted) {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = Waiting::begin(&budget.waiting).ok_or(over)?;
                // All at once: two requests that each held one would wait for each other.
                let permits = pictures.acquire_many_owned(wanted);
                let permit = tokio::time::timeout(patience, permits).await;
                permit.ok().and_then(Result::ok).ok_or(over)?
            }
        };
        Ok(Turn(Arc::new(InFlight {
            budget,
            is_alone,
            _permit: permit,
        })))
    }

    /// The budget of the token `name`, which asks now, and whether no other does.
    fn of(&self, name: &str) -> (Arc<TokenBudget>, bool) {
        let now = Instant::now();
        let mut of_tokens = lock(&self.of_tokens);
        let mut others = of_tokens.iter().filter(|(other, _)| *other != name);
        let is_alone = !others.any(|(_, other)| now.duration_since(*lock(&other.asked)) < RECENTLY);
        // As many as there are tokens: only names of valid ones come here.
        let budget = of_tokens.entry(name.to_owned()).or_insert_with(|| {
            let time = |share, seconds| WorkerTime::new(share * self.workers, seconds).into();
            let at_once = (self.share * self.workers).max(1.0) as usize;
            let is_limited = self.share < 1.0;
            Arc::new(TokenBudget {
                pictures: Arc::new(Semaphore::new(self.pictures_at_once)),
                waiting: AtomicUsize::new(0),
                asked: Mutex::new(now),
                processor: time(self.share, PROCESSOR_SECONDS),
                recent: time(self.share.min(LIGHT_SHARE), LIGHT_SECONDS),
                in_work: is_limited.then(|| Arc::new(Semaphore::new(at_once))),
            })
        });
        *lock(&budget.asked) = now;
        (Arc::clone(budget), is_alone)
    }
}

/// One request that waits for its turn, counted for as long as it does.
struct Waiting<'w>(&'w AtomicUsize);

impl<'w> Waiting<'w> {
    /// `None` where as many wait as may.
    fn begin(waiting: &'w AtomicUsize) -> Option<Self> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(waiting);
        (before < MOST_WAITING).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets(settings: &Settings) -> Budgets {
        Budgets::new(settings, 2)
    }

    #[test]
    fn one_tokens_flood_leaves_the_others_alone() {
        let budgets = budgets(&Settings {
            rate_requests: 5,
            ..Settings::default()
        });
        let ask = |token| budgets.of_token(token, 0);
        assert!((0..5).all(|_| ask("flood").is_ok()));
        let over = ask("flood").unwrap_err();
        assert_eq!(over.limit, Limit::Requests);
        assert!(over.wait > Duration::ZERO && over.wait <= Duration::from_secs(1));
        assert!(ask("gate").is_ok());
    }

    #[test]
    fn bytes_are_counted_for_the_address_too() {
        let budgets = budgets(&Settings {
            rate_bytes: 1000,
            ..Settings::default()
        });
        let address = "10.0.0.7".parse().unwrap();
        for _ in 0..CALLERS_BEHIND_AN_ADDRESS {
            budgets.of_address(address, 900).unwrap();
        }
        let over = (0..2).find_map(|_| budgets.of_address(address, 900).err());
        assert_eq!(over.unwrap().limit, Limit::Bytes);
        budgets.of_token("one", 1 << 40).unwrap();
    }

    #[tokio::test]
    async fn a_token_has_so_many_pictures_in_flight_and_the_next_waits_its_turn() {
        let budgets = Arc::new(budgets(&Settings::default()));
        let patience = Duration::from_secs(60);
        let one = budgets.turn("gate", 1, patience).await.unwrap();
        let _two = budgets.turn("gate", 1, patience).await.unwrap();
        let waiting: Vec<_> = (0..MOST_WAITING)
            .map(|_| {
                let budgets = Arc::clone(&budgets);
                tokio::spawn(async move { budgets.turn("gate", 1, patience).await.map(drop) })
            })
            .collect();
        while budgets.of("gate").0.waiting.load(Ordering::Relaxed) < MOST_WAITING {
            tokio::task::yield_now().await;
        }
        let over = budgets.turn("gate", 1, patience).await.map(drop);
        let over = over.unwrap_err();
        assert_eq!(over.limit, Limit::Pictures);
        assert!(budgets.turn("other", 1, patience).await.is_ok());
        drop(one);
        for turn in waiting {
            turn.await.unwrap().unwrap();
        }
        let _free = budgets.turn("gate", 1, Duration::ZERO).await.unwrap();
    }

    #[tokio::test]
    async fn a_comparison_counts_as_two_pictures_and_as_one_where_only_one_may_be_in_flight() {
        for (pictures_at_once, alone) in [(1, true), (2, true), (3, false)] {
            let budgets = budgets(&Settings {
                pictures_at_once,
                ..Settings::default()
            });
            let turn = async |pictures| budgets.turn("gate", pictures, Duration::ZERO).await;
            let pair = turn(2).await.unwrap();
            assert_eq!(turn(1).await.is_err(), alone, "{pictures_at_once}");
            drop(pair);
            let one = turn(1).await.unwrap();
            assert_eq!(turn(2).await.is_err(), alone, "{pictures_at_once}");
            drop(one);
            assert!(turn(2).await.is_ok());
        }
    }

    #[tokio::test]
    async fn pictures_that_take_long_use_up_the_share_of_the_workers() {
        let budgets = budgets(&Settings {
            processor_share: 0.5,
            ..Settings::default()
        });
        let turn = budgets.turn("gate", 1, Duration::ZERO).await.unwrap();
        let mut charge = turn.begin(Instant::now()).await;
        charge.spent(Duration::from_secs(61));
        drop(charge);
        drop(turn);
        let over = budgets
            .turn("gate", 1, Duration::ZERO)
            .await
            .map(drop)
            .unwrap_err();
        assert_eq!(over.limit, Limit::Processor);
        assert!(over.wait <= Duration::from_secs(1));
        assert!(budgets.turn("other", 1, Duration::ZERO).await.is_ok());
    }

    #[tokio::test]
    async fn who_uses_much_leaves_a_worker_free_and_who_uses_little_may_have_all() {
        let far = Instant::now() + Duration::from_secs(3600);
        let budgets = budgets(&Settings::default());
        let alone = budgets.turn("gate", 1, Duration::ZERO).await.unwrap();
        let _other = budgets.turn("other", 1, Duration::ZERO).await.unwrap();
        let turn = budgets.turn("gate", 1, Duration::ZERO).await.unwrap();
        let pair = [
            turn.begin(Instant::now()).await,
            turn.begin(Instant::now()).await,
        ];
        assert!(pair.iter().all(|charge| charge._permit.is_none()));
        for mut charge in pair {
            charge.spent(Duration::from_secs(2));
        }

        let one = turn.begin(Instant::now()).await;
        assert!(one._permit.is_some(), "one of two workers");
        let late = turn.begin(Instant::now()).await;
        assert!(late._permit.is_none(), "it waited until its deadline");
        let next = tokio::spawn({
            let turn = turn.clone();
            async move { turn.begin(far).await._permit.is_some() }
        });
        let all = alone.begin(Instant::now()).await;
        assert!(all._permit.is_none(), "nobody else needs the other one");
        drop(one);
        assert!(next.await.unwrap());

        let generous = Budgets::new(
            &Settings {
                processor_share: 1.0,
                ..Settings::default()
            },
            2,
        );
        let _other = generous.turn("other", 1, Duration::ZERO).await.unwrap();
        let turn = generous.turn("gate", 1, Duration::ZERO).await.unwrap();
        let mut charge = turn.begin(far).await;
        charge.spent(Duration::from_secs(60));
        drop(charge);
        assert!(turn.begin(far).await._permit.is_none());
    }
}
