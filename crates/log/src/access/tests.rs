use chrono::TimeDelta;
use sqlx::ConnectOptions;

use super::*;
use crate::fixture::{TestClock, full_record, open, steady_clock};
use crate::{Doubtful, FILE_NAME, Filter, InferenceLog, Limits, OnFailure, schema, upkeep};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
}

fn refused(seconds: i64, address: &str, refusal: AccessRefusal) -> AccessEvent {
    AccessEvent {
        time: at(seconds),
        address: Some(address.parse().unwrap()),
        token: None,
        endpoint: "/v1/extract".to_owned(),
        refusal,
    }
}

fn wrong_tokens(seconds: std::ops::Range<i64>) -> Vec<AccessEvent> {
    let refused = |second| refused(second, "192.0.2.7", AccessRefusal::WrongToken);
    seconds.map(refused).collect()
}

fn used(token: &str, uses: u64, first: i64, last: i64) -> TokenUse {
    TokenUse {
        token: token.to_owned(),
        uses,
        first: at(first),
        last: at(last),
        last_address: Some("192.0.2.1".parse().unwrap()),
    }
}

/// Waits until all that is kept has been written, or cannot be.
async fn write(log: &InferenceLog) {
    for _ in 0..MOST_WAITING / BATCH_ROWS + 1 {
        upkeep::write_access(&log.commands).await;
    }
}

async fn all(log: &InferenceLog) -> Vec<AccessEvent> {
    log.reader()
        .accesses(&AccessFilter::default())
        .await
        .unwrap()
}

async fn seconds(log: &InferenceLog) -> Vec<i64> {
    let events = all(log).await;
    let second = |event: &AccessEvent| (event.time - at(0)).num_seconds();
    events.iter().map(second).collect()
}

/// By age, keeping rows in doubt.
fn older_than(oldest: DateTime<Utc>) -> Limits {
    Limits {
        oldest: Some(oldest),
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_refusal_is_kept_with_all_that_is_known_of_it() {
    let (_folder, log) = open(&Settings::default()).await;
    let told = (0..).zip(AccessRefusal::ALL);
    let told = told.map(|(second, refusal)| AccessEvent {
        token: Some("east-gate".to_owned()),
        ..refused(second, "2001:db8::1", refusal)
    });
    let told: Vec<_> = told.collect();
    log.note_access(told.clone(), Vec::new());
    let bare = AccessEvent {
        address: None,
        ..refused(50, "192.0.2.7", AccessRefusal::NoToken)
    };
    log.note_access(vec![bare.clone()], Vec::new());
    write(&log).await;
    let found = all(&log).await;
    assert_eq!(found[..told.len()], told);
    assert_eq!(found[told.len()..], [bare]);
    // Nothing is written twice.
    write(&log).await;
    assert_eq!(all(&log).await.len(), found.len());
}

#[tokio::test]
async fn it_is_written_without_being_asked_and_at_the_end() {
    let (folder, log) = open(&Settings::default()).await;
    log.note_access(wrong_tokens(0..1), Vec::new());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while all(&log).await.is_empty() {
        assert!(std::time::Instant::now() < deadline, "nothing was written");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // More than one transaction takes.
    log.note_access(wrong_tokens(1..2001), vec![used("east", 3, 0, 1)]);
    log.close().await;
    let reader = LogReader::open(&folder.path().join(FILE_NAME)).await;
    let reader = reader.unwrap();
    let found = reader.accesses(&AccessFilter::default()).await.unwrap();
    assert_eq!(found.len(), 2001);
    assert_eq!(reader.token_uses().await.unwrap(), [used("east", 3, 0, 1)]);
}

#[tokio::test]
async fn each_filter_keeps_what_it_says() {
    let (_folder, log) = open(&Settings::default()).await;
    // As a socket for IPv4 and IPv6 shows an IPv4 caller.
    let mapped = refused(3, "::ffff:192.0.2.7", AccessRefusal::Role);
    let mut told = wrong_tokens(0..3);
    told.extend([mapped, refused(4, "192.0.2.8", AccessRefusal::WrongToken)]);
    log.note_access(told, Vec::new());
    write(&log).await;
    let found = async |filter: AccessFilter| {
        let events = log.reader().accesses(&filter).await.unwrap();
        let second = |event: &AccessEvent| (event.time - at(0)).num_seconds();
        events.iter().map(second).collect::<Vec<_>>()
    };
    let default = AccessFilter::default;
    let since = Some(at(3));
    assert_eq!(found(AccessFilter { since, ..default() }).await, [3, 4]);
    let until = Some(at(3));
    assert_eq!(found(AccessFilter { until, ..default() }).await, [0, 1, 2]);
    for address in ["192.0.2.7", "::ffff:192.0.2.7"] {
        let address = Some(address.parse().unwrap());
        let filter = AccessFilter {
            address,
            ..default()
        };
        assert_eq!(found(filter).await, [0, 1, 2, 3]);
    }
    let refusal = Some(AccessRefusal::WrongToken);
    let filter = AccessFilter {
        refusal,
        limit: Some(2),
        ..default()
    };
    assert_eq!(found(filter).await, [2, 4]);
}

#[tokio::test]
async fn uses_of_a_token_add_up() {
    let (_folder, log) = open(&Settings::default()).await;
    log.note_access(
        Vec::new(),
        vec![used("west", 1, 0, 0), used("east", 2, 1, 5)],
    );
    // Before and after the first was written.
    log.note_access(Vec::new(), vec![used("east", 3, 6, 7)]);
    write(&log).await;
    let mut later = used("east", 4, 8, 9);
    later.last_address = None;
    log.note_access(Vec::new(), vec![later]);
    write(&log).await;
    let mut east = used("east", 9, 1, 9);
    east.last_address = None;
    let west = used("west", 1, 0, 0);
    assert_eq!(log.reader().token_uses().await.unwrap(), [east, west]);
}

#[tokio::test]
async fn a_flood_is_cut_off_and_holds_up_no_row() {
    let (_folder, log) = open(&Settings::default()).await;
    let most = i64::try_from(MOST_WAITING).unwrap();
    log.note_access(wrong_tokens(0..most + 1), Vec::new());
    for second in 0..3 {
        log.note_access(
            wrong_tokens(second..second + 1),
            vec![used("east", 1, 0, 0)],
        );
    }
    log.append(full_record("r", 1)).await.unwrap();
    assert_eq!(log.reader().by_request("r").await.unwrap().len(), 1);
    write(&log).await;
    assert_eq!(seconds(&log).await, (0..most).collect::<Vec<_>>());
    assert_eq!(
        log.reader().token_uses().await.unwrap(),
        [used("east", 3, 0, 0)]
    );
}

#[test]
fn more_tokens_than_a_box_has_are_not_kept() {
    let waiting = Waiting::default();
    let names = (0..MOST_TOKENS + 5).map(|number| format!("token-{number:05}"));
    let uses: Vec<_> = names.map(|name| used(&name, 1, 0, 0)).collect();
    waiting.add(Vec::new(), uses);
    assert_eq!(waiting.take().uses.len(), MOST_TOKENS);
    assert!(waiting.is_empty());
}

#[tokio::test]
async fn the_oldest_refusals_go_and_leave_room_for_the_inferences() {
    // A tenth of it for refusals: ten rows.
    let settings = Settings {
        max_bytes: 10 * 10 * BYTES_PER_ROW,
        ..Settings::default()
    };
    let (_folder, log) = open(&settings).await;
    log.note_access(wrong_tokens(0..8), Vec::new());
    write(&log).await;
    log.note_access(wrong_tokens(8..25), Vec::new());
    write(&log).await;
    assert_eq!(seconds(&log).await, (15..25).collect::<Vec<_>>());
    let most = i64::from(MOST_ACCESS_ROWS);
    assert_eq!(most_rows(&Settings::default()), most);
    let without = Settings {
        max_bytes: 0,
        ..Settings::default()
    };
    assert_eq!(most_rows(&without), most);
}

#[tokio::test]
async fn a_full_disk_keeps_them_until_there_is_room() {
    let settings = Settings {
        on_failure: OnFailure::Refuse,
        busy_timeout_ms: 1,
        keep_thumbnails: true,
        ..Settings::default()
    };
    let (_folder, log) = open(&settings).await;
    log.execute("PRAGMA max_page_count = 60").await;
    let most = i64::try_from(MOST_WAITING).unwrap();
    log.note_access(wrong_tokens(0..most), vec![used("east", 1, 0, 0)]);
    write(&log).await;
    let written = seconds(&log).await.len();
    assert!(written < MOST_WAITING, "the disk has to be full");
    // Memory has a bound too: the newest are dropped, uses are not.
    log.note_access(wrong_tokens(most..2 * most), vec![used("east", 1, 1, 1)]);
    // Requests are told by their own rows.
    let mut big = full_record("lost", 1);
    big.thumbnail = Some(vec![7; 1 << 20]);
    log.append(big).await.unwrap_err();
    write(&log).await;
    assert_eq!(seconds(&log).await.len(), written);

    log.execute("PRAGMA max_page_count = 100000").await;
    assert_eq!(log.check().await.failing, None);
    write(&log).await;
    let kept = most + i64::try_from(written).unwrap();
    assert_eq!(seconds(&log).await, (0..kept).collect::<Vec<_>>());
    assert_eq!(
        log.reader().token_uses().await.unwrap(),
        [used("east", 2, 0, 1)]
    );
}

#[tokio::test]
async fn what_breaks_a_rule_does_not_stand_in_the_way() {
    let (_folder, log) = open(&Settings::default()).await;
    log.note_access(wrong_tokens(0..1), vec![used("east", u64::MAX, 0, 0)]);
    write(&log).await;
    // The sum is no number that the column can hold.
    log.note_access(wrong_tokens(1..2), vec![used("east", 1, 1, 1)]);
    write(&log).await;
    log.note_access(wrong_tokens(2..3), vec![used("west", 1, 1, 1)]);
    write(&log).await;
    assert_eq!(seconds(&log).await, [0, 2]);
    assert_eq!(log.reader().token_uses().await.unwrap().len(), 2);
    assert_eq!(log.health().failing, None);
}

#[tokio::test]
async fn a_deleted_database_does_not_take_them_along() {
    let (folder, log) = open(&Settings::default()).await;
    std::fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
    log.note_access(wrong_tokens(0..1), Vec::new());
    write(&log).await;
    log.append(full_record("r", 1)).await.unwrap();
    write(&log).await;
    let reader = LogReader::open(&folder.path().join(FILE_NAME)).await;
    let found = reader.unwrap().accesses(&AccessFilter::default()).await;
    assert_eq!(found.unwrap(), wrong_tokens(0..1));
}

#[tokio::test]
async fn old_refusals_go_with_the_rows_and_uses_stay() {
    let (folder, log) = open(&Settings::default()).await;
    log.note_access(wrong_tokens(0..10), vec![used("east", 1, 0, 0)]);
    write(&log).await;
    assert_eq!(log.reader().accesses_before(at(4), false).await.unwrap(), 4);
    let pruned = log.prune(older_than(at(4))).await.unwrap();
    assert_eq!((pruned.rows, pruned.refusals), (0, 4));
    // The operator's command does the same beside the daemon.
    let path = folder.path().join(FILE_NAME);
    let pruned = crate::prune(&path, &older_than(at(6)), |_| {}).await;
    assert_eq!(pruned.unwrap().refusals, 2);
    assert_eq!(seconds(&log).await, [6, 7, 8, 9]);
    assert_eq!(log.reader().token_uses().await.unwrap().len(), 1);
}

#[tokio::test]
async fn refusals_of_a_doubtful_clock_stay_unless_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let clocks = TestClock::at(at(0), Some(false));
    let settings = Settings::default();
    let log = InferenceLog::open_with_clock(&settings, folder.path(), clocks.clock());
    let log = log.await.unwrap();
    log.note_access(wrong_tokens(0..1), Vec::new());
    write(&log).await;
    // Then the clock is kept by a time service.
    clocks.set(at(0), Some(true));
    log.note_access(wrong_tokens(1..2), Vec::new());
    write(&log).await;
    let limits = older_than(at(1000));
    assert_eq!(
        log.reader().accesses_before(at(1000), true).await.unwrap(),
        2
    );
    assert_eq!(
        log.reader().accesses_before(at(1000), false).await.unwrap(),
        1
    );
    assert_eq!(log.prune(limits).await.unwrap().refusals, 1);
    assert_eq!(seconds(&log).await, [0]);
    let by_run = |seconds| Limits {
        doubtful: Doubtful::WrittenBefore(seconds),
        ..limits
    };
    assert_eq!(log.prune(by_run(0)).await.unwrap().refusals, 0);
    assert_eq!(log.prune(by_run(1)).await.unwrap().refusals, 1);
}

#[tokio::test]
async fn one_wrong_look_at_the_clock_deletes_no_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let clocks = TestClock::at(at(0), Some(true));
    let settings = Settings::default();
    let log = InferenceLog::open_with_clock(&settings, folder.path(), clocks.clock());
    let log = log.await.unwrap();
    log.note_access(wrong_tokens(0..1), Vec::new());
    write(&log).await;
    upkeep::round(&log.commands, &settings).await.unwrap();
    clocks.set(at(0) + TimeDelta::days(3650), Some(true));
    let pruned = upkeep::round(&log.commands, &settings).await.unwrap();
    assert_eq!((pruned.refusals, seconds(&log).await.len()), (0, 1));
    // After the time that refusals are kept they go.
    clocks.set(at(0), Some(true));
    for _ in 0..181 {
        clocks.pass(TimeDelta::hours(23));
        upkeep::round(&log.commands, &settings).await.unwrap();
    }
    assert_eq!(seconds(&log).await, [0]);
    for _ in 0..10 {
        clocks.pass(TimeDelta::hours(23));
        upkeep::round(&log.commands, &settings).await.unwrap();
    }
    assert_eq!(seconds(&log).await, [0; 0]);
}

#[tokio::test]
async fn an_old_log_is_brought_up_to_date_and_then_keeps_them() {
    let (folder, log) = open(&Settings::default()).await;
    log.append(full_record("old", 1)).await.unwrap();
    log.close().await;
    let path = folder.path().join(FILE_NAME);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = options.connect().await.unwrap();
    let before = "DROP TABLE access; DROP TABLE token_use; ALTER TABLE inferences DROP COLUMN token; \
                  DELETE FROM _sqlx_migrations WHERE version >= 7";
    for statements in [crate::fixture::UNDO_SHIPPING, before] {
        let done = sqlx::raw_sql(statements).execute(&mut connection).await;
        done.unwrap();
    }
    connection.close().await.unwrap();

    let settings = Settings::default();
    let log = InferenceLog::open_with_clock(&settings, folder.path(), steady_clock());
    let log = log.await.unwrap();
    let page = log.reader().query(&Filter::default(), None).await.unwrap();
    assert_eq!(
        (page.records.len(), page.records[0].token.as_deref()),
        (1, None)
    );
    log.note_access(wrong_tokens(0..1), vec![used("east", 1, 0, 0)]);
    log.append(full_record("new", 1)).await.unwrap();
    write(&log).await;
    assert_eq!(all(&log).await.len(), 1);
    let new = log.reader().by_request("new").await.unwrap();
    assert_eq!(new[0].token.as_deref(), Some("east-gate"));
    schema::open_beside(&path).await.unwrap();
}

#[tokio::test]
async fn a_word_that_is_not_ours_is_an_error_that_names_its_column() {
    let (_folder, log) = open(&Settings::default()).await;
    log.note_access(wrong_tokens(0..1), vec![used("east", 1, 0, 0)]);
    write(&log).await;
    log.execute("UPDATE access SET refusal = 'mood'").await;
    log.execute("UPDATE token_use SET last_address = 'gate'")
        .await;
    let error = log.reader().accesses(&AccessFilter::default()).await;
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "column refusal of the log: mood");
    let error = log.reader().token_uses().await.unwrap_err().to_string();
    assert!(
        error.contains("last_address") && error.contains("\"gate\""),
        "{error}"
    );
}
