//! A connection in a transaction that only reads.

use std::time::Duration;

use faceood_log::LogError;
use futures_util::TryStreamExt;
use sqlx::PgConnection;
use sqlx::error::BoxDynError;

use super::filter::CentreFilter;
use crate::connection::{Link, Purpose};
use crate::copied::{CopiedRow, CopyDecoder, CopyError};
use crate::{CentreAddress, FleetError};

/// How long the centre may take to find the next row: it may have to look through a whole
/// partition for one.
const ROW_PATIENCE: Duration = Duration::from_secs(600);

/// What stops a copy at a row.
#[derive(Debug)]
pub(super) enum RowError {
    Copy(CopyError),
    Log(LogError),
    /// Nobody wants the rest.
    Enough,
}

impl From<CopyError> for RowError {
    fn from(error: CopyError) -> Self {
        Self::Copy(error)
    }
}

impl From<LogError> for RowError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

/// A connection in a transaction that only reads.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) link: Link,
}

impl Session {
    /// Begins to read, at the moment of `snapshot` if there is one.
    pub(super) async fn open(
        address: &CentreAddress,
        snapshot: Option<&str>,
    ) -> Result<Self, FleetError> {
        let mut link = Link::open(address, None, Purpose::Operator).await?;
        // A partition outside the window is not looked at. The first session waits for the others.
        let mut begin =
            "SET constraint_exclusion = on; SET idle_in_transaction_session_timeout = 0; \
            BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
                .to_owned();
        if let Some(snapshot) = snapshot {
            let snapshot: String = snapshot.chars().filter(|sign| *sign != '\'').collect();
            begin += &format!("; SET TRANSACTION SNAPSHOT '{snapshot}'");
        }
        link.step("beginning to read", async |connection| {
            sqlx::raw_sql(sqlx::AssertSqlSafe(begin))
                .execute(connection)
                .await
        })
        .await?;
        Ok(Self { link })
    }

    /// Puts a text where statements find it, since COPY takes no parameters.
    pub(super) async fn set(&mut self, name: &'static str, value: &str) -> Result<(), FleetError> {
        self.link
            .step("asking for rows", async |connection| {
                let query = sqlx::query("SELECT set_config($1, $2, true)");
                query.bind(name).bind(value).execute(connection).await
            })
            .await
            .map(drop)
    }

    /// Puts the texts of a filter where its conditions find them.
    pub(super) async fn take(&mut self, filter: &CentreFilter) -> Result<(), FleetError> {
        if let Some(source) = &filter.source {
            self.set("faceood.source", source).await?;
        }
        if let Some(nodes) = &filter.nodes {
            self.link
                .step("asking for rows", async |connection| {
                    sqlx::query("SELECT set_config('faceood.nodes', $1::text[]::text, true)")
                        .bind(nodes)
                        .execute(connection)
                        .await
                })
                .await?;
        }
        Ok(())
    }

    /// Shows the rows of `query` to `visit`, each with so many fields.
    pub(super) async fn copy(
        &mut self,
        query: &str,
        fields: usize,
        mut visit: impl FnMut(&CopiedRow<'_>) -> Result<(), RowError>,
    ) -> Result<(), FleetError> {
        let statement = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        let mut stopped = None;
        let stop = &mut stopped;
        let copied = self
            .link
            .step("reading rows", async |connection| {
                match stream(connection, &statement, fields, &mut visit).await? {
                    Ok(()) | Err(RowError::Enough) => Ok(()),
                    Err(RowError::Copy(error)) => {
                        Err(sqlx::Error::Decode(BoxDynError::from(error)))
                    }
                    Err(RowError::Log(error)) => {
                        *stop = Some(error);
                        Ok(())
                    }
                }
            })
            .await;
        match stopped {
            Some(error) => Err(error.into()),
            None => copied,
        }
    }
}

/// Runs a COPY to its end, or until `visit` stops it.
async fn stream(
    connection: &mut PgConnection,
    statement: &str,
    fields: usize,
    visit: &mut impl FnMut(&CopiedRow<'_>) -> Result<(), RowError>,
) -> Result<Result<(), RowError>, sqlx::Error> {
    let silent = |_| {
        let text = format!("no row came for {} s", ROW_PATIENCE.as_secs());
        sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, text))
    };
    let begun = tokio::time::timeout(ROW_PATIENCE, connection.copy_out_raw(statement));
    let mut chunks = begun.await.map_err(silent)??;
    let mut decoder = CopyDecoder::new(fields);
    loop {
        let next = tokio::time::timeout(ROW_PATIENCE, chunks.try_next()).await;
        let Some(chunk) = next.map_err(silent)?? else {
            return Ok(decoder.finish().map_err(RowError::Copy));
        };
        if let Err(error) = decoder.feed(&chunk, &mut *visit) {
            return Ok(Err(error));
        }
    }
}
