//! A copy of the log while it is being written.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::error::{Trouble, trouble_of};
use super::place::with_suffix;
use super::{LogError, LogReader};

/// Copies the log to the new file `target`, as it is at one moment, while the writer goes on.
/// Returns the size in bytes. The copy gets its name when it is complete and on the disk.
///
/// # Errors
/// [`LogError::Exists`] where `target` exists; what the database or the file system says.
pub async fn backup(reader: &LogReader, target: &Path) -> Result<u64, LogError> {
    if target.exists() {
        return Err(LogError::Exists(target.to_owned()));
    }
    let suffix = format!(".partial-{}", std::process::id());
    let partial = Partial(with_suffix(target, &suffix));
    partial.remove();
    let name = partial.0.to_string_lossy().into_owned();
    sqlx::query("VACUUM INTO ?")
        .bind(name)
        .execute(&reader.pool())
        .await
        .map_err(|error| {
            let is_of_log = trouble_of(&error) == Trouble::Corrupt;
            LogError::database(if is_of_log { reader.path() } else { target }, error)
        })?;
    let fail = |action| move |error| LogError::io(action, target, error);
    let file = File::open(&partial.0).map_err(fail("open"))?;
    file.sync_all().map_err(fail("sync"))?;
    let size = file.metadata().map_err(fail("look at"))?.len();
    rename_new(&partial.0, target)?;
    let folder = target.parent().unwrap_or(Path::new(""));
    File::open(Path::new(".").join(folder))
        .and_then(|folder| folder.sync_all())
        .map_err(fail("sync the folder of"))?;
    Ok(size)
}

/// Renames without replacing a file that came into being meanwhile.
fn rename_new(from: &Path, to: &Path) -> Result<(), LogError> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(LogError::Exists(to.to_owned())),
        // Not every file system can (FAT on a stick): then the look at the beginning has to do.
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::rename(from, to).map_err(|error| LogError::io("rename", to, error))
        }
        Err(error) => Err(LogError::io("rename", to, error.into())),
    }
}

/// A file that is not finished; gone when dropped under its first name.
struct Partial(PathBuf);

impl Partial {
    fn remove(&self) {
        // Mostly it is not there, which is what is wanted.
        let _ = fs::remove_file(&self.0);
        let _ = fs::remove_file(with_suffix(&self.0, "-journal"));
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{full_record, open};
    use crate::{Filter, Settings};

    #[tokio::test]
    async fn a_copy_holds_every_row_of_a_live_log() {
        let (folder, log) = open(&Settings::default()).await;
        for seed in 0..20 {
            log.append(full_record("r", seed)).await.unwrap();
        }
        let target = folder.path().join("copy.db");
        let size = backup(log.reader(), &target).await.unwrap();
        assert_eq!(size, fs::metadata(&target).unwrap().len());
        let copy = LogReader::open(&target).await.unwrap();
        let all = Filter::default();
        assert_eq!(
            copy.query(&all, None).await.unwrap(),
            log.reader().query(&all, None).await.unwrap()
        );
        // The log goes on.
        log.append(full_record("after", 1)).await.unwrap();
    }

    #[tokio::test]
    async fn an_existing_file_is_left_alone() {
        let (folder, log) = open(&Settings::default()).await;
        let target = folder.path().join("copy.db");
        fs::write(&target, "mine").unwrap();
        let error = backup(log.reader(), &target).await.unwrap_err();
        assert!(matches!(error, LogError::Exists(_)), "{error}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
        // The same when it appears during the copy.
        let partial = folder.path().join("partial");
        fs::write(&partial, "ours").unwrap();
        assert!(matches!(
            rename_new(&partial, &target),
            Err(LogError::Exists(_))
        ));
        assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    }

    #[tokio::test]
    async fn a_failed_copy_leaves_nothing_behind() {
        let (folder, log) = open(&Settings::default()).await;
        let target = folder.path().join("missing").join("copy.db");
        backup(log.reader(), &target).await.unwrap_err();
        assert!(!target.parent().unwrap().exists());
    }
}
