//! A model pack on disk: a folder with `manifest.toml`, the networks and the calibration. Opening
//! one checks every file against the manifest; what comes out is ready for the runtime.
//!
//! This module knows files, graphs and tensors, but not what a face or a score is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use prost::bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::runtime::{GraphForm, RuntimeError};

pub mod manifest;
pub mod network;
pub mod verify;

pub use manifest::Manifest;
use manifest::{MANIFEST_VERSION, OutputTensor, PackFile};
use network::NetworkError;
use network::graph::Model;

/// Length of every embedding, whatever pack made it.
pub const EMBEDDING_LENGTH: usize = 512;

/// Name of the manifest inside a pack's folder.
pub const MANIFEST_FILE: &str = "manifest.toml";

/// Why a pack is refused. Each message names the file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file cannot be read.
    #[error(
        "{0} cannot be read: {1}; give --models-dir a folder with a whole pack, or restore the file"
    )]
    Read(PathBuf, #[source] io::Error),
    /// The manifest is not one.
    #[error(
        "{0} is not a valid manifest: {1}; restore it, or write it anew with `faceood-admin models build`"
    )]
    Manifest(PathBuf, #[source] Box<toml::de::Error>),
    /// The manifest is of a newer version.
    #[error(
        "{0} has manifest version {1}, this program reads up to {MANIFEST_VERSION}; upgrade faceood, or use a pack made for this version"
    )]
    NewerManifest(PathBuf, u32),
    /// A file has another hash than the manifest says.
    #[error(
        "{file} has SHA-256 {got}, the manifest says {expected}; the file is damaged or was exchanged: restore it from the pack's source, or rebuild the pack with `faceood-admin models build`"
    )]
    Hash {
        /// Name of the file.
        file: String,
        /// Its hash, in hexadecimal.
        got: String,
        /// The manifest's.
        expected: String,
    },
    /// The manifest asks for what this program does not do: field, what it says, what would do.
    #[error(
        "{MANIFEST_FILE}: {0} is {1}, this program needs {2}; use a pack that was made for it, or upgrade faceood"
    )]
    Unsupported(&'static str, String, &'static str),
    /// A file's name leads out of the pack's folder.
    #[error(
        "the manifest names the file {0}; files of a pack lie in its own folder: give a plain file name"
    )]
    Path(String),
    /// A network cannot be read or rewritten.
    #[error(
        "{0} is not a usable network: {1}; restore it, or rebuild the pack with `faceood-admin models build`"
    )]
    Graph(String, #[source] NetworkError),
    /// A network lacks a tensor: file, tensor, the tensors that are there.
    #[error(
        "{0} has no tensor {1} (it has: {2}); the manifest does not belong to this file: restore both from the same pack"
    )]
    MissingTensor(String, String, String),
    /// A tensor has another shape than the manifest says.
    #[error(
        "{file}: tensor {tensor} has shape {got}, the manifest says {expected}; the manifest does not belong to this file: restore both from the same pack"
    )]
    Shape {
        /// Name of the network's file.
        file: String,
        /// Name of the tensor.
        tensor: String,
        /// Its shape.
        got: String,
        /// The manifest's.
        expected: String,
    },
    /// The network in this file cannot be run.
    #[error("{0} cannot be run: {1}")]
    Run(String, #[source] RuntimeError),
    /// The network gives a number that is none: file, output, place.
    #[error(
        "{0}: output {1} is not finite at index {2}; the weights or the provider are broken: restore the file, or choose another provider (`runtime.provider`)"
    )]
    NotFinite(String, String, usize),
    /// The network gives other numbers than it gave its maker.
    #[error(
        "{file}: on the golden input {tensor} is {got}, the manifest says {expected} ± {tolerance}; the provider computes something else: choose another (`runtime.provider`), or rebuild the pack"
    )]
    Golden {
        /// Name of the network's file.
        file: String,
        /// Name of the output.
        tensor: String,
        /// What came out here.
        got: f32,
        /// What came out where the pack was made.
        expected: f32,
        /// By how much the two may differ.
        tolerance: f32,
    },
}

/// An opened, checked pack.
#[derive(Debug)]
pub struct Pack {
    manifest: Manifest,
    sha256: String,
    detector: Bytes,
    landmarks: Bytes,
    embedder: Bytes,
    calibration: String,
    // Three times the file: shared while sessions are being opened, and not kept after.
    expanded: Mutex<[Option<Weak<[u8]>>; 3]>,
}

impl Pack {
    /// Opens the pack in `directory` and checks version, hashes, and every network's tensors.
    pub fn open(directory: &Path) -> Result<Self, PackError> {
        let (manifest, sha256) = read_manifest(&directory.join(MANIFEST_FILE))?;
        verify::check_manifest(&manifest)?;
        let detector = read_file(directory, &manifest.detector.file)?;
        let landmarks = read_file(directory, &manifest.landmarks.file)?;
        let embedder = read_file(directory, &manifest.embedder.file)?;
        let calibration = read_file(directory, &manifest.calibration.file)?;
        let calibration = String::from_utf8(calibration.into()).map_err(|error| {
            let error = io::Error::new(io::ErrorKind::InvalidData, error);
            PackError::Read(directory.join(&manifest.calibration.file.path), error)
        })?;
        let pack = Self {
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
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The pack's name.
    pub fn id(&self) -> &str {
        &self.manifest.id
    }

    /// The pack's version.
    pub fn version(&self) -> &str {
        &self.manifest.version
    }

    /// SHA-256 of the manifest's bytes, lower-case hex. The manifest holds the hash of every other
    /// file, so this stands for the whole pack.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The calibration file's text; `quality::Calibration` reads it.
    pub fn calibration_json(&self) -> &str {
        &self.calibration
    }

    /// The detector's file as it lies on the disk.
    pub fn detector_file(&self) -> Bytes {
        self.detector.clone()
    }

    /// The landmark network's file as it lies on the disk.
    pub fn landmarks_file(&self) -> Bytes {
        self.landmarks.clone()
    }

    /// The embedder's file as it lies on the disk, its weights quantised.
    pub fn embedder_file(&self) -> Bytes {
        self.embedder.clone()
    }

    /// The detector, ready for the runtime.
    pub fn detector_bytes(&self) -> Result<Arc<[u8]>, PackError> {
        let file = &self.manifest.detector.file;
        prepare(file, &self.detector, GraphForm::Convolutions)
    }

    /// The landmark network, ready for the runtime.
    pub fn landmarks_bytes(&self) -> Result<Arc<[u8]>, PackError> {
        let file = &self.manifest.landmarks.file;
        prepare(file, &self.landmarks, GraphForm::Convolutions)
    }

    /// The embedder in this form, ready for the runtime. All callers share the bytes for as long
    /// as one of them holds them; after that they are made anew.
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
        let check = |file: &PackFile, bytes, input, outputs: &[&OutputTensor]| {
            let graph = read_model(file, bytes)?.into_graph();
            verify::check_graph(&file.path, &graph, input, outputs)
        };
        let outputs: Vec<_> = detector.outputs.iter().collect();
        check(&detector.file, &self.detector, &detector.input, &outputs)?;
        let outputs = [&landmarks.output];
        check(&landmarks.file, &self.landmarks, &landmarks.input, &outputs)?;
        let outputs = verify::embedder_outputs(embedder);
        check(&embedder.file, &self.embedder, &embedder.input, &outputs)
    }
}

/// The manifest and its hash. The version is looked at before anything else is asked of the file,
/// since a newer one may hold what this program has never heard of.
fn read_manifest(path: &Path) -> Result<(Manifest, String), PackError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| PackError::Read(path.to_owned(), error))?;
    let invalid = |error| PackError::Manifest(path.to_owned(), Box::new(error));
    let version: VersionOnly = toml::from_str(&text).map_err(invalid)?;
    if version.manifest_version > MANIFEST_VERSION {
        let version = version.manifest_version;
        return Err(PackError::NewerManifest(path.to_owned(), version));
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
    let name = Path::new(&file.path).file_name();
    if name.is_none_or(|name| name != file.path.as_str()) {
        return Err(PackError::Path(file.path.clone()));
    }
    let path = directory.join(&file.path);
    let bytes = std::fs::read(&path).map_err(|error| PackError::Read(path, error))?;
    let got = sha256_hex(&bytes);
    if got != file.sha256 {
        let (file, expected) = (file.path.clone(), file.sha256.clone());
        return Err(PackError::Hash {
            file,
            got,
            expected,
        });
    }
    Ok(bytes.into())
}

fn read_model(file: &PackFile, bytes: &Bytes) -> Result<Model, PackError> {
    Model::read(&file.path, bytes.clone())
        .map_err(|error| PackError::Graph(file.path.clone(), error))
}

/// A network as the runtime wants it: see [`network::prepare`].
fn prepare(file: &PackFile, bytes: &Bytes, form: GraphForm) -> Result<Arc<[u8]>, PackError> {
    let mut model = read_model(file, bytes)?;
    network::prepare(&mut model, form)
        .map_err(|error| PackError::Graph(file.path.clone(), error))?;
    Ok(model.write().into())
}

/// SHA-256 in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
