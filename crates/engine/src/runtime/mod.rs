//! ONNX Runtime: find and load the library, choose where models run, open sessions. Knows no faces.
//!
//! One process loads one ONNX Runtime, and the provider decides which: the CPU library, the one
//! that carries CUDA, or the one that carries OpenVINO. [`Runtime::load_as`] follows a [`Plan`]
//! that `pipeline::tuning` made by measurement; [`Runtime::load`] takes the usual one. A provider
//! that was asked for by name and cannot be had is an error, never a silent fall-back. Where it was
//! left open (`auto`) and CUDA does not work, models run on the processor, and the reason says so.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use serde::{Deserialize, Serialize};

use crate::named;

mod candidate;
mod hardware;
mod input;
mod library;
mod session;
mod trial;

pub use candidate::{Candidate, GraphForm, Precision};
pub use hardware::{Plan, candidates, find_library, has_nvidia_driver, processor, usual_plan};
pub use input::{Channels, InputTransform, PlaneNumber};
pub use library::Library;
pub use session::{Placement, Session, Tensor};

/// What the operator asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderChoice {
    /// Whatever was measured to be the fastest on this machine.
    #[default]
    Auto,
    /// CUDA or refuse to start.
    Cuda,
    /// OpenVINO on the CPU or refuse to start.
    Openvino,
    /// ONNX Runtime's own CPU kernels.
    Cpu,
}

named! {
    /// Where the embedder really runs.
    Provider {
        /// An NVIDIA GPU.
        Cuda "cuda",
        /// OpenVINO on the CPU, in f32 or, where the CPU has it, bf16.
        Openvino "openvino",
        /// ONNX Runtime's own CPU kernels, f32.
        Cpu "cpu",
    }
}

impl From<Provider> for ProviderChoice {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::Cuda => Self::Cuda,
            Provider::Openvino => Self::Openvino,
            Provider::Cpu => Self::Cpu,
        }
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Which library and which provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the embedder runs.
    pub provider: ProviderChoice,
    /// ONNX Runtime's shared library; empty: searched for (see [`Library::find`]).
    pub library: PathBuf,
    /// Which GPU, as the driver counts them.
    pub cuda_device: i32,
    /// Most bytes of ONNX Runtime's CUDA arena (weights, activations; the context comes on top).
    pub cuda_memory_limit_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        // 300 MB of arena and about 250 MB of context stay within the design's 555 MB on an RTX
        // 3090.
        Self {
            provider: ProviderChoice::Auto,
            library: PathBuf::new(),
            cuda_device: 0,
            cuda_memory_limit_bytes: 300_000_000,
        }
    }
}

/// Why ONNX Runtime, or a model in it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No library that carries this provider is in any of these places.
    #[error("no ONNX Runtime library for provider {0} found in {places}; {remedy}, or set runtime.library",
        places = places(.1), remedy = remedy(*.0))]
    LibraryNotFound(Provider, Vec<PathBuf>),
    /// The file is there and cannot be loaded; the loader says why.
    #[error("ONNX Runtime library {0} cannot be loaded: {1}")]
    LibraryUnusable(PathBuf, String),
    /// This process has loaded the first library and cannot load the second.
    #[error(
        "this process already runs the ONNX Runtime library {loaded}; {wanted} needs a process of its own"
    )]
    AnotherLibraryLoaded {
        /// The first.
        loaded: PathBuf,
        /// The second.
        wanted: PathBuf,
    },
    /// This provider was asked for by name. Driver, library, cuDNN or CPU feature is missing.
    #[error("provider {0} was asked for and cannot be had: {1}")]
    ProviderUnavailable(Provider, String),
    /// ONNX Runtime refuses this model, and says why.
    #[error("model {0} cannot be opened on provider {1}: {2}")]
    ModelRefused(String, Provider, String),
    /// This model failed when it ran; ONNX Runtime says why.
    #[error("model {0} failed: {1}")]
    RunFailed(String, String),
    /// This model was given so many values for another shape.
    #[error("model {0} was given {1} values for shape {2:?}")]
    ShapeMismatch(String, usize, Vec<usize>),
}

fn places(searched: &[PathBuf]) -> String {
    let paths: Vec<_> = searched.iter().map(|path| path.to_string_lossy()).collect();
    paths.join(", ")
}

/// Where the library that `provider` needs comes from.
const fn remedy(provider: Provider) -> &'static str {
    match provider {
        Provider::Cuda => {
            "install the package faceood-cuda, or in a checkout run ./scripts/setup --gpu"
        }
        Provider::Openvino | Provider::Cpu => {
            "install the package faceood, or in a checkout run ./scripts/setup"
        }
    }
}

/// A loaded ONNX Runtime and how accelerated models run in it. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    environment: Environment,
    library: Arc<Library>,
    plan: Arc<Plan>,
    settings: Arc<Settings>,
}

/// The one environment of this process: ONNX Runtime allows no second, ever.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

impl Runtime {
    /// Loads the library for the usual way to run models here; nothing is measured.
    pub fn load(settings: &Settings) -> Result<Self, RuntimeError> {
        Self::load_as(settings, usual_plan(settings)?)
    }

    /// Loads the library that `plan` needs.
    ///
    /// # Errors
    /// [`RuntimeError`] with what is missing and the way out, where the library is not to be found
    /// or loaded, or where a provider that was asked for by name cannot be had.
    pub fn load_as(settings: &Settings, mut plan: Plan) -> Result<Self, RuntimeError> {
        let library = find_library(settings, plan.candidate.provider)?;
        let environment = environment_of(&library)?;
        if plan.candidate.provider == Provider::Cuda
            && let Err(error) = trial::try_out(&environment, plan.candidate, settings)
        {
            if settings.provider != ProviderChoice::Auto {
                let missing = format!(
                    "{error}; `faceood-admin doctor` compares driver, CUDA and cuDNN with what is needed (docs/gpu.md, installed in /usr/share/doc/faceood), and with runtime.provider = \"auto\" models run on the processor meanwhile"
                );
                return Err(RuntimeError::ProviderUnavailable(Provider::Cuda, missing));
            }
            // Each library carries the CPU's kernels: a door must not stay shut because of a GPU.
            plan = Plan {
                candidate: Candidate::REFERENCE,
                reason: format!("an NVIDIA driver runs here, but CUDA does not work: {error}"),
            };
        }
        Ok(Self {
            environment,
            library: Arc::new(library),
            plan: Arc::new(plan),
            settings: Arc::new(settings.clone()),
        })
    }

    /// Where accelerated models run.
    pub fn provider(&self) -> Provider {
        self.plan.candidate.provider
    }

    /// How accelerated models run.
    pub fn candidate(&self) -> Candidate {
        self.plan.candidate
    }

    /// How they run, and why.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The library in use.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// The library's own description of its version and build.
    pub fn build_info(&self) -> &'static str {
        ort::info()
    }

    /// Opens the ONNX model in `model_bytes`, called `name` in messages, with threads of its own.
    ///
    /// # Errors
    /// [`RuntimeError::ModelRefused`] where the bytes are no model, or the provider cannot run it.
    pub fn open(
        &self,
        name: &str,
        model_bytes: &[u8],
        placement: Placement,
    ) -> Result<Session, RuntimeError> {
        let candidate = match placement {
            Placement::Host => Candidate::REFERENCE,
            Placement::Accelerated => self.plan.candidate,
        };
        Session::open(
            &self.environment,
            name,
            model_bytes,
            candidate,
            &self.settings,
        )
    }
}

fn environment_of(library: &Library) -> Result<Environment, RuntimeError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((path, environment)) = loaded.as_ref() {
        if *path == library.path {
            return Ok(environment.clone());
        }
        let (loaded, wanted) = (path.clone(), library.path.clone());
        return Err(RuntimeError::AnotherLibraryLoaded { loaded, wanted });
    }
    let unusable = |said: String| RuntimeError::LibraryUnusable(library.path.clone(), said);
    let environment = ort::init_from(&library.path)
        .map_err(|error| unusable(error.to_string()))?
        .with_name("faceood")
        .with_telemetry(false)
        .with_logger(Arc::new(session::log_line))
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    *loaded = Some((library.path.clone(), environment.clone()));
    Ok(environment)
}

/// Gives memory that was freed back to the system. Opening a model takes several times its size for
/// a moment, and glibc keeps what was freed in the arena of each thread: with OpenVINO in f32 a
/// daemon with two workers holds 616 MB without this.
#[expect(unsafe_code, reason = "no safe binding of this function of glibc")]
pub fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes a number of bytes to leave at the top, may be called at any time
    // from any thread, and touches only memory that nobody uses.
    unsafe {
        libc::malloc_trim(0);
    }
}
