//! Everything has a bound: the time of a request, the faces of a picture, the connections of an
//! address, the patience with who takes nothing, the end of the service.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{DEADLINE, Daemon, photos, wait_for};

/// A picture of `columns` × `rows` times the same face.
pub(super) fn crowd(columns: u32, rows: u32) -> Vec<u8> {
    let face = photos::resized(&photos::pixels(&photos::astronaut()), 200, 200);
    let mut picture = photos::without_face(columns * 200, rows * 200, 3);
    for column in 0..columns {
        for row in 0..rows {
            picture = photos::pasted(&picture, &face, column * 200, row * 200);
        }
    }
    photos::jpeg(&picture, 90)
}

fn rows(daemon: &Daemon, source: &str) -> Vec<Value> {
    let path = format!("/v1/inferences?source={source}");
    let log = daemon.client().get(&path).ok();
    log["inferences"].as_array().unwrap().clone()
}

#[test]
fn a_request_past_its_deadline_is_refused_with_its_row() {
    let daemon = Daemon::with_config("[pipeline]\ndeadline_ms = 1\n");
    let client = daemon.client();
    let answer = client.extract(&photos::astronaut(), "?source=late");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let problem = answer.problem(503, "deadline_exceeded");
    assert!(
        problem["detail"].as_str().unwrap().contains("within 1 ms"),
        "{problem}"
    );
    let rows = rows(&daemon, "late");
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["error_code"], "deadline_exceeded");
    // Given up is not broken.
    client.get("/readyz").ok();
    assert_eq!(client.get("/v1/info").ok()["limits"]["deadline_ms"], 1);
}

#[test]
fn a_picture_has_a_cap_on_faces_and_the_answer_says_how_many_are_left_out() {
    let daemon = Daemon::with_config("[pipeline]\nmax_faces = 4\n");
    let client = daemon.client();
    let picture = crowd(3, 2);
    let all = client.extract(&picture, "?faces=all&embedding=false").ok();
    assert_eq!(all["faces"].as_array().unwrap().len(), 4, "{all}");
    assert_eq!(
        (&all["faces_found"], &all["faces_omitted"]),
        (&6.into(), &2.into())
    );
    let area = |face: &Value| {
        let bounds = &face["box"];
        bounds["width"].as_f64().unwrap() * bounds["height"].as_f64().unwrap()
    };
    let areas: Vec<_> = all["faces"].as_array().unwrap().iter().map(area).collect();
    assert!(areas.is_sorted_by(|one, next| one >= next), "{areas:?}");

    let largest = client.quality(&picture, "").ok();
    assert_eq!(largest["faces"].as_array().unwrap().len(), 1);
    assert_eq!(largest["faces_omitted"], 0, "asked for one, got one");
    assert_eq!(client.get("/v1/info").ok()["limits"]["max_faces"], 4);
}

#[test]
fn who_closes_the_connection_before_the_answer_has_a_row_that_says_so() {
    let daemon = Daemon::with_config("[pipeline]\nworkers = 1\n");
    let picture = crowd(5, 5);
    let mut socket = TcpStream::connect(daemon.address()).unwrap();
    let head = format!(
        "POST /v1/extract?faces=all&source=gone HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: hung-up\r\n\
         Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        picture.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(&picture).unwrap();
    // Also a sender who only says that no more requests follow: the server cannot tell the two
    // apart.
    socket.shutdown(Shutdown::Write).unwrap();
    let rows = wait_for("the row", || {
        Some(rows(&daemon, "gone")).filter(|rows| !rows.is_empty())
    });
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["request_id"], "hung-up");
    assert_eq!(rows[0]["error_code"], "caller_left");
    let metrics = daemon.client().get("/metrics").text();
    assert!(metrics.contains("caller_left"), "{metrics}");
}

#[test]
fn a_worker_amid_a_long_picture_does_not_hold_up_the_end() {
    let mut daemon = Daemon::with_config("[pipeline]\nworkers = 1\n[server]\ndrain_ms = 1000\n");
    let picture = crowd(7, 7);
    let address = daemon.address();
    let senders: Vec<_> = (0..6)
        .map(|_| {
            let picture = picture.clone();
            std::thread::spawn(move || {
                let head = format!(
                    "POST /v1/extract?faces=all HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n\
                     Content-Length: {}\r\n\r\n",
                    picture.len()
                );
                let mut socket = TcpStream::connect(address).unwrap();
                socket.set_read_timeout(Some(DEADLINE)).unwrap();
                let _ = socket.write_all(head.as_bytes());
                let _ = socket.write_all(&picture);
                let _ = socket.read(&mut [0; 64]);
            })
        })
        .collect();
    // One is being analysed by then, the others wait.
    std::thread::sleep(Duration::from_millis(300));
    daemon.signal(Signal::TERM);
    let began = Instant::now();
    let status = daemon.wait_exit();
    assert!(status.success(), "{status}\n{}", daemon.output());
    // What waits would take six times as long as a drain.
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    for sender in senders {
        sender.join().unwrap();
    }
}

#[test]
fn an_address_holds_so_many_connections() {
    const NOWHERE: &str = "/nowhere";
    let daemon =
        Daemon::with_config("[server]\nmax_connections_per_address = 6\nkeep_alive_ms = 600000\n");
    let ask = |socket: &mut TcpStream, path: &str| {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
            .unwrap();
        // Head and body may come apart.
        let mut answer = String::new();
        let mut buffer = [0; 2048];
        while !answer.ends_with('}') {
            let length = socket.read(&mut buffer).unwrap();
            assert_ne!(length, 0, "{answer}");
            answer.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        answer
    };
    let connect = || TcpStream::connect(daemon.address()).unwrap();
    // What has waited for the start may still hold one or two.
    let mut held = Vec::new();
    let (mut refused_one, refused) = loop {
        let mut socket = connect();
        let answer = ask(&mut socket, NOWHERE);
        if !answer.starts_with("HTTP/1.1 404") {
            break (socket, answer);
        }
        held.push(socket);
        assert!(held.len() <= 6, "no limit");
    };
    assert!(held.len() >= 4, "{refused}");
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    assert!(
        refused.contains("urn:faceood:problem:rate_limited"),
        "{refused}"
    );
    assert!(refused.contains("max_connections_per_address"), "{refused}");
    assert_eq!(refused_one.read(&mut [0; 8]).unwrap(), 0, "it is closed");
    // Whoever watches the service is answered all the same.
    assert!(ask(&mut connect(), "/healthz").starts_with("HTTP/1.1 200"));
    // Those that were there go on, and a place that is given back can be had again.
    assert!(ask(&mut held[0], NOWHERE).starts_with("HTTP/1.1 404"));
    held.pop();
    wait_for("the place", || {
        ask(&mut connect(), NOWHERE)
            .starts_with("HTTP/1.1 404")
            .then_some(())
    });
}

#[test]
fn who_takes_nothing_of_the_answers_loses_the_connection() {
    const ASKED: usize = 2_000;
    let daemon = Daemon::with_config("[server]\nwrite_idle_timeout_ms = 1000\n");
    let size = daemon.client().get("/openapi.json").body.len();
    let mut socket = TcpStream::connect(daemon.address()).unwrap();
    socket
        .set_write_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    for _ in 0..ASKED {
        // The server stops to read when nobody takes its answers.
        if socket
            .write_all(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .is_err()
        {
            break;
        }
    }
    let open = || daemon.client().get("/metrics").text();
    let _ = open();
    // The kernel asks a silent peer at growing intervals: the time-out is noticed at the next.
    std::thread::sleep(Duration::from_secs(4));
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut taken = 0;
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = socket.read(&mut buffer) {
        taken += length;
    }
    assert!(
        taken < ASKED * size / 2,
        "{taken} of {} bytes",
        ASKED * size
    );
    daemon.client().get("/readyz").ok();
}

#[test]
fn answers_about_faces_are_kept_by_no_proxy() {
    let daemon = Daemon::start();
    let client = daemon.client();
    for answer in [
        client.extract(&photos::astronaut(), ""),
        client.extract(b"no picture", ""),
        client.get("/v1/inferences"),
        client.get("/v1/info"),
    ] {
        assert_eq!(
            answer.header("cache-control"),
            Some("no-store"),
            "{}",
            answer.text()
        );
    }
}
