//! Checks whether the running daemon is ready, by one plain HTTP request.

use std::io;
use std::net::{SocketAddr, TcpListener};

use super::{Finding, failed, ok, skipped, warning};
use crate::http::{self, Daemon, Unreachable};
use faceood::config::Config;

pub(super) fn check(config: &Config) -> Finding {
    let daemon = match Daemon::find(config) {
        Ok(daemon) => daemon,
        Err(none @ Unreachable::NotRunning) => {
            let place = config.address_file();
            return skipped(format!("{none} (no {})", place.display()));
        }
        Err(unreachable) => {
            let advice = unreachable.advice().unwrap_or_default();
            return warning(unreachable.to_string(), advice);
        }
    };
    match daemon.readiness() {
        Ok((200, _)) => ok(format!("ready at {daemon}")),
        Ok((status, reason)) => failed(
            format!("{daemon} answers {status}: {reason}"),
            "see the daemon's log (journalctl -u faceoodd, or the text log)",
        ),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => warning(
            format!("nobody listens at {daemon}, where the last daemon did: it was killed"),
            "start it again",
        ),
        Err(error) => failed(
            format!("{daemon} does not answer: {error}"),
            "see the daemon's log, then restart it",
        ),
    }
}

/// The address that the running daemon wrote down; `None` where no daemon runs.
pub(super) fn own_address(config: &Config) -> Option<SocketAddr> {
    let address = http::address(config).ok()?;
    let is_there = match Daemon::find(config) {
        Ok(daemon) => daemon.get("/healthz").is_ok(),
        Err(unreachable) => !matches!(unreachable, Unreachable::Killed(_)),
    };
    is_there.then_some(address)
}

/// Whether the daemon can have the addresses that the settings give it. `ours`: one of the running
/// daemon's.
pub(super) fn ports(listen: &[SocketAddr], ours: Option<SocketAddr>) -> Vec<Finding> {
    let is_one = |ours: SocketAddr| {
        listen
            .iter()
            .any(|it| [0, ours.port()].contains(&it.port()))
    };
    match ours {
        Some(ours) if !is_one(ours) => vec![skipped(format!(
            "the running daemon listens on {ours}, which a flag, a variable or systemd has given it, and not on {}",
            listen
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ))],
        ours => listen.iter().map(|address| port(*address, ours)).collect(),
    }
}

/// As [`ports`], for one address. While the daemon answers at `ours`, it has them all.
fn port(listen: SocketAddr, ours: Option<SocketAddr>) -> Finding {
    let port = listen.port();
    if port == 0 {
        return skipped(format!("{listen}: any free port will do"));
    }
    match TcpListener::bind(listen) {
        _ if ours.is_some_and(|ours| ours.port() == port) => {
            ok(format!("{listen} is the daemon's"))
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && ours.is_some() => {
            ok(format!("{listen} is the running daemon's"))
        }
        Ok(_) => ok(format!("{listen} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => failed(
            format!("{listen} is taken by another program"),
            format!(
                "see whose it is: ss -ltnp 'sport = {port}'; stop that one, or choose another with listen"
            ),
        ),
        Err(error) => failed(
            format!("{listen} cannot be listened on: {error}"),
            "choose an address of this machine with listen, and a port above 1023",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;
    use std::io::{Read, Write};
    use std::thread;
    use tempfile::TempDir;

    fn config(folder: &TempDir) -> Config {
        Config {
            data_dir: folder.path().to_owned(),
            ..Config::default()
        }
    }

    fn answered(answer: &'static str) -> Finding {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dir = TempDir::new().unwrap();
        let config = config(&dir);
        let address = format!("http://{}\n", listener.local_addr().unwrap());
        std::fs::write(config.address_file(), address).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let check = check(&config);
        assert!(
            server
                .join()
                .unwrap()
                .starts_with("GET /readyz HTTP/1.1\r\n")
        );
        check
    }

    #[test]
    fn a_ready_daemon_is_told_from_one_that_is_not() {
        let ready = answered("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        assert_eq!(ready.status, CheckStatus::Ok, "{ready:?}");
        let full =
            answered("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"detail\": \"the disk is full\"}");
        assert_eq!(full.status, CheckStatus::Failed);
        assert!(full.found.contains("the disk is full"), "{full:?}");
    }

    #[test]
    fn a_killed_daemon_and_none_at_all_are_told_apart() {
        let dir = TempDir::new().unwrap();
        let config = config(&dir);
        assert_eq!(check(&config).status, CheckStatus::Skipped);
        let gone = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        std::fs::write(config.address_file(), gone.to_string()).unwrap();
        assert_eq!(check(&config).status, CheckStatus::Warning);
        assert_eq!(own_address(&config), None);
    }

    #[test]
    fn an_address_that_another_program_has_is_a_failure() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let check = port(address, None);
        assert_eq!(check.status, CheckStatus::Failed);
        assert!(check.advice.unwrap().contains("ss -ltnp"));
        let other = ([127, 0, 0, 1], 1).into();
        assert_eq!(port(address, Some(other)).status, CheckStatus::Ok);
        let elsewhere = ports(&[address], Some(other));
        assert_eq!(elsewhere.len(), 1);
        assert!(
            elsewhere[0].found.contains("listens on 127.0.0.1:1"),
            "{elsewhere:?}"
        );
        assert_eq!(ports(&[address, other], Some(other)).len(), 2);
        drop(taken);
        assert_eq!(port(address, None).status, CheckStatus::Ok);
        let any = ([127, 0, 0, 1], 0).into();
        assert_eq!(port(any, None).status, CheckStatus::Skipped);
        let foreign = ([203, 0, 113, 1], 80).into();
        assert_eq!(port(foreign, None).status, CheckStatus::Failed);
    }
}
