//! The kept measurement: `DATA_DIR/provider.json`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{FILE_NAME, Tuning};
use crate::whole_file::WholeFile;

/// Largest file that is read: a measurement has a few kilobytes.
const MOST_BYTES: u64 = 1 << 20;

/// Why a measurement cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The file cannot be read.
    #[error("the measured choice of provider in {} cannot be read: {}; let the daemon's user own it, or delete it", .0.display(), .1)]
    Read(PathBuf, #[source] io::Error),
    /// The file holds something else.
    #[error("{} is no measured choice of provider: {}; it is measured anew (faceood-admin models tune)", .0.display(), .1)]
    Broken(PathBuf, String),
    /// The file cannot be written.
    #[error("the measured choice of provider cannot be kept in {}: {}; every start measures anew until it can", .0.display(), .1)]
    Write(PathBuf, #[source] io::Error),
}

impl Tuning {
    /// What was kept in `data_dir`; `None` where nothing was.
    ///
    /// # Errors
    /// Where the file cannot be read, or is no measurement.
    pub fn load(data_dir: &Path) -> Result<Option<Self>, KeepError> {
        let path = data_dir.join(FILE_NAME);
        if let Ok(facts) = path.metadata()
            && facts.len() > MOST_BYTES
        {
            let reason = format!("it has {} bytes", facts.len());
            return Err(KeepError::Broken(path, reason));
        }
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeepError::Read(path, source)),
        };
        let kept = serde_json::from_str(&text).map(Some);
        kept.map_err(|error| KeepError::Broken(path, error.to_string()))
    }

    /// Keeps it in `data_dir`, whole or not at all. The file belongs to whom the folder belongs, so
    /// that what root measures can be read by the daemon's user.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn save(&self, data_dir: &Path) -> Result<(), KeepError> {
        let path = data_dir.join(FILE_NAME);
        self.write(data_dir, &path)
            .map_err(|source| KeepError::Write(path, source))
    }

    fn write(&self, data_dir: &Path, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::{MetadataExt, fchown};
        std::fs::create_dir_all(data_dir)?;
        let mut file = WholeFile::private(path)?;
        let folder = data_dir.metadata()?;
        if file.as_file().metadata()?.uid() != folder.uid() {
            fchown(file.as_file(), Some(folder.uid()), Some(folder.gid()))?;
        }
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.finish()
    }
}
