//! Requests a second over HTTP on loopback: the daemon, the raw models without HTTP, and a rival
//! where one runs, in turns; then how long a refusal takes while the queue is full.
//!
//! `scripts/bench` calls this; it prints what the daemon measured of this box, then a table. It
//! fails where the daemon answers fewer requests a second than the rival. Settings by environment:
//! `RIVAL_URL` (its extract endpoint, multipart part `image`), `MIX` (a folder of photos, beside
//! those made from the committed one), `ROUNDS` (3), `REQUESTS` a round (200), `PROVIDER` (`auto`).

#![expect(clippy::print_stdout, reason = "printing is what a benchmark is for")]
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot run should say why and end"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use faceood_admin::tuning_table;
use faceood_engine::capture::{self, pixels};
use faceood_engine::pack::Pack;
use faceood_engine::pipeline::cores;
use faceood_engine::pipeline::tuning::{Chosen, Tuning};
use faceood_engine::runtime::{self, Placement, Plan, Runtime, Settings};
use faceood_test_support::repository;

mod load;

use load::{Daemon, Round, Target, exchange, median, number, ratio};

const ASTRONAUT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/photos/astronaut.jpg"
);

fn main() -> ExitCode {
    // Cargo passes flags of its own harness; this one has none.
    let rounds = number("ROUNDS", 3);
    let requests = number("REQUESTS", 200);
    // Cargo runs a bench in its package's folder; the library, the models and MIX are named from
    // here.
    std::env::set_current_dir(repository()).expect("the repository");
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(folder.path());
    let plan = candidates(folder.path());
    let ours = Target::new("faceood", &format!("http://{}/v1/extract", daemon.address));
    let rival = std::env::var("RIVAL_URL")
        .ok()
        .map(|url| Target::new("rival", &url));
    let astronaut = std::fs::read(ASTRONAUT).expect("the committed photo");
    let large = large(&astronaut);
    let mut sets = vec![
        ("astro", vec![astronaut], &[1, 4][..]),
        ("large", large, &[1, 4, 16]),
    ];
    if let Ok(folder) = std::env::var("MIX") {
        sets.push(("mix", photos(Path::new(&folder)), &[1, 4, 16]));
    }
    let mut slower = Vec::new();
    println!(
        "{:<8} {:>3}  {:<8} {:>9} {:>8} {:>8} {:>8}  codes",
        "photos", "c", "who", "req/s", "p50 ms", "p99 ms", "ratio"
    );
    for (name, photos, connections) in &sets {
        for &connections in *connections {
            let mut measured: BTreeMap<&str, Vec<Round>> = BTreeMap::new();
            for _ in 0..rounds {
                for target in [Some(&ours), rival.as_ref()].into_iter().flatten() {
                    measured.entry(target.name).or_default().push(target.load(
                        photos,
                        connections,
                        requests,
                    ));
                }
                if connections > 1 {
                    measured
                        .entry("raw")
                        .or_default()
                        .push(raw_models(photos, requests, &plan));
                }
            }
            report(name, connections, &measured);
            if let (Some(our), Some(their)) = (measured.get("faceood"), measured.get("rival"))
                && ratio(our, their) < 1.0
            {
                slower.push(format!("{name} at {connections} connections"));
            }
        }
    }
    refusals(&ours, &sets[0].1);
    if let Some(memory) = daemon.resident_mb() {
        println!("faceood: {memory:.0} MB resident after all this");
    }
    if slower.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("FAILED: slower than the rival: {}", slower.join(", "));
    ExitCode::FAILURE
}

/// Shows what the daemon measured of this box when it started, if it did, and gives what it chose.
fn candidates(data_dir: &Path) -> Plan {
    let Ok(Some(tuning)) = Tuning::load(data_dir) else {
        println!("provider: as PROVIDER names it; nothing was measured");
        return runtime::usual_plan(&Settings::default()).expect("a way to run models");
    };
    print!("{}", tuning_table(&tuning));
    Chosen::from(tuning).plan
}

/// The committed photo as cameras and phones take one: on the middle of a frame of 2, 3, 8 and 12
/// megapixels.
fn large(astronaut: &[u8]) -> Vec<Vec<u8>> {
    let photo = image::load_from_memory(astronaut)
        .expect("a picture")
        .to_rgb8();
    [(1920, 1080), (2048, 1536), (3264, 2448), (4000, 3000)]
        .into_iter()
        .map(|(width, height)| {
            let person = pixels::resize(&photo, height, height);
            // A frame with detail everywhere, as a scene has: the photo itself, stretched.
            let mut frame = pixels::resize(&photo, width, height);
            let left = i64::from((width - height) / 2);
            image::imageops::replace(&mut frame, &person, left, 0);
            let mut bytes = Vec::new();
            image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90)
                .encode_image(&frame)
                .expect("a large picture");
            bytes
        })
        .collect()
}

fn photos(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("MIX is a folder")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jpg" || extension == "jpeg")
        })
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).expect("a photo"))
        .collect()
}

/// Far more than the default queue and this machine's workers take in together.
const CROWD: usize = 64;

/// How long `CROWD` callers, who ask again and again for some seconds, wait to be told that there
/// is no room.
fn refusals(target: &Target, photos: &[Vec<u8>]) {
    /// What `Retry-After` asks for.
    const PAUSE: Duration = Duration::from_secs(1);
    const FOR: Duration = Duration::from_secs(10);
    let body = target.body(&photos[0]);
    let started = Instant::now();
    let answers: Vec<(f64, u16)> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CROWD)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = target.connect();
                    let mut answers = Vec::new();
                    while started.elapsed() < FOR {
                        let sent = Instant::now();
                        let code = exchange(&mut stream, &body);
                        answers.push((sent.elapsed().as_secs_f64() * 1e3, code));
                        if code == 503 {
                            std::thread::sleep(PAUSE);
                        }
                    }
                    answers
                })
            })
            .collect();
        callers
            .into_iter()
            .flat_map(|caller| caller.join().expect("a caller"))
            .collect()
    });
    let all = answers.len();
    let refused = answers
        .into_iter()
        .filter(|(_, code)| *code == 503)
        .collect();
    let refused = Round::new(0.0, refused);
    println!(
        "{}: {CROWD} callers, {} of {all} refused as overloaded; p50 {:.2}, p99 {:.2}, worst {:.2} ms to be told so",
        target.name,
        refused.latencies.len(),
        refused.quantile(0.5),
        refused.quantile(0.99),
        refused.quantile(1.0),
    );
}

/// What the models allow: as many threads as cores that decode, detect, find landmarks and embed,
/// and do nothing else.
fn raw_models(photos: &[Vec<u8>], requests: usize, plan: &Plan) -> Round {
    let threads = cores();
    let runtime = Runtime::load_as(&Settings::default(), plan.clone()).expect("a runtime");
    let pack = Pack::open(&faceood_test_support::models().join("default")).expect("the pack");
    let (detector, landmarks) = (
        pack.detector_bytes().expect("detector"),
        pack.landmarks_bytes().expect("landmarks"),
    );
    let embedder = pack
        .embedder_for(runtime.candidate().form)
        .expect("embedder");
    let next = AtomicUsize::new(0);
    let ready = std::sync::Barrier::new(threads + 1);
    let (latencies, seconds) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let open = |name, bytes: &[u8], placement| {
                        runtime.open(name, bytes, placement).expect("a model")
                    };
                    let mut detector = open("detector", &detector, Placement::Host);
                    let mut landmarks = open("landmarks", &landmarks, Placement::Host);
                    let mut embedder = open("embedder", &embedder, Placement::Accelerated);
                    let (wide, small, face) = (
                        vec![128.0; 3 * 320 * 320],
                        vec![0.5; 64 * 64],
                        vec![128.0; 3 * 112 * 112],
                    );
                    embedder.run(&[1, 3, 112, 112], &face).expect("a run");
                    ready.wait();
                    let mut latencies = Vec::new();
                    loop {
                        let turn = next.fetch_add(1, Ordering::Relaxed);
                        if turn >= requests {
                            return latencies;
                        }
                        let started = Instant::now();
                        capture::decode(
                            &photos[turn % photos.len()],
                            &capture::Settings::default(),
                        )
                        .expect("a picture");
                        detector.run(&[1, 3, 320, 320], &wide).expect("a run");
                        landmarks.run(&[1, 1, 64, 64], &small).expect("a run");
                        embedder.run(&[1, 3, 112, 112], &face).expect("a run");
                        latencies.push((started.elapsed().as_secs_f64() * 1e3, 200));
                    }
                })
            })
            .collect();
        ready.wait();
        let started = Instant::now();
        let latencies: Vec<_> = workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a worker"))
            .collect();
        (latencies, started.elapsed().as_secs_f64())
    });
    Round::new(requests as f64 / seconds, latencies)
}

/// One row for each: medians over the rounds, and our requests a second as a multiple of theirs,
/// round by round.
fn report(photos: &str, connections: usize, measured: &BTreeMap<&str, Vec<Round>>) {
    let Some(ours) = measured.get("faceood") else {
        return;
    };
    for (who, rounds) in measured {
        let ratio = ratio(ours, rounds);
        println!(
            "{photos:<8} {connections:>3}  {who:<8} {:>9.1} {:>8.2} {:>8.2} {:>8.2}  {:?}",
            median(rounds.iter().map(|round| round.per_second)),
            median(rounds.iter().map(|round| round.quantile(0.5))),
            median(rounds.iter().map(|round| round.quantile(0.99))),
            ratio,
            rounds[0].codes,
        );
    }
}
