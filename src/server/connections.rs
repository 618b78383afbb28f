//! Limits on connections: how many an address may hold, and how long answers lie unread.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The open connections of each address.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    most: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// Stands for one open connection; counted for as long as it lives.
#[must_use]
pub(super) struct Counted {
    address: Option<IpAddr>,
    connections: Connections,
    /// Whether its address already held as many as it may: requests are refused.
    pub(super) is_one_too_many: bool,
}

/// [`Counted::is_one_too_many`], for each request of the connection.
pub(super) struct OneTooMany(pub(super) bool);

impl Connections {
    /// An address may hold `most` connections; 0 sets no limit.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            open: Arc::default(),
        }
    }

    /// Counts a connection from `address`; those of the Unix socket have none, and no limit of
    /// their own. `None` where the address has twice as many as it may: it is to be closed unheard.
    /// Up to there each has its request answered with a refusal, so that a caller by mistake learns
    /// of it.
    pub(super) fn count(&self, address: Option<IpAddr>) -> Option<Counted> {
        match address {
            Some(address) => self.counted(address),
            None => Some(Counted {
                address: None,
                connections: self.clone(),
                is_one_too_many: false,
            }),
        }
    }

    fn counted(&self, address: IpAddr) -> Option<Counted> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let held = open.entry(address).or_default();
        if self.most > 0 && *held >= 2 * self.most {
            return None;
        }
        *held += 1;
        Some(Counted {
            address: Some(address),
            is_one_too_many: self.most > 0 && *held > self.most,
            connections: self.clone(),
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(address) = self.address else {
            return;
        };
        let open = &self.connections.open;
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = open.get_mut(&address) {
            *held -= 1;
            if *held == 0 {
                open.remove(&address);
            }
        }
    }
}

/// Has the system close each connection of `listener` whose peer takes nothing of an answer for so
/// long: else it would stay in memory as long as the peer likes.
pub(super) fn close_where_nothing_is_read(
    listener: &TcpListener,
    patience: Duration,
) -> io::Result<()> {
    let millis = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
    // Connections inherit it from the socket that they are accepted on.
    rustix::net::sockopt::set_tcp_user_timeout(listener, millis)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_and_gets_back_what_it_closes() {
        let connections = Connections::new(2);
        let [one, other] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
        let held: Vec<_> = (0..4)
            .map(|_| connections.counted(one).unwrap().is_one_too_many)
            .collect();
        // Each is given back at once.
        assert_eq!(held, [false; 4]);
        let mut held: Vec<_> = (0..4).map(|_| connections.counted(one).unwrap()).collect();
        let refused: Vec<_> = held.iter().map(|counted| counted.is_one_too_many).collect();
        assert_eq!(refused, [false, false, true, true]);
        assert!(connections.counted(one).is_none(), "closed unheard");
        assert!(!connections.counted(other).unwrap().is_one_too_many);
        held.truncate(1);
        assert!(!connections.counted(one).unwrap().is_one_too_many);
        held.clear();
        assert!(connections.open.lock().unwrap().is_empty());
    }

    #[test]
    fn zero_is_no_limit() {
        let connections = Connections::new(0);
        let held: Vec<_> = (0..100)
            .map(|_| connections.counted("::1".parse().unwrap()).unwrap())
            .collect();
        assert!(held.iter().all(|counted| !counted.is_one_too_many));
    }
}
