//! The tokens in force. What is seen of their use goes to the log, which keeps it until it is written.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use faceood_log::{AccessEvent, AccessRefusal, InferenceLog, TokenUse};
use tokio::sync::watch;

use super::budget::{Budgets, Turn};
use super::failures::Failures;
use super::rates::OverLimit;
use super::sessions::Sessions;
use super::tokens::{Presented, Secret, Token, TokenError, TokenState, Tokens};
use super::{Settings, lock};
use crate::telemetry::metrics;

/// How often the file of tokens is looked at: a revoked token is refused within a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Refusals of one address that are noted a minute; more are counted in metrics only.
const NOTED_PER_MINUTE: usize = 20;

/// Addresses of which refusals are noted in one minute.
const MOST_NOTED: usize = 1000;

/// What a caller shows of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials<'a> {
    /// A token, from `Authorization: Bearer` or `X-API-Key`.
    pub token: Option<&'a str>,
    /// The cookie of a session.
    pub session: Option<&'a str>,
    /// The common name of a verified client certificate.
    pub certificate: Option<&'a str>,
}

/// Why a caller is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It shows nothing.
    NoToken,
    /// What it shows belongs to no token.
    Wrong,
    /// The certificate names no token.
    Certificate(String),
    /// The token of this name has expired.
    Expired(String),
    /// The token of this name was revoked.
    Revoked(String),
    /// Its address has sent too many wrong tokens, and is heard again after this time.
    Blocked(Duration),
}

/// Holds the tokens in force. Cheap to clone.
#[derive(Clone)]
pub struct AccessControl {
    shared: Arc<Shared>,
}

struct Shared {
    file: PathBuf,
    /// What it was when it was first read.
    opened: Version,
    tokens: watch::Sender<Arc<Tokens>>,
    /// Held from reading the file until what it says is in force, so that no older state replaces a
    /// newer one.
    reading: Mutex<()>,
    failures: Mutex<Failures>,
    sessions: Mutex<Sessions>,
    budgets: Budgets,
    noted: Mutex<Noted>,
    log: InferenceLog,
}

/// How many refusals of each address were noted in the current minute.
#[derive(Default)]
struct Noted {
    minute: i64,
    by_address: HashMap<IpAddr, usize>,
}

/// What tells one version of a file from another.
type Version = Option<(u64, u64, i64, i64)>;

fn version(file: &Path) -> Version {
    let file = fs::metadata(file).ok()?;
    Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}

/// What [`AccessControl::keep`] has seen of the file.
struct Seen {
    /// The version whose tokens are in force.
    in_force: Version,
    /// The last version that could not be read.
    complained_of: Option<Version>,
}

impl Seen {
    /// Calls `read` unless the version `now` is in force. Gives an error once for each version: one
    /// that cannot be read is tried again, since the same file may become readable.
    fn look(
        &mut self,
        now: Version,
        read: impl FnOnce() -> Result<(), TokenError>,
    ) -> Option<TokenError> {
        if now == self.in_force {
            return None;
        }
        match read() {
            Ok(()) => {
                self.in_force = now;
                self.complained_of = None;
                None
            }
            Err(error) => {
                let before = self.complained_of.replace(now);
                (before != Some(now)).then_some(error)
            }
        }
    }
}

fn complain(error: &TokenError) {
    tracing::error!(%error, "the tokens cannot be read: the old ones stay in force");
}

impl AccessControl {
    /// Reads the tokens in `file`. `workers` are the threads that analyse pictures; `log` hears of
    /// uses and refusals.
    ///
    /// # Errors
    /// Where the file is there and cannot be used.
    pub fn open(
        file: &Path,
        settings: &Settings,
        workers: usize,
        log: InferenceLog,
    ) -> Result<Self, TokenError> {
        let shared = Shared {
            // Before it is read, so that no change is missed.
            opened: version(file),
            file: file.to_owned(),
            tokens: watch::Sender::new(Arc::new(Tokens::read(file)?)),
            reading: Mutex::default(),
            failures: Mutex::default(),
            sessions: Mutex::default(),
            budgets: Budgets::new(settings, workers),
            noted: Mutex::default(),
            log,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The tokens in force.
    pub fn tokens(&self) -> Arc<Tokens> {
        Arc::clone(&self.shared.tokens.borrow())
    }

    /// Reads the file again whenever it changes, for ever.
    pub async fn keep(self) {
        let mut seen = Seen {
            in_force: self.shared.opened,
            complained_of: None,
        };
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            let now = version(&self.shared.file);
            if let Some(error) = seen.look(now, || self.put_in_force()) {
                complain(&error);
            }
        }
    }

    /// Changes the file, and puts in force what it then says. Waits for the disk.
    ///
    /// # Errors
    /// As [`Tokens::change`].
    pub fn change_tokens<T>(
        &self,
        change: impl FnOnce(&mut Tokens) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        let changed = Tokens::change(&self.shared.file, None, change)?;
        self.read_again();
        Ok(changed)
    }

    /// Puts in force what the file says now. False where it cannot be used, which is logged and
    /// changes nothing.
    pub fn read_again(&self) -> bool {
        let read = self.put_in_force();
        read.inspect_err(complain).is_ok()
    }

    fn put_in_force(&self) -> Result<(), TokenError> {
        let _reading = lock(&self.shared.reading);
        let tokens = Tokens::read(&self.shared.file)?;
        if *self.tokens() != tokens {
            tracing::info!(tokens = tokens.all.len(), "the tokens were read again");
            self.shared.tokens.send_replace(Arc::new(tokens));
        }
        Ok(())
    }

    /// The token by which a caller at `address` is known.
    ///
    /// # Errors
    /// Where it shows nothing that is valid. A wrong token counts against its address.
    pub fn identify(
        &self,
        address: Option<IpAddr>,
        shown: Credentials<'_>,
    ) -> Result<Token, Unknown> {
        let (now, tokens) = (Utc::now(), self.tokens());
        if let Some(text) = shown.token {
            if let Some(left) = address.and_then(|address| self.blocked(address)) {
                return Err(Unknown::Blocked(left));
            }
            let found = tokens.find(&Presented::new(text), now);
            let Some(token) = found else {
                if let Some(address) = address {
                    self.count_failure(address);
                }
                return Err(Unknown::Wrong);
            };
            return valid(token, now);
        }
        if let Some(cookie) = shown.session {
            let sessions = lock(&self.shared.sessions);
            let hash = sessions.token(&Presented::new(cookie), Instant::now());
            let token = hash.and_then(|hash| tokens.of_hash(hash, now));
            // Whoever was signed in signs in again, and then learns what is wrong.
            if let Some(token) = token.and_then(|token| valid(token, now).ok()) {
                return Ok(token);
            }
        }
        match shown.certificate {
            Some(name) => match tokens.named(name) {
                Some(token) => valid(token, now),
                None => Err(Unknown::Certificate(name.to_owned())),
            },
            None => Err(Unknown::NoToken),
        }
    }

    fn blocked(&self, address: IpAddr) -> Option<Duration> {
        lock(&self.shared.failures).blocked(address, Instant::now())
    }

    fn count_failure(&self, address: IpAddr) {
        if lock(&self.shared.failures).count(address, Instant::now()) {
            tracing::warn!(%address, "too many wrong tokens: this address is refused for five minutes");
        }
    }

    /// Signs in with a token, for whose role the page is; gives the secret for the cookie.
    ///
    /// # Errors
    /// Where the system has no random numbers.
    pub fn sign_in(&self, token: &Token) -> io::Result<Secret> {
        lock(&self.shared.sessions).begin(&token.sha256, Instant::now())
    }

    /// Ends the session of this cookie.
    pub fn sign_out(&self, cookie: &str) {
        lock(&self.shared.sessions).end(&Presented::new(cookie));
    }

    /// Counts a request of `bytes` against the budget of its address.
    ///
    /// # Errors
    /// Where the budget is used up.
    pub fn count_from(&self, address: IpAddr, bytes: u64) -> Result<(), OverLimit> {
        self.shared.budgets.of_address(address, bytes)
    }

    /// Counts a request of `bytes` against the budget of the token `name`.
    ///
    /// # Errors
    /// Where the budget is used up.
    pub fn count_of(&self, name: &str, bytes: u64) -> Result<(), OverLimit> {
        self.shared.budgets.of_token(name, bytes)
    }

    /// Counts `bytes` more of a request that has been counted, for its address and its token.
    ///
    /// # Errors
    /// Where a budget is used up.
    pub(super) fn count_more(
        &self,
        address: Option<IpAddr>,
        token: Option<&str>,
        bytes: u64,
    ) -> Result<(), OverLimit> {
        self.shared.budgets.more_bytes(address, token, bytes)
    }

    /// Most bytes for which a single request is charged.
    pub(super) fn most_bytes(&self) -> u64 {
        self.shared.budgets.most_bytes()
    }

    /// Waits until the token `name` may have so many more `pictures` in flight, for at most
    /// `patience`.
    ///
    /// # Errors
    /// Where too many wait already, the time is over, or its share of the workers is used up.
    pub async fn turn(
        &self,
        name: &str,
        pictures: u32,
        patience: Duration,
    ) -> Result<Turn, OverLimit> {
        self.shared.budgets.turn(name, pictures, patience).await
    }

    /// Notes that a token was used.
    pub fn note_use(&self, name: &str, address: Option<IpAddr>) {
        let now = Utc::now();
        let used = TokenUse {
            token: name.to_owned(),
            uses: 1,
            first: now,
            last: now,
            last_address: address,
        };
        self.shared.log.note_access(Vec::new(), vec![used]);
    }

    /// Counts a refusal at the route `endpoint`, and notes it in both logs unless its address has
    /// been noted often in this minute.
    pub fn note_refusal(
        &self,
        address: Option<IpAddr>,
        token: Option<&str>,
        endpoint: &str,
        refusal: AccessRefusal,
    ) {
        let (time, reason) = (Utc::now(), refusal.name());
        metrics::refused(reason);
        if let Some(address) = address
            && !lock(&self.shared.noted).is_noted(address, time)
        {
            return;
        }
        tracing::warn!(reason, ?address, token, "a caller was refused");
        let refused = AccessEvent {
            time,
            address,
            token: token.map(ToOwned::to_owned),
            endpoint: endpoint.to_owned(),
            refusal,
        };
        self.shared.log.note_access(vec![refused], Vec::new());
    }
}

impl Noted {
    /// Counts a refusal of `address`, and says whether it is one of those that are noted.
    fn is_noted(&mut self, address: IpAddr, time: DateTime<Utc>) -> bool {
        let minute = time.timestamp().div_euclid(60);
        if self.minute != minute {
            self.minute = minute;
            self.by_address.clear();
        }
        if self.by_address.len() >= MOST_NOTED {
            return false;
        }
        let noted = self.by_address.entry(address.to_canonical()).or_default();
        *noted += 1;
        *noted <= NOTED_PER_MINUTE
    }
}

fn valid(token: &Token, now: DateTime<Utc>) -> Result<Token, Unknown> {
    match token.state(now) {
        TokenState::Valid => Ok(token.clone()),
        TokenState::Expired => Err(Unknown::Expired(token.name.clone())),
        TokenState::Revoked => Err(Unknown::Revoked(token.name.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_is_complained_of_once_a_version_and_tried_again() {
        let at_version = |number| Some((number, 0, 0, 0));
        let mut seen = Seen {
            in_force: at_version(1),
            complained_of: None,
        };
        let broken = || Err(TokenError::Malformed("tokens.toml".into(), "x".into()));
        let same = seen.look(at_version(1), || panic!("it is in force already"));
        assert!(same.is_none());
        assert!(seen.look(at_version(2), broken).is_some());
        assert!(seen.look(at_version(2), broken).is_none());
        assert!(seen.look(at_version(3), broken).is_some());
        assert!(seen.look(at_version(3), broken).is_none());
        // The same version has become readable.
        assert!(seen.look(at_version(3), || Ok(())).is_none());
        assert_eq!(seen.in_force, at_version(3));
        assert!(seen.look(None, broken).is_some());
    }
}
