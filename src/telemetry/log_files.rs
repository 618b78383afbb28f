//! Keeps the folder of the text log in order: past days are compressed, old ones deleted.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chrono::{NaiveDate, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use tracing_appender::non_blocking::ErrorCounter;

/// Start of the names of the log files: `faceoodd.2026-11-24.log`.
pub(super) const FILE_PREFIX: &str = "faceoodd";

/// End of the names of the log files, before compression.
pub(super) const FILE_SUFFIX: &str = "log";

/// How often the folder is looked at; files change daily, but a daemon may start at any hour.
const INTERVAL: Duration = Duration::from_secs(3600);

/// A thread that tidies the folder now and then until it is dropped.
#[derive(Debug)]
pub(super) struct Housekeeper {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Housekeeper {
    /// Tidies `directory` at once and every hour; says so in the log when lines were dropped.
    pub(super) fn start(directory: PathBuf, keep_days: u16, dropped: ErrorCounter) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let work = move || {
            let mut reported = 0;
            loop {
                if let Err(error) = tidy(&directory, keep_days, Utc::now().date_naive()) {
                    tracing::warn!(directory = %directory.display(), %error, "cannot tidy the log files");
                }
                let now_dropped = dropped.dropped_lines();
                if now_dropped > reported {
                    tracing::warn!(
                        lines = now_dropped - reported,
                        "log lines were dropped: the disk of the log files is too slow"
                    );
                    reported = now_dropped;
                }
                match stopped.recv_timeout(INTERVAL) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let thread = thread::Builder::new().name("log-files".to_owned());
        Self {
            stop: Some(stop),
            thread: thread.spawn(work).ok(),
        }
    }
}

impl Drop for Housekeeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; the daemon is ending anyway.
            let _ = thread.join();
        }
    }
}

/// Compresses the files of days before `today` and deletes those `keep_days` old or older. A clock
/// that jumped must not delete the log of what happened before: a file goes only when files of
/// `keep_days` days between it and today are there.
fn tidy(directory: &Path, keep_days: u16, today: NaiveDate) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        files.extend(day_of(&path).map(|day| (day, path)));
    }
    let days: BTreeSet<NaiveDate> = files.iter().map(|(day, _)| *day).collect();
    for (day, path) in files {
        let age = today.signed_duration_since(day).num_days();
        let later = days.iter().filter(|&&other| day < other && other < today);
        let later = later.count();
        if age >= i64::from(keep_days) && later >= usize::from(keep_days) {
            fs::remove_file(&path)?;
        } else if age > 0 && path.extension().is_some_and(|end| end == FILE_SUFFIX) {
            compress(&path)?;
        }
    }
    Ok(())
}

/// The day in a log file's name, compressed or not; `None` for files that are not ours.
pub(super) fn day_of(path: &Path) -> Option<NaiveDate> {
    let name = path.file_name()?.to_str()?;
    let day = name.strip_prefix(FILE_PREFIX)?.strip_prefix('.')?;
    let day = day.strip_suffix(".gz").unwrap_or(day);
    let day = day.strip_suffix(FILE_SUFFIX)?.strip_suffix('.')?;
    NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()
}

/// Replaces `path` by `path.gz`. Killed on the way it leaves the original, and at worst a `.part`
/// that is made anew.
fn compress(path: &Path) -> io::Result<()> {
    let part = path.with_added_extension("gz.part");
    let mut encoder = GzEncoder::new(File::create(&part)?, Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(&part, path.with_added_extension("gz"))?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;
    use tempfile::TempDir;

    fn names(dir: &TempDir) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn past_days_are_compressed_old_ones_deleted_others_left_alone() {
        let dir = TempDir::new().unwrap();
        for (name, text) in [
            ("faceoodd.2026-11-24.log", "today"),
            ("faceoodd.2026-11-23.log", "yesterday\n"),
            ("faceoodd.2026-11-22.log.gz", "2 days"),
            ("faceoodd.2026-11-21.log.gz", "3 days"),
            ("faceoodd.2026-11-01.log", "23 days"),
            ("faceoodd.notes.log", "not ours"),
            ("other.2026-11-01.log", "not ours"),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let today = NaiveDate::from_ymd_opt(2026, 11, 24).unwrap();
        tidy(dir.path(), 3, today).unwrap();
        assert_eq!(
            names(&dir),
            [
                "faceoodd.2026-11-21.log.gz",
                "faceoodd.2026-11-22.log.gz",
                "faceoodd.2026-11-23.log.gz",
                "faceoodd.2026-11-24.log",
                "faceoodd.notes.log",
                "other.2026-11-01.log",
            ]
        );
        let mut text = String::new();
        let file = File::open(dir.path().join("faceoodd.2026-11-23.log.gz")).unwrap();
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "yesterday\n");
    }
    #[test]
    fn a_clock_ten_years_ahead_deletes_nothing() {
        let dir = TempDir::new().unwrap();
        for day in 1..=20 {
            let name = format!("faceoodd.2026-11-{day:02}.log.gz");
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::write(dir.path().join("faceoodd.2036-11-20.log"), "now").unwrap();
        let before = names(&dir);
        let wrong = NaiveDate::from_ymd_opt(2036, 11, 20).unwrap();
        tidy(dir.path(), 20, wrong).unwrap();
        assert_eq!(names(&dir), before);
    }
}
