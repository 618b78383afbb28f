//! The one task that writes. It owns the daemon's only write connection, commits what has gathered,
//! then acknowledges everyone.
//!
//! It never waits for company: a lone row is committed at once, and what arrives during a commit
//! shares the next one. So the wait is one commit at most, and batches grow as load does.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::clock_keeper::Look;
use super::error::At;
use super::feedback::{self, Feedback};
use super::outbox::Sequence;
use super::place::{self, Files, Ownership};
use super::retention::{Limits, Pace, PruneStep};
use super::shared::Shared;
use super::unwritten::Tally;
use super::{LogError, LogFault, OnFailure, Trouble, schema};
use batch::{acknowledge, gather, insert, try_out};
pub(super) use command::{Command, Entry};

mod batch;
mod command;

/// After a failure the next attempt waits this long, then twice as long each time up to
/// [`SLOWEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(100);

/// Longest wait between attempts, and so the longest that a cured disk goes unnoticed.
const SLOWEST_RETRY: Duration = Duration::from_secs(2);

/// Opens the database and starts the task. That the database cannot be opened is an error, unless
/// the settings say to go on without it and it may get better.
pub(super) async fn start(
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Command>,
) -> Result<(), LogError> {
    let mut writer = Writer {
        shared,
        connection: None,
        files: None,
        ownership: None,
        unwritten: Tally::default(),
        last_error: LogFault::Closed.into(),
        retry_at: Instant::now(),
        retry_after: FIRST_RETRY,
        pace: Pace::of_daemon(),
        seq: Sequence::default(),
        is_access_lost: false,
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
    /// Which files the connection has open.
    files: Option<Files>,
    /// Rows that were refused since the log could last be written.
    unwritten: Tally,
    /// Held from the first opening to the end.
    ownership: Option<Ownership>,
    /// What is answered while no attempt is due.
    last_error: LogError,
    /// When the next attempt is due; only looked at while failing.
    retry_at: Instant,
    retry_after: Duration,
    pace: Pace,
    /// What the next rows get as `seq`; read from the database at each opening.
    seq: Sequence,
    /// Whether refusals could not be written the last time, which is said once.
    is_access_lost: bool,
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
                    () = tokio::time::sleep_until(self.retry_at), if self.shared.is_failing() => {
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
                    let _ = reply.send(self.record_feedback(&feedback).await);
                }
                Command::Access(reply) => {
                    self.write_access().await;
                    let _ = reply.send(());
                }
                Command::Check(reply) => {
                    self.check().await;
                    let _ = reply.send(());
                }
                Command::Identify(reply) => {
                    let _ = reply.send(self.identify().await);
                }
                Command::Tend(reply) => {
                    let _ = reply.send(self.tend().await);
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

    /// Writes the batch and answers everyone in it.
    async fn append(&mut self, mut batch: Vec<Entry>) {
        let rows = batch.iter().map(|entry| entry.records.len()).sum();
        self.shared.dequeued(rows);
        let records = batch.iter_mut().flat_map(|entry| &mut entry.records);
        self.shared.clock.mark(records);
        if self.shared.is_failing() && Instant::now() < self.retry_at {
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

    /// One transaction. A damaged database is replaced, and the rows go into the fresh one.
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
                self.note_success().await;
            }
            Err(error) if error.trouble() == Some(Trouble::Row) => {}
            Err(error) => self.note_failure(error),
        }
        outcome
    }

    /// Writes the batch, and makes sure that it lies where readers will look for it.
    async fn try_write(&mut self, batch: &[Entry]) -> Result<(), LogError> {
        self.connect().await?;
        let mut last_row = self.insert(batch).await?;
        if !self.is_in_place().await {
            // What was committed may lie in a file that nobody finds any more.
            self.reopen().await?;
            if !self.has(batch).await? {
                last_row = self.insert(batch).await?;
            }
            if !self.is_in_place().await {
                return Err(LogError::Replaced(self.shared.path().to_owned()));
            }
        }
        if let Some(ownership) = &self.ownership {
            ownership.note(last_row);
        }
        Ok(())
    }

    async fn insert(&mut self, batch: &[Entry]) -> Result<i64, LogError> {
        let connection = self.connection.as_mut().ok_or(LogFault::Closed)?;
        let inserted = insert(connection, batch, &mut self.seq).await;
        inserted.at(self.shared.path())
    }

    /// Whether the batch is in the database.
    async fn has(&mut self, batch: &[Entry]) -> Result<bool, LogError> {
        let first = batch.iter().flat_map(|entry| &entry.records).next();
        let first = first.ok_or(LogFault::Closed)?;
        let connection = self.connection.as_mut().ok_or(LogFault::Closed)?;
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM inferences WHERE id = ?)")
            .bind(first.id.to_string())
            .fetch_one(connection)
            .await
            .at(self.shared.path())
    }

    async fn is_in_place(&self) -> bool {
        self.files.is_some() && Files::of(self.shared.path()).await == self.files
    }

    /// Opens what now stands under the database's name, after its file was deleted or replaced.
    async fn reopen(&mut self) -> Result<(), LogError> {
        let path = self.shared.path().to_owned();
        tracing::error!(
            database = %path.display(),
            "the inference log's file was deleted or replaced while the daemon used it: rows from before are gone with it, \
             unless the file is brought back; what stands there now is used, or a fresh log is begun"
        );
        metrics::counter!("faceood_log_reopened_total").increment(1);
        self.shared.notice(format!(
            "the log's file was deleted or replaced at {} while the daemon used it: rows from before may be missing; find out who did it",
            Utc::now().format("%F %T UTC")
        ));
        let is_same_file = match self.files {
            Some(files) => files.has_same_database(&path).await,
            None => false,
        };
        self.disconnect().await;
        if !is_same_file {
            let _files = self.shared.files.lock().await;
            // SQLite would apply the former file's write-ahead log to the one that stands there
            // now.
            place::set_sides_aside(&path, Utc::now())?;
        }
        self.ownership.take_if(|lock| !lock.is_in_place(&path));
        self.shared.reader.reconnect();
        self.connect().await
    }

    /// A write that leaves nothing behind, to find out whether rows could be written.
    async fn check(&mut self) {
        match self.try_check().await {
            Ok(()) => self.note_success().await,
            Err(error) => self.note_failure(&error),
        }
    }

    async fn try_check(&mut self) -> Result<(), LogError> {
        self.connect().await?;
        if !self.is_in_place().await {
            self.reopen().await?;
        }
        let connection = self.connection.as_mut().ok_or(LogFault::Closed)?;
        try_out(connection).await.at(self.shared.path())
    }

    /// The connection, for what is not tried where there is none.
    fn opened(&mut self) -> Result<&mut SqliteConnection, LogError> {
        self.connection.as_mut().ok_or(self.last_error.clone())
    }

    async fn tend(&mut self) -> Result<Look, LogError> {
        let shared = Arc::clone(&self.shared);
        shared.clock.tend(self.opened()?).await.at(shared.path())
    }

    async fn identify(&mut self) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        shared.identify(self.opened()?).await.at(shared.path())
    }

    /// Does not judge whether the log can be written: feedback comes too seldom to tell.
    async fn record_feedback(
        &mut self,
        feedback: &Feedback,
    ) -> Result<Option<DateTime<Utc>>, LogError> {
        let connection = self.connection.as_mut().ok_or(self.last_error.clone())?;
        let is_late_kept = self.shared.settings.keep_late_feedback;
        let late = is_late_kept.then(|| self.shared.clock.mark_of_now());
        let written = feedback::write(connection, feedback, &mut self.seq, late).await;
        written.at(self.shared.path())
    }

    /// Writes some of the refusals and uses that wait; says whether to go on. While the log is in
    /// trouble they wait, and like feedback they do not tell whether it is.
    async fn write_access(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let is_due = !shared.access.is_empty() && !shared.is_failing();
        if !is_due || !self.is_in_place().await {
            return false;
        }
        let Some(connection) = &mut self.connection else {
            return false;
        };
        let batch = shared.access.take();
        let mark = shared.clock.mark_of_now();
        let written = batch.write(connection, mark, &shared.settings).await;
        let outcome = written.at(shared.path());
        let was_lost = std::mem::replace(&mut self.is_access_lost, outcome.is_err());
        let Err(error) = outcome else {
            return true;
        };
        if !was_lost {
            tracing::warn!(%error, "refused requests could not be written to the log; they are kept as far as memory is set aside for them");
        }
        match error.trouble() {
            Some(Trouble::Row) => batch.give_up(),
            _ => shared.access.give_back(batch),
        }
        false
    }

    async fn prune(&mut self, limits: &Limits) -> Result<PruneStep, LogError> {
        let connection = self.connection.as_mut().ok_or(self.last_error.clone())?;
        let step = self.pace.step(connection, limits).await;
        let step = step.at(self.shared.path())?;
        metrics::counter!("faceood_log_pruned_rows_total").increment(step.pruned.rows);
        if let Some(ownership) = self.ownership.as_ref().filter(|_| step.pruned.rows > 0) {
            ownership.forget();
        }
        Ok(step)
    }

    /// Opens what is not open.
    async fn connect(&mut self) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        let path = shared.path();
        if self.ownership.is_none() {
            self.ownership = Some(Ownership::take(path)?);
        }
        if self.connection.is_some() {
            return Ok(());
        }
        let _files = shared.files.lock().await;
        let was_killed = place::has_write_ahead_log(path);
        let (mut connection, set_aside) = schema::open_for_writing(path, &shared.settings).await?;
        if set_aside.is_some() {
            shared.reader.reconnect();
        } else if was_killed && let Some(ownership) = &mut self.ownership {
            let end = schema::end(&mut connection).await.at(path)?;
            if let Some(notice) = ownership.compare(end) {
                shared.notice(notice);
            }
        }
        shared.clock.tend(&mut connection).await.at(path)?;
        shared.identify(&mut connection).await.at(path)?;
        self.seq = Sequence::after_all(&mut connection).await.at(path)?;
        self.files = Files::of(path).await;
        self.connection = Some(connection);
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

    async fn note_success(&mut self) {
        self.retry_after = FIRST_RETRY;
        if let Some(failing) = self.shared.succeed() {
            tracing::warn!(since = %failing.since, rows = self.unwritten.rows(), "the inference log can be written again; so many rows are missing");
        }
        if let Some(connection) = &mut self.connection
            && let Err(error) = self.unwritten.write(connection).await
        {
            tracing::warn!(%error, "how many rows are missing could not be written to the log");
        }
    }

    fn note_failure(&mut self, error: &LogError) {
        self.retry_at = Instant::now() + self.retry_after;
        self.retry_after = (self.retry_after * 2).min(SLOWEST_RETRY);
        self.last_error = error.clone();
        if self.shared.fail(error) {
            let policy = self.shared.settings.on_failure;
            tracing::error!(%error, on_failure = ?policy, "the inference log cannot be written");
        }
        // After these the connection is as good as before; after others it is better to begin anew.
        if !matches!(error.trouble(), Some(Trouble::Full | Trouble::Busy)) {
            self.connection = None;
        }
    }

    /// Tells those whose rows could not be written, and counts the rows.
    fn refuse(&mut self, batch: Vec<Entry>, error: &LogError) {
        for entry in batch {
            let is_answered = self.shared.settings.on_failure == OnFailure::Continue;
            self.unwritten.add(&entry.records, is_answered);
            let outcome = if is_answered {
                self.shared.lose(entry.records.len() as u64);
                Ok(())
            } else {
                Err(error.clone())
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
        while self.write_access().await {}
        if let Some(connection) = &mut self.connection {
            // Readers may still hold a snapshot; the next opening folds in the rest.
            let _ = self.shared.clock.leave(connection).await;
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
