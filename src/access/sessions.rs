//! Who is signed in to the page. Kept in memory: a restart of the daemon signs everybody out.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use super::tokens::{Presented, Secret};

/// How long a session lasts.
pub const SESSION_SECONDS: u64 = 12 * 60 * 60;

/// Most sessions; beyond it the one that ends first ends now.
const MOST: usize = 1000;

/// The open sessions, by the hash of their cookie.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: HashMap<Presented, Session>,
}

#[derive(Debug)]
struct Session {
    token: String,
    ends: Instant,
}

impl Sessions {
    /// Begins a session with the token of the hash `token`, and gives the secret for its cookie.
    pub(super) fn begin(&mut self, token: &str, now: Instant) -> io::Result<Secret> {
        let secret = Secret::new()?;
        self.open.retain(|_, session| now < session.ends);
        if self.open.len() >= MOST {
            let first = self.open.iter().min_by_key(|(_, session)| session.ends);
            if let Some(cookie) = first.map(|(cookie, _)| *cookie) {
                self.open.remove(&cookie);
            }
        }
        let session = Session {
            token: token.to_owned(),
            ends: now + Duration::from_secs(SESSION_SECONDS),
        };
        self.open.insert(Presented::new(secret.as_str()), session);
        Ok(secret)
    }

    /// The hash of the token that signed in with this cookie.
    pub(super) fn token(&self, cookie: &Presented, now: Instant) -> Option<&str> {
        let session = self.open.get(cookie)?;
        (now < session.ends).then_some(&session.token)
    }

    /// Ends the session of this cookie.
    pub(super) fn end(&mut self, cookie: &Presented) {
        self.open.remove(cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lasts_until_it_ends_or_is_ended() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let end = now + Duration::from_secs(SESSION_SECONDS);
        let cookies = [0, 1].map(|_| sessions.begin("hash", now).unwrap());
        let [one, other] = cookies.map(|cookie| Presented::new(cookie.as_str()));
        assert_eq!(sessions.token(&one, now), Some("hash"));
        assert_eq!(sessions.token(&one, end), None);
        assert_eq!(sessions.token(&Presented::new("fod_guess"), now), None);
        sessions.end(&one);
        assert_eq!(sessions.token(&one, now), None);
        assert_eq!(sessions.token(&other, now), Some("hash"));
    }

    #[test]
    fn there_is_a_bound_and_the_oldest_goes() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let oldest = sessions.begin("hash", now).unwrap();
        for number in 1..=MOST as u64 {
            sessions
                .begin("hash", now + Duration::from_millis(number))
                .unwrap();
        }
        assert_eq!(sessions.open.len(), MOST);
        assert_eq!(sessions.token(&Presented::new(oldest.as_str()), now), None);
    }
}
