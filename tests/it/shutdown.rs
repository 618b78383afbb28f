//! SIGTERM: refuse, let what is under way finish, write its rows, exit 0.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;

use crate::support::{DEADLINE, Daemon, photos, wait_for};

#[test]
fn a_request_under_way_is_answered_and_its_row_is_there_afterwards() {
    let mut daemon = Daemon::start();
    let client = daemon.client();
    let photo = photos::astronaut();
    let mut socket = TcpStream::connect(daemon.address()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let head = format!(
        "POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: last-one\r\nContent-Type: image/jpeg\r\n\
         Content-Length: {}\r\n\r\n",
        photo.len()
    );
    let (first, rest) = photo.split_at(photo.len() / 2);
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(first).unwrap();
    // A whole round trip after it: by then the request above has been begun.
    client.get("/healthz").ok();

    daemon.signal(Signal::TERM);
    wait_for("new connections to be refused", || {
        TcpStream::connect(daemon.address()).is_err().then_some(())
    });
    socket.write_all(rest).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let status = daemon.wait_exit();
    assert!(status.success(), "{status}");
    let daemon = daemon.into_home().start();
    let log = daemon.client().get("/v1/inferences").ok();
    assert_eq!(log["inferences"][0]["request_id"], "last-one", "{log}");
}

#[test]
fn idle_connections_do_not_hold_it_up() {
    let mut daemon = Daemon::start();
    let client = daemon.client();
    // The client keeps this connection open for its next request, which never comes.
    client.extract(&photos::astronaut(), "").ok();
    let _silent = TcpStream::connect(daemon.address()).unwrap();
    daemon.signal(Signal::INT);
    let status = daemon.wait_exit();
    assert!(status.success(), "{status}");
    assert!(!daemon.data_dir().join("address").exists());
}

#[test]
fn a_second_interrupt_does_not_wait_for_anybody() {
    let mut daemon = Daemon::with_config("[server]\nbody_idle_timeout_ms = 600000\n");
    let mut socket = TcpStream::connect(daemon.address()).unwrap();
    let head = "POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    daemon.client().get("/healthz").ok();

    daemon.signal(Signal::INT);
    wait_for("new connections to be refused", || {
        TcpStream::connect(daemon.address()).is_err().then_some(())
    });
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait_exit().code(), Some(130));
}
