//! The log's database as another process sees and handles it.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::runtime::Runtime;

/// A connection of its own to a database that a daemon may have open.
pub(crate) struct Outsider {
    runtime: Runtime,
    connection: SqliteConnection,
}

impl Outsider {
    /// Opens the database as it is.
    pub(crate) fn open(database: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let options = SqliteConnectOptions::new()
            .filename(database)
            .busy_timeout(Duration::from_secs(60));
        let connection = runtime
            .block_on(options.connect())
            .expect("the database opens");
        Self {
            runtime,
            connection,
        }
    }

    /// Holds the write lock while `work` is done, as a backup tool or a forgotten shell does.
    pub(crate) fn while_locked<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let lock = self.connection.begin_with("BEGIN IMMEDIATE");
        let lock = self.runtime.block_on(lock).expect("the lock is free");
        let outcome = work();
        self.runtime
            .block_on(lock.rollback())
            .expect("the lock is given back");
        outcome
    }

    /// Every row's request id and thumbnail, oldest first.
    pub(crate) fn thumbnails(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let rows = sqlx::query_as("SELECT request_id, thumbnail FROM inferences ORDER BY time, id")
            .fetch_all(&mut self.connection);
        self.runtime.block_on(rows).expect("the rows are read")
    }

    /// Where in the file the root page of this table or index begins, and how long a page is.
    pub(crate) fn root_page(&mut self, name: &str) -> (u64, u64) {
        let place = sqlx::query_as::<_, (i64, i64)>(
            "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = ?",
        )
        .bind(name)
        .fetch_one(&mut self.connection);
        let (page, bytes) = self.runtime.block_on(place).expect("it is there");
        let (page, bytes) = (page.unsigned_abs(), bytes.unsigned_abs());
        ((page - 1) * bytes, bytes)
    }

    /// Every row's request id and error code, oldest first.
    pub(crate) fn rows(&mut self) -> Vec<(String, Option<String>)> {
        let rows =
            sqlx::query_as("SELECT request_id, error_code FROM inferences ORDER BY time, id")
                .fetch_all(&mut self.connection);
        self.runtime.block_on(rows).expect("the rows are read")
    }
}
