//! Where ONNX Runtime's shared library lives, and which provider's library lies beside it.

use std::path::{Path, PathBuf};

use super::{Provider, RuntimeError};

/// An ONNX Runtime shared library on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// The file.
    pub path: PathBuf,
    /// The provider whose library lies beside it. Each library carries the CPU's kernels.
    pub provider: Provider,
}

impl Library {
    /// Looks at `path` and what lies beside it; `None` where there is no such file.
    pub fn at(path: &Path) -> Option<Self> {
        let path = path.canonicalize().ok().filter(|path| path.is_file())?;
        let folder = path.parent()?;
        let lies_beside = |provider: &Provider| {
            let name = format!("libonnxruntime_providers_{provider}.so");
            folder.join(name).is_file()
        };
        // ONNX Runtime names these files by our words: `…_cuda.so`, `…_openvino.so`. CUDA stands
        // before OpenVINO in the list, so it wins where both lie there.
        let provider = Provider::ALL.into_iter().find(lies_beside);
        let provider = provider.unwrap_or(Provider::Cpu);
        Some(Self { path, provider })
    }

    /// Looks for the library that `provider` needs: `ORT_DYLIB_PATH`; `../lib/faceood/<folder>`
    /// beside the executable; `/usr/lib/faceood/<folder>`; `vendor/<folder>` in the working
    /// directory and in each folder above the executable (so that a checkout works without an
    /// environment). `<folder>` is `onnxruntime`, `onnxruntime-gpu` or `openvino`.
    ///
    /// # Errors
    /// [`RuntimeError::LibraryNotFound`], with every place looked at.
    pub fn find(provider: Provider) -> Result<Self, RuntimeError> {
        if let Some(given) = std::env::var_os("ORT_DYLIB_PATH").filter(|given| !given.is_empty())
            && let Some(library) = Self::at(Path::new(&given))
            && library.carries(provider)
        {
            return Ok(library);
        }
        let searched = folders(provider);
        let mut found = searched.iter().filter_map(|folder| Self::in_folder(folder));
        found
            .find(|library| library.carries(provider))
            .ok_or(RuntimeError::LibraryNotFound(provider, searched))
    }

    /// Whether models can run on `provider` with this library.
    pub fn carries(&self, provider: Provider) -> bool {
        [Provider::Cpu, self.provider].contains(&provider)
    }

    /// The library in `folder`, whatever its version; the highest where there are several.
    fn in_folder(folder: &Path) -> Option<Self> {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .ok()?
            .filter_map(Result::ok)
            .map(|entry| entry.file_name())
            .filter(|name| name.to_string_lossy().starts_with("libonnxruntime.so"))
            .collect();
        names.sort();
        Self::at(&folder.join(names.pop()?))
    }
}

fn folders(provider: Provider) -> Vec<PathBuf> {
    let name = match provider {
        Provider::Cpu => "onnxruntime",
        Provider::Cuda => "onnxruntime-gpu",
        Provider::Openvino => "openvino",
    };
    let executable = std::env::current_exe()
        .and_then(|path| path.canonicalize())
        .ok();
    let beside = executable
        .iter()
        .filter_map(|path| Some(path.parent()?.parent()?.join("lib/faceood").join(name)));
    let installed = PathBuf::from("/usr/lib/faceood").join(name);
    let working = std::env::current_dir().ok();
    let above = executable.iter().flat_map(|path| path.ancestors().skip(1));
    let vendored = working
        .as_deref()
        .into_iter()
        .chain(above)
        .map(|folder| folder.join("vendor").join(name));
    let mut all: Vec<PathBuf> = beside.chain([installed]).chain(vendored).collect();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_is_told_by_the_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so.1.2.3");
        assert_eq!(Library::at(&path), None);
        std::fs::write(&path, b"").unwrap();
        assert_eq!(Library::at(&path).unwrap().provider, Provider::Cpu);
        std::fs::write(
            folder.path().join("libonnxruntime_providers_openvino.so"),
            b"",
        )
        .unwrap();
        let openvino = Library::in_folder(folder.path()).unwrap();
        assert_eq!(openvino.provider, Provider::Openvino);
        assert!(openvino.carries(Provider::Cpu) && openvino.carries(Provider::Openvino));
        assert!(!openvino.carries(Provider::Cuda));
    }

    #[test]
    fn what_is_not_found_lists_the_places() {
        let error = RuntimeError::LibraryNotFound(Provider::Cuda, folders(Provider::Cuda));
        let text = error.to_string();
        assert!(text.contains("/usr/lib/faceood/onnxruntime-gpu"), "{text}");
        assert!(text.contains("./scripts/setup --gpu"), "{text}");
    }
}
