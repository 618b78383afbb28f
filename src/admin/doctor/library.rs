//! The GPU's driver and ONNX Runtime's library: what the models run on.

use nvml_wrapper::Nvml;

use super::Check;
use crate::runtime::{ProviderChoice, Runtime, Settings, has_nvidia_driver};
use crate::telemetry::host::Bytes;

/// The GPU's driver, on which it depends which library is needed.
pub(super) fn driver(settings: &Settings) -> Check {
    const NAME: &str = "driver";
    if !has_nvidia_driver() {
        return match settings.provider {
            ProviderChoice::Cuda => Check::failed(
                NAME,
                "runtime.provider is \"cuda\" and no NVIDIA driver runs",
                "install the driver until nvidia-smi answers, or set runtime.provider = \"auto\"",
            ),
            _ => Check::skipped(NAME, "no NVIDIA driver; models run on the processor"),
        };
    }
    match gpus() {
        Ok(found) => Check::ok(NAME, found),
        Err(error) => Check::warning(
            NAME,
            format!("the NVIDIA driver is loaded but does not answer: {error}"),
            "look at nvidia-smi and dmesg; a driver that was updated needs a reboot",
        ),
    }
}

fn gpus() -> Result<String, nvml_wrapper::error::NvmlError> {
    let nvml = Nvml::init()?;
    let mut found = vec![format!("NVIDIA driver {}", nvml.sys_driver_version()?)];
    for index in 0..nvml.device_count()? {
        let device = nvml.device_by_index(index)?;
        let memory = device.memory_info()?;
        found.push(format!(
            "GPU {index} {}, {} of {} free",
            device.name()?,
            Bytes(memory.free),
            Bytes(memory.total)
        ));
    }
    Ok(found.join("; "))
}

/// The library, loaded as the daemon loads it, and the runtime in it for further checks.
pub(super) fn library(settings: &Settings) -> (Check, Option<Runtime>) {
    const NAME: &str = "library";
    match Runtime::load(settings) {
        Ok(runtime) => {
            let found = format!(
                "{} on {} ({}); {}",
                runtime.provider(),
                runtime.library().path.display(),
                runtime.reason(),
                runtime.build_info().trim(),
            );
            (Check::ok(NAME, found), Some(runtime))
        }
        Err(error) => {
            let advice = "run ./scripts/setup in the checkout (it fetches the library), then scripts/install if faceood is installed";
            (Check::failed(NAME, error.to_string(), advice), None)
        }
    }
}
