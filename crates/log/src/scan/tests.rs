use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::*;
use crate::fixture::{full_record, keep_all, open};
use crate::{FILE_NAME, InferenceLog};

/// Adds rows with these numbers, one a second, whose ids sort the other way round.
const MANY: &str = "WITH RECURSIVE number(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM number WHERE n + 1 < {to}) \
     INSERT INTO inferences (id, time, request_id, endpoint, role, source, quality_score) \
     SELECT printf('%08x-0000-7000-8000-000000000000', 4294967295 - n), \
     strftime('%Y-%m-%dT%H:%M:%S.000000Z', 1790000000 + n * 7919 % 100000 / 2, 'unixepoch'), n, 'extract', 'image', \
     'gate-' || (n % 3), n % 100 / 100.0 FROM number";

async fn add(log: &InferenceLog, from: i64, to: i64) {
    let statement = MANY
        .replace("{from}", &from.to_string())
        .replace("{to}", &to.to_string());
    log.execute(&statement).await;
}

fn places(reader: &LogReader, filter: &Filter) -> Vec<(DateTime<Utc>, Uuid)> {
    let mut places = Vec::new();
    let visit = |row: &Observation<'_>| {
        places.push((row.time, row.id));
        Ok(())
    };
    reader.scan(filter, visit).unwrap();
    places
}

#[tokio::test]
async fn every_row_comes_once_and_oldest_first_whatever_the_order_in_which_they_were_written() {
    const ROWS: i64 = 2 * PAGE_ROWS + 7;
    let (_folder, log) = open(&keep_all()).await;
    add(&log, 0, ROWS).await;
    let all = places(log.reader(), &Filter::default());
    assert_eq!(all.len() as i64, ROWS);
    // Two rows each have the same time: these go by their ids.
    assert!(all.is_sorted());
    let different: BTreeSet<Uuid> = all.iter().map(|place| place.1).collect();
    assert_eq!(different.len(), all.len());

    let (first, last) = (all[0].0, all[all.len() - 1].0);
    let filter = Filter {
        since: Some(first + TimeDelta::hours(1)),
        until: Some(last - TimeDelta::hours(1)),
        source: Some("gate-1".to_owned()),
        max_score: Some(0.5),
        ..Filter::default()
    };
    let some = places(log.reader(), &filter);
    let counts = log.reader().count(&filter).await.unwrap();
    assert_eq!(counts.rows, some.len() as u64);
    assert_eq!(counts.oldest, some.first().map(|place| place.0));
    assert!(some.is_sorted() && some.len() > 2000, "{}", some.len());

    // The window's bounds lie on both sides of the middle, before it and after it.
    for (since, until) in [(None, None), (filter.since, filter.until)] {
        let window = Filter {
            since,
            until,
            ..Filter::default()
        };
        let parts = log.reader().halves(&window).unwrap();
        let parts: Vec<_> = parts
            .iter()
            .map(|part| places(log.reader(), part))
            .collect();
        assert!(parts.iter().all(|part| !part.is_empty()));
        assert_eq!(parts.concat(), places(log.reader(), &window));
    }
}

#[tokio::test]
async fn an_empty_window_has_one_part() {
    let (_folder, log) = open(&keep_all()).await;
    let filter = Filter::default();
    assert_eq!(
        log.reader().halves(&filter).unwrap(),
        std::slice::from_ref(&filter)
    );
    log.append(full_record("r1", 7)).await.unwrap();
    let parts = log.reader().halves(&filter).unwrap();
    let found: usize = parts
        .iter()
        .map(|part| places(log.reader(), part).len())
        .sum();
    assert_eq!(found, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_written_meanwhile_neither_hide_others_nor_repeat_them() {
    let (_folder, log) = open(&keep_all()).await;
    add(&log, 0, PAGE_ROWS + 10).await;
    let before = places(log.reader(), &Filter::default());
    let mut seen = Vec::new();
    let visit = |row: &Observation<'_>| {
        if seen.is_empty() {
            let writing = add(&log, PAGE_ROWS + 10, PAGE_ROWS + 5000);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(writing));
        }
        seen.push((row.time, row.id));
        Ok(())
    };
    log.reader().scan(&Filter::default(), visit).unwrap();
    assert!(seen.is_sorted());
    let different: BTreeSet<_> = seen.iter().collect();
    assert_eq!(different.len(), seen.len());
    assert!(before.iter().all(|place| different.contains(place)));
}

#[tokio::test]
async fn a_row_is_read_as_it_was_written() {
    let (_folder, log) = open(&keep_all()).await;
    let record = full_record("r1", 7);
    log.append(record.clone()).await.unwrap();
    let expect = |row: &Observation<'_>| {
        assert_eq!((row.id, row.source), (record.id, Some("gate-1")));
        assert_eq!(row.time.timestamp_micros(), record.time.timestamp_micros());
        assert_eq!(row.quality_score, record.quality_score);
        assert_eq!(row.embedding_norm, record.embedding_norm);
        assert_eq!(row.pack, Some("default"));
        assert_eq!(row.pack_sha256, Some("ab".repeat(32).as_str()));
        assert_eq!(row.calibration_id, Some("c1"));
        let code = record
            .error_code
            .map(faceood_engine::problem::ProblemCode::code);
        assert_eq!(row.error_code, code);
        let causes: Option<Vec<_>> = row.causes().unwrap().into_iter().collect();
        assert_eq!(causes, record.causes);
    };
    let mut calls = 0;
    let brief = |row: &Observation<'_>| {
        calls += 1;
        expect(row);
        assert_eq!((row.image_px, row.box_px), (None, None));
        Ok(())
    };
    log.reader().scan(&Filter::default(), brief).unwrap();
    let complete = |row: &Observation<'_>| {
        calls += 1;
        expect(row);
        assert_eq!(row.image_px, Some([1920.0, 1080.0]));
        assert_eq!(row.box_px, record.box_width.map(|side| [side; 2]));
        let components = Component::ALL.map(|component| record.components.get(component));
        assert_eq!(row.components, components);
        Ok(())
    };
    let ids = [Uuid::nil(), record.id];
    log.reader().scan_ids(&ids, complete).unwrap();
    assert_eq!(calls, 2);
}

#[tokio::test]
async fn what_does_not_fit_is_named_with_its_column_and_its_row() {
    let (_folder, log) = open(&keep_all()).await;
    log.append(full_record("r1", 7)).await.unwrap();
    for (column, value, row) in [("time", "yesterday", ""), ("id", "17", "17")] {
        log.execute(&format!("UPDATE inferences SET {column} = '{value}'"))
            .await;
        let outcome = log.reader().scan(&Filter::default(), |_| Ok(()));
        let message = outcome.unwrap_err().to_string();
        assert!(
            message.contains(&format!("column {column} ")) && message.contains(value),
            "{message}"
        );
        assert!(message.contains(row), "{message}");
    }
}

#[tokio::test]
async fn a_log_that_nobody_writes_is_read_under_any_name() {
    let (folder, log) = open(&keep_all()).await;
    log.append(full_record("r1", 7)).await.unwrap();
    log.close().await;
    let odd = folder.path().join("100% of #1?.db");
    std::fs::rename(folder.path().join(FILE_NAME), &odd).unwrap();
    for is_still in [false, true] {
        let reader = LogReader::lazy(&odd, is_still);
        assert_eq!(places(&reader, &Filter::default()).len(), 1);
    }
    let missing = LogReader::lazy(&folder.path().join("none.db"), true);
    let error = missing.scan(&Filter::default(), |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("none.db"), "{error}");
}
