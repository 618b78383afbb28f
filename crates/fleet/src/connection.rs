//! One connection to the centre, with a time limit on each step.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection};

use crate::{CentreAddress, FleetError};

/// How long connecting may take, with TLS and the server's questions.
const CONNECT_PATIENCE: Duration = Duration::from_secs(15);

/// How long a box waits for one answer. The server gives up a little earlier, so that it does not
/// go on with what nobody waits for.
const BOX_PATIENCE: Duration = Duration::from_secs(40);
const BOX_STATEMENT: &str = "30s";

/// How long an operator waits for one answer: a migration may rewrite every row.
const OPERATOR_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// PostgreSQL 15 is the first that can take two NULLs for the same in a unique index.
const OLDEST_SERVER: i32 = 150_000;

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A box: short steps.
    Box,
    /// An operator or a report.
    Operator,
}

/// A connection and what it is connected to.
#[derive(Debug)]
pub(crate) struct Link {
    connection: PgConnection,
    target: String,
    patience: Duration,
}

impl Link {
    /// Connects and checks the server.
    pub(crate) async fn open(
        address: &CentreAddress,
        node: Option<&str>,
        purpose: Purpose,
    ) -> Result<Self, FleetError> {
        let mut options = address
            .options(node)
            .application_name("faceood-admin")
            .options([
                ("search_path", "public"),
                ("client_min_messages", "warning"),
            ]);
        if purpose == Purpose::Box {
            options = options.options([
                ("statement_timeout", BOX_STATEMENT),
                ("lock_timeout", "20s"),
                ("idle_in_transaction_session_timeout", "60s"),
            ]);
        }
        let target = address.target().to_owned();
        let doing = "connecting";
        let connected = limited(&target, doing, CONNECT_PATIENCE, options.connect()).await?;
        let mut link = Self {
            connection: connected,
            target,
            patience: match purpose {
                Purpose::Box => BOX_PATIENCE,
                Purpose::Operator => OPERATOR_PATIENCE,
            },
        };
        link.check().await?;
        Ok(link)
    }

    async fn check(&mut self) -> Result<(), FleetError> {
        let facts: (i32, Option<String>, String) = self
            .step("asking for its version", async |connection| {
                sqlx::query_as(
                    "SELECT current_setting('server_version_num')::int, \
                     (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl), \
                     current_setting('server_encoding')",
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        let target = &self.target;
        if facts.0 < OLDEST_SERVER {
            return Err(FleetError::Unfit(format!(
                "{target} is PostgreSQL {}, and a centre needs 15 or newer: upgrade that server",
                facts.0 / 10_000
            )));
        }
        if facts.2 != "UTF8" {
            return Err(FleetError::Unfit(format!(
                "{target} has the encoding {}, in which not every text of a log can be stored: make a database for the \
                 centre with `createdb --encoding UTF8 --template template0 NAME`",
                facts.2
            )));
        }
        match facts.1.as_deref() {
            None | Some("TLSv1.3") => Ok(()),
            Some(version) => Err(FleetError::Unfit(format!(
                "{target} speaks {version}, and faceood asks for TLS 1.3: let that server offer it \
                 (ssl_max_protocol_version)"
            ))),
        }
    }

    /// Does one step, within the time that it may take.
    pub(crate) async fn step<T>(
        &mut self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, FleetError> {
        let work = work(&mut self.connection);
        limited(&self.target, doing, self.patience, work).await
    }

    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// Says goodbye; a server that does not listen loses nothing.
    pub(crate) async fn close(self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.connection.close()).await;
    }
}

async fn limited<T>(
    target: &str,
    doing: &'static str,
    patience: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, FleetError> {
    match tokio::time::timeout(patience, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(source)) => Err(FleetError::Centre {
            target: target.to_owned(),
            doing,
            source: Arc::new(source),
        }),
        Err(_) => Err(FleetError::TimedOut {
            target: target.to_owned(),
            doing,
            seconds: patience.as_secs(),
        }),
    }
}
