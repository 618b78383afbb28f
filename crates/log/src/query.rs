//! Reads the log (filters, pages, lookups) on connections that never hold up the writer.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use rusqlite::types::Value;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{QueryBuilder, Sqlite};
use uuid::Uuid;

use super::error::At;
use super::record::InferenceRecord;
use super::{LogError, LogFault, Trouble, row, schema};

/// Rows of a page where the caller does not say.
pub const DEFAULT_PAGE: u32 = 100;

/// Most rows of a page; a higher wish gets this many.
pub const LARGEST_PAGE: u32 = 1000;

/// Readers at a time. A page takes about a millisecond; each reader holds some memory.
const READERS: u32 = 4;

/// Which way to walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// From the present into the past: what a person wants to see.
    #[default]
    NewestFirst,
    /// As it happened: exports and analysis.
    OldestFirst,
}

/// Which rows. The default is all of them, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// At or after this time.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
    /// Of this terminal or camera.
    pub source: Option<String>,
    /// With a quality score of at most this; leaves out rows without a score.
    pub max_score: Option<f32>,
    /// With an outcome that a caller told.
    pub has_outcome: bool,
    /// Written up to this row, by the order of writing; see [`LogReader::newest_number`].
    pub up_to: Option<i64>,
    /// Rows per page, [`DEFAULT_PAGE`] if not given, at most [`LARGEST_PAGE`].
    pub limit: Option<u32>,
    /// Which way.
    pub order: Order,
}

/// Where a page ended, opaque to callers: a place in the order of (time, id), so that rows which
/// come or go meanwhile neither repeat nor hide others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    time: String,
    id: Uuid,
}

/// Some rows, and how to get the next ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The rows, in the filter's order.
    pub records: Vec<InferenceRecord>,
    /// Where to go on, or `None` after the last row.
    pub next: Option<Cursor>,
}

/// How many rows a filter finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub rows: u64,
    /// Those with an error code.
    pub errors: u64,
    /// Time of the oldest.
    pub oldest: Option<DateTime<Utc>>,
    /// Time of the newest.
    pub newest: Option<DateTime<Utc>>,
}

/// Reads a log, live or not. Clones share their connections.
#[derive(Clone, Debug)]
pub struct LogReader {
    path: PathBuf,
    /// Whether nobody writes to it; see [`schema::read_options`].
    pub(super) is_still: bool,
    // Replaced when a damaged database is set aside and a fresh one begun under the same name.
    pool: Arc<RwLock<SqlitePool>>,
}

impl LogReader {
    /// Opens an existing log of this release's schema without disturbing a live daemon.
    ///
    /// # Errors
    /// [`LogError::Missing`], [`LogError::NewerSchema`], [`LogError::OlderSchema`],
    /// [`LogError::Foreign`], or what the database says.
    pub async fn open(path: &Path) -> Result<Self, LogError> {
        let (reader, found) = Self::open_of_any_version(path).await?;
        schema::expect_newest(path, found)?;
        Ok(reader)
    }

    /// Opens an existing log, and says of which schema version it is: 0 where it is empty.
    pub(super) async fn open_of_any_version(path: &Path) -> Result<(Self, i64), LogError> {
        if !path.is_file() {
            return Err(LogError::Missing(path.to_owned()));
        }
        let reader = Self::lazy(path, false);
        match reader.version().await {
            // Without a writer, in a folder that we cannot write to, SQLite cannot make the side
            // files that it reads with.
            Err(error)
                if error.trouble() == Some(Trouble::ReadOnly)
                    && schema::has_no_side_files(path) =>
            {
                let reader = Self::lazy(path, true);
                let found = reader.version().await?;
                Ok((reader, found))
            }
            found => Ok((reader, found?)),
        }
    }

    /// A reader that connects when it is first asked, so that it may exist before its database.
    pub(super) fn lazy(path: &Path, is_still: bool) -> Self {
        Self {
            path: path.to_owned(),
            is_still,
            pool: Arc::new(RwLock::new(connect_lazily(path, is_still))),
        }
    }

    /// Forgets the connections to what was under the path before.
    pub(super) fn reconnect(&self) {
        let fresh = connect_lazily(&self.path, false);
        *self.pool.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn pool(&self) -> SqlitePool {
        let pool = self.pool.read().unwrap_or_else(PoisonError::into_inner);
        pool.clone()
    }

    async fn version(&self) -> Result<i64, LogError> {
        let mut connection = self.pool().acquire().await.at(&self.path)?;
        schema::version(&mut connection, &self.path).await
    }

    /// Reads the whole database and looks for damage, also where no query has led yet. Takes as
    /// long as the disk needs. Damage is [`Trouble::Corrupt`].
    pub async fn check_pages(&self) -> Result<(), LogError> {
        let mut connection = self.pool().acquire().await.at(&self.path)?;
        schema::check_pages(&mut connection, &self.path).await
    }

    pub(super) fn failed(&self, error: sqlx::Error) -> LogError {
        LogError::database(&self.path, error)
    }

    /// The rows that `query` finds, which begins as [`select`] does.
    async fn records(
        &self,
        mut query: QueryBuilder<Sqlite>,
    ) -> Result<Vec<InferenceRecord>, LogError> {
        let rows = query.build().fetch_all(&self.pool()).await.at(&self.path)?;
        rows.iter().map(row::from_row).collect()
    }

    /// One page of the rows that `filter` finds, beginning after `cursor`. Whoever follows
    /// [`Page::next`] to its end gets each row that was there at the beginning exactly once,
    /// whatever is written meanwhile.
    ///
    /// # Errors
    /// What the database says; a column that does not fit is [`LogError::BadColumn`].
    pub async fn query(&self, filter: &Filter, cursor: Option<&Cursor>) -> Result<Page, LogError> {
        let limit = filter.limit.unwrap_or(DEFAULT_PAGE).clamp(1, LARGEST_PAGE);
        let mut query = select();
        restrict(&mut query, filter);
        let (beyond, order) = match filter.order {
            Order::NewestFirst => ("<", " ORDER BY time DESC, id DESC"),
            Order::OldestFirst => (">", " ORDER BY time, id"),
        };
        if let Some(cursor) = cursor {
            query.push(" AND (time, id) ").push(beyond).push(" (");
            query.push_bind(&cursor.time).push(", ");
            query.push_bind(cursor.id.to_string()).push(")");
        }
        // One row more than asked for tells whether there is a next page.
        query.push(order).push(" LIMIT ");
        query.push_bind(i64::from(limit) + 1);
        let mut records = self.records(query).await?;
        let has_more = records.len() > limit as usize;
        records.truncate(limit as usize);
        let next = records.last().filter(|_| has_more).map(Cursor::after);
        Ok(Page { records, next })
    }

    /// The rows of one request, in the order in which they were made. A column that does not fit is
    /// [`LogError::BadColumn`].
    pub async fn by_request(&self, request_id: &str) -> Result<Vec<InferenceRecord>, LogError> {
        let mut query = select();
        query.push(" WHERE request_id = ").push_bind(request_id);
        query.push(" ORDER BY time, id");
        self.records(query).await
    }

    /// The number of the row that was written last, 0 where there is none.
    pub async fn newest_number(&self) -> Result<i64, LogError> {
        sqlx::query_scalar("SELECT coalesce(max(rowid), 0) FROM inferences")
            .fetch_one(&self.pool())
            .await
            .at(&self.path)
    }

    /// How many rows `filter` finds; its limit and order do not matter. A column that does not fit
    /// is [`LogError::BadColumn`].
    pub async fn count(&self, filter: &Filter) -> Result<Counts, LogError> {
        let mut query = QueryBuilder::new(
            "SELECT count(*), count(error_code), min(time), max(time) FROM inferences",
        );
        restrict(&mut query, filter);
        let query = query.build_query_as::<(i64, i64, Option<String>, Option<String>)>();
        let found = query.fetch_one(&self.pool()).await.at(&self.path)?;
        let (rows, errors, oldest, newest) = found;
        let time = |text: Option<String>| {
            let time = text.map(|text| row::parse_time(&text)).transpose();
            time.map_err(LogError::in_column("time"))
        };
        Ok(Counts {
            rows: rows.unsigned_abs(),
            errors: errors.unsigned_abs(),
            oldest: time(oldest)?,
            newest: time(newest)?,
        })
    }
}

fn connect_lazily(path: &Path, is_still: bool) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(schema::read_options(path, is_still))
}

fn select() -> QueryBuilder<Sqlite> {
    QueryBuilder::new(format!("SELECT {} FROM inferences", row::column_list()))
}

/// Adds the filter's WHERE, which always stands so that AND can follow.
fn restrict(query: &mut QueryBuilder<Sqlite>, filter: &Filter) {
    query.push(" WHERE true");
    for (condition, value) in conditions(filter) {
        query.push(" AND ").push(condition);
        match value {
            Some(Value::Text(text)) => query.push_bind(text),
            Some(Value::Real(number)) => query.push_bind(number),
            _ => query,
        };
    }
    if let Some(number) = filter.up_to {
        query.push(" AND rowid <= ").push_bind(number);
    }
}

/// What `filter` asks of a row as SQL: each condition, with the text or number after it.
pub(super) fn conditions(filter: &Filter) -> Vec<(&'static str, Option<Value>)> {
    let time = |time: Option<DateTime<Utc>>| time.map(|time| Value::Text(row::time_text(time)));
    let score = filter.max_score.map(row::decimal);
    let compared = [
        ("time >= ", time(filter.since)),
        ("time < ", time(filter.until)),
        ("source = ", filter.source.clone().map(Value::Text)),
        ("quality_score <= ", score.map(Value::Real)),
    ];
    let told = filter.has_outcome.then_some(("outcome IS NOT NULL", None));
    let compared = compared.into_iter().filter(|(_, value)| value.is_some());
    compared.chain(told).collect()
}

impl Cursor {
    /// The place behind `record`.
    pub fn after(record: &InferenceRecord) -> Self {
        Self {
            time: row::time_text(record.time),
            id: record.id,
        }
    }
}

impl Display for Cursor {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let text = format!("{}/{}", self.time, self.id);
        formatter.write_str(&URL_SAFE_NO_PAD.encode(text))
    }
}

impl FromStr for Cursor {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        let parse = || {
            let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            let (time, id) = plain.split_once('/')?;
            let (time, id) = (row::parse_time(time).ok()?, id.parse().ok()?);
            Some(Self {
                time: row::time_text(time),
                id,
            })
        };
        parse().ok_or_else(|| {
            let cursor = text.to_owned();
            LogFault::BadCursor { cursor }.into()
        })
    }
}

#[cfg(test)]
mod tests;
