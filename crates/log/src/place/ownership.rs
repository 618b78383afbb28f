//! Who may write to a log, and what the last one acknowledged.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use chrono::Utc;

use super::with_suffix;
use crate::{LogError, row};

/// The right to write to a log; given back when dropped or when the process ends in whatever way.
///
/// Beside the process id the file holds the number and the time of the last row that was
/// acknowledged. It is written without waiting for the disk: a hint for the next start, which finds
/// out with it when rows have gone.
#[derive(Debug)]
pub(crate) struct Ownership {
    /// Held open for the lock on it.
    file: File,
    /// The last row of the daemon before, as far as it is known and nobody has asked yet.
    former: Option<(i64, String)>,
}

impl Ownership {
    /// Takes the advisory lock on `DATABASE.lock` and writes our process id into it.
    pub(crate) fn take(database: &Path) -> Result<Self, LogError> {
        let path = with_suffix(database, ".lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| LogError::io("open", &path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                let holder = text.lines().next().map(|line| line.trim().to_owned());
                let holder = holder.filter(|holder| !holder.is_empty());
                return Err(LogError::LockedByAnother(database.to_owned(), holder));
            }
            Err(TryLockError::Error(error)) => return Err(LogError::io("lock", &path, error)),
        }
        let mut text = String::new();
        // What is no text of ours says nothing.
        let is_text = file.read_to_string(&mut text).is_ok();
        let former = last_row_of(&text).filter(|_| is_text);
        let ownership = Self { file, former };
        match &ownership.former {
            Some((number, time)) => ownership.write(&format!("{number:020} {time}")),
            None => ownership.forget(),
        }
        Ok(ownership)
    }

    /// Writes down that this row and all before it were acknowledged.
    pub(crate) fn note(&self, last_row: i64) {
        let time = row::time_text(Utc::now());
        self.write(&format!("{last_row:020} {time}"));
    }

    /// Writes down that nothing is known of the last row, since rows were deleted.
    pub(crate) fn forget(&self) {
        self.write("");
    }

    /// In lines of one width, so that a new one covers the former. A failure stops no daemon.
    fn write(&self, last_row: &str) {
        let text = format!("{}\n{last_row:<50}\n", std::process::id());
        let _ = self.file.write_all_at(text.as_bytes(), 0);
        let _ = self.file.set_len(text.len() as u64);
    }

    /// Compares the newest row that was found, its number and time, with what the daemon before had
    /// acknowledged. Says what is missing.
    pub(crate) fn compare(&mut self, found: Option<(i64, String)>) -> Option<String> {
        let (number, end) = found.unwrap_or_else(|| (0, "its beginning".to_owned()));
        tracing::warn!(
            rows_to = number,
            time = end,
            "the daemon before was killed: this is how far the log goes"
        );
        let (acknowledged, time) = self.former.take()?;
        self.forget();
        let missing = acknowledged - number;
        if missing <= 0 {
            return None;
        }
        let notice = format!(
            "{missing} rows up to {time} are missing, which the daemon before had acknowledged: its write-ahead log was cut short \
             (a power cut, a damaged disk), or somebody deleted them; the log ends at {end}"
        );
        tracing::error!("{notice}");
        Some(notice)
    }

    /// Whether the lock file is still the one that others would look at.
    pub(crate) fn is_in_place(&self, database: &Path) -> bool {
        let there = fs::metadata(with_suffix(database, ".lock"));
        match (there, self.file.metadata()) {
            (Ok(there), Ok(ours)) => (there.dev(), there.ino()) == (ours.dev(), ours.ino()),
            _ => false,
        }
    }
}

/// The second line: number and time of a row.
fn last_row_of(text: &str) -> Option<(i64, String)> {
    let (number, time) = text.lines().nth(1)?.trim().split_once(' ')?;
    Some((number.parse().ok()?, time.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::FILE_NAME;
    use super::*;

    #[test]
    fn a_second_owner_is_refused_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join(FILE_NAME);
        let first = Ownership::take(&database).unwrap();
        let refusal = Ownership::take(&database).unwrap_err().to_string();
        assert!(
            refusal.contains(&format!("process {}", std::process::id())),
            "{refusal}"
        );
        drop(first);
        Ownership::take(&database).unwrap();
    }

    #[test]
    fn what_was_acknowledged_is_known_to_the_next_owner() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join(FILE_NAME);
        let end = |number: i64| Some((number, "2026-11-24T12:00:00.000000Z".to_owned()));
        let owner = Ownership::take(&database).unwrap();
        owner.note(299);
        owner.note(300);
        drop(owner);
        let mut owner = Ownership::take(&database).unwrap();
        let notice = owner.compare(end(203)).unwrap();
        assert!(notice.starts_with("97 rows up to 20"), "{notice}");
        // Said once: whoever owns it next has other rows.
        assert_eq!(owner.compare(end(203)), None);
        owner.note(204);
        drop(owner);
        let mut owner = Ownership::take(&database).unwrap();
        assert_eq!(owner.compare(end(204)), None);
        owner.note(205);
        owner.forget();
        drop(owner);
        assert_eq!(Ownership::take(&database).unwrap().compare(None), None);
    }
}
