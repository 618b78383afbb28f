//! A model pack on disk: a folder with `manifest.toml`, the networks and the calibration. Opening one checks every file
//! against the manifest; what comes out is ready for the runtime.
//!
//! This module knows files, graphs and tensors. It does not know how a face is found or what a score means.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use prost::bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::runtime::{GraphForm, RuntimeError};

pub mod manifest;
pub mod network;
pub mod verify;

pub use manifest::Manifest;
use manifest::{MANIFEST_VERSION, PackFile};
use network::NetworkError;
use network::graph::Model;

/// Name of the manifest inside a pack's folder.
pub const MANIFEST_FILE: &str = "manifest.toml";

/// Why a pack is refused. Each message names the file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}; give --models-dir a folder with a whole pack, or restore the file", .path.display())]
    Read {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The manifest is not one.
    #[error("{} is not a valid manifest: {source}; restore it, or write it anew with `faceood-admin models build`", .path.display())]
    Manifest {
        /// Where it is.
        path: PathBuf,
        /// What is wrong, with its line.
        source: Box<toml::de::Error>,
    },
    /// The manifest is for a newer program.
    #[error("{} has manifest version {got}, this program reads up to {expected}; upgrade faceood, or use a pack made for this version", .path.display())]
    NewerManifest {
        /// Where it is.
        path: PathBuf,
        /// Its version.
        got: u32,
        /// The newest that is understood.
        expected: u32,
    },
    /// A file is not the one that the manifest describes.
    #[error(
        "{file} has SHA-256 {got}, the manifest says {expected}; the file is damaged or was exchanged: restore it from the pack's source, or rebuild the pack with `faceood-admin models build`"
    )]
    Hash {
        /// Which file.
        file: String,
        /// Its hash.
        got: String,
        /// The manifest's.
        expected: String,
    },
    /// The manifest asks for what this program does not do.
    #[error(
        "{MANIFEST_FILE}: {field} is {got}, this program needs {expected}; use a pack that was made for it, or upgrade faceood"
    )]
    Unsupported {
        /// Which field.
        field: &'static str,
        /// What it says.
        got: String,
        /// What would do.
        expected: &'static str,
    },
    /// A file's name leads out of the pack's folder.
    #[error(
        "the manifest names the file {file}; files of a pack lie in its own folder: give a plain file name"
    )]
    Path {
        /// The name.
        file: String,
    },
    /// A network cannot be read or rewritten.
    #[error(
        "{file} is not a usable network: {source}; restore it, or rebuild the pack with `faceood-admin models build`"
    )]
    Graph {
        /// Which file.
        file: String,
        /// What is wrong.
        source: NetworkError,
    },
    /// A network lacks a tensor.
    #[error(
        "{file} has no tensor {tensor} (it has: {found}); the manifest does not belong to this file: restore both from the same pack"
    )]
    MissingTensor {
        /// Which file.
        file: String,
        /// The name that the manifest gives.
        tensor: String,
        /// The names that are there.
        found: String,
    },
    /// A tensor has another shape.
    #[error(
        "{file}: tensor {tensor} has shape {got}, the manifest says {expected}; the manifest does not belong to this file: restore both from the same pack"
    )]
    Shape {
        /// Which file.
        file: String,
        /// Which tensor.
        tensor: String,
        /// Its shape.
        got: String,
        /// The manifest's.
        expected: String,
    },
    /// The network cannot be run.
    #[error("{file} cannot be run: {source}")]
    Run {
        /// Which file.
        file: String,
        /// What the runtime said.
        source: RuntimeError,
    },
    /// The network gives numbers that are none.
    #[error(
        "{file}: output {tensor} is not finite at index {index}; the weights or the provider are broken: restore the file, or choose another provider (`runtime.provider`)"
    )]
    NotFinite {
        /// Which file.
        file: String,
        /// Which output.
        tensor: String,
        /// The first place.
        index: usize,
    },
    /// The network gives other numbers than it gave its maker.
    #[error(
        "{file}: on the golden input {tensor} is {got}, the manifest says {expected} ± {tolerance}; the provider computes something else: choose another (`runtime.provider`), or rebuild the pack"
    )]
    Golden {
        /// Which file.
        file: String,
        /// Which output.
        tensor: String,
        /// What came out.
        got: f32,
        /// What should.
        expected: f32,
        /// What may lie between.
        tolerance: f32,
    },
}

/// An opened, checked pack.
#[derive(Debug)]
pub struct Pack {
    directory: PathBuf,
    manifest: Manifest,
    sha256: String,
    detector: Bytes,
    landmarks: Bytes,
    embedder: Bytes,
    calibration: String,
    // The expanded embedder is three times the file. It is shared while sessions are being opened and not kept after.
    expanded: Mutex<[Option<Weak<[u8]>>; 3]>,
}

impl Pack {
    /// Opens the pack in `directory` and checks manifest version, hashes, and names and shapes of every network's tensors.
    ///
    /// # Errors
    /// Whatever does not fit; see [`PackError`].
    pub fn open(directory: &Path) -> Result<Self, PackError> {
        let (manifest, sha256) = read_manifest(&directory.join(MANIFEST_FILE))?;
        verify::check_manifest(&manifest)?;
        let detector = read_file(directory, &manifest.detector.file)?;
        let landmarks = read_file(directory, &manifest.landmarks.file)?;
        let embedder = read_file(directory, &manifest.embedder.file)?;
        let calibration = read_file(directory, &manifest.calibration.file)?;
        let calibration =
            String::from_utf8(calibration.into()).map_err(|source| PackError::Read {
                path: directory.join(&manifest.calibration.file.path),
                source: std::io::Error::new(std::io::ErrorKind::InvalidData, source),
            })?;
        let pack = Self {
            directory: directory.to_owned(),
            manifest,
            sha256,
            detector,
            landmarks,
            embedder,
            calibration,
            expanded: Mutex::default(),
        };
        pack.check_graphs()?;
        Ok(pack)
    }

    /// The description.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The pack's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.manifest.id
    }

    /// The pack's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.manifest.version
    }

    /// SHA-256 of the manifest's bytes, lower-case hex. The manifest holds the hash of every other file, so this stands for
    /// the whole pack.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Where the pack lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The calibration file's text; `quality::Calibration` reads it.
    #[must_use]
    pub fn calibration_json(&self) -> &str {
        &self.calibration
    }

    /// The detector's file as it lies on the disk.
    #[must_use]
    pub fn detector_file(&self) -> Bytes {
        self.detector.clone()
    }

    /// The landmark network's file as it lies on the disk.
    #[must_use]
    pub fn landmarks_file(&self) -> Bytes {
        self.landmarks.clone()
    }

    /// The embedder's file as it lies on the disk, its weights quantised.
    #[must_use]
    pub fn embedder_file(&self) -> Bytes {
        self.embedder.clone()
    }

    /// The detector, ready for the runtime.
    ///
    /// # Errors
    /// Where its weights cannot be expanded.
    pub fn detector_bytes(&self) -> Result<Arc<[u8]>, PackError> {
        prepare(
            &self.manifest.detector.file,
            &self.detector,
            GraphForm::Convolutions,
        )
    }

    /// The landmark network, ready for the runtime.
    ///
    /// # Errors
    /// Where its weights cannot be expanded.
    pub fn landmarks_bytes(&self) -> Result<Arc<[u8]>, PackError> {
        prepare(
            &self.manifest.landmarks.file,
            &self.landmarks,
            GraphForm::Convolutions,
        )
    }

    /// The embedder in this form, ready for the runtime. All callers share the bytes for as long as one of them holds them.
    ///
    /// # Errors
    /// Where its weights cannot be expanded.
    pub fn embedder_for(&self, form: GraphForm) -> Result<Arc<[u8]>, PackError> {
        let mut shared = self.expanded.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut shared[form as usize];
        if let Some(bytes) = slot.as_ref().and_then(Weak::upgrade) {
            return Ok(bytes);
        }
        let bytes = prepare(&self.manifest.embedder.file, &self.embedder, form)?;
        *slot = Some(Arc::downgrade(&bytes));
        Ok(bytes)
    }

    fn check_graphs(&self) -> Result<(), PackError> {
        let Manifest {
            detector,
            landmarks,
            embedder,
            ..
        } = &self.manifest;
        let detector_outputs: Vec<_> = detector.outputs.iter().collect();
        let checks = [
            (
                &detector.file,
                &self.detector,
                &detector.input,
                detector_outputs,
            ),
            (
                &landmarks.file,
                &self.landmarks,
                &landmarks.input,
                vec![&landmarks.output],
            ),
            (
                &embedder.file,
                &self.embedder,
                &embedder.input,
                verify::embedder_outputs(embedder),
            ),
        ];
        for (file, bytes, input, outputs) in checks {
            let model = read_model(file, bytes)?;
            verify::check_graph(&file.path, &model.into_graph(), input, &outputs)?;
        }
        Ok(())
    }
}

/// The manifest and its hash. The version is looked at before anything else is asked of the file, since a newer one may
/// hold what this program has never heard of.
fn read_manifest(path: &Path) -> Result<(Manifest, String), PackError> {
    let text = std::fs::read_to_string(path).map_err(|source| PackError::Read {
        path: path.to_owned(),
        source,
    })?;
    let invalid = |source| PackError::Manifest {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let version: VersionOnly = toml::from_str(&text).map_err(invalid)?;
    if version.manifest_version > MANIFEST_VERSION {
        return Err(PackError::NewerManifest {
            path: path.to_owned(),
            got: version.manifest_version,
            expected: MANIFEST_VERSION,
        });
    }
    let manifest = toml::from_str(&text).map_err(invalid)?;
    Ok((manifest, sha256_hex(text.as_bytes())))
}

/// The one field that every manifest, past or future, has.
#[derive(serde::Deserialize)]
struct VersionOnly {
    manifest_version: u32,
}

fn read_file(directory: &Path, file: &PackFile) -> Result<Bytes, PackError> {
    let is_plain = Path::new(&file.path)
        .file_name()
        .is_some_and(|name| name == file.path.as_str());
    if !is_plain {
        return Err(PackError::Path {
            file: file.path.clone(),
        });
    }
    let path = directory.join(&file.path);
    let bytes = std::fs::read(&path).map_err(|source| PackError::Read { path, source })?;
    let got = sha256_hex(&bytes);
    if got != file.sha256 {
        return Err(PackError::Hash {
            file: file.path.clone(),
            got,
            expected: file.sha256.clone(),
        });
    }
    Ok(bytes.into())
}

fn read_model(file: &PackFile, bytes: &Bytes) -> Result<Model, PackError> {
    Model::read(&file.path, bytes.clone()).map_err(|source| PackError::Graph {
        file: file.path.clone(),
        source,
    })
}

/// A network as the runtime wants it: weights as floats, only pictures as inputs, and what suits `form`.
fn prepare(file: &PackFile, bytes: &Bytes, form: GraphForm) -> Result<Arc<[u8]>, PackError> {
    let mut model = read_model(file, bytes)?;
    network::prepare(&mut model, form).map_err(|source| PackError::Graph {
        file: file.path.clone(),
        source,
    })?;
    Ok(model.write().into())
}

/// SHA-256 in lower-case hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
