//! ONNX Runtime: find and load the library, choose where models run, open sessions. Knows no faces.
//!
//! One process loads one ONNX Runtime, and the provider decides which: the CPU library, the one that carries CUDA, or the
//! one that carries OpenVINO. [`Runtime::load_as`] follows a [`Plan`] that `pipeline::tuning` made by measurement;
//! [`Runtime::load`] takes the usual one. A provider that was asked for by name and cannot be had is an error, never a silent
//! fall-back. Where it was left open (`auto`) and CUDA does not work, models run on the processor, and the reason says so.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use serde::{Deserialize, Serialize};

mod candidate;
mod hardware;
mod input;
mod library;
mod session;
mod trial;

pub use candidate::{Candidate, GraphForm, Precision};
pub use hardware::{Plan, candidates, has_nvidia_driver, processor};
pub use input::{Channels, InputTransform};
pub use library::{Library, LibraryKind};
pub use session::{Placement, Session, Tensor, TensorShape};

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

/// Where the embedder really runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// An NVIDIA GPU.
    Cuda,
    /// OpenVINO on the CPU, in f32 or, where the CPU has it, bf16.
    Openvino,
    /// ONNX Runtime's own CPU kernels, f32.
    Cpu,
}

impl Provider {
    /// Name in settings, answers, metrics and the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Openvino => "openvino",
            Self::Cpu => "cpu",
        }
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
    /// Most bytes that ONNX Runtime's CUDA arena may take (weights and activations; the CUDA context comes on top).
    pub cuda_memory_limit_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        // 300 MB of arena and about 250 MB of context stay within the design's 555 MB on an RTX 3090.
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
    /// No library of the wanted kind in any of the places.
    #[error("no ONNX Runtime library for provider {provider} found in {}; run ./scripts/setup{}, or set runtime.library", places(.searched), setup_flag(*.provider))]
    LibraryNotFound {
        /// Which kind was looked for.
        provider: Provider,
        /// Where.
        searched: Vec<PathBuf>,
    },
    /// The file is there and cannot be loaded.
    #[error("ONNX Runtime library {} cannot be loaded: {reason}", .path.display())]
    LibraryUnusable {
        /// The file.
        path: PathBuf,
        /// The loader's words.
        reason: String,
    },
    /// This process loaded another library before.
    #[error("this process already runs the ONNX Runtime library {}; {} needs a process of its own", .loaded.display(), .wanted.display())]
    AnotherLibraryLoaded {
        /// The library in use.
        loaded: PathBuf,
        /// The library asked for.
        wanted: PathBuf,
    },
    /// A provider was asked for by name and something that it needs is missing.
    #[error("provider {provider} was asked for and cannot be had: {missing}")]
    ProviderUnavailable {
        /// Which provider.
        provider: Provider,
        /// Driver, library, cuDNN or CPU feature; and the way out.
        missing: String,
    },
    /// ONNX Runtime refuses the model.
    #[error("model {model} cannot be opened on provider {provider}: {reason}")]
    ModelRefused {
        /// Name of the model.
        model: String,
        /// Where it should have run.
        provider: Provider,
        /// ONNX Runtime's words.
        reason: String,
    },
    /// A run failed.
    #[error("model {model} failed: {reason}")]
    RunFailed {
        /// Name of the model.
        model: String,
        /// ONNX Runtime's words.
        reason: String,
    },
    /// A tensor's values do not fill its shape.
    #[error("model {model} was given {values} values for shape {shape:?}")]
    ShapeMismatch {
        /// Name of the model.
        model: String,
        /// The shape.
        shape: Vec<usize>,
        /// The number of values.
        values: usize,
    },
}

fn places(searched: &[PathBuf]) -> String {
    searched
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

const fn setup_flag(provider: Provider) -> &'static str {
    match provider {
        Provider::Cuda => " --gpu",
        Provider::Openvino | Provider::Cpu => "",
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

/// The one environment of this process: ONNX Runtime allows no second, even after the first is gone.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

impl Runtime {
    /// Loads the library for the usual way to run models here; nothing is measured.
    ///
    /// # Errors
    /// As [`Runtime::load_as`].
    pub fn load(settings: &Settings) -> Result<Self, RuntimeError> {
        Self::load_as(settings, hardware::usual(settings)?)
    }

    /// Loads the library that `plan` needs.
    ///
    /// # Errors
    /// [`RuntimeError`] with what is missing and the way out, where the library is not to be found or loaded, or where a
    /// provider that was asked for by name cannot be had.
    pub fn load_as(settings: &Settings, mut plan: Plan) -> Result<Self, RuntimeError> {
        let library = hardware::library(settings, plan.candidate.provider)?;
        let environment = environment_of(&library)?;
        if plan.candidate.provider == Provider::Cuda
            && let Err(error) = trial::try_out(&environment, plan.candidate, settings)
        {
            if settings.provider != ProviderChoice::Auto {
                return Err(RuntimeError::ProviderUnavailable {
                    provider: Provider::Cuda,
                    missing: format!(
                        "{error}; `faceood-admin doctor` holds driver, CUDA and cuDNN against what is needed (docs/gpu.md), and with runtime.provider = \"auto\" models run on the processor meanwhile"
                    ),
                });
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

    /// The library that [`Runtime::load_as`] would load for this provider, which is not loaded.
    ///
    /// # Errors
    /// Where there is none.
    pub fn find_library(settings: &Settings, provider: Provider) -> Result<Library, RuntimeError> {
        hardware::library(settings, provider)
    }

    /// The usual way to run models here, where nothing was measured.
    ///
    /// # Errors
    /// Where what was asked for cannot be had.
    pub fn usual_plan(settings: &Settings) -> Result<Plan, RuntimeError> {
        hardware::usual(settings)
    }

    /// Where accelerated models run.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.plan.candidate.provider
    }

    /// How accelerated models run.
    #[must_use]
    pub fn candidate(&self) -> Candidate {
        self.plan.candidate
    }

    /// How they run, and why.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The library in use.
    #[must_use]
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// The library's own description of its version and build.
    #[must_use]
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
        return Err(RuntimeError::AnotherLibraryLoaded {
            loaded: path.clone(),
            wanted: library.path.clone(),
        });
    }
    let unusable = |reason: String| RuntimeError::LibraryUnusable {
        path: library.path.clone(),
        reason,
    };
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
