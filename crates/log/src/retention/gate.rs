//! Which rows may go, and what is kept of those that a centre has got.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::outbox::{Position, Sums};

/// A row that exceeds the limits.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Candidate {
    /// By the order of writing.
    pub(super) number: i64,
    pub(super) time: String,
    pub(super) id: String,
    pub(super) run_seconds: i64,
    seq: Option<i64>,
    has_outcome: bool,
}

impl Candidate {
    /// The place before the first row, in every order.
    pub(super) fn before_all() -> Self {
        Self {
            number: i64::MIN,
            time: String::new(),
            id: String::new(),
            run_seconds: i64::MIN,
            seq: None,
            has_outcome: false,
        }
    }
}

/// What the targets have. Without any target every row may go.
pub(super) struct Gate {
    targets: Vec<(String, Position)>,
    even_unshipped: bool,
}

impl Gate {
    pub(super) async fn read(
        connection: &mut SqliteConnection,
        even_unshipped: bool,
    ) -> Result<Self, sqlx::Error> {
        Ok(Self {
            targets: Position::read_all(connection).await?,
            even_unshipped,
        })
    }

    pub(super) fn lets_go(&self, row: &Candidate) -> bool {
        self.even_unshipped
            || self
                .targets
                .iter()
                .all(|(_, position)| position.has(row.seq, &row.time, &row.id))
    }

    /// Every target has what is not there any more, so what is there waits for one.
    pub(super) fn lets_late_feedback_go(&self) -> bool {
        self.even_unshipped || self.targets.is_empty()
    }

    /// Deletes `rows` and adds them to the days of each target that has them, in the caller's
    /// transaction.
    pub(super) async fn delete(
        &self,
        connection: &mut SqliteConnection,
        rows: &[Candidate],
    ) -> Result<u64, sqlx::Error> {
        if rows.is_empty() {
            return Ok(0);
        }
        if !self.targets.is_empty() {
            self.note(connection, rows).await?;
        }
        let numbers: Vec<i64> = rows.iter().map(|row| row.number).collect();
        let delete = "DELETE FROM inferences WHERE rowid IN (SELECT value FROM json_each(?))";
        let delete = sqlx::query(delete).bind(serde_json::Value::from(numbers).to_string());
        Ok(delete.execute(connection).await?.rows_affected())
    }

    async fn note(
        &self,
        connection: &mut SqliteConnection,
        rows: &[Candidate],
    ) -> Result<(), sqlx::Error> {
        let ids: Vec<&str> = rows.iter().map(|row| &*row.id).collect();
        let refused: Vec<(String, String)> = sqlx::query_as(
            "SELECT target, id FROM shipping_quarantine WHERE id IN (SELECT value FROM json_each(?))",
        )
        .bind(serde_json::Value::from(ids).to_string())
        .fetch_all(&mut *connection)
        .await?;
        let mut days: BTreeMap<(&str, &str), Sums> = BTreeMap::new();
        for (target, position) in &self.targets {
            for row in rows {
                let is_refused = refused.iter().any(|(by, id)| by == target && *id == row.id);
                let is_there = position.has(row.seq, &row.time, &row.id) && !is_refused;
                // What cannot be read was never shipped.
                if let (true, Some(day), Ok(id)) =
                    (is_there, row.time.get(..10), Uuid::try_parse(&row.id))
                {
                    days.entry((target, day))
                        .or_default()
                        .add(id, row.has_outcome);
                }
            }
        }
        for ((target, day), sums) in days {
            sums.write(connection, target, day).await?;
        }
        Ok(())
    }
}
