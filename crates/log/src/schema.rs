//! Opens the database: what is there, is it ours, is it sound; then pragmas and migrations.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::error::At;
use super::place::{self, with_suffix};
use super::{Durability, LogError, Settings, Trouble};

/// Pages in the write-ahead log at which the writer's commit folds them in itself: 64 MB.
pub(super) const AUTOMATIC_PAGES: u32 = 16_384;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// Up to this size a database is checked page by page when it is opened; reading more would delay
/// the start. Damage in a larger one is found when it is met.
const CHECK_AT_OPEN_BYTES: u64 = 64 << 20;

/// The write-ahead log is cut back to this size after it had to grow.
const WAL_LIMIT_BYTES: u32 = 64 << 20;

/// The schema version this release writes and reads.
pub fn newest_version() -> i64 {
    let versions = MIGRATIONS.iter().map(|migration| migration.version);
    versions.max().unwrap_or(0)
}

/// Opens the database for writing, in a folder that the caller owns. A missing one is created, an
/// older one is brought up to date, a damaged one is set aside and a fresh one begun: then its new
/// path is returned, too. A newer or foreign database is refused before anything is written to it.
pub(super) async fn open_for_writing(
    path: &Path,
    settings: &Settings,
) -> Result<(SqliteConnection, Option<PathBuf>), LogError> {
    match open_sound(path, settings).await {
        Err(error) if error.trouble() == Some(Trouble::Corrupt) => {
            let aside = place::set_aside(path, Utc::now())?;
            tracing::error!(
                database = %path.display(), set_aside = %aside.display(), %error,
                "the inference log is damaged: it was set aside and a fresh one begun; examine the file, then move it away"
            );
            Ok((open_sound(path, settings).await?, Some(aside)))
        }
        outcome => Ok((outcome?, None)),
    }
}

async fn open_sound(path: &Path, settings: &Settings) -> Result<SqliteConnection, LogError> {
    let size = std::fs::metadata(path).map_or(0, |facts| facts.len());
    if size > 0 {
        inspect(path, size).await?;
    }
    let mut options = write_options(path, settings)
        .create_if_missing(true)
        .pragma("wal_autocheckpoint", AUTOMATIC_PAGES.to_string())
        .optimize_on_close(true, 400);
    if size == 0 {
        // Only then, since setting it writes to the file although nothing changes.
        options = options.auto_vacuum(SqliteAutoVacuum::Incremental);
    }
    let mut connection = options.connect().await.at(path)?;
    // SQLite answers with the mode it really uses and calls that a success.
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut connection)
        .await
        .at(path)?;
    if mode != "wal" {
        return Err(LogError::NoWriteAheadLog(path.to_owned(), mode));
    }
    migrate(path, &mut connection).await?;
    Ok(connection)
}

/// Opens an existing log of this release's schema for writing beside a daemon that may own it.
pub(super) async fn open_beside(path: &Path) -> Result<SqliteConnection, LogError> {
    if !path.is_file() {
        return Err(LogError::Missing(path.to_owned()));
    }
    let patient = Settings {
        busy_timeout_ms: 10_000,
        ..Settings::default()
    };
    let options = write_options(path, &patient);
    let mut connection = options.connect().await.at(path)?;
    let found = version(&mut connection, path).await?;
    expect_newest(path, found)?;
    Ok(connection)
}

/// Whether `found` is the version this release works with.
pub(super) fn expect_newest(path: &Path, found: i64) -> Result<(), LogError> {
    let (path, known) = (path.to_owned(), newest_version());
    match found.cmp(&known) {
        Ordering::Less => Err(LogError::OlderSchema { path, found, known }),
        Ordering::Greater => Err(LogError::NewerSchema { path, found, known }),
        Ordering::Equal => Ok(()),
    }
}

pub(super) fn write_options(path: &Path, settings: &Settings) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(match settings.durability {
            Durability::Normal => SqliteSynchronous::Normal,
            Durability::Full => SqliteSynchronous::Full,
        })
        .foreign_keys(true)
        .busy_timeout(Duration::from_millis(settings.busy_timeout_ms))
        .pragma("journal_size_limit", WAL_LIMIT_BYTES.to_string())
        .disable_statement_logging()
}

/// Looks at an existing database without changing it.
async fn inspect(path: &Path, size: u64) -> Result<(), LogError> {
    let options = read_options(path, has_no_side_files(path));
    let mut connection = options.connect().await.at(path)?;
    let verdict = async {
        let found = version(&mut connection, path).await?;
        if found > newest_version() {
            expect_newest(path, found)?;
        }
        if size <= CHECK_AT_OPEN_BYTES {
            check_pages(&mut connection, path).await?;
        }
        Ok(())
    }
    .await;
    let _ = connection.close().await;
    verdict
}

/// Reads every page and looks whether they fit together, down to the first that does not. Damage is
/// [`Trouble::Corrupt`] with SQLite's words.
pub(super) async fn check_pages(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<(), LogError> {
    let report: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(connection)
        .await
        .at(path)?;
    if report == "ok" {
        return Ok(());
    }
    let damage = Arc::new(sqlx::Error::Protocol(report));
    Err(LogError::Database(
        path.to_owned(),
        Trouble::Corrupt,
        damage,
    ))
}

/// The schema version of an open database, 0 for an empty one. One that has tables but none of ours
/// is [`LogError::Foreign`].
pub(super) async fn version(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<i64, LogError> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .fetch_all(&mut *connection)
            .await
            .at(path)?;
    if tables.is_empty() {
        return Ok(0);
    }
    if !tables.iter().any(|table| table == "_sqlx_migrations") {
        return Err(LogError::Foreign(path.to_owned()));
    }
    let newest: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await
        .at(path)?;
    Ok(newest.unwrap_or(0))
}

/// Number and time of the newest row by the order of writing.
pub(super) async fn end(
    connection: &mut SqliteConnection,
) -> Result<Option<(i64, String)>, sqlx::Error> {
    sqlx::query_as("SELECT rowid, time FROM inferences ORDER BY rowid DESC LIMIT 1")
        .fetch_optional(connection)
        .await
}

async fn migrate(path: &Path, connection: &mut SqliteConnection) -> Result<(), LogError> {
    use sqlx::migrate::MigrateError;
    // Not `run`, whose future is not `Send` for every lifetime: the writer is spawned.
    let outcome = MIGRATIONS.run_direct(None, connection, false).await;
    outcome.map_err(|error| match error {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            LogError::database(path, source)
        }
        error => LogError::Migrate(path.to_owned(), Arc::new(error)),
    })
}

/// How to open a database for reading only. If `is_still`, nobody writes to it: SQLite then creates
/// no side files, for which the folder has to be writable.
pub(super) fn read_options(path: &Path, is_still: bool) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(is_still)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging()
}

/// Whether all of the database stands in its main file, as after an orderly stop.
pub(super) fn has_no_side_files(path: &Path) -> bool {
    !with_suffix(path, "-wal").exists()
}

#[cfg(test)]
mod tests;
