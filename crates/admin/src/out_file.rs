//! A file named by the operator: written whole or not at all, with errors that say what to do.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::builder::{PathBufValueParser, TypedValueParser};
use faceood_engine::whole_file::WholeFile;

/// A file in the making; see [`WholeFile`].
#[derive(Debug)]
pub(super) struct OutFile {
    file: WholeFile,
    path: PathBuf,
}

/// Reads the name of a file that is written. Other programs take `-` for standard output, which is
/// where all goes that has no file here.
pub(super) fn named() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        if path.as_os_str() == "-" {
            Err("leave the option out for standard output, or write ./- for a file of that name")
        } else {
            Ok(path)
        }
    })
}

impl OutFile {
    pub(super) fn beside(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let file = match WholeFile::beside(path) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                bail!("cannot write {shown}: it is a folder; give a file")
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                bail!("cannot write {shown}: it is a link, a device or a pipe; give a file")
            }
            begun => begun.with_context(|| {
                format!("cannot write {shown}: give a file in a folder that can be written to")
            })?,
        };
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        let finished = self.file.finish();
        finished.with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// As [`Self::finish`], where no file may be replaced.
    pub(super) fn finish_new(self) -> anyhow::Result<()> {
        let shown = self.path.display();
        self.file
            .finish_new()
            .with_context(|| format!("cannot make {shown} (an existing file is not overwritten)"))
    }
}

impl Write for OutFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = OutFile::beside(path)?;
    file.write_all(bytes)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.finish()
}
