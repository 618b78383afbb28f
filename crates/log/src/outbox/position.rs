//! How far a target has got.

use sqlx::SqliteConnection;

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
}
