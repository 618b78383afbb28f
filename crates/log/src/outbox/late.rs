//! Feedback about requests that this log does not have.

use chrono::{DateTime, Utc};
use sqlx::{Connection, SqliteConnection};

use super::Outbox;
use crate::clock::ClockMark;
use crate::error::At;
use crate::record::ReportedOutcome;
use crate::{LogError, row};

/// Text of a column that may be NULL.
type Nullable = Option<String>;

/// Most lines that are kept; the oldest go.
const MOST_LINES: i64 = 100_000;

/// Words about a request that this log does not have.
pub(crate) struct Words<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) outcome: ReportedOutcome,
    pub(crate) note: Option<&'a str>,
    pub(crate) only_token: Option<&'a str>,
}

impl Words<'_> {
    /// Keeps the words in the caller's transaction and says since when they stand there: told again,
    /// they are the same line. `mark` says why the clock cannot be trusted now, and how long the
    /// daemon has run.
    pub(crate) async fn keep(
        &self,
        connection: &mut SqliteConnection,
        (mark, run_seconds): (Option<ClockMark>, i64),
    ) -> Result<String, sqlx::Error> {
        let last: Option<(String, String, Option<String>)> = sqlx::query_as(
            "SELECT time, outcome, note FROM late_feedback WHERE request_id = ? AND token IS ? \
             ORDER BY id DESC LIMIT 1",
        )
        .bind(self.request_id)
        .bind(self.only_token)
        .fetch_optional(&mut *connection)
        .await?;
        if let Some((time, outcome, note)) = last
            && outcome == self.outcome.name()
            && note.as_deref() == self.note
        {
            return Ok(time);
        }
        let time = row::time_text(Utc::now());
        let mark = mark.and_then(|mark| row::word(&mark));
        sqlx::query(
            "INSERT INTO late_feedback (time, clock, clock_run_seconds, request_id, outcome, note, token) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&time)
        .bind(mark.as_deref())
        .bind(mark.is_some().then_some(run_seconds))
        .bind(self.request_id)
        .bind(self.outcome.name())
        .bind(self.note)
        .bind(self.only_token)
        .execute(&mut *connection)
        .await?;
        sqlx::query(
            "DELETE FROM late_feedback WHERE id <= (SELECT max(id) FROM late_feedback) - ?",
        )
        .bind(MOST_LINES)
        .execute(connection)
        .await?;
        Ok(time)
    }
}

/// Feedback about a request that this log does not have: another box may have answered it. A centre
/// finds the row. It may get the same words twice, and then takes them once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateFeedback {
    /// Its number; later ones are higher.
    pub id: i64,
    /// When it was told.
    pub time: DateTime<Utc>,
    /// The request, by the id of its answer or of one of its rows.
    pub request_id: String,
    /// How it turned out.
    pub outcome: ReportedOutcome,
    /// The caller's words; `None` unless the outbox was opened with notes.
    pub note: Option<String>,
    /// Where it stands, only a request that the token of this name allowed is meant: a terminal may
    /// speak of no other.
    pub only_token: Option<String>,
}

impl Outbox {
    /// Feedback about requests that this log does not have, oldest first, at most `most` lines. They
    /// come again until [`late_feedback_done`](Self::late_feedback_done).
    ///
    /// # Errors
    /// As [`next`](Self::next), and [`LogError::BadColumn`].
    pub async fn late_feedback(&mut self, most: u32) -> Result<Vec<LateFeedback>, LogError> {
        self.position().await?;
        let has_notes = self.columns.iter().any(|it| it.name == "outcome_note");
        let lines: Vec<(i64, String, String, String, Nullable, Nullable)> = sqlx::query_as(
            "SELECT id, time, request_id, outcome, iif(?, note, NULL), token FROM late_feedback \
                 WHERE id > (SELECT late FROM shipping WHERE target = ?) ORDER BY id LIMIT ?",
        )
        .bind(has_notes)
        .bind(&self.target)
        .bind(most.clamp(1, super::MOST_ROWS))
        .fetch_all(&mut self.connection)
        .await
        .at(&self.path)?;
        let read =
            |(id, time, request_id, outcome, note, only_token): (_, String, _, String, _, _)| {
                let known = ReportedOutcome::from_name(&outcome).ok_or(outcome);
                Ok(LateFeedback {
                    id,
                    time: row::parse_time(&time).map_err(LogError::in_column("time"))?,
                    request_id,
                    outcome: known.map_err(LogError::in_column("outcome"))?,
                    note,
                    only_token,
                })
            };
        lines.into_iter().map(read).collect()
    }

    /// The target has confirmed every line up to the one with the number `upto`. What all targets
    /// have is deleted.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn late_feedback_done(&mut self, upto: i64) -> Result<(), LogError> {
        self.position().await?;
        let confirm = async {
            let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
            sqlx::query("UPDATE shipping SET late = max(late, ?) WHERE target = ?")
                .bind(upto)
                .bind(&self.target)
                .execute(&mut *transaction)
                .await?;
            sqlx::query("DELETE FROM late_feedback WHERE id <= (SELECT min(late) FROM shipping)")
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
        };
        confirm.await.at(&self.path)
    }
}
