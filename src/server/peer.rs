//! Who is at the other end of a connection: a middleware reads it by `request.conn_data::<Peer>()`.

use std::net::{IpAddr, SocketAddr};

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Its address; `None` on the Unix socket.
    pub(crate) address: Option<IpAddr>,
    /// By which kind of listener it came.
    pub(crate) way: Way,
    /// Whether the connection is TLS.
    pub(crate) is_tls: bool,
    /// Common name of the client certificate, verified against `server.tls.client_ca`.
    pub(crate) certificate_name: Option<String>,
}

/// A kind of listener, by its own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// An address that only this machine reaches.
    Loopback,
    /// Any other address, also one that stands for all of this machine's.
    Network,
    /// The Unix socket.
    Socket,
}

/// Whether only this machine reaches `address`, also where it is an IPv4 address in IPv6 clothes.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

impl Way {
    /// The kind of a listener that has `address`.
    pub(crate) fn of(address: SocketAddr) -> Self {
        if is_loopback(address.ip()) {
            Self::Loopback
        } else {
            Self::Network
        }
    }
}

impl Peer {
    /// A peer that has shown no certificate. An IPv4 address in IPv6 clothes is given as IPv4, so
    /// that one machine counts as one.
    pub(crate) fn new(way: Way, address: Option<SocketAddr>) -> Self {
        Self {
            address: address.map(|address| address.ip().to_canonical()),
            way,
            is_tls: false,
            certificate_name: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_loopback_and_one_machine_has_one_address() {
        for (address, way) in [
            ("127.0.0.1:1", Way::Loopback),
            ("[::1]:1", Way::Loopback),
            ("[::ffff:127.0.0.1]:1", Way::Loopback),
            ("0.0.0.0:1", Way::Network),
            ("[::]:1", Way::Network),
            ("192.168.1.5:1", Way::Network),
        ] {
            assert_eq!(Way::of(address.parse().unwrap()), way, "{address}");
        }
        let mapped = "[::ffff:192.168.1.5]:1".parse().ok();
        let peer = Peer::new(Way::Network, mapped);
        assert_eq!(peer.address, Some([192, 168, 1, 5].into()));
    }
}
