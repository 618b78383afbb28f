//! Keeps the log within its age and size, in steps so small that a request never waits noticeably
//! for one: the daemon's writer takes a step between two commits, the operator's command takes the
//! same steps on a connection of its own.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, SqliteConnection};
use tokio::time::Instant;

use super::clock_keeper::Look;
use super::error::At;
use super::{LogError, Settings, schema};
use walk::{Walk, Walked};

mod gate;
mod walk;

/// How long one step may hold the write lock: a request waits for one, and less than 20 ms.
const STEP_BUDGET: Duration = Duration::from_millis(5);

/// Most rows of one step, and how many the first one tries.
const MOST_ROWS: u32 = 500;
const FIRST_ROWS: u32 = 50;

/// Rows that wait for a centre and that the daemon looks past in one round. Each costs some
/// microseconds of the writer's time, every minute anew, and what is behind them mostly waits too.
const MOST_PASSED: u64 = 20_000;

/// Pages given back to the file system in one step.
const VACUUM_PAGES: u32 = 64;

/// Free pages are kept for reuse unless more than this many and than a tenth of the file.
const SLACK_PAGES: i64 = 256;

/// A step of so many milliseconds is followed by this multiple of them without one, so that pruning
/// takes a fifth of the writer.
const REST: u32 = 4;

/// What may stay. The default is everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Rows from before this time go, where their time can be trusted.
    pub oldest: Option<DateTime<Utc>>,
    /// Which of the others go.
    pub doubtful: Doubtful,
    /// The oldest rows go while the database holds more bytes than this.
    pub max_bytes: Option<u64>,
    /// Rows go even if a centre that they are shipped to has not got them.
    pub even_unshipped: bool,
}

/// Which rows go whose time cannot be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doubtful {
    /// None.
    #[default]
    Keep,
    /// Those written before the daemon had run for so many seconds on this log.
    WrittenBefore(i64),
    /// Those that bear a time before [`Limits::oldest`], as all others.
    AsStamped,
}

/// What a pruning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Rows deleted.
    pub rows: u64,
    /// Refused requests deleted, of table `access`.
    pub refusals: u64,
    /// Bytes given back to the file system.
    pub freed_bytes: u64,
    /// Rows beyond the limits that are kept until the centres that they are shipped to have them;
    /// of those beyond the size an estimate. The daemon does not look at all of them, so there may
    /// be more.
    pub kept_unshipped: u64,
}

impl Pruned {
    pub(super) fn add(&mut self, step: &PruneStep) {
        self.rows += step.pruned.rows;
        self.refusals += step.pruned.refusals;
        self.freed_bytes += step.pruned.freed_bytes;
        self.kept_unshipped += step.pruned.kept_unshipped;
    }
}

impl Limits {
    /// The limits that `settings` set at the time `now`; rows with doubtful times are kept.
    pub fn of(settings: &Settings, now: DateTime<Utc>) -> Self {
        let kept = Some(settings.retention_days).filter(|&days| days > 0);
        let kept = kept.map(|days| TimeDelta::days(days.into()));
        Self {
            oldest: kept.and_then(|kept| now.checked_sub_signed(kept)),
            max_bytes: (settings.max_bytes > 0).then_some(settings.max_bytes),
            doubtful: Doubtful::Keep,
            even_unshipped: false,
        }
    }

    /// The limits that the daemon keeps by itself. By a clock in doubt nothing is deleted; rows
    /// whose time cannot be trusted go when the daemon itself has run for as long as rows are kept.
    pub(super) fn at(settings: &Settings, look: &Look) -> Self {
        let limits = Self::of(settings, look.now.time);
        if !look.is_trusted {
            return Self {
                oldest: None,
                ..limits
            };
        }
        let seconds = i64::from(settings.retention_days) * 24 * 60 * 60;
        let doubtful = match limits.oldest {
            Some(_) => Doubtful::WrittenBefore(look.now.run_seconds - seconds),
            None => Doubtful::Keep,
        };
        Self { doubtful, ..limits }
    }
}

/// Brings the log at `path` within `limits`, also beside a daemon. `progress` hears each step.
///
/// # Errors
/// Where the log is missing, not of this release's schema, or refuses to be written.
pub async fn prune(
    path: &Path,
    limits: &Limits,
    mut progress: impl FnMut(&Pruned),
) -> Result<Pruned, LogError> {
    let mut connection = schema::open_beside(path).await?;
    let mut pace = Pace::default();
    let mut total = Pruned::default();
    loop {
        let step = pace.step(&mut connection, limits).await.at(path)?;
        total.add(&step);
        progress(&total);
        if step.is_last {
            break;
        }
        tokio::time::sleep(step.rest).await;
    }
    connection.close().await.at(path)?;
    Ok(total)
}

/// What one step did.
#[derive(Clone, Copy, Debug)]
pub(super) struct PruneStep {
    pub(super) pruned: Pruned,
    /// Nothing is left to do.
    pub(super) is_last: bool,
    /// How long to leave the writer to others before the next step.
    pub(super) rest: Duration,
}

/// How many rows a step takes on this machine, learnt from the steps before, and how far the steps
/// have come.
#[derive(Debug)]
pub(super) struct Pace {
    rows: u32,
    walk: Option<Walk>,
    /// After so many rows that wait for a centre, the rest of their kind waits for the next time.
    most_passed: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            rows: FIRST_ROWS,
            walk: None,
            most_passed: u64::MAX,
        }
    }
}

impl Pace {
    /// For the daemon, which looks each minute.
    pub(super) fn of_daemon() -> Self {
        Self {
            most_passed: MOST_PASSED,
            ..Self::default()
        }
    }

    /// One short transaction towards `limits`.
    pub(super) async fn step(
        &mut self,
        connection: &mut SqliteConnection,
        limits: &Limits,
    ) -> Result<PruneStep, sqlx::Error> {
        let started = Instant::now();
        overwrite(connection, true).await?;
        let deleted = self.delete(connection, limits).await;
        overwrite(connection, false).await?;
        let Walked {
            mut pruned,
            is_over,
        } = deleted?;
        if is_over {
            pruned.freed_bytes = vacuum(connection).await?;
        }
        let is_last = is_over && pruned.freed_bytes == 0;
        if is_last {
            self.walk = None;
        }
        let took = started.elapsed();
        // What rows are passed in says nothing of what deleting them takes.
        if pruned.rows + pruned.refusals > 0 {
            self.learn(took);
        }
        Ok(PruneStep {
            pruned,
            is_last,
            rest: took * REST,
        })
    }

    /// Rows and what is kept of them go together or not at all.
    async fn delete(
        &mut self,
        connection: &mut SqliteConnection,
        limits: &Limits,
    ) -> Result<Walked, sqlx::Error> {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let walk = self.walk.take_if(|walk| walk.is_towards(limits));
        let mut walk = walk.unwrap_or_else(|| Walk::new(limits));
        let (rows, most_passed) = (self.rows, self.most_passed);
        let walked = walk.step(&mut transaction, rows, most_passed).await?;
        transaction.commit().await?;
        self.walk = Some(walk);
        Ok(walked)
    }

    fn learn(&mut self, took: Duration) {
        if took > STEP_BUDGET {
            self.rows = (self.rows / 2).max(1);
        } else if took < STEP_BUDGET / 3 {
            self.rows = (self.rows * 2).min(MOST_ROWS);
        }
    }
}

/// Whether what is deleted from now on is overwritten and not only forgotten: a row may hold
/// somebody's face. The writer's trial writes need no such care.
async fn overwrite(connection: &mut SqliteConnection, is_on: bool) -> Result<(), sqlx::Error> {
    let statement = match is_on {
        true => "PRAGMA secure_delete = ON",
        false => "PRAGMA secure_delete = OFF",
    };
    sqlx::query(statement).execute(connection).await.map(drop)
}

/// A query that answers with one number.
async fn number(
    connection: &mut SqliteConnection,
    query: &'static str,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(query).fetch_one(connection).await
}

/// Bytes of the pages that hold something.
async fn used_bytes(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let pages = number(connection, "PRAGMA page_count").await?;
    let free = number(connection, "PRAGMA freelist_count").await?;
    let size = number(connection, "PRAGMA page_size").await?;
    Ok((pages - free).unsigned_abs() * size.unsigned_abs())
}

/// Gives some free pages back where there are many; returns the bytes.
async fn vacuum(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let pages = number(connection, "PRAGMA page_count").await?;
    let free = number(connection, "PRAGMA freelist_count").await?;
    if free <= SLACK_PAGES.max(pages / 10) {
        return Ok(0);
    }
    let statement = sqlx::AssertSqlSafe(format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"));
    // It frees a page per row that is fetched.
    sqlx::query(statement).fetch_all(&mut *connection).await?;
    let left = number(connection, "PRAGMA freelist_count").await?;
    let size = number(connection, "PRAGMA page_size").await?;
    Ok((free - left).unsigned_abs() * size.unsigned_abs())
}

#[cfg(test)]
mod tests;
