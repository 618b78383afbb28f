//! Files that are written whole or not at all.
//!
//! A full disk, a signal or an error half-way must leave no cut file. Whoever reads the file
//! meanwhile (a daemon that reloads, a browser) must see the old one or the new one.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// A file in the making. It lies beside its place under another name until [`Self::finish`];
/// dropped before, it is removed.
#[derive(Debug)]
pub struct WholeFile {
    draft: NamedTempFile,
    path: PathBuf,
}

impl WholeFile {
    /// Begins the file that will stand at `path`, readable as any new file. The old one stays.
    ///
    /// # Errors
    /// Where `path` is a folder (`IsADirectory`) or a link, a device or a pipe (`InvalidInput`), or
    /// no file can be made beside it.
    pub fn beside(path: &Path) -> io::Result<Self> {
        // The umask takes away what others may not have.
        Self::with_mode(path, 0o666)
    }

    /// As [`Self::beside`], readable by its owner only.
    pub fn private(path: &Path) -> io::Result<Self> {
        Self::with_mode(path, 0o600)
    }

    fn with_mode(path: &Path, mode: u32) -> io::Result<Self> {
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // It would be replaced, not written to: think of `/dev/stdout`.
        if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let draft = Builder::new()
            .prefix(".faceood-")
            .suffix(".part")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)?;
        Ok(Self {
            draft,
            path: path.to_owned(),
        })
    }

    /// The open file, to change its owner.
    pub fn as_file(&self) -> &File {
        self.draft.as_file()
    }

    /// Puts the file in its place, once the disk has it.
    ///
    /// # Errors
    /// Where the disk is full or the place cannot be written to; nothing is left behind then.
    pub fn finish(self) -> io::Result<()> {
        self.draft.as_file().sync_all()?;
        self.draft.persist(self.path)?;
        Ok(())
    }

    /// As [`Self::finish`], where no file may be replaced.
    ///
    /// # Errors
    /// As [`Self::finish`], and where there is a file by now.
    pub fn finish_new(self) -> io::Result<()> {
        self.draft.as_file().sync_all()?;
        self.draft.persist_noclobber(self.path)?;
        Ok(())
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.draft.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.draft.flush()
    }
}

/// Writes `bytes` to `path`, whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = WholeFile::beside(path)?;
    file.write_all(bytes)?;
    file.finish()
}

/// Opens the file at `path` to lock it, and makes it where there is none, readable by its owner only.
/// Root gives it to `owner`, so that the daemon's user can take the lock too.
///
/// # Errors
/// Where it cannot be opened, or is no plain file of one name: whoever owns the folder could put a
/// link there, and root would give away what that leads to.
pub fn open_lock(path: &Path, owner: Option<(u32, u32)>) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let facts = file.metadata()?;
    if !facts.is_file() || facts.nlink() != 1 {
        let what = "it is no plain file of one name; remove it";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let owner = owner.filter(|_| rustix::process::geteuid().is_root());
    if let Some((user, group)) = owner {
        std::os::unix::fs::fchown(&file, Some(user), Some(group))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        for path in [&link, Path::new("/dev/null")] {
            let refused = write(path, b"x").unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        }
        assert!(link.is_symlink());
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_that_is_not_finished_leaves_nothing_and_the_old_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        write(&path, b"old").unwrap();
        let mut file = WholeFile::beside(&path).unwrap();
        file.write_all(b"half of the new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(file);
        assert_eq!(names(folder.path()), ["report.json"]);
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["report.json"]);
    }

    #[test]
    fn what_must_not_be_replaced_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("week.csv");
        let file = WholeFile::beside(&path).unwrap();
        fs::write(&path, "of another").unwrap();
        let error = file.finish_new().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"of another");
        assert_eq!(names(folder.path()), ["week.csv"]);
        assert!(WholeFile::beside(folder.path()).is_err());
    }

    #[test]
    fn others_may_read_it_as_any_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("a"), folder.path().join("b"));
        write(&ours, b"x").unwrap();
        fs::write(&plain, b"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn a_link_in_the_place_of_a_lock_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (other, lock) = (folder.path().join("shadow"), folder.path().join("lock"));
        fs::write(&other, "secret").unwrap();
        std::os::unix::fs::symlink(&other, &lock).unwrap();
        assert!(open_lock(&lock, Some((12, 12))).is_err());
        fs::remove_file(&lock).unwrap();
        fs::hard_link(&other, &lock).unwrap();
        let error = open_lock(&lock, Some((12, 12))).unwrap_err();
        assert!(error.to_string().contains("remove it"), "{error}");
        assert_ne!(fs::metadata(&other).unwrap().uid(), 12);
        fs::remove_file(&lock).unwrap();
        let file = open_lock(&lock, None).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
