//! A copy of the pack that ships, to change or to break.

use std::fs;
use std::path::{Path, PathBuf};

use faceood_engine::pack::network::graph::{Graph, Model};
use faceood_engine::pack::sha256_hex;
use tempfile::TempDir;

/// The copy; gone when dropped.
pub struct PackCopy(TempDir);

impl PackCopy {
    /// The default pack as it is.
    pub fn new() -> Self {
        let copy = Self(TempDir::new().unwrap());
        fs::create_dir(copy.folder()).unwrap();
        for entry in fs::read_dir(super::models().join("default")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, copy.path(path.file_name().unwrap())).unwrap();
        }
        copy
    }

    /// The pack's folder.
    pub fn folder(&self) -> PathBuf {
        self.models_dir().join("default")
    }

    /// The folder that a daemon finds it in.
    pub fn models_dir(&self) -> &Path {
        self.0.path()
    }

    /// One of its files.
    pub fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.folder().join(file)
    }

    /// Changes the manifest.
    pub fn edit_manifest(&self, edit: impl FnOnce(&mut toml::Table)) {
        let path = self.path("manifest.toml");
        let mut table: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        edit(&mut table);
        fs::write(path, toml::to_string(&table).unwrap()).unwrap();
    }

    /// Changes the network of a section (`detector`, `landmarks`, `embedder`) and makes the
    /// manifest's hash agree, so that only the graph or a run can tell.
    pub fn edit_graph(&self, section: &str, edit: impl FnOnce(&mut Graph)) {
        let path = self.path(format!("{section}.onnx"));
        let mut model = Model::read(section, fs::read(&path).unwrap()).unwrap();
        edit(model.graph.as_mut().unwrap());
        let bytes = model.write();
        self.edit_manifest(|table| {
            table[section]["file"]["sha256"] = sha256_hex(&bytes).into();
        });
        fs::write(path, bytes).unwrap();
    }
}
