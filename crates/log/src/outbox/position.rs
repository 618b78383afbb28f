//! How far a target has got.

use sqlx::SqliteConnection;

/// The condition that the target in `shipping` has not got the row `waiting` in its present state.
pub(super) const WAITS: &str =
    "NOT coalesce(waiting.seq <= shipping.seq, (waiting.time, waiting.id) <= (old_time, old_id))";

/// A target has every row up to `seq`, and of those without one every row up to a place in the order
/// of time and id. The default is before the first row.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Position {
    pub(super) seq: i64,
    pub(super) old_time: String,
    pub(super) old_id: String,
}

impl Position {
    /// That of `target`; `None` where there is no such target.
    pub(super) async fn read(
        connection: &mut SqliteConnection,
        target: &str,
    ) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as("SELECT seq, old_time, old_id FROM shipping WHERE target = ?")
            .bind(target)
            .fetch_optional(connection)
            .await
    }

    /// Those of all targets, with their names.
    pub(crate) async fn read_all(
        connection: &mut SqliteConnection,
    ) -> Result<Vec<(String, Self)>, sqlx::Error> {
        let found: Vec<(String, i64, String, String)> =
            sqlx::query_as("SELECT target, seq, old_time, old_id FROM shipping")
                .fetch_all(connection)
                .await?;
        let position = |(target, seq, old_time, old_id)| {
            let position = Self {
                seq,
                old_time,
                old_id,
            };
            (target, position)
        };
        Ok(found.into_iter().map(position).collect())
    }

    /// Whether the target has the row with this `seq`, time and id.
    pub(crate) fn has(&self, seq: Option<i64>, time: &str, id: &str) -> bool {
        match seq {
            Some(seq) => seq <= self.seq,
            None => (time, id) <= (self.old_time.as_str(), self.old_id.as_str()),
        }
    }
}
