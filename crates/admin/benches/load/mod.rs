//! A daemon under load: what measurements over HTTP share.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use faceood_test_support::kept::{Kept, Route};
use faceood_test_support::{program, repository};

/// The daemon under test, ended when dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: String,
}

impl Daemon {
    /// Starts it with its data in `folder`, and prints how long that took.
    pub(crate) fn start(folder: &Path) -> Self {
        let started = Instant::now();
        let log = folder.join("bench.log");
        let mut child = Command::new(program("faceoodd"))
            .current_dir(repository()) // where it finds its library and models
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder)
            .env(
                "FACEOOD_RUNTIME__PROVIDER",
                std::env::var("PROVIDER").unwrap_or_else(|_| "auto".to_owned()),
            )
            .stderr(File::create(&log).expect("a file for the daemon's log"))
            .spawn()
            .expect("the daemon starts");
        let file = folder.join("address");
        while !file.exists() {
            let ended = child.try_wait().expect("the daemon's state");
            assert!(
                ended.is_none() && started.elapsed() < Duration::from_secs(60),
                "the daemon is not ready: {}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        println!("faceood: ready in {:.2} s", started.elapsed().as_secs_f32());
        let address = std::fs::read_to_string(&file)
            .expect("an address")
            .trim()
            .to_owned();
        Self { child, address }
    }

    /// Megabytes that it holds in memory.
    pub(crate) fn resident_mb(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace()
            .nth(1)?
            .parse::<f64>()
            .ok()
            .map(|kilobytes| kilobytes / 1024.0)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Round {
    /// Answers a second.
    pub(crate) per_second: f64,
    /// Milliseconds, sorted.
    pub(crate) latencies: Vec<f64>,
    /// How many answers had each status.
    pub(crate) codes: BTreeMap<u16, usize>,
}

#[derive(Clone)]
pub(crate) struct Target {
    /// What it is called in the table.
    pub(crate) name: &'static str,
    pub(crate) route: Route,
    pub(crate) host: String,
    pub(crate) path: String,
    /// What it is called with.
    pub(crate) token: Option<String>,
}

impl Target {
    /// The endpoint at this address of this machine.
    pub(crate) fn new(name: &'static str, url: &str) -> Self {
        let rest = url.strip_prefix("http://").expect("an http:// address");
        let (host, path) = rest.split_once('/').expect("an address with a path");
        assert!(
            host.starts_with("127.0.0.1:"),
            "load goes to this machine only"
        );
        Self {
            name,
            route: Route::plain(host.parse().expect("an address and a port")),
            host: host.to_owned(),
            path: format!("/{path}"),
            token: None,
        }
    }

    /// A request with this photo, to the byte.
    pub(crate) fn body(&self, photo: &[u8]) -> Vec<u8> {
        let mut part = b"--b0\r\nContent-Disposition: form-data; name=\"image\"; filename=\"x.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n".to_vec();
        part.extend_from_slice(photo);
        part.extend_from_slice(b"\r\n--b0--\r\n");
        let token = self.token.as_ref();
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\n{}Content-Type: multipart/form-data; boundary=b0\r\nContent-Length: {}\r\n\r\n",
            self.path,
            self.host,
            token.unwrap_or_default(),
            part.len()
        );
        [head.into_bytes(), part].concat()
    }

    /// `requests` requests over `connections` kept-alive connections, after a few that do not
    /// count.
    pub(crate) fn load(&self, photos: &[Vec<u8>], connections: usize, requests: usize) -> Round {
        let bodies: Vec<_> = photos.iter().map(|photo| self.body(photo)).collect();
        let mut warm = self.connect();
        for body in bodies.iter().take(4) {
            exchange(&mut warm, body);
        }
        drop(warm);
        let next = AtomicUsize::new(0);
        let started = Instant::now();
        let answers: Vec<(f64, u16)> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..connections)
                .map(|_| {
                    scope.spawn(|| {
                        let mut stream = self.connect();
                        let mut answers = Vec::new();
                        loop {
                            let turn = next.fetch_add(1, Ordering::Relaxed);
                            if turn >= requests {
                                return answers;
                            }
                            let sent = Instant::now();
                            let code = exchange(&mut stream, &bodies[turn % bodies.len()]);
                            answers.push((sent.elapsed().as_secs_f64() * 1e3, code));
                        }
                    })
                })
                .collect();
            clients
                .into_iter()
                .flat_map(|client| client.join().expect("a client"))
                .collect()
        });
        Round::new(requests as f64 / started.elapsed().as_secs_f64(), answers)
    }

    pub(crate) fn connect(&self) -> Kept {
        self.route.connect().expect("the service listens")
    }
}

impl Round {
    /// Of milliseconds and statuses.
    pub(crate) fn new(per_second: f64, answers: Vec<(f64, u16)>) -> Self {
        let mut codes = BTreeMap::new();
        for (_, code) in &answers {
            *codes.entry(*code).or_default() += 1;
        }
        let mut latencies: Vec<f64> = answers.into_iter().map(|(latency, _)| latency).collect();
        latencies.sort_by(f64::total_cmp);
        Self {
            per_second,
            latencies,
            codes,
        }
    }

    /// The latency that this share of answers does not exceed; NaN where there is none.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let index = (share * self.latencies.len() as f64) as usize;
        self.latencies
            .get(index.min(self.latencies.len().saturating_sub(1)))
            .copied()
            .unwrap_or(f64::NAN)
    }
}

/// Sends one request, reads the whole answer, gives its status.
pub(crate) fn exchange(kept: &mut Kept, request: &[u8]) -> u16 {
    kept.exchange(request).expect("a whole answer").status
}

/// A number in the environment.
pub(crate) fn number(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// The upper one of two in the middle; NaN where there is none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Our requests a second as a multiple of theirs, the median of the rounds.
pub(crate) fn ratio(ours: &[Round], theirs: &[Round]) -> f64 {
    let ratios = ours.iter().zip(theirs);
    median(ratios.map(|(our, their)| our.per_second / their.per_second))
}
