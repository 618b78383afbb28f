//! Which log this is.

use sqlx::SqliteConnection;
use uuid::Uuid;

/// Which log this is, and of which box. A copy of the database has the same identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// Random, made with the log; a log that is begun anew has another.
    pub log_id: Uuid,
    /// The box's name; `None` until its daemon has written it.
    pub node: Option<String>,
}

impl LogIdentity {
    /// Gives the log an identity where it has none, and the box's name where that is known and
    /// differs.
    pub(crate) async fn ensure(
        connection: &mut SqliteConnection,
        node: Option<&str>,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO log_identity (id, log_id, node) VALUES (1, ?, ?) \
             ON CONFLICT DO UPDATE SET node = excluded.node \
             WHERE excluded.node IS NOT NULL AND node IS NOT excluded.node",
        )
        .bind(Uuid::now_v7().to_string())
        .bind(node)
        .execute(connection)
        .await
        .map(drop)
    }

    pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let (log_id, node): (String, _) =
            sqlx::query_as("SELECT log_id, node FROM log_identity WHERE id = 1")
                .fetch_one(connection)
                .await?;
        let log_id = log_id.parse::<Uuid>();
        let log_id = log_id.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Self { log_id, node })
    }
}
