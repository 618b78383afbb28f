//! How the operator's command reaches the running daemon: over the Unix socket or on loopback, where
//! no token is asked for. A minimal HTTP client for one request.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use faceood::config::Config;
use faceood::server::is_loopback;
use rustix::fs::{Access, access};

/// Longest that a healthy daemon takes to answer.
const PATIENCE: Duration = Duration::from_secs(5);

const LARGEST_ANSWER: u64 = 1024 * 1024;

/// Where the running daemon answers without a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Daemon {
    /// `server.socket`.
    Socket(PathBuf),
    /// An address of loopback, or any of a service that is open to everybody.
    Address(SocketAddr),
}

/// Why the daemon cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreachable {
    #[error("no daemon runs on this data folder")]
    NotRunning,
    #[error("{} holds {written:?}, no address", file.display())]
    NoAddress { file: PathBuf, written: String },
    #[error("nobody listens at {0}, where the last daemon did: it was killed")]
    Killed(SocketAddr),
    #[error("the daemon listens on the network alone ({0})")]
    NetworkAlone(SocketAddr),
    #[error("the daemon's socket {} is not there", .0.display())]
    NoSocket(PathBuf),
    #[error("this user may not use the daemon's socket {}", .0.display())]
    Forbidden(PathBuf),
}

impl Unreachable {
    /// What to do about it.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::NotRunning => None,
            Self::NoAddress { .. } => Some("restart the daemon, which writes it anew"),
            Self::Killed(_) => Some("start it again"),
            Self::NetworkAlone(_) => {
                Some("set server.socket, or add 127.0.0.1:7860 to listen; then restart it")
            }
            Self::NoSocket(_) => Some("restart the daemon, which makes server.socket anew"),
            Self::Forbidden(_) => Some("run the same command with sudo, or as the daemon's user"),
        }
    }
}

/// The address that the running daemon wrote down: the first of loopback, else the first.
pub(crate) fn address(config: &Config) -> Result<SocketAddr, Unreachable> {
    let file = config.address_file();
    let text = std::fs::read_to_string(&file).map_err(|_| Unreachable::NotRunning)?;
    let written = text.trim();
    let address = written.trim_start_matches("http://").parse();
    address.map_err(|_| Unreachable::NoAddress {
        file,
        written: written.to_owned(),
    })
}

impl Daemon {
    /// The daemon that runs on the data folder of `config`: by its socket where this user may use
    /// one, else by its address of loopback.
    pub(crate) fn find(config: &Config) -> Result<Self, Unreachable> {
        let address = address(config)?;
        let socket = config.server.socket_path(&config.data_dir);
        let usable = socket.as_ref().map(|path| access(path, Access::WRITE_OK));
        let is_open = config.server.open && !config.server.speaks_tls(address);
        match (socket, usable) {
            (Some(path), Some(Ok(()))) => Ok(Self::Socket(path)),
            _ if is_loopback(address.ip()) || is_open => Ok(Self::Address(address)),
            _ if TcpStream::connect_timeout(&address, PATIENCE).is_err() => {
                Err(Unreachable::Killed(address))
            }
            (Some(path), Some(Err(rustix::io::Errno::NOENT))) => Err(Unreachable::NoSocket(path)),
            (Some(path), _) => Err(Unreachable::Forbidden(path)),
            (None, _) => Err(Unreachable::NetworkAlone(address)),
        }
    }

    /// Status and body of `GET path`.
    pub(crate) fn get(&self, path: &str) -> io::Result<(u16, String)> {
        match self {
            Self::Socket(socket) => {
                let stream = UnixStream::connect(socket)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                exchange(stream, "localhost", path)
            }
            Self::Address(address) => {
                let stream = TcpStream::connect_timeout(address, PATIENCE)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                exchange(stream, &address.to_string(), path)
            }
        }
    }

    /// Status of `GET /readyz`, and why the daemon is not ready where it is not.
    pub(crate) fn readiness(&self) -> io::Result<(u16, String)> {
        let (status, body) = self.get("/readyz")?;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        let reason = body["detail"].as_str().unwrap_or("it does not say why");
        Ok((status, reason.to_owned()))
    }
}

impl fmt::Display for Daemon {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(formatter),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

fn exchange(mut stream: impl Read + Write, host: &str, path: &str) -> io::Result<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(LARGEST_ANSWER).read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status =
        status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer"))?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn the_socket_comes_first_then_loopback_then_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config {
            data_dir: folder.path().to_owned(),
            ..Config::default()
        };
        let socket = folder.path().join("faceood.sock");
        let fault = |config: &Config| Daemon::find(config).unwrap_err();
        assert_eq!(fault(&config), Unreachable::NotRunning);
        fs::write(config.address_file(), "here\n").unwrap();
        let garbled = fault(&config);
        assert!(garbled.to_string().contains("\"here\""), "{garbled}");

        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let network = listener.local_addr().unwrap();
        fs::write(config.address_file(), format!("{network}\n")).unwrap();
        let alone = fault(&config);
        assert_eq!(alone, Unreachable::NetworkAlone(network));
        for way in ["server.socket", "127.0.0.1:7860"] {
            assert!(alone.advice().unwrap().contains(way));
        }
        // Whoever reaches it may ask: so may this machine.
        config.server.open = true;
        assert_eq!(Daemon::find(&config), Ok(Daemon::Address(network)));
        config.server.open = false;

        config.server.socket = "faceood.sock".into();
        assert_eq!(fault(&config), Unreachable::NoSocket(socket.clone()));
        drop(listener);
        assert_eq!(fault(&config), Unreachable::Killed(network));
        let loopback: SocketAddr = "127.0.0.1:7860".parse().unwrap();
        fs::write(config.address_file(), format!("{loopback}\n")).unwrap();
        assert_eq!(Daemon::find(&config), Ok(Daemon::Address(loopback)));
        let _listener = UnixListener::bind(&socket).unwrap();
        assert_eq!(Daemon::find(&config), Ok(Daemon::Socket(socket)));
    }
}
