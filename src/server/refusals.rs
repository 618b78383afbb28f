//! A problem body for bytes that are not an HTTP request.
//!
//! actix refuses such bytes before any of our code sees a request, with a status and an empty body.
//! The connection is the only place left to say more: [`Explained`] sits between actix and the
//! socket, or the TLS stream over it, and puts a problem in the place of that refusal. No other
//! answer of the service is an error without a body, so nothing else is touched.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::http::StatusCode;
use bytes::{Buf, Bytes};
use faceood_engine::problem::ProblemCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use uuid::Uuid;

use super::connections::Counted;
use super::peer::{Peer, Way};
use super::problem_response::{CONTENT_TYPE, ProblemBody};
use crate::node::NodeName;
use crate::telemetry::metrics;

/// What a connection is read from and written to: TCP, TLS over it, or a Unix socket.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

pub(super) struct Explained {
    socket: Box<dyn Stream>,
    pub(super) peer: Peer,
    pub(super) counted: Counted,
    node: NodeName,
    /// What the socket has not yet taken of a refusal.
    waiting: Bytes,
}

impl Explained {
    pub(super) fn new(
        socket: impl Stream + 'static,
        peer: Peer,
        counted: Counted,
        node: NodeName,
    ) -> Self {
        Self {
            socket: Box::new(socket),
            peer,
            counted,
            node,
            waiting: Bytes::new(),
        }
    }

    fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let taken = ready!(Pin::new(&mut self.socket).poll_write(context, &self.waiting))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(taken);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Explained {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Explained {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_waiting(context))?;
        let Some(status) = bare_refusal(bytes) else {
            return Pin::new(&mut self.socket).poll_write(context, bytes);
        };
        self.waiting = refusal(status, &explanation(status, &self.peer), &self.node);
        // What the socket does not take now goes with the next write or flush.
        if let Poll::Ready(outcome) = self.poll_waiting(context) {
            outcome?;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_waiting(context))?;
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_waiting(context))?;
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// The status, where `bytes` are an error answer with an empty body and nothing else.
fn bare_refusal(bytes: &[u8]) -> Option<StatusCode> {
    let rest = bytes.strip_prefix(b"HTTP/1.1 ")?;
    let status = StatusCode::from_bytes(rest.get(..3)?).ok()?;
    // Answers pass here, too: of those nothing more is read.
    if !status.is_client_error() {
        return None;
    }
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let mut headers = head.lines().skip(1);
    let is_empty = headers.any(|line| line.eq_ignore_ascii_case("content-length: 0"));
    // A body would stand behind another empty line.
    (is_empty && !head.contains("\r\n\r\n")).then_some(status)
}

/// What was wrong with a head, by the status that actix gave it.
fn explanation(status: StatusCode, peer: &Peer) -> Cow<'static, str> {
    const NO_HTTP: &str = "this is no HTTP/1.1 request; it begins with a line such as POST /v1/extract HTTP/1.1 of at most 64 kB, with \
         other than ASCII characters of the address percent-encoded, and has one header Host and, with a body, one \
         Content-Length that is a number";
    match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "the request has too many headers, or too long ones; send at most 96 lines, 128 kB in all".into()
        }
        StatusCode::REQUEST_TIMEOUT => {
            "the head of the request did not arrive in time (server.head_timeout_ms); send it in one piece".into()
        }
        // Over TLS it was no attempt at HTTPS.
        _ if peer.is_tls || peer.way == Way::Socket => NO_HTTP.into(),
        _ => format!("{NO_HTTP}; HTTPS is not spoken here").into(),
    }
}

/// An answer to what is no request, for which there is no other place in the log.
pub(super) fn refusal(status: StatusCode, detail: &str, node: &NodeName) -> Bytes {
    let reason = status.canonical_reason().unwrap_or("Refused");
    let (status, code) = (status.as_u16(), ProblemCode::MalformedRequest);
    let id = Uuid::now_v7().to_string();
    let body = ProblemBody::new(code, status, detail, &id);
    let body = serde_json::to_string(&body).unwrap_or_default();
    metrics::request("other", status, code.code(), Duration::ZERO);
    tracing::info!(
        request_id = id,
        status,
        code = code.code(),
        "refused a head that is no HTTP request"
    );
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: {}\r\nconnection: close\r\nx-request-id: {id}\r\nx-faceood-node: {node}\r\n\r\n{body}",
        body.len(),
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_without_a_body_is_a_bare_refusal() {
        let bare = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        assert_eq!(bare_refusal(bare), Some(StatusCode::BAD_REQUEST));
        for other in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 20\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 4",
            b"\xff",
            b"",
        ] {
            assert_eq!(bare_refusal(other), None);
        }
    }
}
