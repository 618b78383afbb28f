//! What this machine has, and which provider follows from it.

use std::path::Path;

use super::{Library, Provider, ProviderChoice, RuntimeError, Settings};

/// The provider to use, its library and the reason, for operators.
pub(super) struct Choice {
    pub(super) provider: Provider,
    pub(super) library: Library,
    pub(super) reason: String,
}

/// Whether an NVIDIA driver runs here (its kernel module shows itself in `/proc`, or its control device is there).
#[must_use]
pub fn has_nvidia_driver() -> bool {
    Path::new("/proc/driver/nvidia/version").exists() || Path::new("/dev/nvidiactl").exists()
}

/// Whether this CPU computes in bf16 (AVX-512 BF16 or AMX-BF16), without which OpenVINO gains nothing over ONNX Runtime.
#[must_use]
pub fn cpu_has_bf16() -> bool {
    std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| {
        text.lines()
            .find(|line| line.starts_with("flags"))
            .is_some_and(|line| {
                line.split_whitespace()
                    .any(|flag| flag == "avx512_bf16" || flag == "amx_bf16")
            })
    })
}

pub(super) fn choose(settings: &Settings) -> Result<Choice, RuntimeError> {
    match settings.provider {
        ProviderChoice::Auto => automatic(settings),
        ProviderChoice::Cuda => by_name(settings, Provider::Cuda),
        ProviderChoice::Openvino => by_name(settings, Provider::Openvino),
        ProviderChoice::Cpu => by_name(settings, Provider::Cpu),
    }
}

fn by_name(settings: &Settings, provider: Provider) -> Result<Choice, RuntimeError> {
    let missing = |missing: String| RuntimeError::ProviderUnavailable { provider, missing };
    if provider == Provider::Cuda && !has_nvidia_driver() {
        return Err(missing(
            "no NVIDIA driver runs on this machine; install it (nvidia-smi must answer), or set runtime.provider = \"auto\"".into(),
        ));
    }
    let library = library(settings, provider).map_err(|error| missing(error.to_string()))?;
    if !library.carries(provider) {
        return Err(missing(format!(
            "{} is a library without it; run ./scripts/setup{} or correct runtime.library",
            library.path.display(),
            super::setup_flag(provider)
        )));
    }
    Ok(Choice {
        provider,
        library,
        reason: format!("runtime.provider = \"{provider}\""),
    })
}

fn automatic(settings: &Settings) -> Result<Choice, RuntimeError> {
    let mut passed_over = Vec::new();
    if has_nvidia_driver() {
        match library(settings, Provider::Cuda) {
            Ok(library) if library.carries(Provider::Cuda) => {
                return Ok(Choice {
                    provider: Provider::Cuda,
                    library,
                    reason: "an NVIDIA driver runs here".into(),
                });
            }
            _ => passed_over.push(
                "an NVIDIA driver runs here, but no ONNX Runtime with CUDA was found (./scripts/setup --gpu)",
            ),
        }
    } else {
        passed_over.push("no NVIDIA driver");
    }
    if cpu_has_bf16() {
        match library(settings, Provider::Openvino) {
            Ok(library) if library.carries(Provider::Openvino) => {
                return Ok(Choice {
                    provider: Provider::Openvino,
                    library,
                    reason: format!("{}; the CPU computes in bf16", passed_over.join("; ")),
                });
            }
            _ => passed_over.push(
                "the CPU computes in bf16, but no ONNX Runtime with OpenVINO was found (./scripts/setup fetches it)",
            ),
        }
    } else {
        passed_over.push("the CPU has no bf16");
    }
    Ok(Choice {
        provider: Provider::Cpu,
        library: library(settings, Provider::Cpu)?,
        reason: passed_over.join("; "),
    })
}

/// The library named in the settings, or the one found for `provider`.
fn library(settings: &Settings, provider: Provider) -> Result<Library, RuntimeError> {
    match Some(&settings.library).filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => Library::at(path).ok_or_else(|| RuntimeError::LibraryNotFound {
            provider,
            searched: vec![path.clone()],
        }),
        None => Library::find(provider),
    }
}
