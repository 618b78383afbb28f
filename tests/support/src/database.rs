//! The log's database as another process sees and handles it.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::runtime::Runtime;

/// A connection of its own to a database that a daemon may have open.
pub struct Outsider {
    runtime: Runtime,
    connection: SqliteConnection,
}

impl Outsider {
    /// Opens the database as it is.
    pub fn open(database: &Path) -> Self {
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
    pub fn while_locked<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let lock = self.connection.begin_with("BEGIN IMMEDIATE");
        let lock = self.runtime.block_on(lock).expect("the lock is free");
        let outcome = work();
        self.runtime
            .block_on(lock.rollback())
            .expect("the lock is given back");
        outcome
    }

    /// Writes the row of this request that is no reference `count` times over, an hour before the
    /// other each: as `copy-0`, `copy-1` and so on, without its outcome. `columns` are set to
    /// expressions of `i`, the copy's number.
    pub fn copy_row(&mut self, request_id: &str, count: u32, columns: &[(&str, &str)]) {
        let names = sqlx::query_scalar("SELECT name FROM pragma_table_info('inferences')")
            .fetch_all(&mut self.connection);
        let names: Vec<String> = self.runtime.block_on(names).expect("the columns are read");
        let values: Vec<&str> = names
            .iter()
            .map(|name| match name.as_str() {
                "id" => "printf('00000000-0000-7000-8000-%012x', i)",
                "request_id" => "'copy-' || i",
                "time" => "strftime('%Y-%m-%dT%H:%M:%S.000000Z', time, '-' || i || ' hours')",
                // A number in the order of commits is given once.
                "outcome" | "outcome_note" | "outcome_time" | "seq" => "NULL",
                name => columns
                    .iter()
                    .find(|(set, _)| *set == name)
                    .map_or(name, |(_, to)| to),
            })
            .collect();
        let statement = format!(
            "WITH RECURSIVE copies(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM copies WHERE i + 1 < {count}) \
             INSERT INTO inferences ({}) SELECT {} FROM inferences, copies WHERE request_id = ? AND role <> 'reference'",
            names.join(", "),
            values.join(", ")
        );
        let copied = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(request_id)
            .execute(&mut self.connection);
        let copied = self.runtime.block_on(copied).expect("the row is copied");
        assert_eq!(copied.rows_affected(), u64::from(count));
    }

    /// Runs statements that a test needs and no tool has.
    pub fn execute(&mut self, statements: &'static str) {
        let done = sqlx::raw_sql(statements).execute(&mut self.connection);
        self.runtime.block_on(done).expect("the statements run");
    }

    /// Every row's request id and thumbnail, oldest first.
    pub fn thumbnails(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let rows = sqlx::query_as("SELECT request_id, thumbnail FROM inferences ORDER BY time, id")
            .fetch_all(&mut self.connection);
        self.runtime.block_on(rows).expect("the rows are read")
    }

    /// Where in the file the root page of this table or index begins, and how long a page is.
    pub fn root_page(&mut self, name: &str) -> (u64, u64) {
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
    pub fn rows(&mut self) -> Vec<(String, Option<String>)> {
        let rows =
            sqlx::query_as("SELECT request_id, error_code FROM inferences ORDER BY time, id")
                .fetch_all(&mut self.connection);
        self.runtime.block_on(rows).expect("the rows are read")
    }
}
