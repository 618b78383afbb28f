//! One candidate, tried in a process of its own: the parent writes an order to its standard input
//! and reads what was measured from its standard output.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::Barrier;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Site;
use crate::capture;
use crate::checkpoint::Checkpoint;
use crate::embed::EmbedError;
use crate::own_program::OwnProgram;
use crate::pack::verify;
use crate::pipeline::probe::{self, ProbeError};
use crate::pipeline::{AssembleError, Assembly, Pipeline};
use crate::runtime::{Candidate, Plan, Runtime};
use crate::stats::quantile;

/// Longest that a trial may take, opening included: a slower candidate is not for a box that
/// restarts.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a round of requests is. The best counts: what else runs only slows a round.
const ROUND: Duration = Duration::from_millis(500);
const ROUNDS: usize = 3;
/// Runs of the embedder on the golden input, for each worker.
const GOLDEN_RUNS: usize = 12;

/// What a child process shall try.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) candidate: Candidate,
    pub(super) site: Site,
}

/// What the trial measured.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) requests_per_second: f64,
    pub(super) embed_ms: f64,
    pub(super) embedding: Vec<f32>,
    pub(super) score: f32,
}

/// What the child process writes at its end.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TrialAnswer {
    Measured(Measured),
    Failed(String),
}

/// What the candidate reaches in a process of `program`, which calls [`answer_trial`]; or why it
/// cannot run, in a sentence.
pub(super) fn run(program: &OwnProgram, order: &Order) -> Result<Measured, String> {
    let mut child = program
        .command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", program.program.display()))?;
    let answer = converse(&mut child, order);
    if answer.is_err() {
        let _ = child.kill();
    }
    let ended = child.wait();
    match answer? {
        Some(TrialAnswer::Measured(measured)) => Ok(measured),
        Some(TrialAnswer::Failed(reason)) => Err(reason),
        None => Err(match ended {
            Ok(status) => format!("its trial ended without an answer ({status})"),
            Err(error) => error.to_string(),
        }),
    }
}

/// Sends the order and waits for the answer; `None` where the child ended without one.
fn converse(child: &mut Child, order: &Order) -> Result<Option<TrialAnswer>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("its trial cannot be read: {error}");
    let order = serde_json::to_vec(order).map_err(|error| failed(&error))?;
    if let Some(mut input) = child.stdin.take() {
        // A child that has ended already does not read; what it was shows below.
        let _ = input.write_all(&order);
    }
    let Some(mut output) = child.stdout.take() else {
        return Ok(None);
    };
    // Read on a thread of its own, since a pipe has no time-out.
    let (sender, receiver) = crossbeam_channel::bounded(1);
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = output.read_to_string(&mut text).map(|_| text);
        let _ = sender.send(read);
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(Ok(text)) => Ok(serde_json::from_str(&text).ok()),
        Ok(Err(error)) => Err(failed(&error)),
        Err(_) => Err(format!(
            "its trial took longer than {} s",
            PATIENCE.as_secs()
        )),
    }
}

/// The child's side: an order from standard input, the answer to standard output.
///
/// # Errors
/// Where standard input holds no order, or the answer cannot be written.
pub fn answer_trial() -> std::io::Result<()> {
    // A trial without a parent would only take cores from the next one.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let order: Order = serde_json::from_reader(std::io::stdin().lock())?;
    let answer = match carry_out(&order) {
        Ok(measured) => TrialAnswer::Measured(measured),
        Err(error) => TrialAnswer::Failed(error.to_string()),
    };
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, &answer)?;
    output.flush()
}

fn carry_out(order: &Order) -> Result<Measured, AssembleError> {
    let Order { candidate, site } = order;
    let plan = Plan {
        candidate: *candidate,
        reason: "a trial".to_owned(),
    };
    // Another provider than the one that is on trial must not stand in for it.
    let settings = crate::runtime::Settings {
        provider: candidate.provider.into(),
        ..site.runtime.clone()
    };
    let runtime = Runtime::load_as(&settings, plan)?;
    let assembly = Assembly::open(runtime, &site.pack_dir, capture::Settings::default())?;
    let workers = site.pipeline.worker_count(candidate.threads);
    let mut pipelines = at_once((0..workers).collect(), |_| {
        let mut pipeline = assembly.pipeline()?;
        // The first run allocates what later ones reuse.
        probe::analyze(&mut pipeline)?;
        Ok(pipeline)
    })?;
    let face = match pipelines.first_mut() {
        Some(pipeline) => probe::analyze(pipeline)?,
        None => return Err(ProbeError::Failed("there is no worker".to_owned()).into()),
    };
    let start = Barrier::new(workers);
    let work = |pipeline: &mut Pipeline| work(pipeline, &start);
    let outcomes = at_once(pipelines.iter_mut().collect(), work)?;
    let mut golden_ms = outcomes
        .iter()
        .map(|work| &work.golden_ms[..])
        .collect::<Vec<_>>()
        .concat();
    golden_ms.sort_by(f64::total_cmp);
    let rates = (0..ROUNDS).map(|round| outcomes.iter().map(|work| work.rates[round]).sum());
    Ok(Measured {
        requests_per_second: rates.fold(0.0, f64::max),
        embed_ms: quantile(&golden_ms, 0.5).unwrap_or_default(),
        embedding: face.embedding.values().to_vec(),
        score: face.quality.score,
    })
}

/// Runs `task` on each of `inputs`, all at the same time.
fn at_once<I: Send, O: Send>(
    inputs: Vec<I>,
    task: impl Fn(I) -> Result<O, AssembleError> + Sync,
) -> Result<Vec<O>, AssembleError> {
    std::thread::scope(|scope| {
        let task = &task;
        let inputs = inputs.into_iter();
        let threads: Vec<_> = inputs
            .map(|input| scope.spawn(move || task(input)))
            .collect();
        let lost = || ProbeError::Failed("a worker panicked".to_owned()).into();
        let outcomes = threads.into_iter().map(ScopedJoinHandle::join);
        outcomes
            .map(|outcome| outcome.unwrap_or_else(|_| Err(lost())))
            .collect()
    })
}

struct Work {
    golden_ms: Vec<f64>,
    /// Test faces a second in each round.
    rates: [f64; ROUNDS],
}

/// Runs the golden input through the embedder, then test faces through the whole pipeline. A
/// failure is told after the last round, since the other workers wait at the barrier.
fn work(pipeline: &mut Pipeline, start: &Barrier) -> Result<Work, AssembleError> {
    let mut failure = None;
    start.wait();
    let golden = golden_ms(pipeline);
    let mut rates = [0.0; ROUNDS];
    for rate in &mut rates {
        start.wait();
        let begin = Instant::now();
        let mut faces = 0;
        while begin.elapsed() < ROUND && failure.is_none() {
            failure = probe::analyze(pipeline).err();
            faces += 1;
        }
        *rate = f64::from(faces) / begin.elapsed().as_secs_f64();
    }
    match failure {
        None => Ok(Work {
            golden_ms: golden?,
            rates,
        }),
        Some(error) => Err(error.into()),
    }
}

/// How long each run of the embedder on the golden input takes, milliseconds.
fn golden_ms(pipeline: &mut Pipeline) -> Result<Vec<f64>, EmbedError> {
    let golden = verify::golden_crop();
    let mut times = Vec::with_capacity(GOLDEN_RUNS);
    for _ in 0..GOLDEN_RUNS {
        let begin = Instant::now();
        pipeline.embedder.embed(&[&golden], &Checkpoint::OPEN)?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}
