//! What this machine has, and which ways to run models follow from it.

use std::path::Path;

use super::{Candidate, Library, Precision, Provider, ProviderChoice, RuntimeError, Settings};

/// A way to run models and why this one, in a sentence for operators.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the embedder runs.
    pub candidate: Candidate,
    /// Why so: what was measured, asked for or missing.
    pub reason: String,
}

/// Whether an NVIDIA driver runs here, as its kernel module or its control device shows.
pub fn has_nvidia_driver() -> bool {
    Path::new("/proc/driver/nvidia/version").exists() || Path::new("/dev/nvidiactl").exists()
}

/// The processor's name and its instructions that speed models up, as in `/proc/cpuinfo`.
pub fn processor() -> (String, Vec<String>) {
    described(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
}

fn described(cpuinfo: &str) -> (String, Vec<String>) {
    const TELLING: [&str; 13] = [
        "avx2",
        "fma",
        "avx512f",
        "avx_vnni",
        "avx512_vnni",
        "avx512_bf16",
        "amx_bf16",
        "amx_int8",
        "avx512_fp16",
        // ARM's
        "asimdhp",
        "asimddp",
        "bf16",
        "i8mm",
    ];
    let field = |name: &str| {
        let mut lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(key, _)| key.trim() == name);
        found.map(|(_, value)| value.trim())
    };
    // Linux has no name for an ARM processor, only the numbers of its maker and its model.
    let numbers = || {
        let [maker, model] = ["CPU implementer", "CPU part"].map(field);
        Some(format!("ARM {} {}", maker?, model?))
    };
    let name = field("model name").map(str::to_owned).or_else(numbers);
    let flags = field("flags").or_else(|| field("Features"));
    let flags: Vec<_> = flags.unwrap_or_default().split_whitespace().collect();
    let present = TELLING.iter().filter(|name| flags.contains(*name));
    (
        name.unwrap_or_default(),
        present.map(|&name| name.to_owned()).collect(),
    )
}

/// Whether this CPU computes in bf16 (AVX-512 BF16 or AMX-BF16).
fn cpu_has_bf16() -> bool {
    let bf16 = |name: &String| ["avx512_bf16", "amx_bf16"].contains(&name.as_str());
    processor().1.iter().any(bf16)
}

/// Every way to run models that `settings` permit, the usual one first; those that this machine
/// cannot take say what is missing.
pub fn candidates(settings: &Settings) -> Vec<(Candidate, Result<(), String>)> {
    let permitted =
        |provider: Provider| [ProviderChoice::Auto, provider.into()].contains(&settings.provider);
    [
        Candidate::new(Provider::Cuda, Precision::F32),
        Candidate::new(Provider::Openvino, Precision::Bf16),
        Candidate::new(Provider::Openvino, Precision::F32),
        Candidate::REFERENCE,
    ]
    .into_iter()
    .filter(|candidate| permitted(candidate.provider))
    .map(|candidate| (candidate, possible(settings, candidate)))
    .collect()
}

/// What is missing for this way, if anything.
fn possible(settings: &Settings, candidate: Candidate) -> Result<(), String> {
    if candidate.provider == Provider::Cuda && !has_nvidia_driver() {
        return Err("no NVIDIA driver runs on this machine".to_owned());
    }
    if candidate.precision == Precision::Bf16 && !cpu_has_bf16() {
        return Err("the CPU has no bf16".to_owned());
    }
    let library = find_library(settings, candidate.provider);
    library.map(drop).map_err(|error| error.to_string())
}

/// The way to run models where nothing was measured: the provider that was asked for, or the first
/// that this machine has all for. Where it lacks something, that is an error.
pub fn usual_plan(settings: &Settings) -> Result<Plan, RuntimeError> {
    let mut missing = Vec::new();
    for (candidate, possible) in candidates(settings) {
        match possible {
            Ok(()) => {
                let reason = match settings.provider {
                    ProviderChoice::Auto => {
                        missing.push("not measured yet (faceood-admin models tune)".to_owned());
                        missing.join("; ")
                    }
                    _ => format!("runtime.provider = \"{}\"", candidate.provider),
                };
                return Ok(Plan { candidate, reason });
            }
            Err(what) => missing.push(what),
        }
    }
    let provider = match settings.provider {
        ProviderChoice::Cuda => Provider::Cuda,
        ProviderChoice::Openvino => Provider::Openvino,
        // Only the library is missing then, and its error says where it was looked for.
        ProviderChoice::Auto | ProviderChoice::Cpu => {
            let missing = RuntimeError::ProviderUnavailable(Provider::Cpu, missing.join("; "));
            return Err(find_library(settings, Provider::Cpu)
                .err()
                .unwrap_or(missing));
        }
    };
    let mut missing = missing.pop().unwrap_or_default();
    if provider == Provider::Cuda && !has_nvidia_driver() {
        missing
            .push_str("; install it (nvidia-smi must answer), or set runtime.provider = \"auto\"");
    }
    Err(RuntimeError::ProviderUnavailable(provider, missing))
}

/// The library that [`Runtime::load_as`](super::Runtime::load_as) loads for `provider`: the one
/// that the settings name, or the one that is found. Where it does not carry the provider, that is
/// an error.
pub fn find_library(settings: &Settings, provider: Provider) -> Result<Library, RuntimeError> {
    let given = &settings.library;
    if given.as_os_str().is_empty() {
        return Library::find(provider);
    }
    let library = Library::at(given)
        .ok_or_else(|| RuntimeError::LibraryNotFound(provider, vec![given.clone()]))?;
    if library.carries(provider) {
        return Ok(library);
    }
    let missing = format!(
        "{} is a library without it; {}, or correct runtime.library",
        library.path.display(),
        super::remedy(provider)
    );
    Err(RuntimeError::ProviderUnavailable(provider, missing))
}

#[cfg(test)]
mod tests {
    use super::described;

    #[test]
    fn a_processor_of_each_kind_is_told_from_another() {
        let x86 = "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\nflags\t\t: fpu avx2 fma\n";
        let features = ["avx2", "fma"].map(str::to_owned).to_vec();
        assert_eq!(described(x86), ("Some CPU @ 2.00GHz".to_owned(), features));
        let arm = "processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU implementer\t: 0x41\n\
                   CPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: 0xd0b\n";
        let features = vec!["asimddp".to_owned()];
        assert_eq!(described(arm), ("ARM 0x41 0xd0b".to_owned(), features));
        assert_eq!(described(""), (String::new(), Vec::new()));
    }
}
