//! The log as its users see it: what is acknowledged is there, and what can go wrong with the disk.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use faceood_engine::problem::{Explain, ProblemCode};
use futures_util::future::join_all;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::fixture::{full_record, keep_all, open};
use super::place::with_suffix;
use super::*;

/// A connection of another process, as it were.
async fn outsider(path: &Path) -> SqliteConnection {
    sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(Duration::ZERO)
        .connect()
        .await
        .unwrap()
}

async fn rows(path: &Path) -> i64 {
    let mut connection = outsider(path).await;
    sqlx::query_scalar("SELECT count(*) FROM inferences")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

fn refusing_quickly(on_failure: OnFailure) -> Settings {
    Settings {
        on_failure,
        keep_thumbnails: true,
        busy_timeout_ms: 1,
        ..Settings::default()
    }
}

/// A row that needs a megabyte of disk.
fn big_record(request_id: &str) -> InferenceRecord {
    let mut record = full_record(request_id, 1);
    record.thumbnail = Some(vec![7; 1 << 20]);
    record
}

#[tokio::test]
async fn columns_are_those_of_the_table() {
    let (folder, log) = open(&Settings::default()).await;
    let mut connection = outsider(&folder.path().join(FILE_NAME)).await;
    // By name: what a later migration adds stands last in the table, whatever its place in exports.
    // `seq` says what was shipped, and is nothing of the row's own.
    let table: Vec<(String, String)> = sqlx::query_as(
        "SELECT name, type FROM pragma_table_info('inferences') WHERE name != 'seq' ORDER BY name",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut ours: Vec<(String, String)> = columns()
        .iter()
        .map(|column| {
            let kind = match column.kind {
                ColumnKind::Text | ColumnKind::Time | ColumnKind::Json => "TEXT",
                ColumnKind::Integer => "INTEGER",
                ColumnKind::Real => "REAL",
                ColumnKind::Blob => "BLOB",
            };
            (column.name.to_owned(), kind.to_owned())
        })
        .collect();
    ours.sort();
    assert_eq!(table, ours);
    log.close().await;
}

#[tokio::test]
async fn an_acknowledged_row_is_seen_whole_by_another_connection() {
    let (folder, log) = open(&keep_all()).await;
    let record = full_record("r-1", 3);
    log.append(record.clone()).await.unwrap();
    // A reader of its own: what it sees is committed.
    let reader = LogReader::open(&folder.path().join(FILE_NAME))
        .await
        .unwrap();
    assert_eq!(reader.by_request("r-1").await.unwrap(), [record]);
    assert_eq!(reader.by_request("r-2").await.unwrap(), []);
}

#[tokio::test]
async fn no_embedding_and_no_picture_is_stored_unless_asked_for() {
    let (folder, log) = open(&Settings::default()).await;
    log.append(full_record("r", 1)).await.unwrap();
    let mut connection = outsider(&folder.path().join(FILE_NAME)).await;
    let stored: i64 =
        sqlx::query_scalar("SELECT count(embedding) + count(thumbnail) FROM inferences")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(stored, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_appends_at_once_are_all_there() {
    for durability in [Durability::Normal, Durability::Full] {
        let settings = Settings {
            durability,
            ..Settings::default()
        };
        let (folder, log) = open(&settings).await;
        let appends = (0..300).map(|seed| log.append(full_record(&format!("r-{seed}"), seed)));
        for outcome in join_all(appends).await {
            outcome.unwrap();
        }
        assert_eq!(rows(&folder.path().join(FILE_NAME)).await, 300);
        assert_eq!(log.health(), Health::default());
    }
}

#[tokio::test]
async fn a_row_that_breaks_a_rule_takes_only_its_own_request_with_it() {
    let (folder, log) = open(&Settings::default()).await;
    let taken = full_record("taken", 1);
    log.append(taken.clone()).await.unwrap();
    let mut twin = full_record("twin", 2);
    twin.id = taken.id;
    // Together, so that they share a transaction.
    let (first, bad, last) = tokio::join!(
        log.append(full_record("first", 3)),
        log.append_all(vec![full_record("sibling", 4), twin]),
        log.append(full_record("last", 5)),
    );
    first.unwrap();
    last.unwrap();
    let error = bad.unwrap_err();
    assert_eq!(error.trouble(), Some(Trouble::Row), "{error}");
    assert_eq!(rows(&folder.path().join(FILE_NAME)).await, 3);
    assert_eq!(log.reader().by_request("sibling").await.unwrap(), []);
    // It says nothing about the log's health.
    assert_eq!(log.health().failing, None);
}

#[tokio::test]
async fn a_full_disk_refuses_until_there_is_room_again() {
    let (_folder, log) = open(&refusing_quickly(OnFailure::Refuse)).await;
    log.append(full_record("before", 1)).await.unwrap();
    log.execute("PRAGMA max_page_count = 60").await;
    let error = log.append(big_record("lost")).await.unwrap_err();
    assert_eq!(error.trouble(), Some(Trouble::Full), "{error}");
    assert_eq!(error.told().problem(), ProblemCode::NotReady);
    let told = error.told().to_string();
    assert!(!told.contains('/'), "{told}");
    let failing = log.health().failing.unwrap();
    let reason = failing.reason.to_string();
    assert!(reason.contains("full"), "{reason}");
    assert_eq!(log.health().lost_rows, 0);
    for _ in 0..5 {
        log.append(big_record("lost")).await.unwrap_err();
    }
    assert_eq!(log.reader().unwritten().await.unwrap(), None);

    log.execute("PRAGMA max_page_count = 100000").await;
    assert_eq!(log.check().await, Health::default());
    log.append(big_record("after")).await.unwrap();
    // Nobody had an answer without its row, and none of the refusals is forgotten.
    let unwritten = log.reader().unwritten().await.unwrap().unwrap();
    assert_eq!((unwritten.rows, log.health().lost_rows), (6, 0));
    assert!(unwritten.since <= unwritten.until);
    log.append(full_record("later", 1)).await.unwrap();
    assert_eq!(log.reader().unwritten().await.unwrap(), Some(unwritten));
    assert_eq!(log.reader().by_request("lost").await.unwrap(), []);
    assert_eq!(log.reader().by_request("before").await.unwrap().len(), 1);
    assert_eq!(log.reader().by_request("after").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_full_disk_may_be_passed_over_and_is_counted() {
    let (_folder, log) = open(&refusing_quickly(OnFailure::Continue)).await;
    log.execute("PRAGMA max_page_count = 60").await;
    log.append(big_record("lost")).await.unwrap();
    log.append_all(vec![big_record("lost"), big_record("lost")])
        .await
        .unwrap();
    assert_eq!(log.health().lost_rows, 3);
    assert!(log.health().failing.is_some());

    // Nobody asks: the writer finds out by itself.
    log.execute("PRAGMA max_page_count = 100000").await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while log.health().failing.is_some() {
        assert!(Instant::now() < deadline, "{:?}", log.health());
        tokio::task::yield_now().await;
    }
    log.append(big_record("after")).await.unwrap();
    assert_eq!(log.health().lost_rows, 3);
    assert_eq!(log.reader().by_request("after").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_read_only_database_refuses_and_recovers() {
    let (_folder, log) = open(&refusing_quickly(OnFailure::Refuse)).await;
    log.execute("PRAGMA query_only = 1").await;
    let error = log.append(full_record("lost", 1)).await.unwrap_err();
    assert_eq!(error.trouble(), Some(Trouble::ReadOnly), "{error}");
    assert!(log.health().failing.is_some());
    // The writer opens the database anew, with a connection that may write.
    assert_eq!(log.check().await, Health::default());
    log.append(full_record("after", 1)).await.unwrap();
}

#[tokio::test]
async fn a_lock_held_by_another_process_refuses_and_recovers() {
    let (folder, log) = open(&refusing_quickly(OnFailure::Refuse)).await;
    let mut other = outsider(&folder.path().join(FILE_NAME)).await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = log.append(full_record("lost", 1)).await.unwrap_err();
    assert_eq!(error.trouble(), Some(Trouble::Busy), "{error}");
    lock.rollback().await.unwrap();
    assert_eq!(log.check().await, Health::default());
    log.append(full_record("after", 1)).await.unwrap();
}

#[tokio::test]
async fn a_second_daemon_is_refused() {
    let (folder, log) = open(&Settings::default()).await;
    let second = InferenceLog::open(&Settings::default(), folder.path()).await;
    let error = second.unwrap_err();
    assert!(matches!(error, LogError::LockedByAnother { .. }), "{error}");
    log.close().await;
    InferenceLog::open(&Settings::default(), folder.path())
        .await
        .unwrap();
}

#[tokio::test]
async fn closing_writes_what_waits_and_leaves_one_file() {
    let (folder, log) = open(&Settings::default()).await;
    let appends = join_all((0..100).map(|seed| log.append(full_record("r", seed))));
    let (outcomes, ()) = tokio::join!(appends, log.close());
    // All of them were sent before the closing was.
    for outcome in outcomes {
        outcome.unwrap();
    }
    let path = folder.path().join(FILE_NAME);
    assert!(!with_suffix(&path, "-wal").exists());
    assert_eq!(rows(&path).await, 100);
    let error = log.append(full_record("late", 1)).await.unwrap_err();
    assert!(matches!(error, LogError::Told(LogFault::Closed)), "{error}");
}

#[tokio::test]
async fn damage_met_while_running_is_set_aside_and_the_row_goes_into_a_fresh_log() {
    let (folder, log) = open(&Settings::default()).await;
    let path = folder.path().join(FILE_NAME);
    for seed in 0..50 {
        log.append(full_record("old", seed)).await.unwrap();
    }
    log.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let mut damaged = fs::read(&path).unwrap();
    damaged[4096..].fill(0x5a);
    fs::write(&path, &damaged).unwrap();
    // So that pages are read again and not remembered.
    log.execute("PRAGMA shrink_memory").await;

    log.append(full_record("new", 1)).await.unwrap();
    assert_eq!(log.reader().by_request("new").await.unwrap().len(), 1);
    assert_eq!(log.reader().by_request("old").await.unwrap(), []);
    let aside = set_aside_files(folder.path());
    assert_eq!(aside.len(), 1);
    assert_eq!(fs::read(&aside[0]).unwrap(), damaged);
}

/// Readers of another process, since the log's own may know more than the files.
async fn seen_by_others(folder: &Path, request_id: &str) -> usize {
    let reader = LogReader::open(&folder.join(FILE_NAME)).await.unwrap();
    reader.by_request(request_id).await.unwrap().len()
}

#[tokio::test]
async fn no_row_is_acknowledged_into_a_deleted_database() {
    let (folder, log) = open(&Settings::default()).await;
    log.append(full_record("before", 1)).await.unwrap();
    fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
    log.append(full_record("after", 2)).await.unwrap();
    assert_eq!(seen_by_others(folder.path(), "after").await, 1);
    assert_eq!(log.reader().by_request("after").await.unwrap().len(), 1);
    let warnings = log.health().warnings;
    assert!(warnings[0].contains("deleted or replaced"), "{warnings:?}");

    // Without a request, the check finds out.
    fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
    log.shared.fail(&LogFault::Closed.into());
    assert_eq!(log.check().await.failing, None);
    log.append(full_record("again", 3)).await.unwrap();
    assert_eq!(seen_by_others(folder.path(), "again").await, 1);
}

#[tokio::test]
async fn a_database_that_takes_the_place_of_another_is_used() {
    let (folder, log) = open(&Settings::default()).await;
    log.append(full_record("before", 1)).await.unwrap();
    let copy = folder.path().join("copy.db");
    backup(log.reader(), &copy).await.unwrap();
    log.append(full_record("since the copy", 2)).await.unwrap();
    fs::rename(&copy, folder.path().join(FILE_NAME)).unwrap();
    log.append(full_record("after", 3)).await.unwrap();
    for (request_id, rows) in [("before", 1), ("since the copy", 0), ("after", 1)] {
        assert_eq!(seen_by_others(folder.path(), request_id).await, rows);
    }
    log.close().await;
    let path = folder.path().join(FILE_NAME);
    LogReader::open(&path)
        .await
        .unwrap()
        .check_pages()
        .await
        .unwrap();
}

#[tokio::test]
async fn rows_survive_a_deleted_write_ahead_log() {
    let (folder, log) = open(&Settings::default()).await;
    log.append(full_record("before", 1)).await.unwrap();
    fs::remove_file(with_suffix(&folder.path().join(FILE_NAME), "-wal")).unwrap();
    log.append(full_record("after", 2)).await.unwrap();
    for request_id in ["before", "after"] {
        assert_eq!(
            seen_by_others(folder.path(), request_id).await,
            1,
            "{request_id}"
        );
    }
}

#[tokio::test]
async fn a_folder_that_is_gone_refuses() {
    let (folder, log) = open(&Settings::default()).await;
    log.append(full_record("before", 1)).await.unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    log.append(full_record("after", 2)).await.unwrap_err();
    assert!(log.check().await.failing.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_answer_is_failing() {
    let settings = Settings {
        busy_timeout_ms: 600_000,
        ..Settings::default()
    };
    let (folder, log) = open(&settings).await;
    log.append(full_record("before", 1)).await.unwrap();
    // A writer that waits for a lock waits like one whose disk hangs.
    let mut other = outsider(&folder.path().join(FILE_NAME)).await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    log.shared.fail(&LogFault::Closed.into());
    log.shared.succeed();
    let waiting = log.append(full_record("waits", 2));
    let checking = async {
        tokio::time::sleep(STALE + Duration::from_secs(1)).await;
        log.check().await
    };
    let (outcome, health) = tokio::join!(waiting, async {
        let health = checking.await;
        lock.rollback().await.unwrap();
        health
    });
    let failing = health.failing.unwrap();
    let reason = failing.reason.to_string();
    assert!(reason.contains("did not confirm"), "{reason}");
    // Late, but there; or refused, since it took too long.
    drop(outcome);
    assert_eq!(log.check().await.failing, None);
}

#[test]
fn settings_refuse_what_they_do_not_know() {
    let error = serde_json::from_str::<Settings>(r#"{"durabilty": "full"}"#).unwrap_err();
    assert!(error.to_string().contains("durabilty"), "{error}");
    let settings: Settings = serde_json::from_str(r#"{"durability": "full"}"#).unwrap();
    assert_eq!(settings.durability, Durability::Full);
    assert_eq!(settings.retention_days, Settings::default().retention_days);
}
