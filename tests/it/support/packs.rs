//! A copy of the pack that ships, to be altered: only what the test changes differs, and the manifest agrees again.

use std::fs;
use std::path::{Path, PathBuf};

use faceood::pack::build::graph::{Graph, Model};
use faceood::pack::sha256_hex;
use tempfile::TempDir;

/// The copy, gone with the test.
pub(crate) struct PackCopy {
    models: TempDir,
}

impl PackCopy {
    /// Byte for byte the default pack.
    pub(crate) fn new() -> Self {
        let models = TempDir::new().expect("a temporary folder");
        let copy = Self { models };
        fs::create_dir(copy.folder()).expect("the pack's folder is made");
        for entry in fs::read_dir(super::models().join("default")).expect("the default pack") {
            let path = entry.expect("a file of the pack").path();
            fs::copy(&path, copy.path(path.file_name().expect("a name"))).expect("copied");
        }
        copy
    }

    /// `MODELS_DIR`, in which the copy is the pack `default`.
    pub(crate) fn models_dir(&self) -> &Path {
        self.models.path()
    }

    /// The pack's own folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.models.path().join("default")
    }

    /// One of its files.
    pub(crate) fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.folder().join(file)
    }

    /// Changes the manifest.
    pub(crate) fn edit_manifest(&self, edit: impl FnOnce(&mut toml::Table)) {
        let path = self.path("manifest.toml");
        let text = fs::read_to_string(&path).expect("the manifest is there");
        let mut table: toml::Table = text.parse().expect("the manifest is TOML");
        edit(&mut table);
        fs::write(path, toml::to_string(&table).expect("TOML")).expect("written");
    }

    /// Changes the embedder's graph and makes the manifest agree, so that only a run can tell.
    pub(crate) fn edit_embedder(&self, edit: impl FnOnce(&mut Graph)) {
        let path = self.path("embedder.onnx");
        let bytes = fs::read(&path).expect("the embedder is there");
        let mut model = Model::read("embedder.onnx", bytes).expect("the embedder is ONNX");
        edit(model.graph.as_mut().expect("a graph"));
        let bytes = model.write();
        self.edit_manifest(|table| {
            let file = &mut table["embedder"]["file"];
            file["sha256"] = sha256_hex(&bytes).into();
            file["bytes"] = i64::try_from(bytes.len()).expect("a small file").into();
        });
        fs::write(path, bytes).expect("written");
    }
}
