//! What a measurement depends on: it holds as long as all of this stays the same.

use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::Site;
use crate::pack::{MANIFEST_FILE, sha256_hex};
use crate::runtime::{self, Provider};

/// Processor, driver, libraries, pack and settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// Release of the program.
    pub version: String,
    /// Name of the processor.
    pub processor: String,
    /// Those of its instructions that models are fast with.
    pub features: Vec<String>,
    /// Cores that this process may use: fewer than the machine's under a quota or an affinity.
    pub cores: usize,
    /// What the NVIDIA driver says of its version; empty without one.
    pub driver: String,
    /// The libraries that candidates run in.
    pub libraries: Vec<LibraryFile>,
    /// SHA-256 of the pack's manifest.
    pub pack_sha256: String,
    /// Settings that change what can be chosen, or how fast it is.
    pub settings: runtime::Settings,
    /// Workers as the settings have them; 0 is as many as there are cores.
    pub workers: usize,
}

/// A library as it lies on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LibraryFile {
    /// Path of the file.
    pub path: String,
    /// Size of the file.
    pub bytes: u64,
    /// When it was written, seconds since 1970.
    pub modified: u64,
}

impl Basis {
    /// Of this box, as it is now.
    pub fn of(site: &Site) -> Self {
        let (processor, features) = runtime::processor();
        let driver = std::fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
        let manifest = std::fs::read(site.pack_dir.join(MANIFEST_FILE)).unwrap_or_default();
        let mut libraries: Vec<LibraryFile> = [Provider::Cpu, Provider::Openvino, Provider::Cuda]
            .into_iter()
            .filter_map(|provider| runtime::find_library(&site.runtime, provider).ok())
            .filter_map(|library| LibraryFile::at(&library.path))
            .collect();
        libraries.dedup();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            processor,
            features,
            cores: crate::pipeline::cores(),
            driver: driver.lines().next().unwrap_or_default().to_owned(),
            libraries,
            pack_sha256: sha256_hex(&manifest),
            settings: site.runtime.clone(),
            workers: site.pipeline.workers,
        }
    }

    /// What is different now, in a few words; `None` where nothing is.
    pub fn difference(&self, now: &Self) -> Option<&'static str> {
        let parts = [
            ("the release of faceood", self.version != now.version),
            ("the processor", self.processor != now.processor),
            (
                "the processor's instructions",
                self.features != now.features,
            ),
            ("the number of cores", self.cores != now.cores),
            ("the NVIDIA driver", self.driver != now.driver),
            (
                "the ONNX Runtime libraries",
                self.libraries != now.libraries,
            ),
            ("the model pack", self.pack_sha256 != now.pack_sha256),
            ("the [runtime] settings", self.settings != now.settings),
            ("pipeline.workers", self.workers != now.workers),
        ];
        parts
            .iter()
            .find(|(_, differs)| *differs)
            .map(|(what, _)| *what)
    }
}

impl LibraryFile {
    fn at(path: &Path) -> Option<Self> {
        let facts = path.metadata().ok()?;
        let modified = facts.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self {
            path: path.display().to_string(),
            bytes: facts.len(),
            modified: modified.as_secs(),
        })
    }
}
