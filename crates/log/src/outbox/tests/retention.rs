//! Retention waits for every target, and what it deletes stays in the sums of its day.

use super::*;
use crate::{Limits, Pruned, prune};

async fn count(log: &InferenceLog) -> u64 {
    let all = crate::Filter::default();
    log.reader().count(&all).await.unwrap().rows
}

/// Everything is too old.
fn by_age() -> Limits {
    Limits {
        oldest: Some(Utc::now() + TimeDelta::days(1)),
        ..Limits::default()
    }
}

fn by_size() -> Limits {
    Limits {
        max_bytes: Some(1),
        ..Limits::default()
    }
}

/// A log with rows of older releases, rows with and without feedback, and the requests' names.
async fn filled(rows: usize) -> (tempfile::TempDir, InferenceLog) {
    let (folder, log) = open(&Settings::default()).await;
    let all = (0..rows)
        .map(|number| row(&format!("r-{number}")))
        .collect();
    log.append_all(all).await.unwrap();
    log.execute("UPDATE inferences SET seq = NULL WHERE seq <= 5")
        .await;
    (folder, log)
}

#[tokio::test]
async fn nothing_that_a_target_lacks_is_deleted_by_age_or_by_size() {
    for limits in [by_age(), by_size()] {
        let (folder, log) = filled(40).await;
        let mut first = outbox(folder.path(), "first").await;
        let mut second = outbox(folder.path(), "second").await;
        ship(&mut first, &mut Centre::default(), 100).await;
        let kept = log.prune(limits).await.unwrap();
        assert_eq!((kept.rows, count(&log).await), (0, 40));
        assert!((1..=40).contains(&kept.kept_unshipped), "{kept:?}");
        // Three rows of older releases, and then all of them and nine others.
        for (most, left) in [(3, 37), (2, 35), (9, 26)] {
            let batch = second.next(most).await.unwrap();
            second.done(&batch, &[]).await.unwrap();
            log.prune(limits).await.unwrap();
            assert_eq!(count(&log).await, left);
        }
        // Once more, since it has changed.
        log.record_feedback(told("r-39", ReportedOutcome::Genuine))
            .await
            .unwrap();
        ship(&mut second, &mut Centre::default(), 100).await;
        log.prune(limits).await.unwrap();
        assert_eq!(count(&log).await, 1);
        second.forget().await.unwrap();
        ship(&mut first, &mut Centre::default(), 100).await;
        log.prune(limits).await.unwrap();
        assert_eq!(count(&log).await, 0);
    }
}

#[tokio::test]
async fn an_operator_may_delete_what_is_not_shipped() {
    let (folder, log) = filled(40).await;
    let path = folder.path().join(FILE_NAME);
    let mut sender = outbox(folder.path(), "centre").await;
    let mut centre = Centre::default();
    let batch = sender.next(4).await.unwrap();
    centre.take(&batch);
    sender.done(&batch, &[]).await.unwrap();
    let unshipped = log.reader().unshipped(None, true).await.unwrap();
    assert_eq!(unshipped, 36);
    let none = log.reader().unshipped(Some(batch.rows[0].time), true).await;
    assert_eq!(none.unwrap(), 0);
    let pruned = prune(&path, &by_age(), |_| {}).await.unwrap();
    assert_eq!((pruned.rows, pruned.kept_unshipped), (4, 36));
    let limits = Limits {
        even_unshipped: true,
        ..by_age()
    };
    let pruned = prune(&path, &limits, |_| {}).await.unwrap();
    assert_eq!((pruned.rows, pruned.kept_unshipped), (36, 0));
    // Only what the centre has is in the sums.
    assert_eq!(sender.days().await.unwrap(), centre.days());
    assert_eq!(sender.days().await.unwrap()[0].rows, 4);
    assert_eq!(sender.backlog().await.unwrap().rows, 0);
}

#[tokio::test]
async fn the_days_stay_the_same_when_their_rows_are_deleted() {
    let (folder, log) = filled(30).await;
    let mut sender = outbox(folder.path(), "centre").await;
    let mut centre = Centre::default();
    log.record_feedback(told("r-7", ReportedOutcome::Genuine))
        .await
        .unwrap();
    let batch = sender.next(2).await.unwrap();
    // The second row is not taken.
    let refused = [(batch.rows[1].id, "why".to_owned())];
    let mut taken = batch.clone();
    taken.rows.pop();
    centre.take(&taken);
    sender.done(&batch, &refused).await.unwrap();
    ship(&mut sender, &mut centre, 10).await;
    let before = sender.days().await.unwrap();
    assert_eq!(before, centre.days());
    let all = crate::Filter::default();
    let rows = log.reader().query(&all, None).await.unwrap().records;
    let oldest = rows[15].time;
    let limits = Limits {
        oldest: Some(oldest),
        ..Limits::default()
    };
    let aged = rows.iter().filter(|row| row.time < oldest).count();
    assert!(aged > 5, "{aged}");
    assert_eq!(log.prune(limits).await.unwrap().rows, aged as u64);
    assert_eq!(sender.days().await.unwrap(), before);
    log.prune(by_size()).await.unwrap();
    assert_eq!(
        (count(&log).await, sender.days().await.unwrap()),
        (0, before)
    );
}

/// A few rows at the beginning that wait must not keep the others, and a step stays short however
/// many wait.
#[tokio::test]
async fn rows_that_wait_are_passed_in_short_steps() {
    let (folder, log) = open(&Settings::default()).await;
    let rows: Vec<_> = (0..6000)
        .map(|number| row(&format!("r-{number}")))
        .collect();
    log.append_all(rows).await.unwrap();
    let mut sender = outbox(folder.path(), "centre").await;
    let mut shipped = 0;
    while shipped < 6000 {
        let batch = sender.next(1000).await.unwrap();
        sender.done(&batch, &[]).await.unwrap();
        shipped += batch.rows.len();
    }
    // The oldest 5000 have changed since.
    log.execute("UPDATE inferences SET seq = seq + 10000 WHERE seq <= 5000")
        .await;
    let path = folder.path().join(FILE_NAME);
    let mut steps = Vec::new();
    let pruned = prune(&path, &by_age(), |so_far: &Pruned| steps.push(*so_far))
        .await
        .unwrap();
    assert_eq!((pruned.rows, pruned.kept_unshipped), (1000, 5000));
    assert!(steps.len() > 10, "{}", steps.len());
    assert_eq!(count(&log).await, 5000);
}

#[tokio::test]
async fn late_feedback_waits_for_its_targets_and_for_none_where_there_are_none() {
    let (folder, log) = open(&Settings::default()).await;
    let add = "INSERT INTO late_feedback (time, request_id, outcome) \
               VALUES ('2026-11-24T12:00:00.000000Z', 'r', 'genuine')";
    let lines = async |outbox: &mut Outbox| outbox.late_feedback(10).await.unwrap().len();
    log.execute(add).await;
    log.prune(by_age()).await.unwrap();
    let mut sender = outbox(folder.path(), "centre").await;
    assert_eq!(lines(&mut sender).await, 0);
    log.execute(add).await;
    log.prune(by_age()).await.unwrap();
    assert_eq!(lines(&mut sender).await, 1);
    let limits = Limits {
        even_unshipped: true,
        ..by_age()
    };
    log.prune(limits).await.unwrap();
    assert_eq!(lines(&mut sender).await, 0);
}
