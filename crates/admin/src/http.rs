//! A minimal HTTP client for one request to the running daemon.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// Longest that a healthy daemon takes to answer.
const PATIENCE: Duration = Duration::from_secs(5);

const LARGEST_ANSWER: u64 = 1024 * 1024;

/// The address that a daemon wrote down; `None` where no daemon runs on this data folder, an error
/// with what is written where that is no address.
pub(crate) fn address(file: &Path) -> Result<Option<SocketAddr>, String> {
    let Ok(text) = std::fs::read_to_string(file) else {
        return Ok(None);
    };
    let written = text.trim();
    let address = written.trim_start_matches("http://").parse();
    address.map(Some).map_err(|_| written.to_owned())
}

/// Status and body of `GET path`.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(LARGEST_ANSWER).read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status =
        status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer"))?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}

/// Status of `GET /readyz`, and why the daemon is not ready where it is not.
pub(crate) fn readiness(address: SocketAddr) -> io::Result<(u16, String)> {
    let (status, body) = get(address, "/readyz")?;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let reason = body["detail"].as_str().unwrap_or("it does not say why");
    Ok((status, reason.to_owned()))
}
