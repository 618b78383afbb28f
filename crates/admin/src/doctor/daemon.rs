//! Checks whether the running daemon is ready, by one plain HTTP request to the address that it
//! wrote down.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use super::{Finding, failed, ok, skipped, warning};
use crate::http;
use faceood::server::is_loopback;

pub(super) fn check(address_file: &Path) -> Finding {
    let place = address_file.display();
    let address = match http::address(address_file) {
        Ok(Some(address)) => address,
        Ok(None) => return skipped(format!("no daemon runs on this data folder (no {place})")),
        Err(written) => {
            return warning(
                format!("{place} holds {written:?}, no address"),
                "restart the daemon, which writes it anew",
            );
        }
    };
    match http::readiness(address) {
        Ok((200, _)) => ok(format!("ready at {address}")),
        // A TLS port refuses plain HTTP.
        Ok((400, reason)) if !is_loopback(address.ip()) => warning(
            format!("{address} answers, but not to plain HTTP: {reason}"),
            "add an address of loopback to `listen`, such as 127.0.0.1:7860, for the commands of this machine",
        ),
        Ok((status, reason)) => failed(
            format!("{address} answers {status}: {reason}"),
            "see the daemon's log (journalctl -u faceoodd, or the text log)",
        ),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => warning(
            format!("nobody listens at {address}, where the last daemon did: it was killed"),
            "start it again",
        ),
        Err(error) => failed(
            format!("{address} does not answer: {error}"),
            "see the daemon's log, then restart it",
        ),
    }
}

/// Whether the daemon can have the address that the settings give it.
pub(super) fn port(listen: SocketAddr, address_file: &Path) -> Finding {
    let port = listen.port();
    if port == 0 {
        return skipped(format!("{listen}: any free port will do"));
    }
    // The file has one of the daemon's addresses; while that one answers, the daemon has them all.
    let ours = http::address(address_file).ok().flatten();
    let ours = ours.filter(|ours| http::get(*ours, "/healthz").is_ok());
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

    fn answered(answer: &'static str) -> Finding {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("address");
        std::fs::write(
            &file,
            format!("http://{}\n", listener.local_addr().unwrap()),
        )
        .unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let check = check(&file);
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
        let file = dir.path().join("address");
        assert_eq!(check(&file).status, CheckStatus::Skipped);
        let gone = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        std::fs::write(&file, gone.to_string()).unwrap();
        assert_eq!(check(&file).status, CheckStatus::Warning);
    }

    #[test]
    fn an_address_that_another_program_has_is_a_failure() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("address");
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let check = port(address, &file);
        assert_eq!(check.status, CheckStatus::Failed);
        assert!(check.advice.unwrap().contains("ss -ltnp"));
        drop(taken);
        assert_eq!(port(address, &file).status, CheckStatus::Ok);
        let any = ([127, 0, 0, 1], 0).into();
        assert_eq!(port(any, &file).status, CheckStatus::Skipped);
        let foreign = ([203, 0, 113, 1], 80).into();
        assert_eq!(port(foreign, &file).status, CheckStatus::Failed);
    }
}
