//! From a pack and settings to pipelines that are ready to run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::Pipeline;
use super::stages::{aligner_settings, detector_settings, embedder_settings};
use crate::capture;
use crate::embed::{BatchQueue, EmbedError, Embedder, FaceEmbedder};
use crate::face::{Aligner, Detector};
use crate::pack::{Pack, PackError, manifest, verify};
use crate::policy::Thresholds;
use crate::quality::{Calibration, CalibrationError, SymptomNames};
use crate::runtime::{Placement, Provider, Runtime, RuntimeError};

/// How many pictures are analysed, and wait, at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Worker threads, each with sessions of its own; 0 = as many as the cores have room for.
    pub workers: usize,
    /// Pictures that may wait for a worker; one more is refused with `overloaded`.
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
    /// The number of workers on this machine whose sessions have so many threads each.
    #[must_use]
    pub fn worker_count(&self, threads: usize) -> usize {
        match self.workers {
            0 => (cores() / threads.max(1)).max(1),
            workers => workers,
        }
    }
}

/// Cores that this process may use: those of its affinity, and no more than its cgroup's quota allows.
#[must_use]
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
    /// The models open and then fail on the embedded test face.
    #[error(transparent)]
    Probe(#[from] super::probe::ProbeError),
}

/// Why a calibration made on site is not used.
#[derive(Debug, thiserror::Error)]
pub enum SiteCalibrationError {
    /// The file cannot be read.
    #[error(
        "the calibration {} cannot be read: {source}; make it with `faceood-admin calibrate`, or empty `calibration_file` to use the pack's own",
        .path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no calibration.
    #[error("{}: {source}", .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CalibrationError,
    },
    /// It was made with another network: its signals mean something else.
    #[error(
        "the calibration {} was made for the embedder {got}, this pack's is {expected}; make a new one with `faceood-admin calibrate`",
        .path.display()
    )]
    OtherEmbedder {
        /// The file.
        path: PathBuf,
        /// SHA-256 of the embedder it was made for.
        got: String,
        /// SHA-256 of the embedder that runs.
        expected: String,
    },
}

/// What answers: the same for every request until another pack is loaded, hence shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelFacts {
    /// Name of the model pack.
    pub pack: String,
    /// Its version.
    pub version: String,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// Where it runs: `cuda`, `openvino` or `cpu`.
    pub provider: String,
}

/// An opened pack and the runtime that its models run in: everything that pipelines have in common.
pub struct Assembly {
    runtime: Runtime,
    pack: Arc<Pack>,
    /// The session that all workers share on a GPU, once it is open.
    shared: Mutex<Option<BatchQueue>>,
    /// The one in force; every pipeline watches it, so that another can take its place while they work.
    calibration: watch::Sender<Arc<Calibration>>,
    capture: capture::Settings,
    /// What the pictures of all pipelines share.
    memory: capture::Memory,
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
            makes_thumbnails: false,
        })
    }

    /// The same, whose pipelines make a small picture of each face or, as by default, make none.
    #[must_use]
    pub fn with_thumbnails(self, makes_thumbnails: bool) -> Self {
        Self {
            makes_thumbnails,
            ..self
        }
    }

    /// The same for so many pipelines, whose pictures share the memory that the settings allow
    /// them.
    #[must_use]
    pub fn for_workers(self, workers: usize) -> Self {
        Self {
            memory: capture::Memory::new(self.capture.memory_bytes(workers)),
            ..self
        }
    }

    /// Puts the calibration in `file` in force for every picture that is judged from now on, or the pack's own where there is
    /// none. Pipelines need no restart; one that is judging a picture finishes it with the calibration it began with.
    ///
    /// # Errors
    /// Where the file cannot be read, is broken, or was made for another embedder. The calibration stays what it was.
    pub fn recalibrate(&self, file: Option<&Path>) -> Result<Arc<Calibration>, AssembleError> {
        let calibration = Arc::new(match file {
            Some(path) => site_calibration(path, &self.pack)?,
            None => Calibration::load(self.pack.calibration_json())?,
        });
        self.calibration.send_replace(Arc::clone(&calibration));
        Ok(calibration)
    }

    /// The runtime.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The pack.
    #[must_use]
    pub fn pack(&self) -> &Pack {
        &self.pack
    }

    /// The maps from OOD logit to score and pass probability that are in force now.
    #[must_use]
    pub fn calibration(&self) -> Arc<Calibration> {
        Arc::clone(&self.calibration.borrow())
    }

    /// What answers, for each answer to say.
    #[must_use]
    pub fn facts(&self) -> ModelFacts {
        ModelFacts {
            pack: self.pack.id().to_owned(),
            version: self.pack.version().to_owned(),
            sha256: self.pack.sha256().to_owned(),
            provider: self.runtime.provider().name().to_owned(),
        }
    }

    /// The pack's cuts on the similarity.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        thresholds_of(&self.pack)
    }

    /// Opens the sessions of one pipeline and checks the embedder on the golden input. Not warm yet: the pool runs the embedded test face through it first.
    ///
    /// # Errors
    /// [`AssembleError`] where a model cannot be opened, or the embedder computes something else than the manifest says.
    pub fn pipeline(&self) -> Result<Pipeline, AssembleError> {
        let open = |name, bytes: &[u8], placement| self.runtime.open(name, bytes, placement);
        let detector = open("detector", &self.pack.detector_bytes()?, Placement::Host)?;
        let landmarks = open("landmarks", &self.pack.landmarks_bytes()?, Placement::Host)?;
        let manifest = self.pack.manifest();
        Ok(Pipeline {
            capture: self.capture.clone(),
            memory: self.memory.clone(),
            detector: Detector::new(detector, detector_settings(&manifest.detector)),
            aligner: Aligner::new(
                landmarks,
                aligner_settings(&manifest.landmarks, &manifest.embedder.template),
            ),
            embedder: self.face_embedder()?,
            ood: manifest.embedder.ood.clone(),
            symptoms: symptom_names(&manifest.embedder)?,
            calibration: self.calibration.subscribe(),
            makes_thumbnails: self.makes_thumbnails,
        })
    }

    /// On a GPU one session for all workers, which runs their faces together; else one for each.
    fn face_embedder(&self) -> Result<FaceEmbedder, AssembleError> {
        if self.runtime.provider() != Provider::Cuda {
            return Ok(FaceEmbedder::Own(Box::new(embedder(
                &self.runtime,
                &self.pack,
            )?)));
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = match &*shared {
            Some(queue) => queue.clone(),
            None => {
                let (runtime, pack) = (self.runtime.clone(), Arc::clone(&self.pack));
                shared
                    .insert(BatchQueue::start(move || embedder(&runtime, &pack))?)
                    .clone()
            }
        };
        Ok(FaceEmbedder::Shared(queue))
    }
}

/// The calibration in the file at `path`, if it is one for `pack`.
fn site_calibration(path: &Path, pack: &Pack) -> Result<Calibration, SiteCalibrationError> {
    let json = std::fs::read_to_string(path).map_err(|source| SiteCalibrationError::Read {
        path: path.to_owned(),
        source,
    })?;
    let calibration = Calibration::load(&json).map_err(|source| SiteCalibrationError::Broken {
        path: path.to_owned(),
        source,
    })?;
    let expected = &pack.manifest().embedder.file.sha256;
    match calibration.embedder() {
        Some(got) if got != expected => Err(SiteCalibrationError::OtherEmbedder {
            path: path.to_owned(),
            got: got.to_owned(),
            expected: expected.clone(),
        }),
        _ => Ok(calibration),
    }
}

/// The cuts on the similarity that `pack` asks for.
#[must_use]
pub fn thresholds_of(pack: &Pack) -> Thresholds {
    let similarity = pack.manifest().similarity;
    Thresholds {
        same: similarity.same,
        different: similarity.review,
    }
}

/// Opens the embedder and lets it prove, where it will serve, that it computes what the pack's maker saw. Costs one run.
fn embedder(runtime: &Runtime, pack: &Pack) -> Result<Embedder, AssembleError> {
    let mut session = runtime.open(
        "embedder",
        &pack.embedder_for(runtime.candidate().form)?,
        Placement::Accelerated,
    )?;
    verify::check_embedder(pack, &mut session)?;
    Ok(Embedder::new(
        session,
        embedder_settings(&pack.manifest().embedder),
    ))
}

/// What the pack's network says of causes, where it says anything.
fn symptom_names(embedder: &manifest::Embedder) -> Result<Option<SymptomNames>, AssembleError> {
    let Some(causes) = &embedder.causes else {
        return Ok(None);
    };
    SymptomNames::new(&causes.names, causes.covered_from)
        .map(Some)
        .map_err(AssembleError::UnknownCause)
}
