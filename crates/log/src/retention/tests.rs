use super::*;
use crate::fixture::{full_record, open};
use crate::{FILE_NAME, Filter, InferenceLog, InferenceRecord};

fn row_of_age(days: i64, now: DateTime<Utc>) -> InferenceRecord {
    let mut record = full_record("r", 1);
    record.time = now - TimeDelta::days(days);
    record.clock = None;
    record
}

/// A log with a row for each of the last 300 days.
async fn filled(now: DateTime<Utc>) -> (tempfile::TempDir, InferenceLog) {
    let (folder, log) = open(&Settings::default()).await;
    let rows = (0..300).rev().map(|days| row_of_age(days, now)).collect();
    log.append_all(rows).await.unwrap();
    (folder, log)
}

async fn count(log: &InferenceLog) -> u64 {
    log.reader().count(&Filter::default()).await.unwrap().rows
}

#[test]
fn settings_become_limits_and_zero_sets_none() {
    let now = Utc::now();
    let settings = Settings {
        retention_days: 30,
        max_bytes: 1000,
        ..Settings::default()
    };
    let limits = Limits {
        oldest: Some(now - TimeDelta::days(30)),
        max_bytes: Some(1000),
        ..Limits::default()
    };
    assert_eq!(Limits::of(&settings, now), limits);
    let settings = Settings {
        retention_days: 0,
        max_bytes: 0,
        ..Settings::default()
    };
    assert_eq!(Limits::of(&settings, now), Limits::default());
    // More days than the calendar has.
    let settings = Settings {
        retention_days: u32::MAX,
        max_bytes: 0,
        ..Settings::default()
    };
    assert_eq!(Limits::of(&settings, now), Limits::default());
}

#[tokio::test]
async fn old_rows_go_and_young_ones_stay() {
    let now = Utc::now();
    let (_folder, log) = filled(now).await;
    let oldest = now - TimeDelta::days(100);
    let limits = Limits {
        oldest: Some(oldest),
        ..Limits::default()
    };
    let pruned = log.prune(limits).await.unwrap();
    assert_eq!(pruned.rows, 199);
    let counts = log.reader().count(&Filter::default()).await.unwrap();
    assert_eq!(counts.rows, 101);
    assert!(counts.oldest.unwrap() >= oldest - TimeDelta::milliseconds(1));
    // Nothing is left to do.
    assert_eq!(log.prune(limits).await.unwrap(), Pruned::default());
}

#[tokio::test]
async fn no_limit_deletes_nothing() {
    let (_folder, log) = filled(Utc::now()).await;
    let pruned = log.prune(Limits::default()).await.unwrap();
    assert_eq!(pruned, Pruned::default());
    assert_eq!(count(&log).await, 300);
}

#[tokio::test]
async fn the_oldest_rows_go_until_the_size_fits() {
    let now = Utc::now();
    let (folder, log) = filled(now).await;
    let path = folder.path().join(FILE_NAME);
    let mut connection = schema::open_beside(&path).await.unwrap();
    let before = used_bytes(&mut connection).await.unwrap();
    let limits = Limits {
        max_bytes: Some(before / 2),
        ..Limits::default()
    };
    let pruned = log.prune(limits).await.unwrap();
    assert!(used_bytes(&mut connection).await.unwrap() <= before / 2);
    let counts = log.reader().count(&Filter::default()).await.unwrap();
    assert_eq!(counts.rows, 300 - pruned.rows);
    assert!(counts.rows > 50, "{counts:?}");
    // The youngest row is among those that stayed.
    assert!(now - counts.newest.unwrap() < TimeDelta::seconds(1));
    // A size that not even an empty log has ends as well.
    let limits = Limits {
        max_bytes: Some(1),
        ..Limits::default()
    };
    log.prune(limits).await.unwrap();
    assert_eq!(count(&log).await, 0);
}

#[tokio::test]
async fn the_file_shrinks_when_much_of_it_is_free() {
    let (folder, log) = open(&crate::fixture::keep_all()).await;
    let mut record = full_record("r", 1);
    record.thumbnail = Some(vec![3; 4 << 20]);
    log.append(record).await.unwrap();
    let path = folder.path().join(FILE_NAME);
    let limits = Limits {
        max_bytes: Some(1),
        ..Limits::default()
    };
    let pruned = log.prune(limits).await.unwrap();
    assert!(pruned.freed_bytes > 2 << 20, "{pruned:?}");
    log.close().await;
    assert!(std::fs::metadata(&path).unwrap().len() < 2 << 20);
}

#[tokio::test]
async fn a_deleted_face_is_overwritten() {
    let (folder, log) = open(&crate::fixture::keep_all()).await;
    let now = Utc::now();
    let face: Vec<u8> = (0..6000_u32)
        .flat_map(|number| (number * 7 + 1).to_le_bytes())
        .collect();
    let mut record = row_of_age(200, now);
    record.thumbnail = Some(face.clone());
    log.append_all(vec![record, row_of_age(1, now)])
        .await
        .unwrap();
    log.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let is_stored = || {
        let file = std::fs::read(folder.path().join(FILE_NAME)).unwrap();
        let piece = &face[9000..9064];
        file.windows(piece.len()).any(|window| window == piece)
    };
    assert!(is_stored());
    let limits = Limits {
        oldest: Some(now - TimeDelta::days(100)),
        ..Limits::default()
    };
    assert_eq!(log.prune(limits).await.unwrap().rows, 1);
    // Not by closing, which may use the free pages for something else.
    log.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
    assert!(!is_stored());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_command_prunes_beside_a_writing_daemon() {
    let now = Utc::now();
    let (folder, log) = filled(now).await;
    let path = folder.path().join(FILE_NAME);
    let limits = Limits {
        oldest: Some(now - TimeDelta::days(100)),
        ..Limits::default()
    };
    let mut heard = Vec::new();
    let pruning = prune(&path, &limits, |so_far| heard.push(so_far.rows));
    let writing = async {
        for seed in 0..200 {
            log.append(full_record("new", seed)).await.unwrap();
        }
    };
    let (pruned, ()) = tokio::join!(pruning, writing);
    assert_eq!(pruned.unwrap().rows, 199);
    assert!(heard.is_sorted() && heard.last() == Some(&199), "{heard:?}");
    assert_eq!(count(&log).await, 101 + 200);
    assert_eq!(log.health().failing, None);
}

#[tokio::test]
async fn pruning_what_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let error = prune(&path, &Limits::default(), |_| {}).await.unwrap_err();
    assert!(matches!(error, LogError::Missing { .. }), "{error}");
    assert!(!path.exists());
}

#[test]
fn steps_grow_while_they_are_quick_and_shrink_when_they_are_not() {
    let mut pace = Pace::default();
    for _ in 0..20 {
        pace.learn(Duration::from_micros(10));
    }
    assert_eq!(pace.rows, MOST_ROWS);
    for _ in 0..20 {
        pace.learn(STEP_BUDGET * 2);
    }
    assert_eq!(pace.rows, 1);
}

#[tokio::test]
async fn size_goes_by_the_order_of_writing_whatever_the_clock_said() {
    let now = Utc::now();
    let (folder, log) = open(&Settings::default()).await;
    // The clock was ten years ahead, then lost its battery, then was right.
    let ages = [-3650, 20_000, 0];
    let rows = ages
        .iter()
        .flat_map(|days| vec![row_of_age(*days, now); 100]);
    let mut rows: Vec<_> = rows.collect();
    for (number, row) in rows.iter_mut().enumerate() {
        row.id = uuid::Uuid::from_u128(number as u128);
    }
    log.append_all(rows).await.unwrap();
    let path = folder.path().join(FILE_NAME);
    let mut connection = schema::open_beside(&path).await.unwrap();
    let used = used_bytes(&mut connection).await.unwrap();
    let limits = Limits {
        max_bytes: Some(used * 2 / 3),
        ..Limits::default()
    };
    log.prune(limits).await.unwrap();
    let future = Filter {
        since: Some(now + TimeDelta::days(1)),
        ..Filter::default()
    };
    let gone = 300 - count(&log).await;
    assert!(gone > 50, "{gone}");
    let left = log.reader().count(&future).await.unwrap().rows;
    assert_eq!(left, 100_u64.saturating_sub(gone));
}

#[tokio::test]
async fn rows_in_doubt_stay_unless_they_are_asked_for() {
    let now = Utc::now();
    let (_folder, log) = open(&Settings::default()).await;
    let mut doubtful = row_of_age(20_000, now);
    doubtful.clock = Some(crate::ClockMark::Unsynchronised);
    doubtful.clock_run_seconds = Some(100);
    log.append_all(vec![doubtful, row_of_age(200, now)])
        .await
        .unwrap();
    let by_age = |doubtful| Limits {
        oldest: Some(now - TimeDelta::days(180)),
        doubtful,
        ..Limits::default()
    };
    assert_eq!(log.reader().doubtful_before(now).await.unwrap(), 1);
    let kept = log.prune(by_age(Doubtful::Keep)).await.unwrap();
    assert_eq!((kept.rows, count(&log).await), (1, 1));
    let young = log.prune(by_age(Doubtful::WrittenBefore(100))).await;
    assert_eq!((young.unwrap().rows, count(&log).await), (0, 1));
    let old = log.prune(by_age(Doubtful::WrittenBefore(101))).await;
    assert_eq!((old.unwrap().rows, count(&log).await), (1, 0));
}
