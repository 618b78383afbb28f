//! Writes a new pack into its folder.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::write;
use faceood::pack::Pack;
use faceood::pack::manifest::Manifest;
use faceood_lab::importing::{self, CalibrationText};

/// A pack is never written over another one.
pub(super) fn expect_empty(folder: &Path) -> anyhow::Result<()> {
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "{} is not empty; give --out a new folder, or move this one away first",
            folder.display()
        );
    }
    Ok(())
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Writes the pack, opens it as the daemon would, and shows what it is.
pub(super) fn write_pack(
    out: &Path,
    base: &Pack,
    manifest: &Manifest,
    embedder: &[u8],
    calibration: CalibrationText<'_>,
) -> anyhow::Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    write(&out.join(&manifest.embedder.file.path), embedder)?;
    for (name, bytes) in importing::files(base, manifest, calibration)? {
        write(&out.join(name), &bytes)?;
    }
    super::show_written(out)
}
