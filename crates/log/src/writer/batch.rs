//! Rows that are written together, and the trial write.

use chrono::Utc;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::mpsc;

use super::{Command, Entry};
use crate::outbox::Sequence;
use crate::row;

/// Most rows of one transaction: about 3 ms of work, so that nobody waits long behind others.
const BATCH_ROWS: usize = 64;

/// Bytes that a trial write needs: several pages, as rows do, so that it fails where they fail.
/// Few, since a probe that asks every few seconds must not wear out a memory card.
const BALLAST_BYTES: i64 = 16 << 10;

/// Takes what already waits, up to a full batch; returns the first command of another kind.
pub(super) fn gather(
    queue: &mut mpsc::Receiver<Command>,
    batch: &mut Vec<Entry>,
) -> Option<Command> {
    let mut rows: usize = batch.iter().map(|entry| entry.records.len()).sum();
    while rows < BATCH_ROWS {
        match queue.try_recv() {
            Ok(Command::Append(entry)) => {
                rows += entry.records.len();
                batch.push(entry);
            }
            Ok(other) => return Some(other),
            Err(_) => break,
        }
    }
    None
}

pub(super) fn acknowledge(batch: Vec<Entry>) {
    for entry in batch {
        // A caller that left does not care.
        let _ = entry.committed.send(Ok(()));
    }
}

/// One transaction; returns the number of the last row. The rows get `seq` in their order.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    batch: &[Entry],
    seq: &mut Sequence,
) -> Result<i64, sqlx::Error> {
    if let [entry] = batch
        && let [record] = &entry.records[..]
    {
        // A lone statement is a transaction of its own, at a third of the round trips.
        let done = row::bind(record, seq.take(1)).execute(connection).await?;
        return Ok(done.last_insert_rowid());
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut last_row = 0;
    for record in batch.iter().flat_map(|entry| &entry.records) {
        let done = row::bind(record, seq.take(1))
            .execute(&mut *transaction)
            .await?;
        last_row = done.last_insert_rowid();
    }
    transaction.commit().await?;
    Ok(last_row)
}

pub(super) async fn try_out(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT OR REPLACE INTO write_probe (id, time, ballast) VALUES (1, ?, zeroblob(?))",
    )
    .bind(row::time_text(Utc::now()))
    .bind(BALLAST_BYTES)
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM write_probe")
        .execute(connection)
        .await?;
    Ok(())
}
