//! Rows that the log could not take: counted meanwhile, summed up in it afterwards.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{Connection, SqliteConnection};

use super::error::At;
use super::record::InferenceRecord;
use super::{LogError, LogReader, row};

/// Lines of table `unwritten` that are kept, so that a failing disk does not fill the log.
const KEPT_LINES: i64 = 1000;

/// What is known of rows that are missing.
#[derive(Debug, Default)]
pub(super) struct Tally {
    span: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// By endpoint, error code, and whether the callers were answered.
    rows: BTreeMap<(String, Option<&'static str>, bool), u64>,
}

impl Tally {
    pub(super) fn add(&mut self, records: &[InferenceRecord], is_answered: bool) {
        metrics::counter!("faceood_log_rows_unwritten_total").increment(records.len() as u64);
        for record in records {
            let endpoint = row::word(&record.endpoint).unwrap_or_default();
            let code = record
                .error_code
                .map(faceood_engine::problem::ProblemCode::code);
            *self.rows.entry((endpoint, code, is_answered)).or_default() += 1;
            let (since, until) = self.span.unwrap_or((record.time, record.time));
            self.span = Some((since.min(record.time), until.max(record.time)));
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows.values().sum()
    }

    /// Writes the sums into the log and forgets them.
    pub(super) async fn write(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        let Some((since, until)) = self.span else {
            return Ok(());
        };
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        for ((endpoint, code, is_answered), rows) in &self.rows {
            sqlx::query(
                "INSERT INTO unwritten (since, until, endpoint, error_code, is_answered, rows) VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(row::time_text(since))
            .bind(row::time_text(until))
            .bind(endpoint)
            .bind(*code)
            .bind(*is_answered)
            .bind(i64::try_from(*rows).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query("DELETE FROM unwritten WHERE id <= (SELECT max(id) FROM unwritten) - ?")
            .bind(KEPT_LINES)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        *self = Self::default();
        Ok(())
    }
}

/// How many rows are missing in the log, and from when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritten {
    /// Rows that could not be written.
    pub rows: u64,
    /// Time of the first.
    pub since: DateTime<Utc>,
    /// Time of the last.
    pub until: DateTime<Utc>,
}

impl LogReader {
    /// What could not be written, as far as the log knows; `None` where nothing is missing. A
    /// column that does not fit is [`LogError::BadColumn`].
    pub async fn unwritten(&self) -> Result<Option<Unwritten>, LogError> {
        let found: (Option<i64>, Option<String>, Option<String>) =
            sqlx::query_as("SELECT sum(rows), min(since), max(until) FROM unwritten")
                .fetch_one(&self.pool())
                .await
                .at(self.path())?;
        let time = |text: &str| row::parse_time(text).map_err(LogError::in_column("until"));
        let (Some(rows), Some(since), Some(until)) = found else {
            return Ok(None);
        };
        Ok(Some(Unwritten {
            rows: rows.unsigned_abs(),
            since: time(&since)?,
            until: time(&until)?,
        }))
    }
}
