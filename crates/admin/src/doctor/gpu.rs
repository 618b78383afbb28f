//! Checks the GPU's driver, and whether CUDA and cuDNN have the versions that ONNX Runtime's
//! library was built for.

use std::path::{Path, PathBuf};
use std::process::Command;

use nvml_wrapper::{Nvml, cuda_driver_version_major, cuda_driver_version_minor, error::NvmlError};

use super::{Check, Finding, failed, ok, said, skipped, warning};
use faceood::telemetry::host::Bytes;
use faceood_engine::runtime::{self, Provider, ProviderChoice, Settings, has_nvidia_driver};

/// Opened by ONNX Runtime while it runs, so that its list of needed libraries does not name it.
const CUDNN: &str = "libcudnn.so.9";

/// The driver, which decides on the library; and what that library needs where it carries CUDA.
pub(super) fn checks(settings: &Settings) -> Vec<Check> {
    if !has_nvidia_driver() {
        return vec![no_driver(settings.provider).named("driver")];
    }
    let nvml = Nvml::init();
    let facts = nvml.as_ref().map_err(NvmlError::to_string);
    let gpus = facts.and_then(|nvml| gpus(nvml).map_err(|error| error.to_string()));
    let mut checks = vec![driver(gpus, settings.provider).named("driver")];
    if let ProviderChoice::Auto | ProviderChoice::Cuda = settings.provider
        && let Ok(library) = runtime::find_library(settings, Provider::Cuda)
    {
        let provider = library
            .path
            .with_file_name("libonnxruntime_providers_cuda.so");
        let mut needed = needed_by(&said(Command::new("ldd").arg(provider)));
        needed.push(cudnn_in(&said(Command::new("/sbin/ldconfig").arg("-p"))));
        let speaks = nvml.and_then(|nvml| nvml.sys_cuda_driver_version()).ok();
        checks.push(cuda(&needed, speaks, settings.provider).named("cuda"));
    }
    checks
}

fn no_driver(provider: ProviderChoice) -> Finding {
    match provider {
        ProviderChoice::Cuda => failed(
            "runtime.provider is \"cuda\" and no NVIDIA driver runs",
            "install the driver until nvidia-smi answers, or set runtime.provider = \"auto\"",
        ),
        _ => skipped("no NVIDIA driver; models run on the processor"),
    }
}

fn driver(gpus: Result<String, String>, provider: ProviderChoice) -> Finding {
    match gpus {
        Ok(found) => ok(found),
        Err(error) => trouble(
            format!("the NVIDIA driver is loaded but does not answer: {error}"),
            "look at nvidia-smi and dmesg; a driver that was updated needs a reboot",
            provider,
        ),
    }
}

/// Where CUDA was asked for by name the daemon does not start without it; otherwise it goes on with
/// the processor.
fn trouble(found: String, advice: &str, provider: ProviderChoice) -> Finding {
    match provider {
        ProviderChoice::Cuda => failed(found, advice),
        _ => warning(
            format!("{found}; models run on the processor until then"),
            advice,
        ),
    }
}

fn gpus(nvml: &Nvml) -> Result<String, NvmlError> {
    let mut found = vec![format!("NVIDIA driver {}", nvml.sys_driver_version()?)];
    for index in 0..nvml.device_count()? {
        let device = nvml.device_by_index(index)?;
        let memory = device.memory_info()?;
        let (name, free, total) = (device.name()?, Bytes(memory.free), Bytes(memory.total));
        found.push(format!("GPU {index} {name}, {free} of {total} free"));
    }
    Ok(found.join("; "))
}

/// A shared library, and where the loader finds it.
#[derive(Debug)]
struct Needed {
    name: String,
    path: Option<PathBuf>,
}

impl Needed {
    /// The file's name has the whole version: `libcudart.so.13` leads to `libcudart.so.13.0.96`.
    fn version(&self) -> String {
        let path = self.path.as_deref();
        let file = path.map(|path| path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        let name = file.as_deref().and_then(Path::file_name);
        let name = name.map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_else(|| self.name.clone())
    }
}

/// NVIDIA's libraries among what ldd printed.
fn needed_by(ldd: &str) -> Vec<Needed> {
    let lines = ldd
        .lines()
        .filter_map(|line| line.trim().split_once(" => "));
    lines
        .filter(|(name, _)| name.starts_with("libcu"))
        .map(|(name, place)| Needed {
            name: name.to_owned(),
            path: place
                .split_whitespace()
                .next()
                .map(PathBuf::from)
                .filter(|path| path.is_absolute()),
        })
        .collect()
}

/// cuDNN among what `ldconfig -p` printed.
fn cudnn_in(ldconfig: &str) -> Needed {
    let line = ldconfig.lines().find(|line| line.trim().starts_with(CUDNN));
    let place = line.and_then(|line| line.split_once(" => "));
    Needed {
        name: CUDNN.to_owned(),
        path: place.map(|(_, path)| PathBuf::from(path.trim())),
    }
}

/// Whether all is there that the library needs, and the driver new enough. `speaks` is the newest
/// CUDA that the driver knows, as NVML counts: 13020 is 13.2.
fn cuda(needed: &[Needed], speaks: Option<i32>, provider: ProviderChoice) -> Finding {
    let missing = needed.iter().filter(|library| library.path.is_none());
    let missing: Vec<&str> = missing.map(|library| library.name.as_str()).collect();
    if !missing.is_empty() {
        return trouble(
            format!("ONNX Runtime needs {}, not found here", missing.join(", ")),
            "install CUDA 13 and cuDNN 9 where ldconfig -p lists them (docs/gpu.md, installed in /usr/share/doc/faceood), then restart the daemon",
            provider,
        );
    }
    let wanted: Option<i32> = needed
        .iter()
        .find_map(|library| library.name.strip_prefix("libcudart.so.")?.parse().ok());
    let known = speaks.map(|it| (cuda_driver_version_major(it), cuda_driver_version_minor(it)));
    let driver = match known {
        Some((major, minor)) => format!("the driver knows CUDA up to {major}.{minor}"),
        None => "the driver does not say which CUDA it knows".to_owned(),
    };
    if let (Some(wanted), Some((major, _))) = (wanted, known)
        && major < wanted
    {
        return trouble(
            format!("ONNX Runtime needs CUDA {wanted}; {driver}"),
            "update the NVIDIA driver (docs/gpu.md, installed in /usr/share/doc/faceood), then reboot",
            provider,
        );
    }
    let versions: Vec<String> = needed.iter().map(Needed::version).collect();
    ok(format!("{}; {driver}", versions.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    const LDD: &str = "\tlinux-vdso.so.1 (0x00007fc549628000)
\tlibcudart.so.13 => /usr/local/cuda/lib64/libcudart.so.13 (0x00007fc549600000)
\tlibcublas.so.13 => not found
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007fc53421e000)
";
    const LDCONFIG: &str = "2 libs found in cache `/etc/ld.so.cache'
\tlibcudnn.so.9 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libcudnn.so.9
";

    #[test]
    fn a_driver_that_is_not_there_or_does_not_answer_fails_only_where_cuda_was_asked_for() {
        let silent = |provider| driver(Err("Driver/library version mismatch".into()), provider);
        for check in [
            no_driver(ProviderChoice::Cuda),
            silent(ProviderChoice::Cuda),
        ] {
            assert_eq!(check.status, CheckStatus::Failed, "{check:?}");
            assert!(check.advice.unwrap().contains("nvidia-smi"));
        }
        assert_eq!(no_driver(ProviderChoice::Auto).status, CheckStatus::Skipped);
        let check = silent(ProviderChoice::Auto);
        assert_eq!(check.status, CheckStatus::Warning);
        assert!(check.found.contains("version mismatch"), "{check:?}");
        let fine = driver(Ok("NVIDIA driver 580".into()), ProviderChoice::Cuda);
        assert_eq!(fine.status, CheckStatus::Ok);
    }

    #[test]
    fn what_cuda_lacks_is_named() {
        let mut needed = needed_by(LDD);
        assert_eq!(needed.len(), 2, "{needed:?}");
        needed.push(cudnn_in(""));
        let check = cuda(&needed, Some(13000), ProviderChoice::Cuda);
        assert_eq!(check.status, CheckStatus::Failed);
        assert!(
            check.found.contains("needs libcublas.so.13, libcudnn.so.9"),
            "{check:?}"
        );
        let auto = cuda(&needed, Some(13000), ProviderChoice::Auto);
        assert_eq!(auto.status, CheckStatus::Warning);
    }

    #[test]
    fn the_driver_must_know_the_cuda_that_the_library_needs() {
        let needed = [needed_by(LDD).swap_remove(0), cudnn_in(LDCONFIG)];
        let old = cuda(&needed, Some(12040), ProviderChoice::Cuda);
        assert_eq!(old.status, CheckStatus::Failed);
        assert!(
            old.found
                .contains("needs CUDA 13; the driver knows CUDA up to 12.4"),
            "{old:?}"
        );
        let fine = cuda(&needed, Some(13020), ProviderChoice::Cuda);
        assert_eq!(fine.status, CheckStatus::Ok);
        assert!(fine.found.contains("libcudnn.so.9"), "{fine:?}");
        assert!(fine.found.contains("13.2"), "{fine:?}");
    }
}
