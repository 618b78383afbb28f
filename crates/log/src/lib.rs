//! The durable log of inferences, in SQLite: last stage of a request before its answer, first stage
//! of every analysis.
//!
//! The daemon opens an [`InferenceLog`], turns each outcome into rows through [`RequestContext`]
//! and appends them; [`InferenceLog::append`] returns when the rows are committed, and only then
//! may the caller be told. Everything that reads, daemon or operator's command, goes through
//! [`LogReader`]. It knows nothing of HTTP and decides nothing.
//!
//! Files in the data folder: `faceood.db` with SQLite's `-wal` and `-shm`, `faceood.db.lock` (which
//! daemon owns it), and `faceood.db.corrupt-TIME` where a damaged database was set aside.
//!
//! Metrics: `faceood_log_rows_total` (committed), `faceood_log_rows_lost_total` (answered without a
//! row, only where `on_failure = "continue"`), `faceood_log_commit_seconds` (one transaction),
//! `faceood_log_queue_rows` (waiting), `faceood_log_pruned_rows_total` (removed by retention),
//! `faceood_log_kept_unshipped_rows` (beyond the limits, and kept until they are shipped),
//! `faceood_log_rows_unwritten_total` (refused or lost while the log could not be written),
//! `faceood_log_access_rows_total` (refused requests written), `faceood_log_access_dropped_total`
//! (refused requests and uses of tokens that could not be kept),
//! `faceood_log_reopened_total` (its file was deleted or replaced),
//! `faceood_log_doubtful_rows_total` (written while the clock could not be trusted),
//! `faceood_clock_in_doubt`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

mod access;
mod backup;
mod checkpoint;
mod clock;
mod clock_keeper;
mod error;
mod feedback;
mod outbox;
mod place;
mod query;
mod record;
mod retention;
mod row;
mod scan;
mod schema;
mod shared;
mod span;
mod stamp;
mod unwritten;
mod upkeep;
mod writer;

pub use access::{AccessEvent, AccessFilter, AccessRefusal, MOST_ACCESS_ROWS, TokenUse};
pub use backup::backup;
pub use clock::{Clock, ClockMark, Reading, is_synchronised};
pub use clock_keeper::{ClockFacts, accept_clock};
pub use error::{LogError, LogFault, Trouble};
pub use feedback::{Feedback, StoredFeedback};
pub use outbox::{
    Backlog, DayLedger, LateFeedback, LogIdentity, Outbox, OutboxBatch, OutboxRow, ShippingTarget,
    shipped_columns,
};
pub use place::{FILE_NAME, refuse_network, set_aside_files};
pub use query::{Counts, Cursor, DEFAULT_PAGE, Filter, LARGEST_PAGE, LogReader, Order, Page};
pub use record::{Endpoint, InferenceRecord, ModelFacts, ReportedOutcome, RequestContext, Role};
pub use retention::{Doubtful, Limits, Pruned, prune};
pub use row::{
    Column, ColumnKind, Value, columns, decimal, from_newer, time_text, to_json, to_values,
};
pub use scan::{LOW_SCORE, Observation};
pub use schema::newest_version;
pub use span::parse_span;
pub use unwritten::Unwritten;

use shared::Shared;
use writer::{Command, Entry};

/// How long an appender waits for its commit before it is told that the disk hardly answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// Appends that may wait for the writer: more than the analysis queue lets arrive.
const QUEUE: usize = 1024;

/// How long `/readyz` waits for a trial write. A request that meets the same disk waits longer,
/// since its row may still come.
const CHECK_PATIENCE: Duration = Duration::from_secs(5);

/// A log that has not been written for so long is tried before it is called writable.
const STALE: Duration = Duration::from_secs(5);

/// What an acknowledged row survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The end of the daemon, in whatever way. A power cut may take the last moments.
    #[default]
    Normal,
    /// A power cut too: each commit waits for the disk.
    Full,
}

/// What a request gets while its row cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// No answer without a row: 503 `not_ready`.
    #[default]
    Refuse,
    /// The answer all the same; the missing rows are counted.
    Continue,
}

/// Table `[log]` of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What an acknowledged row survives.
    pub durability: Durability,
    /// What a request gets while its row cannot be written.
    pub on_failure: OnFailure,
    /// Whether embeddings, which can be compared with other faces, are stored.
    pub keep_embeddings: bool,
    /// Whether small pictures of the faces are stored.
    pub keep_thumbnails: bool,
    /// Whether feedback about requests that this log does not have is kept for a centre.
    pub keep_late_feedback: bool,
    /// Rows older than this many days are deleted; 0 keeps them for ever.
    pub retention_days: u32,
    /// The oldest rows are deleted when the database holds more bytes than this; 0 sets no limit.
    pub max_bytes: u64,
    /// How long to wait for another process that holds the database locked, in milliseconds.
    pub busy_timeout_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            on_failure: OnFailure::default(),
            keep_embeddings: false,
            keep_thumbnails: false,
            keep_late_feedback: false,
            retention_days: 180,
            max_bytes: 4 << 30,
            busy_timeout_ms: 2000,
        }
    }
}

/// How the log is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// Why it cannot be written, and since when; `None` while it can.
    pub failing: Option<Failing>,
    /// What an operator should see to although rows are written, such as a damaged database.
    pub warnings: Vec<String>,
    /// Requests answered without their row since the start.
    pub lost_rows: u64,
    /// Rows that wait for the writer.
    pub queued_rows: u64,
}

/// A failure that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why.
    pub reason: LogFault,
}

/// A handle to the log: cheap to clone, shared by all requests. The writer ends when the last one
/// is gone, or by [`close`](Self::close).
#[derive(Clone, Debug)]
pub struct InferenceLog {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

impl InferenceLog {
    /// Opens the log in `data_dir`, which must exist, and starts its writer on this tokio runtime.
    ///
    /// # Errors
    /// A network file system, another daemon, a newer or a foreign database are always refused.
    /// What may pass (a full disk, missing permission, a lock) is refused too unless `on_failure =
    /// "continue"`: then the log begins as failing and is opened as soon as that works.
    pub async fn open(settings: &Settings, data_dir: &Path) -> Result<Self, LogError> {
        Self::open_with_clock(settings, data_dir, Clock::of_machine()).await
    }

    /// As [`open`](Self::open), with a clock of the caller's choice.
    pub async fn open_with_clock(
        settings: &Settings,
        data_dir: &Path,
        clock: Clock,
    ) -> Result<Self, LogError> {
        let path = data_dir.join(FILE_NAME);
        place::refuse_network(data_dir)?;
        let shared = Arc::new(Shared::new(&path, settings, clock));
        shared.list_set_aside_files();
        let (commands, queue) = mpsc::channel(QUEUE);
        writer::start(Arc::clone(&shared), queue).await?;
        shared.list_set_aside_files();
        tokio::spawn(checkpoint::keep(commands.downgrade(), Arc::clone(&shared)));
        tokio::spawn(upkeep::keep(commands.downgrade(), settings.clone()));
        tokio::spawn(upkeep::keep_access(
            commands.downgrade(),
            Arc::clone(&shared),
        ));
        Ok(Self { commands, shared })
    }

    /// Appends one row as [`append_all`](Self::append_all) does.
    pub async fn append(&self, record: InferenceRecord) -> Result<(), LogError> {
        self.append_all(vec![record]).await
    }

    /// Appends rows that belong together: all of them are written or none. Returns when they are
    /// committed. What arrives while a commit is under way shares the next one. If the caller goes
    /// away the rows are still written.
    ///
    /// # Errors
    /// The rows are not written and the caller must not be answered. With `on_failure = "continue"`
    /// there is no error: the rows are lost, counted and the answer goes out.
    pub async fn append_all(&self, mut records: Vec<InferenceRecord>) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        let settings = &self.shared.settings;
        for record in &mut records {
            if !settings.keep_embeddings {
                record.embedding = None;
            }
            if !settings.keep_thumbnails {
                record.thumbnail = None;
            }
        }
        let (committed, answer) = oneshot::channel();
        self.shared.queued(records.len());
        let entry = Command::Append(Entry { records, committed });
        let outcome = self.asked(entry, answer).await;
        if let Err(error @ LogError::Told(LogFault::TooSlow { .. })) = &outcome {
            self.shared.fail(error);
        }
        match (outcome, settings.on_failure) {
            // Whether the row is lost is the writer's to say; here only the waiting ends.
            (Err(LogError::Told(LogFault::TooSlow { .. })), OnFailure::Continue) => Ok(()),
            (outcome, _) => outcome,
        }
    }

    /// Writes `feedback` beside the rows of its request and says since when it stands there: told
    /// again, nothing changes; told otherwise, the later word is in force and the earlier one is
    /// kept. Where callers have repeated an id it is about the last request that bore it; an
    /// earlier one is named by the id of one of its rows. Where no row has such an id it is kept for a
    /// centre if the settings say so, and else `None`.
    ///
    /// # Errors
    /// Where it cannot be written, whatever `on_failure` says: it has no worth outside the log.
    pub async fn record_feedback(
        &self,
        feedback: Feedback,
    ) -> Result<Option<DateTime<Utc>>, LogError> {
        let (reply, answer) = oneshot::channel();
        self.asked(Command::Feedback(feedback, reply), answer).await
    }

    /// Writes the name of this box into the log, and into whatever takes its place later.
    ///
    /// # Errors
    /// Where it cannot be written now; it is written when the database is next opened.
    pub async fn set_node(&self, node: &str) -> Result<(), LogError> {
        self.shared.set_node(node);
        let (reply, answer) = oneshot::channel();
        self.asked(Command::Identify(reply), answer).await
    }

    /// Keeps refusals, and adds `uses` to what is known of each token. They are written within a
    /// second or two. Never waits for the disk and never fails a request: what comes faster than it
    /// can be written is dropped and counted.
    pub fn note_access(&self, events: Vec<AccessEvent>, uses: Vec<TokenUse>) {
        self.shared.access.add(events, uses);
    }

    /// Hands `command` to the writer and waits for its `answer`, for as long as patience lasts.
    async fn asked<T>(
        &self,
        command: Command,
        answer: oneshot::Receiver<Result<T, LogError>>,
    ) -> Result<T, LogError> {
        tokio::time::timeout(PATIENCE, async {
            let sent = self.commands.send(command).await;
            sent.map_err(|_| LogFault::Closed)?;
            answer.await.map_err(|_| LogFault::Closed)?
        })
        .await
        .unwrap_or_else(|_| Err(too_slow(PATIENCE)))
    }

    /// How the log is, from what was last seen: nothing is tried, nothing waits.
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// How the log is, after a small write to find out unless it was written a moment ago. Where
    /// the disk does not answer within some seconds, the log is failing.
    pub async fn check(&self) -> Health {
        let looked = async {
            let shared = Arc::clone(&self.shared);
            // A folder on a disk that hangs: not on a thread that serves requests.
            let _ = tokio::task::spawn_blocking(move || shared.list_set_aside_files()).await;
            let (reply, answer) = oneshot::channel();
            let is_asked = self.shared.is_stale(STALE)
                && self.commands.send(Command::Check(reply)).await.is_ok();
            if is_asked {
                let _ = answer.await;
            }
        };
        if tokio::time::timeout(CHECK_PATIENCE, looked).await.is_err() {
            let error = too_slow(CHECK_PATIENCE);
            if self.shared.fail(&error) {
                tracing::error!(%error, "the inference log cannot be written");
            }
        }
        self.health()
    }

    /// Reads what is committed.
    pub fn reader(&self) -> &LogReader {
        &self.shared.reader
    }

    /// Deletes what exceeds `limits` now, in small steps between commits; the settings' own limits
    /// are kept without being asked. `None` where the log is closed.
    pub async fn prune(&self, limits: Limits) -> Option<Pruned> {
        upkeep::prune(&self.commands, limits).await
    }

    /// Runs a statement on the write connection.
    #[cfg(test)]
    async fn execute(&self, statement: &str) {
        let (reply, done) = oneshot::channel();
        let command = Command::Execute(statement.to_owned(), reply);
        self.commands.send(command).await.unwrap();
        done.await.unwrap();
    }

    /// Writes what waits, folds in the write-ahead log and closes all. Later appends fail.
    pub async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Close(reply)).await.is_ok() {
            let _ = done.await;
        }
    }
}

/// `bytes` as base64, for the text forms of a row.
pub fn base64_text(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(any(test, feature = "fixtures"))]
pub mod fixture;
/// The log has not confirmed within `waited`; the row may or may not be written.
const fn too_slow(waited: Duration) -> LogError {
    LogError::Told(LogFault::TooSlow {
        seconds: waited.as_secs(),
    })
}

#[cfg(test)]
mod tests;
