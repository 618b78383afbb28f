//! One box among others: its name, its word before it stops, and sockets that outlive it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use faceood_log::Outbox;
use rustix::process::Signal;
use serde_json::json;

use crate::support::daemon::Home;
use crate::support::{Client, DEADLINE, Daemon, photos, wait_for};

/// Between two requests of a caller: the daemon needs the processor to start.
const PAUSE: Duration = Duration::from_millis(5);

const NODE: &str = "x-faceood-node";

/// The daemon's answer to bytes that are sent as they are.
fn said_to(address: SocketAddr, bytes: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.write_all(bytes.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = socket.read_to_string(&mut answer);
    answer
}

/// The name that a shipper finds in the log.
fn node_of_log(daemon: &Daemon) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let outbox = runtime.block_on(Outbox::open(&daemon.database(), "a centre", false));
    outbox.unwrap().identity().node.clone()
}

#[test]
fn every_answer_names_the_box() {
    let daemon = Daemon::with_config("node = \"gate-1.hall\"\n");
    let client = daemon.client();
    assert_eq!(node_of_log(&daemon).as_deref(), Some("gate-1.hall"));
    let info = client.get("/v1/info");
    assert_eq!(info.header(NODE), Some("gate-1.hall"));
    assert_eq!(info.ok()["node"], "gate-1.hall");
    let answers = [
        client.extract(&photos::astronaut(), "").expect_status(200),
        client.extract(b"no picture", "").expect_status(415),
        client.get("/nowhere").expect_status(404),
        client.get("/v1/extract").expect_status(405),
        client.get("/healthz").expect_status(200),
        client.get("/readyz").expect_status(200),
        client.get("/metrics").expect_status(200),
        client.get("/").expect_status(200),
        client
            .post_json(
                "/v1/feedback",
                &json!({"request_id": "never", "outcome": "genuine"}),
            )
            .expect_status(404),
    ];
    for answer in answers {
        assert_eq!(
            answer.header(NODE),
            Some("gate-1.hall"),
            "{}",
            answer.text()
        );
    }
    let refusal = said_to(daemon.address(), "BREW coffee\r\n\r\n");
    assert!(refusal.starts_with("HTTP/1.1 400"), "{refusal}");
    assert!(
        refusal.contains("\r\nx-faceood-node: gate-1.hall\r\n"),
        "{refusal}"
    );
}

#[test]
fn plain_http_on_a_port_of_tls_is_told_by_whom() {
    let home = Home::new()
        .config("node = \"gate-2\"\n")
        .with_token()
        .argument("--listen")
        .argument("0.0.0.0:0");
    let daemon = home.start();
    let address = SocketAddr::from(([127, 0, 0, 1], daemon.tls_port()));
    let refusal = said_to(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(
        refusal.contains("\r\nx-faceood-node: gate-2\r\n"),
        "{refusal}"
    );
}

#[test]
fn without_a_name_it_has_the_hosts() {
    let daemon = Daemon::start();
    let info = daemon.client().get("/v1/info");
    let header = info.header(NODE).unwrap().to_owned();
    assert_eq!(info.ok()["node"], header);
    assert!(!header.is_empty());
}

#[test]
fn a_load_balancer_hears_of_a_stop_before_it_comes() {
    let unready = Duration::from_millis(8_000);
    let mut daemon = Home::new()
        .env(
            "FACEOOD_SERVER__UNREADY_MS",
            &unready.as_millis().to_string(),
        )
        .start();
    let client = daemon.client();
    client.get("/readyz").expect_status(200);
    let begin = Instant::now();
    daemon.signal(Signal::TERM);
    let problem = wait_for("/readyz to say that it stops", || {
        client
            .try_get("/readyz")
            .filter(|answer| answer.status == 503)
    });
    let problem = problem.problem(503, "not_ready");
    assert!(
        problem["detail"].to_string().contains("stopping"),
        "{problem}"
    );
    // Whoever does not ask /readyz is served as before, over new connections too, and told to come
    // by another one next time.
    let answer = daemon.client().get("/v1/info").expect_status(200);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(
        begin.elapsed() < unready,
        "the machine is too slow for this test"
    );
    let status = daemon.wait_exit();
    assert!(status.success(), "{status}");
    assert!(begin.elapsed() >= unready);
}

#[test]
fn no_time_is_lost_where_nobody_asks() {
    let mut daemon = Home::new()
        .env("FACEOOD_SERVER__UNREADY_MS", "10000")
        .start_unready();
    daemon
        .client()
        .extract(&photos::astronaut(), "")
        .expect_status(200);
    let begin = Instant::now();
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit().success());
    assert!(
        begin.elapsed() < Duration::from_secs(9),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn nobody_is_refused_while_one_daemon_follows_another_on_its_sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // What is configured is not listened on.
    let mut daemon = Home::new().listen("127.0.0.1:1").inherit(listener).start();
    assert_eq!(daemon.address(), address);
    let stop = AtomicBool::new(false);
    let (answered, reused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            // Each request by a connection of its own, as `curl` sends it.
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    Client::new(address).get("/healthz").ok();
                    answered.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(PAUSE);
                }
            });
        }
        scope.spawn(|| {
            let client = Client::new(address);
            while !stop.load(Ordering::Relaxed) {
                client.get("/healthz").ok();
                reused.fetch_add(1, Ordering::Relaxed);
                thread::sleep(PAUSE);
            }
        });
        let story = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..2 {
                let before = answered.load(Ordering::Relaxed);
                let (status, home) = daemon.stop();
                assert!(status.success(), "{status}");
                daemon = home.start();
                wait_for("answers of the new daemon", || {
                    (answered.load(Ordering::Relaxed) > before).then_some(())
                });
            }
            daemon
        }));
        stop.store(true, Ordering::Relaxed);
        let daemon = story.unwrap_or_else(|failure| std::panic::resume_unwind(failure));
        assert!(daemon.output().contains("`listen` is not used"));
        // The callers still need it.
        thread::sleep(Duration::from_millis(100));
        drop(daemon);
    });
    assert!(answered.load(Ordering::Relaxed) > 0 && reused.load(Ordering::Relaxed) > 0);
}

#[test]
fn what_is_inherited_is_judged_by_its_own_address() {
    let open = || TcpListener::bind("0.0.0.0:0").unwrap();
    let home = Home::new().inherit(open());
    let output = home.command().output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        told.contains("can be reached from the network, and no caller has a token yet"),
        "{told}"
    );

    let daemon = Home::new().with_token().inherit(open()).start_unready();
    let port = daemon.address().port();
    assert_eq!(daemon.tls_port(), port, "it speaks TLS");
}

#[test]
fn a_socket_that_nobody_listens_on_is_refused() {
    let datagram = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = TcpListener::from(std::os::fd::OwnedFd::from(datagram));
    let output = Home::new().inherit(listener).command().output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        told.contains("socket 1 of those that systemd has opened cannot be used")
            && told.contains("ListenStream="),
        "{told}"
    );
}
