//! What waits for the targets.

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Executor, Row, Sqlite};

use super::Outbox;
use super::position::WAITS;
use crate::error::At;
use crate::query::LogReader;
use crate::{LogError, row};

/// For each target of which the name is like `?`: what it has got, and what waits for it. The number
/// of rows that wait is counted on indexes alone. A row waits since it was written or last changed.
const TARGETS: &str = "SELECT target, rows, last_success, \
    (SELECT count(*) FROM inferences WHERE seq > shipping.seq) \
    + (SELECT count(*) FROM inferences WHERE seq IS NULL AND (time, id) > (old_time, old_id)) AS waiting, \
    (SELECT count(*) FROM shipping_quarantine AS passed WHERE passed.target = shipping.target) AS quarantined, \
    (SELECT max(time, coalesce(outcome_time, '')) FROM inferences WHERE seq > shipping.seq \
     ORDER BY seq LIMIT 1) AS oldest, \
    (SELECT time FROM inferences WHERE seq IS NULL AND (time, id) > (old_time, old_id) \
     ORDER BY time, id LIMIT 1) AS oldest_unnumbered \
    FROM shipping WHERE ?1 IS NULL OR target = ?1 ORDER BY target";

/// What waits for a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Rows that it has not confirmed in their present state.
    pub rows: u64,
    /// Since when the first of them waits.
    pub oldest: Option<DateTime<Utc>>,
    /// Rows that it did not take and that were passed over.
    pub quarantined: u64,
    /// When it last confirmed something.
    pub last_success: Option<DateTime<Utc>>,
}

/// A target, and how shipping to it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShippingTarget {
    /// Its name, without credentials.
    pub name: String,
    /// Rows that it has taken; one that changed and was shipped again counts again.
    pub shipped_rows: u64,
    /// What waits for it.
    pub backlog: Backlog,
}

impl LogReader {
    /// Every target that rows of this log are shipped to, by name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn targets(&self) -> Result<Vec<ShippingTarget>, LogError> {
        targets(&self.pool(), None).await.at(self.path())
    }
}

impl LogReader {
    /// How many rows some target has not confirmed in their present state: of those from before
    /// `oldest`, or of all. Rows whose time cannot be trusted count if `with_doubtful`. Reads each of
    /// the rows in question.
    ///
    /// # Errors
    /// What the database says.
    pub async fn unshipped(
        &self,
        oldest: Option<DateTime<Utc>>,
        with_doubtful: bool,
    ) -> Result<u64, LogError> {
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "SELECT count(*) FROM inferences AS waiting WHERE (?1 IS NULL OR time < ?1) AND (?2 OR clock IS NULL) \
             AND EXISTS (SELECT 1 FROM shipping WHERE {WAITS})"
        )))
        .bind(oldest.map(row::time_text))
        .bind(with_doubtful)
        .fetch_one(&self.pool())
        .await
        .at(self.path())?;
        Ok(count.unsigned_abs())
    }
}

impl Outbox {
    /// What waits for the target.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn backlog(&mut self) -> Result<Backlog, LogError> {
        self.position().await?;
        let found = targets(&mut self.connection, Some(&self.target)).await;
        let target = found.at(&self.path)?.pop();
        Ok(target.map(|target| target.backlog).unwrap_or_default())
    }
}

async fn targets<'c>(
    connection: impl Executor<'c, Database = Sqlite>,
    name: Option<&str>,
) -> Result<Vec<ShippingTarget>, sqlx::Error> {
    let found = sqlx::query(TARGETS)
        .bind(name)
        .fetch_all(connection)
        .await?;
    found.iter().map(target).collect()
}

fn target(found: &SqliteRow) -> Result<ShippingTarget, sqlx::Error> {
    let count = |column| found.try_get(column).map(i64::unsigned_abs);
    // What cannot be read is passed over when it is shipped.
    let time = |column| {
        let text: Option<&str> = found.try_get(column)?;
        Ok::<_, sqlx::Error>(text.and_then(|text| row::parse_time(text).ok()))
    };
    let oldest = [time("oldest")?, time("oldest_unnumbered")?];
    Ok(ShippingTarget {
        name: found.try_get("target")?,
        shipped_rows: count("rows")?,
        backlog: Backlog {
            rows: count("waiting")?,
            oldest: oldest.into_iter().flatten().min(),
            quarantined: count("quarantined")?,
            last_success: time("last_success")?,
        },
    })
}
