//! What callers on kept TLS connections notice while an operator changes tokens and certificates,
//! and while others flood the box: nothing.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use faceood::server::tls::CertificateFacts;
use rustix::process::Signal;

use crate::support::certificates::Ends;
use crate::support::daemon::Home;
use crate::support::kept::{Route, picture_request};
use crate::support::{Answer, Daemon, TestAuthority, photos, wait_for};

const QUALITY: &str = "/v1/quality";

/// Limits that no test of changes meets: its callers ask as fast as they get answers.
const NO_LIMITS: &str = "[access]\nrate_requests = 1000000\nprocessor_share = 1.0\n";

/// A home whose daemon is open to this machine on one address, and protected on all others.
fn lan(config: &str) -> Home {
    Home::new()
        .config(config)
        .argument("--listen")
        .argument("0.0.0.0:0")
}

fn add(home: &Home, name: &str) -> String {
    let added = home.admin(&["token", "add", name, "--role", "terminal"]);
    added.success().stdout.trim().to_owned()
}

/// To the protected address, where the box's authority is trusted.
fn route(daemon: &Daemon, ca: &[u8]) -> Route {
    Route::tls(SocketAddr::from(([127, 0, 0, 1], daemon.tls_port())), ca)
}

/// The box's own authority, as terminals fetch it.
fn own_ca(daemon: &Daemon) -> Vec<u8> {
    daemon.client().get("/ca.pem").expect_status(200).body
}

/// A caller with a token that it replaces when the operator hands out another.
struct Caller {
    token: Mutex<String>,
    /// Whether it opens a connection for each request, or keeps its first one.
    is_new_each_time: bool,
}

/// Callers who ask without a pause, until they are told to end.
struct Callers {
    each: Vec<Caller>,
    answered: AtomicUsize,
    is_over: AtomicBool,
}

impl Callers {
    fn new(tokens: &[String]) -> Self {
        let callers = tokens.iter().flat_map(|token| {
            [false, true].map(|is_new_each_time| Caller {
                token: Mutex::new(token.clone()),
                is_new_each_time,
            })
        });
        Self {
            each: callers.collect(),
            answered: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Runs `change` while all of them ask, and fails with the first request that was not answered
    /// with 200.
    fn ask_during(&self, route: &Route, change: impl FnOnce()) {
        thread::scope(|scope| {
            for caller in &self.each {
                scope.spawn(move || self.ask(route, caller));
            }
            // Whatever fails in `change`, the callers end.
            let _over = Over(&self.is_over);
            self.wait_for_answers();
            change();
            self.wait_for_answers();
        });
    }

    fn ask(&self, route: &Route, caller: &Caller) {
        let photo = photos::astronaut();
        let connect = || route.connect().expect("a connection");
        let mut kept = connect();
        while !self.is_over.load(Ordering::Relaxed) {
            if caller.is_new_each_time {
                kept = connect();
            }
            let token = caller.token.lock().unwrap().clone();
            let answer = kept.exchange(&picture_request(QUALITY, Some(&token), &photo));
            answer.expect("an answer").expect_status(200);
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Until each may have been answered at least twice since.
    fn wait_for_answers(&self) {
        let enough = self.answered.load(Ordering::Relaxed) + 2 * self.each.len();
        wait_for("answers", || {
            (self.answered.load(Ordering::Relaxed) >= enough).then_some(())
        });
    }
}

/// Ends the callers when it goes, also by a panic.
struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until new connections are shown the certificate with this fingerprint.
fn wait_for_certificate(route: &Route, sha256: &str) {
    wait_for("the new certificate", || {
        let kept = route.connect().expect("a connection");
        (kept.certificate_sha256 == sha256).then_some(())
    });
}

/// Waits until the daemon has read its tokens once more than `before` times.
fn wait_for_tokens(daemon: &Daemon, before: usize) {
    wait_for("the tokens", || (times_read(daemon) > before).then_some(()));
}

fn times_read(daemon: &Daemon) -> usize {
    daemon
        .output()
        .matches("the tokens were read again")
        .count()
}

#[test]
fn tokens_and_the_boxs_own_certificate_change_without_one_failed_request() {
    let home = lan(NO_LIMITS);
    let names = ["gate-1", "gate-2"];
    let tokens = names.map(|name| add(&home, name));
    let daemon = home.start();
    let route = route(&daemon, &own_ca(&daemon));
    let callers = Callers::new(&tokens);
    let admin = |arguments: &[&str]| daemon.home().admin(arguments).success();
    callers.ask_during(&route, || {
        for round in 0..3 {
            // Both callers of the token; those of the other token stay with the old secret, for
            // which there is time.
            let name = names[round % names.len()];
            let before = times_read(&daemon);
            let rotated = admin(&["token", "rotate", name, "--keep-old", "1h"]);
            wait_for_tokens(&daemon, before);
            callers.wait_for_answers();
            for caller in &callers.each[round % names.len() * 2..][..2] {
                rotated
                    .stdout
                    .trim()
                    .clone_into(&mut caller.token.lock().unwrap());
            }

            let visitor = format!("visitor-{round}");
            admin(&["token", "add", &visitor, "--role", "operator"]);
            daemon.signal(Signal::HUP);
            admin(&["token", "revoke", &visitor]);

            admin(&["tls", "renew"]);
            if round > 0 {
                // The first time the daemon has to see by itself that the file has changed.
                daemon.signal(Signal::HUP);
            }
            let shown = admin(&["tls", "show", "--format", "json"]).json();
            let sha256 = shown["certificate"]["sha256"].as_str().unwrap();
            wait_for_certificate(&route, sha256);
        }
    });
}

#[test]
fn certificate_files_are_replaced_without_one_failed_request() {
    let folder = tempfile::TempDir::new().unwrap();
    let authority = TestAuthority::new("the site");
    let replace = || {
        let (path, key) = authority.server(Ends::Future).write(folder.path(), "box");
        (CertificateFacts::read(&path).unwrap().sha256, path, key)
    };
    let (first, certificate, key) = replace();
    let home = lan(&format!(
        "{NO_LIMITS}[server.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n"
    ));
    let tokens = [add(&home, "gate")];
    let daemon = home.start();
    let route = route(&daemon, authority.pem().as_bytes());
    wait_for_certificate(&route, &first);
    let callers = Callers::new(&tokens);
    callers.ask_during(&route, || {
        for round in 0..3 {
            if round > 0 {
                // While the files are written, so that it may find two that do not belong together.
                daemon.signal(Signal::HUP);
            }
            let (sha256, ..) = replace();
            wait_for_certificate(&route, &sha256);
        }
    });
}

/// Callers who do not care for `Retry-After`: answers by status, until `is_over`.
fn flood(route: &Route, token: &str, is_over: &AtomicBool) -> BTreeMap<u16, Vec<Answer>> {
    /// More than may wait for their turn (8) and be in work (2), so that even a slow box refuses.
    const CONNECTIONS: usize = 16;
    let request = picture_request(QUALITY, Some(token), &photos::astronaut());
    let flooding = || {
        let mut answers = Vec::new();
        let mut kept = route.connect().expect("a connection");
        while !is_over.load(Ordering::Relaxed) {
            match kept.exchange(&request) {
                Ok(answer) => answers.push(answer),
                // A refused upload is not always read to its end.
                Err(_) => kept = route.connect().expect("a connection"),
            }
        }
        answers
    };
    let mut by_status: BTreeMap<u16, Vec<Answer>> = BTreeMap::new();
    thread::scope(|scope| {
        let all: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(flooding)).collect();
        for answer in all.into_iter().flat_map(|one| one.join().unwrap()) {
            by_status.entry(answer.status).or_default().push(answer);
        }
    });
    by_status
}

/// What a flood with `token` is answered while a terminal with ten frames a second is served.
fn flood_beside_a_terminal(
    route: &Route,
    terminal: &str,
    token: &str,
) -> BTreeMap<u16, Vec<Answer>> {
    const FRAMES: usize = 30;
    const EVERY: Duration = Duration::from_millis(100);
    let is_over = AtomicBool::new(false);
    let elsewhere = route.from(Ipv4Addr::new(127, 0, 0, 5));
    thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(&elsewhere, token, &is_over));
        let over = Over(&is_over);
        let frame = picture_request(QUALITY, Some(terminal), &photos::astronaut());
        let mut kept = route.connect().unwrap();
        for _ in 0..FRAMES {
            let sent = Instant::now();
            kept.exchange(&frame).unwrap().expect_status(200);
            thread::park_timeout(EVERY.saturating_sub(sent.elapsed()));
        }
        drop(over);
        flooding.join().unwrap()
    })
}

#[track_caller]
fn expect_told_when_to_come_back(refused: &[Answer]) {
    for answer in refused {
        let seconds = answer
            .header("retry-after")
            .and_then(|text| text.parse().ok());
        assert!(
            seconds.is_some_and(|seconds: u64| seconds >= 1),
            "{answer:?}"
        );
    }
}

#[test]
fn a_terminal_is_served_beside_the_flood_of_another() {
    let home = lan("");
    let [terminal, other] = ["gate", "wild"].map(|name| add(&home, name));
    let daemon = home.start();
    let route = route(&daemon, &own_ca(&daemon));
    let answers = flood_beside_a_terminal(&route, &terminal, &other);
    let statuses: Vec<_> = answers.keys().copied().collect();
    assert_eq!(statuses, [200, 429]);
    expect_told_when_to_come_back(&answers[&429]);
}

#[test]
fn a_terminal_is_served_beside_a_flood_of_wrong_tokens() {
    let home = lan("");
    let terminal = add(&home, "gate");
    let daemon = home.start();
    let route = route(&daemon, &own_ca(&daemon));
    let answers = flood_beside_a_terminal(&route, &terminal, "fod_guess");
    let statuses: Vec<_> = answers.keys().copied().collect();
    assert_eq!(statuses, [401, 429]);
    // Ten, and those that other threads of the server had in hand when the tenth came.
    assert!(answers[&401].len() <= 20, "{}", answers[&401].len());
    expect_told_when_to_come_back(&answers[&429]);
    // The address is blocked, and no token: nor does a right one open anything from there.
    let mut blocked = route.from(Ipv4Addr::new(127, 0, 0, 5)).connect().unwrap();
    let request = picture_request(QUALITY, Some(&terminal), &photos::astronaut());
    blocked.exchange(&request).unwrap().expect_status(429);
}
