//! The numbers that put rows into the order of their commits.

use sqlx::SqliteConnection;

/// Gives numbers that no row has and that no target has passed. The one writer holds it, so that a
/// smaller number is committed earlier.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    last: i64,
}

impl Sequence {
    /// Goes on after all numbers in the database. A target may have passed more than the rows tell:
    /// they may be deleted.
    pub(crate) async fn after_all(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let last = sqlx::query_scalar(
            "SELECT max((SELECT coalesce(max(seq), 0) FROM inferences WHERE seq IS NOT NULL), \
             (SELECT coalesce(max(seq), 0) FROM shipping))",
        );
        let last = last.fetch_one(connection).await?;
        Ok(Self { last })
    }

    /// The number that was given last.
    pub(crate) const fn last(&self) -> i64 {
        self.last
    }

    /// The first of the next `count` numbers.
    pub(crate) fn take(&mut self, count: u64) -> i64 {
        let first = self.last + 1;
        self.last = self.last.saturating_add_unsigned(count);
        first
    }
}
