//! What may lie where a log is to be opened.

use std::fs;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::*;
use crate::fixture::{UNDO_SHIPPING, full_record};
use crate::place::{FILE_NAME, set_aside_files};
use crate::{Feedback, InferenceLog, LogReader, OnFailure, ReportedOutcome};

async fn execute(path: &Path, statements: &[&'static str]) {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap();
    for statement in statements {
        sqlx::query(*statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
}

/// A log with 200 rows that was closed in good order.
async fn closed_log(folder: &Path) {
    let log = InferenceLog::open(&Settings::default(), folder)
        .await
        .unwrap();
    log.append_all((0..200).map(|seed| full_record("old", seed)).collect())
        .await
        .unwrap();
    log.close().await;
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".lock"))
        .collect();
    names.sort();
    names
}

/// Opening must fail even where the settings say to go on, and change nothing.
async fn assert_refused_untouched(folder: &Path) -> LogError {
    let before = (names(folder), fs::read(folder.join(FILE_NAME)).unwrap());
    let mut refusal = None;
    for on_failure in [OnFailure::Refuse, OnFailure::Continue] {
        let settings = Settings {
            on_failure,
            ..Settings::default()
        };
        refusal = InferenceLog::open(&settings, folder).await.err();
        assert!(refusal.is_some());
        assert_eq!(
            (names(folder), fs::read(folder.join(FILE_NAME)).unwrap()),
            before
        );
    }
    refusal.unwrap()
}

#[tokio::test]
async fn a_newer_schema_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    closed_log(folder.path()).await;
    let path = folder.path().join(FILE_NAME);
    execute(
        &path,
        &["INSERT INTO _sqlx_migrations VALUES (9000, 'future', '', true, x'00', 1)"],
    )
    .await;
    let error = assert_refused_untouched(folder.path()).await;
    let LogError::NewerSchema { found, known, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((found, known), (9000, newest_version()));
    let error = LogReader::open(&path).await.unwrap_err();
    assert!(matches!(error, LogError::NewerSchema { .. }), "{error}");
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    execute(&path, &["CREATE TABLE recipes (name TEXT)"]).await;
    let error = assert_refused_untouched(folder.path()).await;
    assert!(matches!(error, LogError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn an_older_schema_is_brought_up_to_date_by_the_daemon_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    // As far as the first migration's own transaction had come.
    closed_log(folder.path()).await;
    execute(
        &path,
        &[
            "DROP TABLE inferences",
            "DROP TABLE write_probe",
            "DROP TABLE clock_watch",
            "DROP TABLE feedback",
            "DROP TABLE unwritten",
            "DROP TABLE access",
            "DROP TABLE token_use",
            "DROP TABLE shipping_quarantine",
            "DROP TABLE shipping",
            "DROP TABLE log_identity",
            "DROP TABLE pruned_days",
            "DROP TABLE late_feedback",
            "DELETE FROM _sqlx_migrations",
        ],
    )
    .await;
    let error = LogReader::open(&path).await.unwrap_err();
    assert!(
        matches!(error, LogError::OlderSchema { found: 0, .. }),
        "{error}"
    );
    let log = InferenceLog::open(&Settings::default(), folder.path())
        .await
        .unwrap();
    log.append(full_record("new", 1)).await.unwrap();
    let reader = LogReader::open(&path).await.unwrap();
    assert_eq!(reader.by_request("new").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_missing_log_is_not_made_by_reading() {
    let folder = tempfile::tempdir().unwrap();
    let error = LogReader::open(&folder.path().join(FILE_NAME))
        .await
        .unwrap_err();
    assert!(matches!(error, LogError::Missing { .. }), "{error}");
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_damaged_is_set_aside_byte_for_byte_and_a_fresh_log_begun() {
    /// Damages the bytes of a database.
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 4] = [
        ("no database at all", |bytes| bytes.fill(b'x')),
        ("torn header", |bytes| bytes[..512].fill(0)),
        ("torn page", |bytes| bytes[4096 * 12..4096 * 13].fill(0xff)),
        ("cut off", |bytes| bytes.truncate(4096 * 9 + 100)),
    ];
    for (name, damage) in damages {
        let folder = tempfile::tempdir().unwrap();
        closed_log(folder.path()).await;
        let path = folder.path().join(FILE_NAME);
        let mut bytes = fs::read(&path).unwrap();
        assert!(bytes.len() > 4096 * 20, "the damage has to hit something");
        damage(&mut bytes);
        fs::write(&path, &bytes).unwrap();

        let log = InferenceLog::open(&Settings::default(), folder.path())
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let aside = set_aside_files(folder.path());
        assert_eq!(aside.len(), 1, "{name}");
        assert_eq!(fs::read(&aside[0]).unwrap(), bytes, "{name}");
        log.append(full_record("new", 1)).await.unwrap();
        assert_eq!(log.reader().by_request("old").await.unwrap(), [], "{name}");

        // It is said until somebody moves the file away.
        let warnings = log.health().warnings;
        let file_name = aside[0].file_name().unwrap().to_str().unwrap();
        assert!(warnings[0].contains(file_name), "{name}: {warnings:?}");
        fs::remove_file(&aside[0]).unwrap();
        assert_eq!(log.check().await.warnings, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_log_whose_daemon_was_killed_is_read_with_its_last_rows() {
    let folder = tempfile::tempdir().unwrap();
    let log = InferenceLog::open(&Settings::default(), folder.path())
        .await
        .unwrap();
    log.append(full_record("last", 1)).await.unwrap();
    // A copy of the files as a kill leaves them: the row is in the write-ahead log only.
    let left = tempfile::tempdir().unwrap();
    for name in names(folder.path()) {
        fs::copy(folder.path().join(&name), left.path().join(&name)).unwrap();
    }
    assert!(names(left.path()).contains(&format!("{FILE_NAME}-wal")));
    let again = InferenceLog::open(&Settings::default(), left.path())
        .await
        .unwrap();
    assert_eq!(again.reader().by_request("last").await.unwrap().len(), 1);
    assert_eq!(again.health().warnings, Vec::<String>::new());
}

#[tokio::test]
async fn a_write_ahead_log_cut_short_is_told_with_the_rows_that_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let log = InferenceLog::open(&Settings::default(), folder.path())
        .await
        .unwrap();
    for seed in 0..300 {
        log.append(full_record("r", seed)).await.unwrap();
    }
    let left = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal", ".lock"] {
        let name = format!("{FILE_NAME}{suffix}");
        fs::copy(folder.path().join(&name), left.path().join(&name)).unwrap();
    }
    let wal = left.path().join(format!("{FILE_NAME}-wal"));
    let wal = fs::OpenOptions::new().write(true).open(wal).unwrap();
    wal.set_len(wal.metadata().unwrap().len() * 2 / 3).unwrap();

    let log = InferenceLog::open(&Settings::default(), left.path())
        .await
        .unwrap();
    let rows = log.reader().by_request("r").await.unwrap().len();
    assert!((1..300).contains(&rows), "{rows}");
    let warnings = log.health().warnings;
    let expected = format!("{} rows up to", 300 - rows);
    assert!(warnings[0].starts_with(&expected), "{warnings:?}");
}

#[tokio::test]
async fn the_first_word_of_an_older_log_stays_in_the_history() {
    let folder = tempfile::tempdir().unwrap();
    closed_log(folder.path()).await;
    let path = folder.path().join(FILE_NAME);
    let before = [
        UNDO_SHIPPING,
        "DROP TABLE access",
        "DROP TABLE token_use",
        "ALTER TABLE inferences DROP COLUMN token",
        "DROP TABLE unwritten",
        "DROP TRIGGER feedback_goes_with_its_row",
        "DROP TABLE feedback",
        "DELETE FROM _sqlx_migrations WHERE version >= 5",
    ];
    execute(&path, &before).await;
    let log = InferenceLog::open(&Settings::default(), folder.path())
        .await
        .unwrap();
    log.close().await;
    let mut connection = read_options(&path, true).connect().await.unwrap();
    let words: Vec<(String, String)> =
        sqlx::query_as("SELECT outcome, note FROM feedback WHERE request_id = 'old'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(words, [("genuine".to_owned(), "looked at".to_owned())]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_refuses_or_begins_failing() {
    let folder = tempfile::tempdir().unwrap();
    // A folder where the database should be: like missing permission, but for root too.
    fs::create_dir(folder.path().join(FILE_NAME)).unwrap();
    let error = InferenceLog::open(&Settings::default(), folder.path())
        .await
        .unwrap_err();
    assert!(error.is_passing(), "{error}");

    let settings = Settings {
        on_failure: OnFailure::Continue,
        ..Settings::default()
    };
    let log = InferenceLog::open(&settings, folder.path()).await.unwrap();
    log.append(full_record("lost", 1)).await.unwrap();
    assert_eq!(log.health().lost_rows, 1);
    assert!(log.health().failing.is_some());

    fs::remove_dir(folder.path().join(FILE_NAME)).unwrap();
    assert_eq!(log.check().await.failing, None);
    log.append(full_record("after", 1)).await.unwrap();
    assert_eq!(log.reader().by_request("after").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_log_from_before_feedback_keeps_its_rows_and_takes_feedback() {
    let folder = tempfile::tempdir().unwrap();
    closed_log(folder.path()).await;
    // What the migrations after the first added, taken away again.
    let before = [
        UNDO_SHIPPING,
        "DROP TABLE access",
        "DROP TABLE token_use",
        "ALTER TABLE inferences DROP COLUMN token",
        "DROP TABLE unwritten",
        "DROP TRIGGER feedback_goes_with_its_row",
        "DROP TABLE feedback",
        "ALTER TABLE inferences DROP COLUMN request_key",
        "DROP TABLE clock_watch",
        "DROP INDEX inferences_clock",
        "DROP INDEX inferences_trusted_time",
        "ALTER TABLE inferences DROP COLUMN clock",
        "ALTER TABLE inferences DROP COLUMN clock_run_seconds",
        "DROP INDEX inferences_outcome",
        "ALTER TABLE inferences DROP COLUMN outcome",
        "ALTER TABLE inferences DROP COLUMN outcome_note",
        "ALTER TABLE inferences DROP COLUMN outcome_time",
        "DELETE FROM _sqlx_migrations WHERE version >= 2",
    ];
    execute(&folder.path().join(FILE_NAME), &before).await;

    let log = InferenceLog::open(&Settings::default(), folder.path())
        .await
        .unwrap();
    let rows = log.reader().by_request("old").await.unwrap();
    assert_eq!((rows.len(), rows[0].outcome), (200, None));
    let feedback = Feedback {
        request_id: "old".to_owned(),
        outcome: ReportedOutcome::Genuine,
        note: None,
        author: None,
        address: None,
        only_token: None,
    };
    assert!(log.record_feedback(feedback).await.unwrap().is_some());
    assert_eq!(
        log.reader().by_request("old").await.unwrap()[199].outcome,
        Some(ReportedOutcome::Genuine)
    );
}
