//! State that the writer and the handles share.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use sqlx::SqliteConnection;
use tokio::time::Instant;

use super::access::Waiting;
use super::clock::Clock;
use super::clock_keeper::Keeper;
use super::outbox::LogIdentity;
use super::query::LogReader;
use super::{Failing, Health, LogError, Settings, place};

/// Notices that are kept at once.
const MOST_NOTICES: usize = 10;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) reader: LogReader,
    /// Watches the clock.
    pub(super) clock: Keeper,
    /// Refusals and uses of tokens that are not written yet.
    pub(super) access: Waiting,
    /// Held by who opens, renames or closes the database's files beside or instead of the writer.
    pub(super) files: tokio::sync::Mutex<()>,
    /// The box's name, once somebody has said it.
    node: Mutex<Option<String>>,
    lost: AtomicU64,
    queued: AtomicU64,
    /// Held while the folder is read.
    looking: Mutex<()>,
    // A std mutex: held for a copy only, never across an await.
    status: Mutex<Status>,
}

#[derive(Debug, Default)]
struct Status {
    failing: Option<Failing>,
    written: Option<Instant>,
    /// What has happened since the start that an operator should know; gone with the process.
    notices: Vec<String>,
    /// Names of damaged databases that were set aside, at the last look.
    set_aside: Vec<String>,
}

impl Shared {
    pub(super) fn new(path: &Path, settings: &Settings, clock: Clock) -> Self {
        Self {
            settings: settings.clone(),
            reader: LogReader::lazy(path, false),
            clock: Keeper::new(clock),
            access: Waiting::default(),
            files: tokio::sync::Mutex::default(),
            node: Mutex::default(),
            lost: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            looking: Mutex::default(),
            status: Mutex::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.reader.path()
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_node(&self, node: &str) {
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = Some(node.to_owned());
    }

    /// Writes who this log is into it, where that does not stand there yet.
    pub(super) async fn identify(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        let node = {
            let node = self.node.lock();
            node.unwrap_or_else(PoisonError::into_inner).clone()
        };
        LogIdentity::ensure(connection, node.as_deref()).await
    }

    pub(super) fn queued(&self, rows: usize) {
        let before = self.queued.fetch_add(rows as u64, Ordering::Relaxed);
        gauge_queue(before + rows as u64);
    }

    pub(super) fn dequeued(&self, rows: usize) {
        let before = self.queued.fetch_sub(rows as u64, Ordering::Relaxed);
        gauge_queue(before.saturating_sub(rows as u64));
    }

    /// Rows whose callers are answered without them.
    pub(super) fn lose(&self, rows: u64) {
        self.lost.fetch_add(rows, Ordering::Relaxed);
        metrics::counter!("faceood_log_rows_lost_total").increment(rows);
    }

    pub(super) fn is_stale(&self, age: Duration) -> bool {
        let status = self.status();
        status.failing.is_some() || status.written.is_none_or(|at| at.elapsed() > age)
    }

    pub(super) fn is_failing(&self) -> bool {
        self.status().failing.is_some()
    }

    /// Notes that something was written; returns the failure that has ended with it.
    pub(super) fn succeed(&self) -> Option<Failing> {
        let mut status = self.status();
        status.written = Some(Instant::now());
        status.failing.take()
    }

    /// Notes that nothing can be written; returns whether that is new.
    pub(super) fn fail(&self, error: &LogError) -> bool {
        let mut status = self.status();
        let since = status.failing.as_ref().map(|failing| failing.since);
        status.failing = Some(Failing {
            since: since.unwrap_or_else(Utc::now),
            reason: error.told(),
        });
        since.is_none()
    }

    /// Keeps a notice for `/readyz` until the daemon ends.
    pub(super) fn notice(&self, text: String) {
        let mut status = self.status();
        if !status.notices.contains(&text) {
            status.notices.push(text);
        }
        // The oldest go: the text log has all of them.
        let excess = status.notices.len().saturating_sub(MOST_NOTICES);
        status.notices.drain(..excess);
    }

    /// Looks for damaged databases that were set aside. Reads a folder, so it may wait for the
    /// disk; meanwhile nobody else does.
    pub(super) fn list_set_aside_files(&self) {
        let Ok(_looking) = self.looking.try_lock() else {
            return;
        };
        let folder = self.path().parent().unwrap_or(Path::new("."));
        let names = place::set_aside_files(folder).into_iter().map(|file| {
            let name = file.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        });
        let names = names.collect();
        self.status().set_aside = names;
    }

    pub(super) fn health(&self) -> Health {
        let status = self.status();
        let aside = status.set_aside.iter().map(|name| {
            format!("a damaged log was set aside as {name}: examine it, then move it away")
        });
        let warnings = aside
            .chain(status.notices.iter().cloned())
            .chain(self.clock.warnings());
        Health {
            failing: status.failing.clone(),
            warnings: warnings.collect(),
            lost_rows: self.lost.load(Ordering::Relaxed),
            queued_rows: self.queued.load(Ordering::Relaxed),
        }
    }
}

fn gauge_queue(rows: u64) {
    metrics::gauge!("faceood_log_queue_rows").set(rows as f64);
}
