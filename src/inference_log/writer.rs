//! The one task that writes. It owns the only write connection, commits what has gathered, then acknowledges everyone.
//!
//! It never waits for company: a lone row is committed at once, and what arrives during a commit shares the next one, so
//! the wait is one commit at most and batches grow by themselves as load does.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::feedback::{self, Feedback};
use super::place::{self, Ownership};
use super::query::LogReader;
use super::record::InferenceRecord;
use super::retention::{Limits, Pace, Step};
use super::{Failing, Health, LogError, OnFailure, Settings, Trouble, row, schema};

/// Most rows of one transaction: about 3 ms of work, so that nobody waits long behind others.
const BATCH_ROWS: usize = 64;

/// After a failure the next attempt waits this long, then twice as long each time up to [`SLOWEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(100);

/// Longest wait between attempts, and so the longest that a cured disk goes unnoticed.
const SLOWEST_RETRY: Duration = Duration::from_secs(2);

/// Bytes that a trial write needs: several pages, as rows do, so that it fails on the same disk that they fail on; few,
/// since a probe that asks every few seconds must not wear out a memory card.
const BALLAST_BYTES: i64 = 16 << 10;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Write rows.
    Append(Entry),
    /// Note how a request turned out; the answer says since when that stands there.
    Feedback(Feedback, FeedbackReply),
    /// Find out whether rows could be written.
    Check(oneshot::Sender<()>),
    /// Delete a few rows that exceed the limits.
    Prune(Limits, oneshot::Sender<Result<Step, LogError>>),
    /// Run a statement on the write connection, to bring about what tests need.
    #[cfg(test)]
    Execute(String, oneshot::Sender<()>),
    /// Write what came before, then end.
    Close(oneshot::Sender<()>),
}

/// Who waits for feedback to be written.
type FeedbackReply = oneshot::Sender<Result<Option<DateTime<Utc>>, LogError>>;

/// Rows that are written together, and who waits for them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) records: Vec<InferenceRecord>,
    pub(super) committed: oneshot::Sender<Result<(), LogError>>,
}

/// What the writer and the handles both see.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) reader: LogReader,
    /// Held by who opens, renames or closes the database's files beside or instead of the writer.
    pub(super) files: tokio::sync::Mutex<()>,
    lost: AtomicU64,
    queued: AtomicU64,
    // A std mutex: held for a copy only, never across an await.
    status: Mutex<Status>,
}

#[derive(Debug, Default)]
struct Status {
    failing: Option<Failing>,
    written: Option<Instant>,
}

impl Shared {
    pub(super) fn new(path: &Path, settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            reader: LogReader::lazy(path, false),
            files: tokio::sync::Mutex::default(),
            lost: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            status: Mutex::default(),
        }
    }

    fn path(&self) -> &Path {
        self.reader.path()
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn queued(&self, rows: usize) {
        let before = self.queued.fetch_add(rows as u64, Ordering::Relaxed);
        gauge_queue(before + rows as u64);
    }

    fn dequeued(&self, rows: usize) {
        let before = self.queued.fetch_sub(rows as u64, Ordering::Relaxed);
        gauge_queue(before.saturating_sub(rows as u64));
    }

    pub(super) fn is_stale(&self, age: Duration) -> bool {
        let status = self.status();
        status.failing.is_some() || status.written.is_none_or(|at| at.elapsed() > age)
    }

    pub(super) fn health(&self) -> Health {
        let folder = self.path().parent().unwrap_or(Path::new("."));
        let warnings = place::set_aside_files(folder).into_iter().map(|file| {
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            format!("a damaged log was set aside as {name}: examine it, then move it away")
        });
        Health {
            failing: self.status().failing.clone(),
            warnings: warnings.collect(),
            lost_rows: self.lost.load(Ordering::Relaxed),
            queued_rows: self.queued.load(Ordering::Relaxed),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a queue is short")]
fn gauge_queue(rows: u64) {
    metrics::gauge!("faceood_log_queue_rows").set(rows as f64);
}

/// Opens the database and starts the task.
///
/// # Errors
/// Where the database cannot be opened, unless the settings say to go on without and it may get better.
pub(super) async fn start(
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Command>,
) -> Result<(), LogError> {
    let mut writer = Writer {
        shared,
        connection: None,
        ownership: None,
        last_error: LogError::Closed,
        retry_at: Instant::now(),
        retry_after: FIRST_RETRY,
        pace: Pace::default(),
    };
    if let Err(error) = writer.connect().await {
        let goes_on = writer.shared.settings.on_failure == OnFailure::Continue;
        if !(goes_on && error.is_passing()) {
            return Err(error);
        }
        writer.note_failure(&error);
    }
    tokio::spawn(writer.run(queue));
    Ok(())
}

struct Writer {
    shared: Arc<Shared>,
    /// `None` until opened, and again after a failure that leaves it in doubt.
    connection: Option<SqliteConnection>,
    /// Held from the first opening to the end.
    ownership: Option<Ownership>,
    /// What is answered while no attempt is due.
    last_error: LogError,
    /// When the next attempt is due; only looked at while failing.
    retry_at: Instant,
    retry_after: Duration,
    pace: Pace,
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut next = None;
        loop {
            let command = match next.take() {
                Some(command) => command,
                None => tokio::select! {
                    command = queue.recv() => match command {
                        Some(command) => command,
                        None => break,
                    },
                    () = tokio::time::sleep_until(self.retry_at), if self.is_failing() => {
                        self.check().await;
                        continue;
                    }
                },
            };
            match command {
                Command::Append(first) => {
                    let mut batch = vec![first];
                    next = gather(&mut queue, &mut batch);
                    self.append(batch).await;
                }
                Command::Feedback(feedback, reply) => {
                    let _ = reply.send(self.tell(&feedback).await);
                }
                Command::Check(reply) => {
                    self.check().await;
                    let _ = reply.send(());
                }
                Command::Prune(limits, reply) => {
                    let _ = reply.send(self.prune(&limits).await);
                }
                #[cfg(test)]
                Command::Execute(statement, reply) => {
                    if let Some(connection) = &mut self.connection {
                        let statement = sqlx::AssertSqlSafe(statement);
                        sqlx::query(statement).fetch_all(connection).await.unwrap();
                    }
                    let _ = reply.send(());
                }
                Command::Close(reply) => {
                    queue.close();
                    let mut rest = Vec::new();
                    while let Some(command) = queue.recv().await {
                        if let Command::Append(entry) = command {
                            rest.push(entry);
                        }
                    }
                    if !rest.is_empty() {
                        self.append(rest).await;
                    }
                    self.close().await;
                    let _ = reply.send(());
                    return;
                }
            }
        }
        self.close().await;
    }

    fn is_failing(&self) -> bool {
        self.shared.status().failing.is_some()
    }

    /// Writes the batch and answers everyone in it.
    async fn append(&mut self, batch: Vec<Entry>) {
        let rows = batch.iter().map(|entry| entry.records.len()).sum();
        self.shared.dequeued(rows);
        if self.is_failing() && Instant::now() < self.retry_at {
            let error = self.last_error.clone();
            return self.refuse(batch, &error);
        }
        match self.write(&batch).await {
            Ok(()) => acknowledge(batch),
            // One row that breaks a rule must not take the others with it.
            Err(error) if error.trouble() == Some(Trouble::Row) && batch.len() > 1 => {
                for entry in batch {
                    let entry = vec![entry];
                    match self.write(&entry).await {
                        Ok(()) => acknowledge(entry),
                        Err(error) => self.refuse(entry, &error),
                    }
                }
            }
            Err(error) => self.refuse(batch, &error),
        }
    }

    /// One transaction. A database that turns out to be damaged is replaced, and the rows go into the fresh one.
    async fn write(&mut self, batch: &[Entry]) -> Result<(), LogError> {
        let started = Instant::now();
        let mut outcome = self.try_write(batch).await;
        if let Err(error) = &outcome
            && error.trouble() == Some(Trouble::Corrupt)
        {
            self.set_aside(error).await?;
            outcome = self.try_write(batch).await;
        }
        match &outcome {
            Ok(()) => {
                let rows: usize = batch.iter().map(|entry| entry.records.len()).sum();
                metrics::histogram!("faceood_log_commit_seconds").record(started.elapsed());
                metrics::counter!("faceood_log_rows_total").increment(rows as u64);
                self.note_success();
            }
            Err(error) if error.trouble() == Some(Trouble::Row) => {}
            Err(error) => self.note_failure(error),
        }
        outcome
    }

    async fn try_write(&mut self, batch: &[Entry]) -> Result<(), LogError> {
        self.connect().await?;
        let Some(connection) = &mut self.connection else {
            return Err(LogError::Closed);
        };
        let outcome = insert(connection, batch).await;
        outcome.map_err(|error| LogError::database(self.shared.path(), error))
    }

    /// A write that leaves nothing behind, to find out whether rows could be written.
    async fn check(&mut self) {
        let outcome = match self.connect().await {
            Ok(()) => match &mut self.connection {
                Some(connection) => try_out(connection)
                    .await
                    .map_err(|error| LogError::database(self.shared.path(), error)),
                None => Err(LogError::Closed),
            },
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => self.note_success(),
            Err(error) => self.note_failure(&error),
        }
    }

    /// Whether the log can be written is judged by rows and trial writes: feedback comes too seldom to tell.
    async fn tell(&mut self, feedback: &Feedback) -> Result<Option<DateTime<Utc>>, LogError> {
        let Some(connection) = &mut self.connection else {
            return Err(self.last_error.clone());
        };
        feedback::write(connection, feedback)
            .await
            .map_err(|error| LogError::database(self.shared.path(), error))
    }

    async fn prune(&mut self, limits: &Limits) -> Result<Step, LogError> {
        let Some(connection) = &mut self.connection else {
            return Err(self.last_error.clone());
        };
        let step = self
            .pace
            .step(connection, limits)
            .await
            .map_err(|error| LogError::database(self.shared.path(), error))?;
        metrics::counter!("faceood_log_pruned_rows_total").increment(step.pruned.rows);
        Ok(step)
    }

    /// Opens what is not open.
    async fn connect(&mut self) -> Result<(), LogError> {
        if self.ownership.is_none() {
            self.ownership = Some(Ownership::take(self.shared.path())?);
        }
        if self.connection.is_none() {
            let shared = &self.shared;
            let _files = shared.files.lock().await;
            let opened = schema::open_for_writing(shared.path(), &shared.settings).await?;
            if opened.set_aside.is_some() {
                shared.reader.reconnect();
            }
            self.connection = Some(opened.connection);
        }
        Ok(())
    }

    async fn set_aside(&mut self, error: &LogError) -> Result<(), LogError> {
        self.disconnect().await;
        let _files = self.shared.files.lock().await;
        let aside = place::set_aside(self.shared.path(), Utc::now())?;
        tracing::error!(
            set_aside = %aside.display(), %error,
            "the inference log turned out to be damaged: it was set aside and a fresh one begun; examine the file, then move it away"
        );
        self.shared.reader.reconnect();
        Ok(())
    }

    fn note_success(&mut self) {
        self.retry_after = FIRST_RETRY;
        let mut status = self.shared.status();
        status.written = Some(Instant::now());
        if let Some(failing) = status.failing.take() {
            tracing::warn!(since = %failing.since, "the inference log can be written again");
        }
    }

    fn note_failure(&mut self, error: &LogError) {
        self.retry_at = Instant::now() + self.retry_after;
        self.retry_after = (self.retry_after * 2).min(SLOWEST_RETRY);
        self.last_error = error.clone();
        let mut status = self.shared.status();
        let since = match &status.failing {
            Some(failing) => failing.since,
            None => {
                let policy = self.shared.settings.on_failure;
                tracing::error!(%error, on_failure = ?policy, "the inference log cannot be written");
                Utc::now()
            }
        };
        status.failing = Some(Failing {
            since,
            reason: error.detail(),
            chinese: error.detail_in_chinese(),
        });
        drop(status);
        // After these the connection is as good as before; after others it is better to begin anew.
        if !matches!(error.trouble(), Some(Trouble::Full | Trouble::Busy)) {
            self.connection = None;
        }
    }

    /// Tells those whose rows could not be written.
    fn refuse(&self, batch: Vec<Entry>, error: &LogError) {
        for entry in batch {
            let outcome = match self.shared.settings.on_failure {
                OnFailure::Refuse => Err(error.clone()),
                OnFailure::Continue => {
                    let rows = entry.records.len() as u64;
                    self.shared.lost.fetch_add(rows, Ordering::Relaxed);
                    metrics::counter!("faceood_log_rows_lost_total").increment(rows);
                    Ok(())
                }
            };
            let _ = entry.committed.send(outcome);
        }
    }

    async fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "closing the inference log's connection failed");
        }
    }

    async fn close(mut self) {
        if let Some(connection) = &mut self.connection {
            // Readers may still hold a snapshot; what cannot be folded in now is by the next opening.
            let _ = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
                .execute(connection)
                .await;
        }
        self.shared.reader.pool().close().await;
        let shared = Arc::clone(&self.shared);
        // The last connection to close removes the write-ahead log: that has to be this one.
        let _files = shared.files.lock().await;
        self.disconnect().await;
    }
}

/// Takes what already waits, up to a full batch; returns the first command of another kind.
fn gather(queue: &mut mpsc::Receiver<Command>, batch: &mut Vec<Entry>) -> Option<Command> {
    let mut rows: usize = batch.iter().map(|entry| entry.records.len()).sum();
    while rows < BATCH_ROWS {
        match queue.try_recv() {
            Ok(Command::Append(entry)) => {
                rows += entry.records.len();
                batch.push(entry);
            }
            Ok(other) => return Some(other),
            Err(_) => break,
        }
    }
    None
}

fn acknowledge(batch: Vec<Entry>) {
    for entry in batch {
        // A caller that left does not care.
        let _ = entry.committed.send(Ok(()));
    }
}

async fn insert(connection: &mut SqliteConnection, batch: &[Entry]) -> Result<(), sqlx::Error> {
    if let [entry] = batch
        && let [record] = &entry.records[..]
    {
        // A lone statement is a transaction of its own, at a third of the round trips.
        row::bind(record).execute(connection).await?;
        return Ok(());
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for entry in batch {
        for record in &entry.records {
            row::bind(record).execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await
}

async fn try_out(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT OR REPLACE INTO write_probe (id, time, ballast) VALUES (1, ?, zeroblob(?))",
    )
    .bind(row::time_text(Utc::now()))
    .bind(BALLAST_BYTES)
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM write_probe")
        .execute(connection)
        .await?;
    Ok(())
}
