//! Hands the rows of a log to a centre, each until the centre has confirmed it. The log itself is
//! the queue: a cursor for each target says how far that target has got.
//!
//! Rows of older releases have no `seq` and come first, in the order of time and id. All others
//! come in the order of `seq`. A row that gets feedback gets a new `seq`, so it comes again.

use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Connection, Row, SqliteConnection};
use uuid::Uuid;

use super::error::At;
use super::place::{FileId, file_id};
use super::row::{self, Column, Value, columns};
use super::{LogError, schema};
pub use backlog::{Backlog, ShippingTarget};
pub use identity::LogIdentity;
pub use late::LateFeedback;
pub(super) use late::Words;
pub use ledger::DayLedger;
pub(super) use ledger::Sums;
pub(super) use position::Position;
pub(super) use sequence::Sequence;

mod backlog;
mod identity;
mod late;
mod ledger;
mod position;
mod sequence;

/// Most rows of one batch, whatever is asked for: about 10 MB.
const MOST_ROWS: u32 = 10_000;

/// Characters of a reason that are kept with a row that was not taken.
const LONGEST_REASON: usize = 500;

/// The columns that leave the box: all but the embedding and the thumbnail, and the callers' notes
/// only if `with_notes`.
pub fn shipped_columns(with_notes: bool) -> Vec<Column> {
    let stays = |name| match name {
        "embedding" | "thumbnail" => true,
        "outcome_note" => !with_notes,
        _ => false,
    };
    let all = columns().iter().copied();
    all.filter(|column| !stays(column.name)).collect()
}

/// One row on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRow {
    /// Its place in the order of commits; `None` in a row of an older release.
    pub seq: Option<i64>,
    /// Its id.
    pub id: Uuid,
    /// Its time.
    pub time: DateTime<Utc>,
    /// Its values, in the order of [`shipped_columns`].
    pub values: Vec<Value>,
}

/// Rows that are shipped together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutboxBatch {
    /// The rows.
    pub rows: Vec<OutboxRow>,
    /// Rows that cannot be read: somebody else has written into the database.
    unreadable: Vec<Unreadable>,
    /// Whether nothing waited behind it when it was read.
    pub is_last: bool,
    /// From where to where it moves the cursor; a day that is shipped again moves nothing.
    moves: Option<(Position, Position)>,
}

impl OutboxBatch {
    /// Whether nothing waits. A batch without rows may still have to be confirmed, to pass over what
    /// cannot be read.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.unreadable.is_empty()
    }
}

/// A row that cannot be shipped, with the texts that stand in it.
#[derive(Clone, Debug, PartialEq)]
struct Unreadable {
    id: String,
    time: String,
    reason: String,
}

/// The rows of one log that wait for one target.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    /// Which file that was when it was opened.
    file: Option<FileId>,
    target: String,
    columns: Vec<Column>,
    connection: SqliteConnection,
    identity: LogIdentity,
}

impl Outbox {
    /// Opens the log at `path` beside the daemon that may own it. `target` names the centre
    /// without credentials; one that is new begins before the first row. Open it for a round of
    /// shipping, not for ever: a log that is set aside or replaced ends with
    /// [`LogError::Replaced`].
    ///
    /// # Errors
    /// Where the log is missing, not of this release's schema, or refuses to be written.
    pub async fn open(path: &Path, target: &str, with_notes: bool) -> Result<Self, LogError> {
        let mut connection = schema::open_beside(path).await?;
        let identity = async {
            LogIdentity::ensure(&mut connection, None).await?;
            sqlx::query("INSERT INTO shipping (target) VALUES (?) ON CONFLICT DO NOTHING")
                .bind(target)
                .execute(&mut connection)
                .await?;
            LogIdentity::read(&mut connection).await
        };
        let identity = identity.await.at(path)?;
        Ok(Self {
            path: path.to_owned(),
            file: file_id(path).await,
            target: target.to_owned(),
            columns: shipped_columns(with_notes),
            connection,
            identity,
        })
    }

    /// Which log this is.
    pub fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    /// Under which name the target has the rows of this log; `None` where none has gone there.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn shipped_as(&mut self) -> Result<Option<String>, LogError> {
        self.position().await?;
        sqlx::query_scalar("SELECT node FROM shipping WHERE target = ?")
            .bind(&self.target)
            .fetch_one(&mut self.connection)
            .await
            .at(&self.path)
    }

    /// The target has the rows of this log under the name `node` from now on.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn ship_as(&mut self, node: &str) -> Result<(), LogError> {
        self.position().await?;
        sqlx::query("UPDATE shipping SET node = ? WHERE target = ?")
            .bind(node)
            .bind(&self.target)
            .execute(&mut self.connection)
            .await
            .at(&self.path)
            .map(drop)
    }

    /// The next rows that the target has not confirmed, at most `most` of them. They come again
    /// until [`done`](Self::done). Without any the batch is empty: nothing waits.
    ///
    /// # Errors
    /// What the database says; [`LogError::Replaced`], [`LogError::NoTarget`].
    pub async fn next(&mut self, most: u32) -> Result<OutboxBatch, LogError> {
        let start = self.position().await?;
        let mut rows = self
            .select(
                "seq IS NULL AND (time, id) > (?, ?) ORDER BY time, id",
                most,
                |query| {
                    query
                        .bind(start.old_time.clone())
                        .bind(start.old_id.clone())
                },
            )
            .await?;
        let (mut end, mut is_last) = (start.clone(), false);
        if let Some(last) = rows.last() {
            (end.old_time, end.old_id) = place(last).at(&self.path)?;
        } else {
            rows = self
                .select("seq > ? ORDER BY seq", most, |query| query.bind(start.seq))
                .await?;
            is_last = rows.len() < limit(most) as usize;
            if let Some(last) = rows.last() {
                end.seq = last.try_get("seq").at(&self.path)?;
            }
        }
        Ok(OutboxBatch {
            moves: Some((start, end)),
            is_last,
            ..self.read(&rows)?
        })
    }

    /// The target has confirmed `batch`, but for the rows `quarantined`, which it does not take, each
    /// with the reason. Moves the cursor behind the batch, unless it has been moved by others since
    /// the batch was made: then rows come twice, and none is left out. An empty batch says that the
    /// target was reached.
    ///
    /// # Errors
    /// What the database says; [`LogError::Replaced`], [`LogError::NoTarget`]. The rows then come
    /// again.
    pub async fn done(
        &mut self,
        batch: &OutboxBatch,
        quarantined: &[(Uuid, String)],
    ) -> Result<(), LogError> {
        self.position().await?;
        let refused = batch.rows.iter().filter_map(|row| {
            let (_, reason) = quarantined.iter().find(|(id, _)| *id == row.id)?;
            Some((
                row.id.to_string(),
                row::time_text(row.time),
                reason.as_str(),
            ))
        });
        let unreadable = batch.unreadable.iter();
        let unreadable = unreadable.map(|it| (it.id.clone(), it.time.clone(), it.reason.as_str()));
        let refused: Vec<_> = refused.chain(unreadable).collect();
        let all = batch.rows.iter().map(|row| row.id.to_string());
        let taken = all.filter(|id| refused.iter().all(|(refused, ..)| refused != id));
        let taken: Vec<_> = taken.collect();
        self.confirm(batch, &taken, &refused).await.at(&self.path)
    }

    /// One transaction.
    async fn confirm(
        &mut self,
        batch: &OutboxBatch,
        taken: &[String],
        refused: &[(String, String, &str)],
    ) -> Result<(), sqlx::Error> {
        let now = row::time_text(Utc::now());
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        if let Some((start, end)) = &batch.moves {
            sqlx::query(
                "UPDATE shipping SET seq = ?, old_time = ?, old_id = ? \
                 WHERE target = ? AND seq = ? AND old_time = ? AND old_id = ?",
            )
            .bind(end.seq)
            .bind(&end.old_time)
            .bind(&end.old_id)
            .bind(&self.target)
            .bind(start.seq)
            .bind(&start.old_time)
            .bind(&start.old_id)
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query("UPDATE shipping SET rows = rows + ?, last_success = ? WHERE target = ?")
            .bind(i64::try_from(taken.len()).unwrap_or(i64::MAX))
            .bind(&now)
            .bind(&self.target)
            .execute(&mut *transaction)
            .await?;
        // What was refused before may have been taken now.
        sqlx::query(
            "DELETE FROM shipping_quarantine WHERE target = ? AND id IN (SELECT value FROM json_each(?))",
        )
        .bind(&self.target)
        .bind(serde_json::Value::from(taken).to_string())
        .execute(&mut *transaction)
        .await?;
        for (id, time, reason) in refused {
            // A row that was deleted meanwhile has nothing to be kept for.
            sqlx::query(
                "INSERT OR REPLACE INTO shipping_quarantine (id, target, time, reason, noted) \
                 SELECT id, ?2, ?3, ?4, ?5 FROM inferences WHERE id = ?1",
            )
            .bind(id)
            .bind(&self.target)
            .bind(time)
            .bind(reason.chars().take(LONGEST_REASON).collect::<String>())
            .bind(&now)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await
    }

    /// Rows of the UTC day `day` that the target has confirmed, in the order of time and id after
    /// `after`, at most `most` of them: to be shipped again. [`done`](Self::done) with such a batch
    /// leaves the cursor where it is.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn of_day(
        &mut self,
        day: NaiveDate,
        after: Option<(DateTime<Utc>, Uuid)>,
        most: u32,
    ) -> Result<OutboxBatch, LogError> {
        let position = self.position().await?;
        let [begin, next_day] = ledger::bounds(day);
        let first = (begin, String::new());
        let (time, id) = after.map_or(first, |(time, id)| (row::time_text(time), id.to_string()));
        let rows = self.select(
            "(time, id) > (?, ?) AND time < ? AND (seq <= ? OR seq IS NULL AND (time, id) <= (?, ?)) ORDER BY time, id",
            most,
            |query| {
                let query = query.bind(time).bind(id).bind(next_day).bind(position.seq);
                query.bind(position.old_time).bind(position.old_id)
            },
        );
        let rows = rows.await?;
        self.read(&rows)
    }

    /// Puts the cursor before the first row: all that the log holds is shipped again.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn rewind(&mut self) -> Result<(), LogError> {
        self.position().await?;
        sqlx::query("UPDATE shipping SET seq = 0, old_time = '', old_id = '' WHERE target = ?")
            .bind(&self.target)
            .execute(&mut self.connection)
            .await
            .at(&self.path)
            .map(drop)
    }

    /// Drops the target with its cursor, its quarantine and its deleted days: retention waits for it
    /// no longer. A later [`open`](Self::open) begins anew.
    ///
    /// # Errors
    /// What the database says.
    pub async fn forget(mut self) -> Result<(), LogError> {
        let drop_all = async {
            let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
            for statement in [
                "DELETE FROM shipping WHERE target = ?",
                "DELETE FROM shipping_quarantine WHERE target = ?",
                "DELETE FROM pruned_days WHERE target = ?",
            ] {
                let statement = sqlx::query(statement).bind(&self.target);
                statement.execute(&mut *transaction).await?;
            }
            transaction.commit().await
        };
        drop_all.await.at(&self.path)
    }

    /// How far the target has got, in the file that stands there still.
    async fn position(&mut self) -> Result<Position, LogError> {
        if file_id(&self.path).await != self.file {
            return Err(LogError::Replaced(self.path.clone()));
        }
        let found = Position::read(&mut self.connection, &self.target).await;
        let gone = || LogError::NoTarget(self.path.clone(), self.target.clone());
        found.at(&self.path)?.ok_or_else(gone)
    }

    /// At most `most` rows with their `seq`, of which `which` says which and in which order.
    async fn select(
        &mut self,
        which: &str,
        most: u32,
        bind: impl FnOnce(Query) -> Query,
    ) -> Result<Vec<SqliteRow>, LogError> {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
        let names = names.join(", ");
        let query = format!("SELECT {names}, seq FROM inferences WHERE {which} LIMIT ?");
        bind(sqlx::query(sqlx::AssertSqlSafe(query)))
            .bind(limit(most))
            .fetch_all(&mut self.connection)
            .await
            .at(&self.path)
    }

    fn read(&self, found: &[SqliteRow]) -> Result<OutboxBatch, LogError> {
        let mut batch = OutboxBatch::default();
        for row in found {
            match self.read_row(row) {
                Ok(row) => batch.rows.push(row),
                Err(reason) => {
                    let (time, id) = place(row).at(&self.path)?;
                    batch.unreadable.push(Unreadable { id, time, reason });
                }
            }
        }
        Ok(batch)
    }

    /// The error says what is wrong with it.
    fn read_row(&self, found: &SqliteRow) -> Result<OutboxRow, String> {
        let values = self.columns.iter().enumerate().map(|(index, column)| {
            row::read(found, index, column.kind)
                .map_err(|error| format!("column {}: {error}", column.name))
        });
        let id: &str = found.try_get("id").map_err(|error| error.to_string())?;
        let time: &str = found.try_get("time").map_err(|error| error.to_string())?;
        Ok(OutboxRow {
            seq: found.try_get("seq").map_err(|error| error.to_string())?,
            id: id
                .parse()
                .map_err(|error| format!("{id:?} is no UUID: {error}"))?,
            time: row::parse_time(time)?,
            values: values.collect::<Result<_, _>>()?,
        })
    }
}

/// How many rows a batch has where so many are asked for.
fn limit(most: u32) -> u32 {
    most.clamp(1, MOST_ROWS)
}

type Query = sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments>;

/// Time and id, as they stand in the row.
fn place(found: &SqliteRow) -> Result<(String, String), sqlx::Error> {
    Ok((found.try_get("time")?, found.try_get("id")?))
}

#[cfg(test)]
mod tests;
