use std::collections::HashMap;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::fixture::{full_record, open};
use crate::{InferenceLog, Settings};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
}

fn row_at(seconds: i64, source: &str, score: Option<f32>) -> InferenceRecord {
    let mut record = full_record("r", 1);
    record.time = at(seconds);
    record.source = Some(source.to_owned());
    record.quality_score = score;
    record.error_code = None;
    record
}

async fn times(log: &InferenceLog, filter: Filter) -> Vec<i64> {
    let page = log.reader().query(&filter, None).await.unwrap();
    let start = at(0);
    page.records
        .iter()
        .map(|record| (record.time - start).num_seconds())
        .collect()
}

#[tokio::test]
async fn each_filter_keeps_what_it_says() {
    let (_folder, log) = open(&Settings::default()).await;
    let mut failed = row_at(4, "gate-2", None);
    failed.error_code = Some(faceood_engine::problem::ProblemCode::NoFace);
    log.append_all(vec![
        row_at(1, "gate-1", Some(0.4)),
        row_at(2, "gate-2", Some(0.400_001)),
        row_at(3, "gate-1", Some(0.9)),
        failed,
    ])
    .await
    .unwrap();
    let all = Filter::default();
    assert_eq!(times(&log, all.clone()).await, [4, 3, 2, 1]);
    let oldest = Filter {
        order: Order::OldestFirst,
        ..all.clone()
    };
    assert_eq!(times(&log, oldest).await, [1, 2, 3, 4]);
    let since = Filter {
        since: Some(at(3)),
        ..all.clone()
    };
    assert_eq!(times(&log, since).await, [4, 3]);
    let until = Filter {
        until: Some(at(3)),
        ..all.clone()
    };
    assert_eq!(times(&log, until).await, [2, 1]);
    let source = Filter {
        source: Some("gate-1".to_owned()),
        ..all.clone()
    };
    assert_eq!(times(&log, source).await, [3, 1]);
    // At the cut counts, and what prints as 0.4 is 0.4.
    let low = Filter {
        max_score: Some(0.4),
        ..all.clone()
    };
    assert_eq!(times(&log, low).await, [1]);
    let together = Filter {
        since: Some(at(2)),
        source: Some("gate-1".to_owned()),
        max_score: Some(0.95),
        ..all.clone()
    };
    assert_eq!(times(&log, together).await, [3]);

    let counts = log.reader().count(&all).await.unwrap();
    let expected = Counts {
        rows: 4,
        errors: 1,
        oldest: Some(at(1)),
        newest: Some(at(4)),
    };
    assert_eq!(counts, expected);
    let nothing = Filter {
        source: Some("gate-9".to_owned()),
        ..all
    };
    let counts = log.reader().count(&nothing).await.unwrap();
    assert_eq!(counts, Counts::default());
}

#[tokio::test]
async fn a_page_is_never_larger_than_the_largest_nor_empty_by_wish() {
    let (_folder, log) = open(&Settings::default()).await;
    log.append_all((0..1003).map(|seed| full_record("r", seed)).collect())
        .await
        .unwrap();
    for (limit, expected) in [
        (None, DEFAULT_PAGE),
        (Some(0), 1),
        (Some(1), 1),
        (Some(u32::MAX), LARGEST_PAGE),
    ] {
        let filter = Filter {
            limit,
            ..Filter::default()
        };
        let page = log.reader().query(&filter, None).await.unwrap();
        assert_eq!(page.records.len(), expected as usize);
        assert!(page.next.is_some());
    }
}

#[tokio::test]
async fn a_word_of_a_newer_release_is_left_out() {
    let (_folder, log) = open(&Settings::default()).await;
    log.append(full_record("r", 1)).await.unwrap();
    log.execute(
        "UPDATE inferences SET grade = 'splendid', error_code = 'too_late', reasons = '[\"mood\"]'",
    )
    .await;
    let page = log.reader().query(&Filter::default(), None).await.unwrap();
    let row = &page.records[0];
    assert_eq!((row.grade, row.error_code), (None, None));
    assert_eq!(row.reasons, None);
    let whole = full_record("r", 1);
    assert_eq!((&row.causes, row.action), (&whole.causes, whole.action));
}

#[tokio::test]
async fn a_row_that_does_not_fit_is_an_error_that_names_it_and_its_column() {
    let (_folder, log) = open(&Settings::default()).await;
    let record = full_record("r", 1);
    let id = record.id.to_string();
    log.append(record).await.unwrap();
    log.execute("UPDATE inferences SET role = 'onlooker'").await;
    let error = log
        .reader()
        .query(&Filter::default(), None)
        .await
        .unwrap_err();
    assert!(
        matches!(error, LogError::BadColumn { column: "role", .. }),
        "{error}"
    );
    assert!(error.to_string().contains(&id), "{error}");
}

#[test]
fn a_cursor_survives_its_text_and_anything_else_is_none() {
    let cursor = Cursor::after(&full_record("r", 1));
    assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
    let time_only = URL_SAFE_NO_PAD.encode("2026-11-24T10:00:00Z/");
    for text in ["", "x", "12", "ä", &time_only, &format!("{cursor}A")] {
        let error = text.parse::<Cursor>().unwrap_err();
        assert!(
            matches!(error, LogError::Told(LogFault::BadCursor { .. })),
            "{text}: {error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Few distinct times, so that pages end between rows of one time; rows come in between pages,
    /// also into the past.
    #[test]
    fn paging_returns_each_row_once_while_others_are_written(
        seconds in prop::collection::vec(0_i64..6, 0..40),
        later in prop::collection::vec(-3_i64..9, 0..20),
        limit in 1_u32..8,
        newest_first: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_folder, log) = open(&Settings::default()).await;
            let first: Vec<_> = seconds.iter().map(|&second| row_at(second, "gate", None)).collect();
            log.append_all(first.clone()).await.unwrap();
            let order = if newest_first { Order::NewestFirst } else { Order::OldestFirst };
            let filter = Filter { limit: Some(limit), order, ..Filter::default() };

            let mut later = later.iter();
            let mut seen: HashMap<Uuid, u32> = HashMap::new();
            let mut times = Vec::new();
            let mut cursor: Option<Cursor> = None;
            loop {
                let page = log.reader().query(&filter, cursor.as_ref()).await.unwrap();
                for record in &page.records {
                    *seen.entry(record.id).or_default() += 1;
                    times.push(record.time);
                }
                assert!(times.len() < 1000, "the pages do not end");
                // Through its text, as a caller would.
                cursor = page.next.map(|next| next.to_string().parse().unwrap());
                if cursor.is_none() {
                    break;
                }
                for &second in later.by_ref().take(2) {
                    let mut record = row_at(second, "gate", None);
                    record.time += TimeDelta::milliseconds(1);
                    log.append(record).await.unwrap();
                }
            }
            for record in &first {
                assert_eq!(seen.get(&record.id), Some(&1));
            }
            assert!(seen.values().all(|&times| times == 1));
            assert!(if newest_first {
                times.is_sorted_by(|a, b| a >= b)
            } else {
                times.is_sorted()
            });
        });
    }
}
