//! Pipelines on threads of their own, behind a bounded queue, so that HTTP never computes.
//!
//! Refusal is immediate: a full queue is an answer ([`Interruption::Overloaded`]). A worker gives a
//! picture up between two steps when its caller has left, its time is over, or the service stops. A
//! panic in a stage is caught and answered, and the models are opened anew.
//!
//! A busy worker does not count as hung. The self-check takes the next free worker. If none is free
//! soon, it passes as long as every worker still finishes steps.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select_biased};
use tokio::sync::oneshot;
use tracing::Span;

use super::probe::{self, ProbeError};
use super::{Analysis, AnalyzeError, Ask, AssembleError, Assembly, Pipeline, Settings};
use crate::checkpoint::{Checkpoint, Interruption};
use crate::embed::Embedding;
use crate::problem::texts::ServiceFault;
use crate::runtime;

/// How long a probe waits for a free worker, before it is judged by what the workers do.
const PROBE_PATIENCE: Duration = Duration::from_secs(3);

/// A worker that finishes no step for this long hangs. The slowest step is the decoding of the
/// largest picture, which the limits of [`capture`](crate::capture) keep to a few seconds.
const STUCK_AFTER: Duration = Duration::from_secs(30);

struct Job {
    upload: Bytes,
    ask: Ask,
    queued: Instant,
    deadline: Instant,
    reply: oneshot::Sender<Result<Analysis, AnalyzeError>>,
    /// Hears how long a worker was busy with it. Dropped unheard where none began.
    done: Box<dyn FnOnce(Duration) + Send>,
    /// The caller's, for what the worker logs.
    span: Span,
}

type ProbeReply = oneshot::Sender<Result<(), ProbeError>>;

struct Shared {
    assembly: Assembly,
    /// The embedded face as the first worker saw it at start.
    expected: OnceLock<Embedding>,
    failing: Mutex<Option<ProbeError>>,
    /// New pictures are refused.
    is_stopping: AtomicBool,
    /// Pictures in work are given up.
    is_aborting: AtomicBool,
    settings: Settings,
    /// When each worker began its present step, milliseconds since `epoch`; 0 while it waits.
    step_since: Vec<AtomicU64>,
    epoch: Instant,
}

/// A cheap handle on the worker threads.
#[derive(Clone)]
pub struct AnalysisPool {
    jobs: Sender<Job>,
    probes: Sender<ProbeReply>,
    stop: Arc<Mutex<Option<Sender<()>>>>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
    shared: Arc<Shared>,
}

impl AnalysisPool {
    /// Starts the workers and returns when each has analysed the embedded face.
    ///
    /// # Errors
    /// The first worker's [`AssembleError`]; the others are stopped.
    pub fn start(assembly: Assembly, settings: &Settings) -> Result<Self, AssembleError> {
        let threads = assembly.runtime().candidate().threads;
        let workers = settings.worker_count(threads);
        let (jobs, waiting) = bounded::<Job>(settings.queue);
        let (probes, asked) = bounded::<ProbeReply>(1);
        let (stop, stopped) = bounded::<()>(0);
        let (warm, outcomes) = bounded(workers);
        let shared = Arc::new(Shared {
            assembly: assembly.for_workers(workers),
            expected: OnceLock::new(),
            failing: Mutex::new(None),
            is_stopping: AtomicBool::new(false),
            is_aborting: AtomicBool::new(false),
            settings: settings.clone(),
            step_since: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            epoch: Instant::now(),
        });
        let mut threads = Vec::with_capacity(workers);
        for index in 0..workers {
            let inbox = Inbox {
                jobs: waiting.clone(),
                probes: asked.clone(),
                stopped: stopped.clone(),
            };
            let (shared, warm) = (Arc::clone(&shared), warm.clone());
            let thread = std::thread::Builder::new()
                .name(format!("analysis-{index}"))
                .spawn(move || {
                    let pipeline = match shared.warm_pipeline() {
                        Ok(pipeline) => Some(pipeline),
                        Err(error) => {
                            let _ = warm.send(Err(error));
                            return;
                        }
                    };
                    let _ = warm.send(Ok(()));
                    drop(warm);
                    let worker = Worker {
                        index,
                        pipeline,
                        shared,
                    };
                    worker.run(&inbox);
                });
            threads.push(thread.map_err(|error| {
                ProbeError::Failed(format!("thread {index} cannot be started: {error}"))
            })?);
        }
        drop(warm);
        let pool = Self {
            jobs,
            probes,
            stop: Arc::new(Mutex::new(Some(stop))),
            threads: Arc::new(Mutex::new(threads)),
            shared,
        };
        for outcome in outcomes {
            if let Err(error) = outcome {
                pool.close();
                return Err(error);
            }
        }
        runtime::return_freed_memory();
        Ok(pool)
    }

    /// With which it was started.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// When a request whose pictures are whole now must have its answer.
    pub fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.shared.settings.deadline_ms)
    }

    /// Analyses `upload`. A caller who drops the future has the work given up at the next stage;
    /// `done` hears then, or before the answer, how long a worker was busy.
    ///
    /// # Errors
    /// At once [`Interruption::Overloaded`] where the queue is full;
    /// [`Interruption::DeadlineExceeded`] at `deadline`, whatever the worker is at;
    /// [`Interruption::Stopping`] after [`Self::close`]; else what the pipeline says.
    pub async fn submit(
        &self,
        upload: Bytes,
        ask: Ask,
        deadline: Instant,
        done: impl FnOnce(Duration) + Send + 'static,
    ) -> Result<Analysis, AnalyzeError> {
        if self.shared.is_stopping.load(Ordering::Acquire) {
            return Err(Interruption::Stopping.into());
        }
        let (reply, answer) = oneshot::channel();
        self.jobs
            .try_send(Job {
                upload,
                ask,
                queued: Instant::now(),
                deadline,
                reply,
                done: Box::new(done),
                span: Span::current(),
            })
            .map_err(|refused| match (refused, self.capacity()) {
                (TrySendError::Full(_), capacity) => Interruption::Overloaded { capacity },
                (TrySendError::Disconnected(_), _) => Interruption::Stopping,
            })?;
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(outcome) => outcome.map_err(|_| Interruption::Stopping)?,
            Err(_) => Err(self.shared.too_late().into()),
        }
    }

    /// A real inference on the embedded face, ahead of the queue. Its outcome stands in
    /// [`Self::readiness`] until the next. Where no worker is free for it soon, the last outcome
    /// stands as long as every worker gets on.
    ///
    /// # Errors
    /// Where it fails or gives other numbers than at start, and where a worker hangs.
    pub async fn probe(&self) -> Result<(), ProbeError> {
        let outcome = match self.shared.stuck() {
            Some(stuck) => Err(stuck),
            None => self.probe_by_worker().await,
        };
        *locked(&self.shared.failing) = outcome.clone().err();
        outcome
    }

    async fn probe_by_worker(&self) -> Result<(), ProbeError> {
        let failed = |why: &str| Err(ProbeError::Failed(why.to_owned()));
        let (reply, answer) = oneshot::channel();
        match self.probes.try_send(reply) {
            Ok(()) => match tokio::time::timeout(PROBE_PATIENCE, answer).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => failed("the worker was lost"),
                Err(_) => self.shared.last_outcome(),
            },
            // One waits already.
            Err(TrySendError::Full(_)) => self.shared.last_outcome(),
            Err(TrySendError::Disconnected(_)) => failed("the workers are gone"),
        }
    }

    /// Whether a picture sent now would be analysed.
    ///
    /// # Errors
    /// [`ServiceFault`] with the reason.
    pub fn readiness(&self) -> Result<(), ServiceFault> {
        if self.shared.is_stopping.load(Ordering::Acquire) {
            return Err(ServiceFault::Stopping);
        }
        let failing = locked(&self.shared.failing).clone();
        if let Some(error) = failing.or_else(|| self.shared.stuck()) {
            let reason = error.to_string();
            return Err(ServiceFault::SelfCheck { reason });
        }
        let capacity = self.capacity();
        if self.jobs.is_full() && capacity > 0 {
            return Err(ServiceFault::QueueFull { capacity });
        }
        Ok(())
    }

    /// What the workers were assembled from.
    pub fn assembly(&self) -> &Assembly {
        &self.shared.assembly
    }

    /// Number of worker threads.
    pub fn workers(&self) -> usize {
        self.shared.step_since.len()
    }

    /// Pictures waiting.
    pub fn depth(&self) -> usize {
        self.jobs.len()
    }

    /// Pictures that may wait.
    pub fn capacity(&self) -> usize {
        self.jobs.capacity().unwrap_or(usize::MAX)
    }

    /// Refuses new pictures, and has those that wait or are in work given up.
    pub fn abort(&self) {
        self.shared.is_stopping.store(true, Ordering::Release);
        self.shared.is_aborting.store(true, Ordering::Release);
    }

    /// Refuses new pictures, finishes those that wait, and ends the workers. Blocks.
    pub fn close(&self) {
        self.shared.is_stopping.store(true, Ordering::Release);
        drop(locked(&self.stop).take());
        let threads = std::mem::take(&mut *locked(&self.threads));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Opens a pipeline and runs the embedded face through it: first runs allocate.
    fn warm_pipeline(&self) -> Result<Pipeline, AssembleError> {
        let mut pipeline = self.assembly.pipeline()?;
        self.probe(&mut pipeline)?;
        Ok(pipeline)
    }

    fn probe(&self, pipeline: &mut Pipeline) -> Result<(), ProbeError> {
        let embedding = probe::run(pipeline, self.expected.get())?;
        self.expected.get_or_init(|| embedding);
        Ok(())
    }

    fn now_ms(&self) -> u64 {
        // One more, so that 0 keeps its meaning.
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    /// What is known where a probe gets no worker: that of the last one, unless a worker hangs.
    fn last_outcome(&self) -> Result<(), ProbeError> {
        let known = self.stuck().or_else(|| locked(&self.failing).clone());
        known.map_or(Ok(()), Err)
    }

    fn too_late(&self) -> Interruption {
        let limit_ms = self.settings.deadline_ms;
        Interruption::DeadlineExceeded { limit_ms }
    }

    /// Whether the picture of `worker` is still wanted. Asked, and noted, after each step.
    fn is_wanted(&self, worker: usize, job: &Job) -> Result<(), Interruption> {
        self.step_since[worker].store(self.now_ms(), Ordering::Relaxed);
        if job.reply.is_closed() {
            Err(Interruption::CallerLeft)
        } else if self.is_aborting.load(Ordering::Acquire) {
            Err(Interruption::Stopping)
        } else if Instant::now() >= job.deadline {
            Err(self.too_late())
        } else {
            Ok(())
        }
    }

    fn stuck(&self) -> Option<ProbeError> {
        let now = self.now_ms();
        let limit = u64::try_from(STUCK_AFTER.as_millis()).unwrap_or(u64::MAX);
        let mut steps = self
            .step_since
            .iter()
            .map(|since| since.load(Ordering::Relaxed));
        steps
            .any(|since| since != 0 && now.saturating_sub(since) > limit)
            .then_some(ProbeError::Stuck(STUCK_AFTER.as_secs()))
    }
}

struct Inbox {
    jobs: Receiver<Job>,
    probes: Receiver<ProbeReply>,
    stopped: Receiver<()>,
}

struct Worker {
    index: usize,
    /// `None` after a panic, until the models are open again.
    pipeline: Option<Pipeline>,
    shared: Arc<Shared>,
}

impl Worker {
    fn run(mut self, inbox: &Inbox) {
        loop {
            select_biased! {
                recv(inbox.probes) -> probe => match probe {
                    Ok(reply) => self.busy(|worker| worker.answer_probe(reply)),
                    Err(_) => return,
                },
                recv(inbox.jobs) -> job => match job {
                    Ok(job) => self.busy(|worker| worker.answer(job)),
                    Err(_) => return,
                },
                // Last: what waits when the pool closes is still answered.
                recv(inbox.stopped) -> _ => return,
            }
        }
    }

    fn busy(&mut self, work: impl FnOnce(&mut Self)) {
        self.shared.step_since[self.index].store(self.shared.now_ms(), Ordering::Relaxed);
        work(self);
        // After a panic, once it is answered: to open the models takes seconds.
        if self.pipeline.is_none() {
            self.pipeline = self.shared.warm_pipeline().ok();
        }
        self.shared.step_since[self.index].store(0, Ordering::Relaxed);
    }

    fn answer(&mut self, job: Job) {
        let _entered = job.span.clone().entered();
        let (shared, index) = (Arc::clone(&self.shared), self.index);
        let is_wanted = || shared.is_wanted(index, &job);
        let began = Instant::now();
        let outcome = self.guarded(|pipeline| {
            let checkpoint = Checkpoint::new(&is_wanted);
            pipeline.analyze(&job.upload, &job.ask, job.queued.elapsed(), &checkpoint)
        });
        (job.done)(began.elapsed());
        if let Err(Err(error)) = job.reply.send(outcome) {
            tracing::debug!(%error, "gave up a picture");
        }
    }

    fn answer_probe(&mut self, reply: ProbeReply) {
        let shared = Arc::clone(&self.shared);
        let outcome = self.guarded(|pipeline| Ok(shared.probe(pipeline)));
        let _ =
            reply.send(outcome.unwrap_or_else(|error| Err(ProbeError::Failed(error.to_string()))));
    }

    /// Runs `work`. After a panic the pipeline is in an unknown state: it is dropped.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Pipeline) -> Result<T, AnalyzeError>,
    ) -> Result<T, AnalyzeError> {
        let mut pipeline = match self.pipeline.take() {
            Some(pipeline) => pipeline,
            None => {
                let warm = self.shared.warm_pipeline();
                warm.map_err(|error| AnalyzeError::Broken(error.to_string()))?
            }
        };
        match catch_unwind(AssertUnwindSafe(|| work(&mut pipeline))) {
            Ok(outcome) => {
                self.pipeline = Some(pipeline);
                outcome
            }
            Err(panic) => {
                let message = panic_message(panic.as_ref());
                tracing::error!(
                    worker = self.index,
                    message,
                    "a stage panicked; this worker opens its models anew"
                );
                Err(AnalyzeError::Panicked(message))
            }
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}
