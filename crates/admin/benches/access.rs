//! What defence costs, and what one terminal notices of another's flood. `scripts/bench access` runs
//! it. It fails where TLS and tokens cost more than 3 % of the requests a second, where decoding in a
//! process apart costs more than 5 %, or where a flood more than doubles the terminal's p99.
//!
//! Settings by environment: `ROUNDS` (9), `REQUESTS` (400) a round for the costs,
//! `FRAMES` (200) of the terminal a round, `PROVIDER` (`auto`), `PARTS` (`callers decoding floods`).

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    dead_code,
    reason = "a measurement: a failure ends it, its table goes to stdout, and it uses a part of what measurements share"
)]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use faceood_test_support::daemon::Home;
use faceood_test_support::kept::Route;
use faceood_test_support::{Daemon, photos};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;

mod load;

use load::{Round, Target, exchange, median, number, ratio};

/// Most that TLS and tokens may take of the requests a second.
const MOST_COST: f64 = 0.03;

/// Most that decoding in a process apart may take of them.
const MOST_DECODING_COST: f64 = 0.05;

/// By how much a flood may multiply the p99 of a terminal that keeps within its limits.
const MOST_DELAY: f64 = 2.0;

/// Limits that a single caller who asks as fast as it can does not meet.
const NO_LIMITS: &str = "[access]\nrate_requests = 1000000\nrate_bytes = 4000000000\n\
     pictures_at_once = 100\nprocessor_share = 1.0\n";

fn main() -> ExitCode {
    let astronaut = photos::astronaut();
    let rounds = number("ROUNDS", 9);
    let parts = std::env::var("PARTS").unwrap_or_else(|_| "callers decoding floods".to_owned());
    let is_wanted = |part| parts.split_whitespace().any(|wanted| wanted == part);
    let is_cheap = !is_wanted("callers") || cost(&astronaut, rounds);
    let is_apart_cheap = !is_wanted("decoding") || decoding(&astronaut, rounds);
    let is_fair = !is_wanted("floods") || floods(&astronaut, rounds.div_ceil(3));
    if is_cheap && is_apart_cheap && is_fair {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A daemon that this machine calls without a token on one address, and with one over TLS on all
/// others.
struct Appliance {
    _daemon: Daemon,
    open: Target,
    protected: Route,
    tokens: Vec<String>,
}

impl Appliance {
    fn start(config: &str, names: &[&str]) -> Self {
        let provider = std::env::var("PROVIDER").unwrap_or_else(|_| "auto".to_owned());
        let home = Home::new()
            .config(config)
            .env("FACEOOD_RUNTIME__PROVIDER", &provider)
            .argument("--listen")
            .argument("0.0.0.0:0");
        let add = |name| home.admin(&["token", "add", name, "--role", "terminal"]);
        let tokens = names.iter().map(|&name| add(name).success().stdout);
        let tokens = tokens.map(|token| token.trim().to_owned()).collect();
        let daemon = home.start();
        let authority = daemon.client().get("/ca.pem").expect_status(200).body;
        let address = SocketAddr::from(([127, 0, 0, 1], daemon.tls_port()));
        Self {
            open: Target::new("open", &format!("http://{}/v1/quality", daemon.address())),
            protected: Route::tls(address, &authority),
            tokens,
            _daemon: daemon,
        }
    }

    /// Who calls it over TLS from `address` with `token`.
    fn caller(&self, address: Ipv4Addr, token: &str) -> Target {
        Target {
            name: "protected",
            route: self.protected.from(address),
            token: Some(token.to_owned()),
            ..self.open.clone()
        }
    }
}

/// Requests a second by TLS with a token and by neither; whether the difference is small enough.
fn cost(photo: &[u8], rounds: usize) -> bool {
    let measured = Appliance::start(NO_LIMITS, &["gate"]);
    let protected = measured.caller(Ipv4Addr::LOCALHOST, &measured.tokens[0]);
    let targets = [&measured.open, &protected];
    in_turns(
        "TLS and a token",
        targets,
        photo,
        (rounds, requests()),
        MOST_COST,
    )
}

/// Requests a second of a daemon that decodes in processes apart, and of one that does so itself, with
/// a terminal's frame and with a phone's photo; whether the difference is small enough.
fn decoding(photo: &[u8], rounds: usize) -> bool {
    let [here, apart] = [("in the daemon", false), ("apart", true)].map(|(name, confined)| {
        let measured = Appliance::start(&format!("[capture]\nconfined = {confined}\n"), &["none"]);
        let open = measured.open.clone();
        (measured, Target { name, ..open })
    });
    let large = image::load_from_memory(photo).expect("a photo");
    let large = large.resize_exact(4032, 4032, FilterType::CatmullRom);
    let mut bytes = Cursor::new(Vec::new());
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
    large.write_with_encoder(encoder).expect("a JPEG");
    let mut is_cheap = true;
    let large = bytes.get_ref();
    for (what, photo, requests) in [
        ("frame of .3", photo, requests()),
        ("photo of 16", large, requests() / 4),
    ] {
        println!("\n{what} megapixels, {} kB", photo.len() / 1000);
        let what = format!("decoding a {what} megapixels apart");
        let targets = [&here.1, &apart.1];
        is_cheap &= in_turns(
            &what,
            targets,
            photo,
            (rounds, requests),
            MOST_DECODING_COST,
        );
    }
    is_cheap
}

/// Requests of a round.
fn requests() -> usize {
    number("REQUESTS", 400)
}

/// Requests a second by two ways in turns; whether the second way costs no more than `bound`.
fn in_turns(
    what: &str,
    targets: [&Target; 2],
    photo: &[u8],
    (rounds, requests): (usize, usize),
    bound: f64,
) -> bool {
    let photos = [photo.to_vec()];
    println!(
        "{:>11}  {:<13} {:>8} {:>8} {:>8} {:>7}",
        "connections", "way", "req/s", "p50 ms", "p99 ms", "ratio"
    );
    let mut is_cheap = true;
    for connections in [1, 4] {
        let mut by_target: [Vec<Round>; 2] = Default::default();
        for round in 0..rounds {
            // Each is first in every other round: who is second finds a warmer box.
            for place in [round % 2, (round + 1) % 2] {
                let load = targets[place].load(&photos, connections, requests);
                assert!(load.codes.keys().eq([&200]), "{:?}", load.codes);
                by_target[place].push(load);
            }
        }
        let [first, second] = &by_target;
        for (target, measured) in targets.iter().zip(&by_target) {
            println!(
                "{connections:>11}  {:<13} {:>8.1} {:>8.2} {:>8.2} {:>7.3}",
                target.name,
                median(measured.iter().map(|round| round.per_second)),
                median(measured.iter().map(|round| round.quantile(0.5))),
                median(measured.iter().map(|round| round.quantile(0.99))),
                ratio(measured, first),
            );
        }
        let of = format!("{what}: share of the requests a second, at {connections} connections");
        is_cheap &= is_within(&of, 1.0 - ratio(second, first), bound);
    }
    is_cheap
}

/// Whether a figure is within its bound; says so where it is not.
fn is_within(what: &str, figure: f64, bound: f64) -> bool {
    if figure > bound {
        println!("FAILED: {what}: {figure:.3}, over {bound}");
    }
    figure <= bound
}

/// What a terminal with ten frames a second notices of a flood by another one, and of a flood of
/// wrong tokens, in turns; whether it is little enough.
fn floods(photo: &[u8], rounds: usize) -> bool {
    const WAYS: [&str; 3] = ["alone", "beside a flood", "wrong tokens"];
    let frames = number("FRAMES", 200);
    let measured = Appliance::start("", &["gate", "wild"]);
    let [gate, wild] = [&measured.tokens[0], &*measured.tokens[1]];
    let terminal = measured.caller(Ipv4Addr::LOCALHOST, gate);
    let frame = terminal.body(photo);
    let mut latencies: [Vec<(f64, u16)>; 3] = Default::default();
    let mut answers: [BTreeMap<u16, usize>; 3] = Default::default();
    for round in 0..rounds {
        // An address of its own each time: the last one is still blocked.
        let elsewhere = Ipv4Addr::from([127, 0, 1, 1 + round as u8]);
        for (place, token) in [None, Some(wild), Some("fod_guess")]
            .into_iter()
            .enumerate()
        {
            let flood = token.map(|token| measured.caller(elsewhere, token));
            let (felt, flooded) = beside(flood.as_ref(), photo, || {
                at_ten_a_second(&terminal, &frame, frames)
            });
            latencies[place].extend(felt);
            for (code, count) in flooded {
                *answers[place].entry(code).or_default() += count;
            }
        }
    }
    let felt = latencies.map(|latencies| Round::new(10.0, latencies));
    println!(
        "{:<15} {:>7} {:>8} {:>8} {:>8} {:>7}  answers to the flood",
        "terminal", "frames", "p50 ms", "p99 ms", "most ms", "ratio"
    );
    let mut is_fair = true;
    for ((way, felt_now), answers) in WAYS.iter().zip(&felt).zip(&answers) {
        assert!(felt_now.codes.keys().eq([&200]), "{:?}", felt_now.codes);
        let ratio = felt_now.quantile(0.99) / felt[0].quantile(0.99);
        println!(
            "{way:<15} {:>7} {:>8.2} {:>8.2} {:>8.2} {ratio:>7.2}  {answers:?}",
            felt_now.latencies.len(),
            felt_now.quantile(0.5),
            felt_now.quantile(0.99),
            felt_now.quantile(1.0),
        );
        is_fair &= is_within(&format!("p99 of the terminal, {way}"), ratio, MOST_DELAY);
    }
    is_fair
}

/// One request every tenth of a second over a kept connection: milliseconds and statuses.
fn at_ten_a_second(terminal: &Target, frame: &[u8], frames: usize) -> Vec<(f64, u16)> {
    const EVERY: Duration = Duration::from_millis(100);
    let mut kept = terminal.connect();
    let begin = Instant::now();
    (0..frames as u32)
        .map(|number| {
            let due = begin + number * EVERY;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let sent = Instant::now();
            let code = exchange(&mut kept, frame);
            (sent.elapsed().as_secs_f64() * 1e3, code)
        })
        .collect()
}

/// Does `work` while `flood` goes on over many connections that heed no `Retry-After`; how many
/// answers of each status the flood got.
fn beside<T>(
    flood: Option<&Target>,
    photo: &[u8],
    work: impl FnOnce() -> T,
) -> (T, BTreeMap<u16, usize>) {
    const CONNECTIONS: usize = 32;
    /// Until the flood has used up what it may do at once.
    const BEGINS: Duration = Duration::from_secs(2);
    let Some(flood) = flood else {
        return (work(), BTreeMap::new());
    };
    let request = flood.body(photo);
    let is_over = AtomicBool::new(false);
    let flooding = || {
        let mut kept = flood.connect();
        let mut answers = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            match kept.exchange(&request) {
                Ok(answer) => answers.push(answer.status),
                // A refused upload is not always read to its end.
                Err(_) => kept = flood.connect(),
            }
        }
        answers
    };
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(flooding)).collect();
        std::thread::sleep(BEGINS);
        let done = work();
        is_over.store(true, Ordering::Relaxed);
        let mut answers = BTreeMap::new();
        for code in callers
            .into_iter()
            .flat_map(|caller| caller.join().expect("a caller"))
        {
            *answers.entry(code).or_default() += 1;
        }
        (done, answers)
    })
}
