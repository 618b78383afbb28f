//! A daemon under load: what measurements over HTTP share.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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

pub(crate) struct Target {
    /// What it is called in the table.
    pub(crate) name: &'static str,
    host: String,
    path: String,
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
            host: host.to_owned(),
            path: format!("/{path}"),
        }
    }

    /// A request with this photo, to the byte.
    pub(crate) fn body(&self, photo: &[u8]) -> Vec<u8> {
        let mut part = b"--b0\r\nContent-Disposition: form-data; name=\"image\"; filename=\"x.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n".to_vec();
        part.extend_from_slice(photo);
        part.extend_from_slice(b"\r\n--b0--\r\n");
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: multipart/form-data; boundary=b0\r\nContent-Length: {}\r\n\r\n",
            self.path,
            self.host,
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

    pub(crate) fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(&self.host).expect("the service listens");
        stream.set_nodelay(true).expect("no delay");
        BufReader::new(stream)
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
pub(crate) fn exchange(stream: &mut BufReader<TcpStream>, request: &[u8]) -> u16 {
    stream
        .get_mut()
        .write_all(request)
        .expect("the request is taken");
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).expect("an answer");
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest
                .get(..3)
                .and_then(|code| code.parse().ok())
                .unwrap_or(0);
        }
        if let Some(rest) = line.strip_prefix("content-length:") {
            length = rest.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a whole answer");
    status
}
