//! Folds the write-ahead log into the database beside the writer, so that no request waits.
//!
//! SQLite would do it inside the commit that fills the write-ahead log, and on a slow disk that
//! commit takes long. A passive checkpoint on another connection holds up nobody. It cannot start
//! the write-ahead log anew while rows keep coming without a pause; then the writer does so at
//! [`AUTOMATIC_PAGES`](schema::AUTOMATIC_PAGES), with most of the work done.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{ConnectOptions, Connection};
use tokio::sync::mpsc;

use super::place::with_suffix;
use super::schema;
use super::shared::Shared;
use super::writer::Command;

/// A smaller write-ahead log is left alone: SQLite itself would let as many pages gather.
const WORTH_BYTES: u64 = 4 << 20;

/// How often to look, which is one call of stat(2).
const EVERY: Duration = Duration::from_millis(250);

/// Looks after the write-ahead log until the log is closed.
pub(super) async fn keep(commands: mpsc::WeakSender<Command>, shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(EVERY).await;
        match commands.upgrade() {
            Some(commands) if !commands.is_closed() => {}
            _ => return,
        }
        if let Err(error) = fold(&shared).await {
            // Nothing is lost: the next look, the writer or the next opening does it.
            tracing::debug!(%error, "the write-ahead log was not folded in");
        }
    }
}

/// Folds the write-ahead log in if that is worth while. A connection of its own each time: it must
/// not outlive a database that is set aside.
async fn fold(shared: &Shared) -> Result<(), sqlx::Error> {
    let _files = shared.files.lock().await;
    let path = shared.reader.path();
    let size = std::fs::metadata(with_suffix(path, "-wal")).map_or(0, |facts| facts.len());
    if size < WORTH_BYTES {
        return Ok(());
    }
    let options = schema::write_options(path, &shared.settings);
    let mut connection = options.connect().await?;
    let outcome = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
        .execute(&mut connection)
        .await;
    connection.close().await?;
    outcome.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{full_record, keep_all, open};

    #[tokio::test]
    async fn a_large_write_ahead_log_is_folded_in_and_begun_anew() {
        let (folder, log) = open(&keep_all()).await;
        let path = folder.path().join(crate::FILE_NAME);
        let size = |suffix| std::fs::metadata(with_suffix(&path, suffix)).unwrap().len();
        let mut big = full_record("big", 1);
        big.thumbnail = Some(vec![1; 6 << 20]);
        log.append(big).await.unwrap();
        let before = (size(""), size("-wal"));
        assert!(before.0 < 1 << 20 && before.1 > 6 << 20, "{before:?}");
        fold(&log.shared).await.unwrap();
        assert!(size("") > 6 << 20);
        // The next rows go to the beginning of the same file.
        log.append(full_record("small", 2)).await.unwrap();
        assert_eq!(size("-wal"), before.1);
        assert_eq!(log.reader().by_request("big").await.unwrap().len(), 1);
        assert_eq!(log.reader().by_request("small").await.unwrap().len(), 1);
    }
}
