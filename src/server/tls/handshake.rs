//! The first bytes of a connection to an address that speaks TLS.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::rt::net::TcpStream;
use faceood_log::AccessRefusal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Tls;
use super::facts::common_name;
use crate::access::AccessControl;
use crate::node::NodeName;
use crate::server::refusals::refusal;
use crate::telemetry::metrics;

/// The first byte of every TLS connection: a record of the handshake.
const RECORD_OF_HANDSHAKE: u8 = 0x16;

/// How long, and how much, is read from whoever was refused, so that the reason reaches it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 1 << 16;

/// In the place of the route where a caller is refused before any request.
const ENDPOINT: &str = "tls";

/// The kind of a handshake that fails for the client's certificate.
const CLIENT_CERTIFICATE: &str = "client_certificate";

const USE_HTTPS: &str = "this address speaks HTTPS: begin the address with https://; GET /ca.pem has the authority that a client \
     is to trust, unless one was configured (server.tls)";

/// A connection that speaks TLS.
pub(in crate::server) struct Handshake {
    pub(in crate::server) stream: TlsStream<TcpStream>,
    /// Common name of the client's certificate, where it has shown one.
    pub(in crate::server) certificate_name: Option<String>,
}

/// The handshake with `socket` of the client at `peer`, within `patience`. `None` where there will
/// be no connection; the log says why, `access` hears of a certificate that is refused, and whoever
/// speaks plain HTTP is told so by `node`.
pub(in crate::server) async fn accept(
    socket: TcpStream,
    tls: &Tls,
    patience: Duration,
    peer: Option<IpAddr>,
    access: &AccessControl,
    node: &NodeName,
) -> Option<Handshake> {
    let (reason, error) = match timeout(patience, attempt(socket, tls)).await {
        Ok(Ok(handshake)) => return Some(handshake),
        // Who only looks whether the port is open is no failure.
        Ok(Err(Refused::Gone)) => return None,
        Ok(Err(Refused::PlainHttp(mut socket))) => {
            let answer = refusal(StatusCode::BAD_REQUEST, USE_HTTPS, node);
            let _ = timeout(LINGER, async {
                socket.write_all(&answer).await?;
                linger(socket).await
            })
            .await;
            ("plain_http", "the client does not speak TLS".to_owned())
        }
        Ok(Err(Refused::Tls(error, socket))) => {
            let _ = timeout(LINGER, linger(socket)).await;
            (kind(&error), error.to_string())
        }
        Err(_) => (
            "timeout",
            "the client was silent for too long (server.head_timeout_ms)".to_owned(),
        ),
    };
    metrics::handshake_failed(reason);
    if reason == CLIENT_CERTIFICATE {
        access.note_refusal(peer, None, ENDPOINT, AccessRefusal::Certificate);
    }
    let peer = peer.map(tracing::field::display);
    tracing::info!(peer, reason, error, "refused a TLS connection");
    None
}

enum Refused {
    Gone,
    PlainHttp(TcpStream),
    Tls(io::Error, TcpStream),
}

async fn attempt(socket: TcpStream, tls: &Tls) -> Result<Handshake, Refused> {
    let mut first = [0];
    match socket.peek(&mut first).await {
        Ok(1..) => {}
        _ => return Err(Refused::Gone),
    }
    // All methods of HTTP are letters.
    if first[0] != RECORD_OF_HANDSHAKE && first[0].is_ascii_alphabetic() {
        return Err(Refused::PlainHttp(socket));
    }
    let acceptor = TlsAcceptor::from(tls.in_force().server.clone());
    let accepted = acceptor.accept(socket).into_fallible().await;
    let stream = accepted.map_err(|(error, socket)| Refused::Tls(error, socket))?;
    let shown = stream.get_ref().1.peer_certificates();
    let certificate_name = shown.and_then(|chain| common_name(chain.first()?));
    Ok(Handshake {
        stream,
        certificate_name,
    })
}

/// Reads what still comes and throws it away: a socket that is closed with unread bytes loses what
/// it has sent.
async fn linger(mut socket: TcpStream) -> io::Result<()> {
    socket.shutdown().await?;
    let mut rest = socket.take(LINGER_BYTES);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}

/// The kind of a failed handshake, for the metric.
fn kind(error: &io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::NoCertificatesPresented | rustls::Error::InvalidCertificate(_)) => {
            CLIENT_CERTIFICATE
        }
        // The client says that it does not take our certificate.
        Some(rustls::Error::AlertReceived(_)) => "refused_by_client",
        _ => "protocol",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_named_by_whose_fault_it_is() {
        let of = |error| kind(&io::Error::other(error));
        assert_eq!(
            of(rustls::Error::NoCertificatesPresented),
            CLIENT_CERTIFICATE
        );
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA);
        assert_eq!(of(alert), "refused_by_client");
        assert_eq!(kind(&io::ErrorKind::UnexpectedEof.into()), "protocol");
    }
}
