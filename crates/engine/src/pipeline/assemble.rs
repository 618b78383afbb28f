//! From a pack and settings to pipelines that are ready to run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use super::Pipeline;
use crate::capture::{self, Decoder};
use crate::embed::{BatchQueue, EmbedError, Embedder, FaceEmbedder};
use crate::face::{Aligner, Detector};
use crate::own_program::OwnProgram;
use crate::pack::{Pack, PackError, verify};
use crate::policy::Thresholds;
use crate::quality::{Calibration, CalibrationError, SymptomNames};
use crate::runtime::{Placement, Provider, Runtime, RuntimeError};

/// How many pictures are analysed, and wait, at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Worker threads, each with sessions of its own; 0 = as many as the cores have room for.
    pub workers: usize,
    /// Pictures that may wait for a worker; more are refused with `overloaded`.
    pub queue: usize,
    /// Most time from the end of the upload to the answer; then the request is refused with
    /// `deadline_exceeded`.
    pub deadline_ms: u64,
    /// Most faces of a picture that are analysed where all are asked for; the largest come first.
    pub max_faces: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 0,
            queue: 32,
            deadline_ms: 10_000,
            max_faces: 50,
        }
    }
}

impl Settings {
    /// The number of workers on this machine whose sessions have so many `threads` each.
    pub fn worker_count(&self, threads: usize) -> usize {
        match self.workers {
            0 => (cores() / threads.max(1)).max(1),
            workers => workers,
        }
    }
}

/// Cores that this process may use: those of its affinity, and no more than its cgroup's quota.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Why no pipeline could be put together.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The pack is not usable.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// ONNX Runtime or a model in it is not usable.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The pack's calibration is not usable.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The calibration made on site is not usable.
    #[error(transparent)]
    SiteCalibration(#[from] SiteCalibrationError),
    /// The pack names a cause that is none.
    #[error(
        "the pack's manifest names the cause {0:?}, which this program does not know; upgrade faceood, or take another pack"
    )]
    UnknownCause(String),
    /// The session that all workers share cannot be started.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The process that decodes JPEGs cannot be started.
    #[error(
        "the process that decodes JPEGs cannot be started: {0}; let the system start one more for each worker (TasksMax= of the \
         unit), or set capture.confined = false to decode in the daemon itself"
    )]
    Decoder(#[source] std::io::Error),
    /// The models open and then fail on the embedded test face.
    #[error(transparent)]
    Probe(#[from] super::probe::ProbeError),
}

/// Why a calibration made on site is not used.
#[derive(Debug, thiserror::Error)]
pub enum SiteCalibrationError {
    /// The file cannot be read.
    #[error(
        "the calibration {} cannot be read: {}; make it with `faceood-admin calibrate`, or empty `calibration_file` to use the pack's own",
        .0.display(), .1
    )]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is no calibration.
    #[error("{}: {}", .0.display(), .1)]
    Broken(PathBuf, #[source] CalibrationError),
    /// The file was made with another embedder.
    #[error(
        "the calibration {} was made for the embedder {made_for}, this pack's is {packs}; make a new one with `faceood-admin calibrate`",
        file.display()
    )]
    OtherEmbedder {
        /// The calibration.
        file: PathBuf,
        /// SHA-256 of the embedder that it was made with.
        made_for: String,
        /// SHA-256 of the pack's.
        packs: String,
    },
}

/// What answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Model)]
pub struct ModelFacts {
    /// Name of the model pack.
    #[schema(example = "default")]
    pub pack: String,
    /// Its version.
    pub version: String,
    /// Its SHA-256: embeddings of packs that differ in it must not be compared.
    pub sha256: String,
    /// Where it runs: `cuda`, `openvino` or `cpu`.
    #[schema(example = "cpu")]
    pub provider: String,
}

/// An opened pack and the runtime that its models run in: all that pipelines have in common.
pub struct Assembly {
    runtime: Runtime,
    pack: Arc<Pack>,
    /// The session that all workers share on a GPU, once it is open.
    shared: Mutex<Option<BatchQueue>>,
    /// The one in force, watched by every pipeline, so that it can change at work.
    calibration: watch::Sender<Arc<Calibration>>,
    capture: capture::Settings,
    /// What the pictures of all pipelines share.
    memory: capture::Memory,
    /// Who decodes JPEGs in processes of their own; `None`: the pipelines themselves.
    decoder: Option<OwnProgram>,
    makes_thumbnails: bool,
}

impl Assembly {
    /// Opens and checks the pack in `directory`.
    ///
    /// # Errors
    /// [`AssembleError`] naming the file and the way out.
    pub fn open(
        runtime: Runtime,
        directory: &Path,
        capture: capture::Settings,
    ) -> Result<Self, AssembleError> {
        let pack = Arc::new(Pack::open(directory)?);
        let calibration = Calibration::load(pack.calibration_json())?;
        if !calibration.is_calibrated() {
            tracing::warn!(
                pack = pack.id(),
                calibration = calibration.id(),
                "the pack brings no calibration: without one of your own photos (faceood-admin calibrate) its scores mean nothing and no built-in policy accepts anybody"
            );
        }
        let (calibration, _) = watch::channel(Arc::new(calibration));
        Ok(Self {
            runtime,
            pack,
            shared: Mutex::new(None),
            calibration,
            memory: capture::Memory::new(capture.memory_bytes(cores())),
            capture,
            decoder: None,
            makes_thumbnails: false,
        })
    }

    /// The same, whose pipelines make a small picture of each face or, as by default, make none.
    #[must_use]
    pub fn with_thumbnails(mut self, makes_thumbnails: bool) -> Self {
        self.makes_thumbnails = makes_thumbnails;
        self
    }

    /// The same, whose pipelines have a process of `program` each that decodes JPEGs.
    #[must_use]
    pub fn with_decoder(mut self, program: Option<OwnProgram>) -> Self {
        self.decoder = program;
        self
    }

    /// The same for so many pipelines, which share the memory for as many.
    #[must_use]
    pub fn for_workers(mut self, workers: usize) -> Self {
        self.memory = capture::Memory::new(self.capture.memory_bytes(workers));
        self
    }

    /// Puts the calibration in `file`, or else the pack's own, in force for every picture that is
    /// judged from now on. A picture in work keeps the one it began with.
    ///
    /// # Errors
    /// Where the file is unreadable, broken or for another embedder. Then nothing changes.
    pub fn recalibrate(&self, file: Option<&Path>) -> Result<Arc<Calibration>, AssembleError> {
        let calibration = Arc::new(match file {
            Some(path) => site_calibration(path, &self.pack)?,
            None => Calibration::load(self.pack.calibration_json())?,
        });
        self.calibration.send_replace(Arc::clone(&calibration));
        Ok(calibration)
    }

    /// The runtime.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The pack.
    pub fn pack(&self) -> &Pack {
        &self.pack
    }

    /// The maps from OOD logit to score and pass probability that are in force now.
    pub fn calibration(&self) -> Arc<Calibration> {
        Arc::clone(&self.calibration.borrow())
    }

    /// What answers, for each answer to say.
    pub fn facts(&self) -> ModelFacts {
        ModelFacts {
            pack: self.pack.id().to_owned(),
            version: self.pack.version().to_owned(),
            sha256: self.pack.sha256().to_owned(),
            provider: self.runtime.provider().name().to_owned(),
        }
    }

    /// The cuts on the similarity that are in force now: the calibration's, or else the pack's.
    pub fn thresholds(&self) -> Thresholds {
        let own = self.calibration.borrow().thresholds();
        own.unwrap_or_else(|| thresholds_of(&self.pack))
    }

    /// Opens the sessions of one pipeline and checks the embedder on the golden input. Not warm
    /// yet: the pool runs the embedded test face through it first.
    ///
    /// # Errors
    /// Where a model does not open, or the embedder computes other numbers than the manifest says.
    pub fn pipeline(&self) -> Result<Pipeline, AssembleError> {
        let open = |name, bytes: &[u8], placement| self.runtime.open(name, bytes, placement);
        let detector = open("detector", &self.pack.detector_bytes()?, Placement::Host)?;
        let landmarks = open("landmarks", &self.pack.landmarks_bytes()?, Placement::Host)?;
        let manifest = self.pack.manifest();
        let template = manifest.embedder.template;
        let confined = |program| Decoder::confined(program, &self.capture, &self.memory);
        let decoder = self.decoder.as_ref().map(confined).transpose();
        Ok(Pipeline {
            capture: self.capture.clone(),
            memory: self.memory.clone(),
            decoder: decoder.map_err(AssembleError::Decoder)?.unwrap_or_default(),
            detector: Detector::new(detector, manifest.detector.clone()),
            aligner: Aligner::new(landmarks, manifest.landmarks.clone(), template),
            embedder: self.face_embedder()?,
            ood: manifest.embedder.ood.clone(),
            symptoms: match &manifest.embedder.causes {
                Some(causes) => {
                    let surely = causes.covered_surely_from.unwrap_or(causes.covered_from);
                    Some(
                        SymptomNames::new(&causes.names, [causes.covered_from, surely])
                            .map_err(AssembleError::UnknownCause)?,
                    )
                }
                None => None,
            },
            calibration: self.calibration.subscribe(),
            makes_thumbnails: self.makes_thumbnails,
        })
    }

    /// On a GPU one session for all workers, which runs their faces together; else one for each.
    fn face_embedder(&self) -> Result<FaceEmbedder, AssembleError> {
        let (runtime, pack) = (self.runtime.clone(), Arc::clone(&self.pack));
        let open = move || embedder(&runtime, &pack);
        if self.runtime.provider() != Provider::Cuda {
            return Ok(FaceEmbedder::Own(Box::new(open()?)));
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = match shared.take() {
            Some(queue) => queue,
            None => BatchQueue::start(open)?,
        };
        Ok(FaceEmbedder::Shared(shared.insert(queue).clone()))
    }
}

/// The calibration in the file at `path`, if it is one for `pack`.
fn site_calibration(path: &Path, pack: &Pack) -> Result<Calibration, SiteCalibrationError> {
    let file = || path.to_owned();
    let json = std::fs::read_to_string(path)
        .map_err(|source| SiteCalibrationError::Read(file(), source))?;
    let calibration =
        Calibration::load(&json).map_err(|source| SiteCalibrationError::Broken(file(), source))?;
    let expected = &pack.manifest().embedder.file.sha256;
    match calibration.embedder() {
        Some(got) if got != expected => {
            let (got, expected) = (got.to_owned(), expected.clone());
            Err(SiteCalibrationError::OtherEmbedder {
                file: file(),
                made_for: got,
                packs: expected,
            })
        }
        _ => Ok(calibration),
    }
}

/// The cuts on the similarity that `pack` asks for.
pub fn thresholds_of(pack: &Pack) -> Thresholds {
    let similarity = pack.manifest().similarity;
    Thresholds {
        same: similarity.same,
        different: similarity.review,
    }
}

/// Opens the embedder and checks there that it computes what the pack's maker saw.
fn embedder(runtime: &Runtime, pack: &Pack) -> Result<Embedder, AssembleError> {
    let bytes = pack.embedder_for(runtime.candidate().form)?;
    let mut session = runtime.open("embedder", &bytes, Placement::Accelerated)?;
    verify::check_embedder(pack, &mut session)?;
    Ok(Embedder::new(session, pack.manifest().embedder.clone()))
}
