use super::*;
use crate::fixture::{TestClock, full_record};
use crate::{
    FILE_NAME, Filter, InferenceLog, InferenceRecord, LogReader, Settings, accept_clock, upkeep,
};
use tempfile::TempDir;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn row_at(time: DateTime<Utc>) -> InferenceRecord {
    let mut record = full_record("r", 1);
    (record.time, record.clock, record.clock_run_seconds) = (time, None, None);
    record
}

async fn open(folder: &TempDir, clock: &TestClock) -> InferenceLog {
    InferenceLog::open_with_clock(&Settings::default(), folder.path(), clock.clock())
        .await
        .unwrap()
}

/// What the daemon does each minute.
async fn round(log: &InferenceLog) -> u64 {
    let settings = &log.shared.settings;
    let pruned = upkeep::round(&log.commands, settings).await;
    pruned.unwrap().rows
}

async fn count(log: &InferenceLog) -> u64 {
    log.reader().count(&Filter::default()).await.unwrap().rows
}

async fn marks(log: &InferenceLog) -> Vec<Option<ClockMark>> {
    let page = log.reader().query(&Filter::default(), None).await.unwrap();
    page.records.iter().map(|row| row.clock).collect()
}

const DAY: TimeDelta = TimeDelta::days(1);

#[test]
fn a_step_of_less_than_a_day_is_no_jump() {
    let start = Moment {
        time: time("2026-11-24T12:00:00Z"),
        run_seconds: 0,
    };
    for (hours, is_jump) in [
        (0, false),
        (-23, false),
        (23, false),
        (-25, true),
        (25, true),
    ] {
        let step = TimeDelta::hours(hours);
        let now = Moment {
            time: start.time + TimeDelta::seconds(60) + step,
            run_seconds: 60,
        };
        let mut watch = Watch::trusting(start);
        assert_eq!(watch.look(now).is_some(), is_jump, "{hours}");
        assert_eq!(watch.doubt.is_some(), is_jump, "{hours}");
    }
}

#[test]
fn steps_that_come_to_more_than_a_day_are_a_jump() {
    let start = time("2026-11-24T12:00:00Z");
    let at = |hours: i64, run_seconds: i64| Moment {
        time: start + TimeDelta::hours(hours) + TimeDelta::seconds(run_seconds),
        run_seconds,
    };
    let mut watch = Watch::trusting(at(0, 0));
    assert_eq!(watch.look(at(23, 60)), None);
    let Some(Change::Jumped(doubt)) = watch.look(at(46, 120)) else {
        panic!("{watch:?}");
    };
    assert_eq!(doubt.expected, at(0, 0));
    assert_eq!(watch.look(at(46, 180)), None, "told once");
    assert_eq!(watch.look(at(1, 240)), Some(Change::Returned));
}

#[test]
fn steadiness_is_counted_from_the_last_jump() {
    let start = time("2026-11-24T12:00:00Z");
    let at = |days: i64, run_seconds: i64| Moment {
        time: start + TimeDelta::days(days) + TimeDelta::seconds(run_seconds),
        run_seconds,
    };
    let mut watch = Watch::trusting(at(0, 0));
    assert!(matches!(watch.look(at(400, 60)), Some(Change::Jumped(_))));
    assert_eq!(watch.look(at(400, 80_000)), None);
    assert!(matches!(
        watch.look(at(900, 80_060)),
        Some(Change::Jumped(_))
    ));
    assert_eq!(watch.look(at(900, 160_000)), None);
    assert_eq!(watch.look(at(900, 166_460)), Some(Change::Settled));
    assert_eq!(watch.doubt, None);
}

#[tokio::test]
async fn a_clock_ten_years_ahead_for_a_minute_deletes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let right = time("2026-11-24T12:00:00Z");
    let clock = TestClock::at(right, Some(true));
    let log = open(&folder, &clock).await;
    for days in (0..100).rev() {
        log.append(row_at(right - DAY * days)).await.unwrap();
    }
    assert_eq!((round(&log).await, count(&log).await), (0, 100));

    clock.set(right + DAY * 3650, Some(true));
    for _ in 0..6 {
        clock.pass(TimeDelta::seconds(10));
        assert_eq!(round(&log).await, 0);
    }
    let warnings = log.health().warnings;
    assert!(
        warnings[0].contains("+3650 days") && warnings[0].contains("--trust-clock"),
        "{warnings:?}"
    );
    log.append(row_at(right + DAY * 3650)).await.unwrap();
    assert_eq!(marks(&log).await[0], Some(ClockMark::Jumped));
    let facts = log.reader().clock().await.unwrap();
    assert!(
        facts.doubt.is_some() && facts.doubtful_rows == 1,
        "{facts:?}"
    );

    // Somebody corrects it: all goes on at once.
    clock.set(right + TimeDelta::minutes(1), Some(true));
    assert_eq!(round(&log).await, 0);
    assert_eq!(log.health().warnings, Vec::<String>::new());
    assert_eq!(count(&log).await, 101);
    log.append(row_at(right - DAY * 300)).await.unwrap();
    assert_eq!((round(&log).await, count(&log).await), (1, 101));
}

#[tokio::test]
async fn a_start_in_1970_loses_no_row_and_settles_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let dark = time("1970-01-01T00:00:30Z");
    let clock = TestClock::at(dark, Some(false));
    let log = open(&folder, &clock).await;
    log.append(row_at(dark)).await.unwrap();
    assert_eq!(marks(&log).await, [Some(ClockMark::Unsynchronised)]);
    clock.pass(TimeDelta::seconds(50));
    clock.set(time("2026-11-24T12:00:00Z"), Some(true));
    assert_eq!((round(&log).await, count(&log).await), (0, 1));
    assert_eq!(log.health().warnings.len(), 1);

    clock.pass(DAY);
    assert_eq!((round(&log).await, count(&log).await), (0, 1));
    assert_eq!(log.health().warnings, Vec::<String>::new());
    // Retention works: an old row goes, the one of 1970 stays until the daemon has run for as long
    // as rows are kept.
    log.append(row_at(time("2026-01-01T00:00:00Z")))
        .await
        .unwrap();
    assert_eq!((round(&log).await, count(&log).await), (1, 1));
    clock.pass(DAY * 178);
    assert_eq!((round(&log).await, count(&log).await), (0, 1));
    clock.pass(DAY * 2);
    assert_eq!((round(&log).await, count(&log).await), (1, 0));
}

#[tokio::test]
async fn what_was_seen_last_is_known_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let right = time("2026-11-24T12:00:00Z");
    let log = open(&folder, &TestClock::at(right, Some(true))).await;
    log.append(row_at(right)).await.unwrap();
    log.close().await;
    // Off for a night: nobody is troubled.
    let log = open(&folder, &TestClock::at(right + TimeDelta::hours(14), None)).await;
    assert_eq!(log.health().warnings, Vec::<String>::new());
    log.close().await;
    let wrong = TestClock::at(right + DAY * 3650, Some(true));
    let log = open(&folder, &wrong).await;
    assert_eq!((round(&log).await, count(&log).await), (0, 1));
    assert_eq!(log.health().warnings.len(), 1);
    log.close().await;
    // Another start with the same clock does not make it right.
    wrong.pass(TimeDelta::hours(1));
    let log = open(&folder, &wrong).await;
    assert_eq!((round(&log).await, count(&log).await), (0, 1));

    let path = folder.path().join(FILE_NAME);
    let now = wrong.clock().read().wall;
    let facts = LogReader::open(&path).await.unwrap().clock().await.unwrap();
    assert!(facts.objection(now).is_some());
    accept_clock(&path, now).await.unwrap();
    assert_eq!((round(&log).await, count(&log).await), (1, 0));
    assert_eq!(log.health().warnings, Vec::<String>::new());
}

#[tokio::test]
async fn a_log_of_an_older_release_is_judged_by_its_newest_row() {
    let folder = tempfile::tempdir().unwrap();
    let right = time("2026-11-24T12:00:00Z");
    let log = open(&folder, &TestClock::at(right, Some(true))).await;
    log.append(row_at(right)).await.unwrap();
    log.close().await;
    let path = folder.path().join(FILE_NAME);
    let mut connection = crate::schema::open_beside(&path).await.unwrap();
    sqlx::query("DELETE FROM clock_watch")
        .execute(&mut connection)
        .await
        .unwrap();
    let log = open(&folder, &TestClock::at(right + DAY * 3650, Some(true))).await;
    assert_eq!((round(&log).await, count(&log).await), (0, 1));
    assert_eq!(log.health().warnings.len(), 1);
}

#[tokio::test]
async fn rows_that_bear_a_time_the_clock_has_not_reached_are_marked() {
    let folder = tempfile::tempdir().unwrap();
    let right = time("2026-11-24T12:00:00Z");
    let clock = TestClock::at(right, Some(true));
    let log = open(&folder, &clock).await;
    log.append(row_at(right + DAY * 3650)).await.unwrap();
    assert_eq!(marks(&log).await, [Some(ClockMark::Jumped)]);
    let warnings = log.health().warnings;
    assert!(warnings[0].contains("set back"), "{warnings:?}");
    clock.pass(DAY);
    round(&log).await;
    assert_eq!(log.health().warnings, Vec::<String>::new());
}
