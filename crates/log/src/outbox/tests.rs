use std::collections::BTreeMap;

use chrono::TimeDelta;
use faceood_engine::problem::ProblemCode;

use super::*;
use crate::fixture::{context, full_record, keep_all, open};
use crate::{
    ColumnKind, FILE_NAME, Feedback, InferenceLog, InferenceRecord, ReportedOutcome, Role, Settings,
};

mod copies;
mod interleaved;
mod retention;

/// What a centre keeps of a row: its day, its outcome, and when that was told.
type Kept = (NaiveDate, Option<String>, Option<DateTime<Utc>>);

/// Takes rows as the centre does: a row that is there stays, and a newer outcome counts.
#[derive(Debug, Default)]
struct Centre(BTreeMap<Uuid, Kept>);

impl Centre {
    fn take(&mut self, batch: &OutboxBatch) {
        let columns = shipped_columns(false);
        let place = |name| columns.iter().position(|it| it.name == name).unwrap();
        for row in &batch.rows {
            let outcome = match &row.values[place("outcome")] {
                Value::Text(word) => Some(word.clone()),
                _ => None,
            };
            let told = match row.values[place("outcome_time")] {
                Value::Time(time) => Some(time),
                _ => None,
            };
            let day = row.time.date_naive();
            let kept = self.0.entry(row.id).or_insert((day, None, None));
            if told >= kept.2 {
                *kept = (day, outcome, told);
            }
        }
    }

    fn days(&self) -> Vec<DayLedger> {
        let mut days: BTreeMap<NaiveDate, Sums> = BTreeMap::new();
        for (id, (day, outcome, _)) in &self.0 {
            let sums = days.entry(*day).or_default();
            sums.add(*id, outcome.is_some());
        }
        let ledger = |(day, sums): (NaiveDate, Sums)| DayLedger {
            day,
            rows: sums.rows,
            id_high: sums.ids[0],
            id_low: sums.ids[1],
            outcomes: sums.outcomes,
        };
        days.into_iter().map(ledger).collect()
    }
}

fn row(request_id: &str) -> InferenceRecord {
    context(request_id, "gate").failed(Role::Image, ProblemCode::NoFace, "", None)
}

fn told(request_id: &str, outcome: ReportedOutcome) -> Feedback {
    Feedback {
        request_id: request_id.to_owned(),
        outcome,
        note: Some("a secret".to_owned()),
        author: None,
        address: None,
        only_token: None,
    }
}

async fn outbox(folder: &Path, target: &str) -> Outbox {
    let path = folder.join(FILE_NAME);
    Outbox::open(&path, target, false).await.unwrap()
}

/// Ships all that waits; returns how many rows went.
async fn ship(outbox: &mut Outbox, centre: &mut Centre, most: u32) -> usize {
    let mut shipped = 0;
    loop {
        let batch = outbox.next(most).await.unwrap();
        if batch.is_empty() {
            return shipped;
        }
        centre.take(&batch);
        outbox.done(&batch, &[]).await.unwrap();
        shipped += batch.rows.len();
        assert!(shipped < 10_000, "it does not end");
    }
}

/// Makes all rows those of an older release.
async fn age(log: &InferenceLog) {
    log.execute("UPDATE inferences SET seq = NULL").await;
}

fn ids(batch: &OutboxBatch) -> Vec<Uuid> {
    batch.rows.iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn rows_come_in_the_order_of_their_commits_until_they_are_confirmed() {
    let (folder, log) = open(&Settings::default()).await;
    let mut rows: Vec<_> = (0..5).map(|number| row(&format!("r-{number}"))).collect();
    // The clock was set back meanwhile.
    for (number, row) in (0..).zip(&mut rows) {
        row.time -= TimeDelta::days(number);
    }
    log.append_all(rows.clone()).await.unwrap();
    let expected: Vec<_> = rows.iter().map(|row| row.id).collect();
    let mut outbox = outbox(folder.path(), "centre").await;
    for _ in 0..2 {
        let batch = outbox.next(3).await.unwrap();
        assert_eq!(ids(&batch), expected[..3]);
        assert_eq!(batch.rows[1].time, rows[1].time);
        assert_eq!(batch.rows[2].seq, Some(3));
    }
    let batch = outbox.next(3).await.unwrap();
    let backlog = outbox.backlog().await.unwrap();
    assert_eq!((backlog.rows, backlog.last_success), (5, None));
    assert_eq!(backlog.oldest, Some(rows[0].time));
    outbox.done(&batch, &[]).await.unwrap();
    let rest = outbox.next(3).await.unwrap();
    assert_eq!(ids(&rest), expected[3..]);
    outbox.done(&rest, &[]).await.unwrap();
    assert!(outbox.next(3).await.unwrap().is_empty());
    let target = log.reader().targets().await.unwrap().pop().unwrap();
    assert_eq!((&*target.name, target.shipped_rows), ("centre", 5));
    assert_eq!((target.backlog.rows, target.backlog.oldest), (0, None));
    assert!(target.backlog.last_success.is_some());
}

#[tokio::test]
async fn faces_never_leave_the_box_and_notes_only_where_that_is_asked_for() {
    let (folder, log) = open(&keep_all()).await;
    log.append(full_record("r", 1)).await.unwrap();
    for (with_notes, notes) in [(false, 0), (true, 1)] {
        let path = folder.path().join(FILE_NAME);
        let target = format!("{with_notes}");
        let mut outbox = Outbox::open(&path, &target, with_notes).await.unwrap();
        let batch = outbox.next(1).await.unwrap();
        let values = &batch.rows[0].values;
        let columns = shipped_columns(with_notes);
        assert_eq!(values.len(), columns.len());
        assert_eq!(columns.len(), crate::columns().len() - 3 + notes);
        assert!(columns.iter().all(|column| column.kind != ColumnKind::Blob));
        let holds = |text: &str| values.contains(&Value::Text(text.to_owned()));
        assert_eq!(holds("looked at"), with_notes);
        assert!(holds("genuine") && !values.contains(&Value::Null));
    }
}

#[tokio::test]
async fn feedback_sends_its_rows_again_whenever_it_comes() {
    let (folder, log) = open(&Settings::default()).await;
    let mut outbox = outbox(folder.path(), "centre").await;
    let mut centre = Centre::default();
    let pair = context("r-1", "gate");
    let side = |role| pair.failed(role, ProblemCode::NoFace, "", None);
    log.append(row("r-0")).await.unwrap();
    log.append_all(vec![side(Role::Probe), side(Role::Reference)])
        .await
        .unwrap();
    let before = outbox.next(10).await.unwrap();
    // After the batch was read and before it is confirmed.
    log.record_feedback(told("r-1", ReportedOutcome::Genuine))
        .await
        .unwrap();
    centre.take(&before);
    outbox.done(&before, &[]).await.unwrap();
    let again = outbox.next(1).await.unwrap();
    assert_eq!(ids(&again), ids(&before)[1..2]);
    // Each of the two rows has a place of its own.
    assert_eq!(ship(&mut outbox, &mut centre, 1).await, 2);
    log.record_feedback(told("r-1", ReportedOutcome::Impostor))
        .await
        .unwrap();
    log.record_feedback(told("r-0", ReportedOutcome::Unusable))
        .await
        .unwrap();
    assert_eq!(ship(&mut outbox, &mut centre, 10).await, 3);
    let words: Vec<_> = ids(&before)
        .iter()
        .map(|id| centre.0[id].1.clone().unwrap())
        .collect();
    assert_eq!(words, ["unusable", "impostor", "impostor"]);
    let backlog = outbox.backlog().await.unwrap();
    assert_eq!(backlog.rows, 0);
    // What was told again without a change is no change.
    log.record_feedback(told("r-0", ReportedOutcome::Unusable))
        .await
        .unwrap();
    assert!(outbox.next(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn feedback_on_an_old_row_waits_since_it_was_told() {
    let (folder, log) = open(&Settings::default()).await;
    let mut outbox = outbox(folder.path(), "centre").await;
    let mut old = row("old");
    old.time -= TimeDelta::days(100);
    log.append(old).await.unwrap();
    ship(&mut outbox, &mut Centre::default(), 10).await;
    let before = Utc::now() - TimeDelta::seconds(1);
    log.record_feedback(told("old", ReportedOutcome::Genuine))
        .await
        .unwrap();
    let oldest = outbox.backlog().await.unwrap().oldest.unwrap();
    assert!(oldest > before, "{oldest}");
}

#[tokio::test]
async fn rows_of_older_releases_come_first_by_time_and_id_also_with_feedback_meanwhile() {
    let (folder, log) = open(&Settings::default()).await;
    let mut rows: Vec<_> = (0..6).map(|number| row(&format!("r-{number}"))).collect();
    rows[0].time += TimeDelta::seconds(5);
    rows[3].time = rows[2].time;
    log.append_all(rows.clone()).await.unwrap();
    age(&log).await;
    log.append(row("new")).await.unwrap();
    let mut outbox = outbox(folder.path(), "centre").await;
    let mut centre = Centre::default();
    let mut order: Vec<_> = rows.iter().map(|row| (row.time, row.id)).collect();
    order.sort();
    let batch = outbox.next(3).await.unwrap();
    let read: Vec<_> = batch.rows.iter().map(|row| (row.time, row.id)).collect();
    assert_eq!(read, order[..3]);
    assert_eq!(batch.rows[0].seq, None);
    assert_eq!(outbox.backlog().await.unwrap().rows, 7);
    // One that has been read and one that has not.
    for request in ["r-1", "r-5"] {
        log.record_feedback(told(request, ReportedOutcome::Genuine))
            .await
            .unwrap();
    }
    centre.take(&batch);
    outbox.done(&batch, &[]).await.unwrap();
    ship(&mut outbox, &mut centre, 2).await;
    assert_eq!(centre.0.len(), 7);
    for number in [1, 5] {
        assert_eq!(centre.0[&rows[number].id].1.as_deref(), Some("genuine"));
    }
    assert_eq!(outbox.days().await.unwrap(), centre.days());
}

#[tokio::test]
async fn a_row_that_is_not_taken_is_passed_over_until_it_is() {
    let (folder, log) = open(&Settings::default()).await;
    let rows: Vec<_> = (0..3).map(|number| row(&format!("r-{number}"))).collect();
    log.append_all(rows.clone()).await.unwrap();
    let mut outbox = outbox(folder.path(), "centre").await;
    let mut centre = Centre::default();
    let batch = outbox.next(10).await.unwrap();
    let refused = [(rows[1].id, "it holds a NUL ".repeat(99))];
    outbox.done(&batch, &refused).await.unwrap();
    let backlog = outbox.backlog().await.unwrap();
    assert_eq!((backlog.rows, backlog.quarantined), (0, 1));
    assert_eq!(outbox.days().await.unwrap()[0].rows, 2);
    outbox.rewind().await.unwrap();
    assert_eq!(outbox.backlog().await.unwrap().rows, 3);
    assert_eq!(ship(&mut outbox, &mut centre, 10).await, 3);
    assert_eq!(outbox.backlog().await.unwrap().quarantined, 0);
    assert_eq!(outbox.days().await.unwrap(), centre.days());
    // What is said of a row goes with it.
    outbox.done(&batch, &refused).await.unwrap();
    log.execute("DELETE FROM inferences").await;
    assert_eq!(outbox.backlog().await.unwrap().quarantined, 0);
    outbox.done(&batch, &refused).await.unwrap();
    assert_eq!(outbox.backlog().await.unwrap().quarantined, 0);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_stops_no_other() {
    let (folder, log) = open(&Settings::default()).await;
    let rows: Vec<_> = (0..4).map(|number| row(&format!("r-{number}"))).collect();
    log.append_all(rows.clone()).await.unwrap();
    log.execute("UPDATE inferences SET id = 'no uuid' WHERE request_id = 'r-1'")
        .await;
    log.execute("UPDATE inferences SET time = 'yesterday' WHERE request_id = 'r-2'")
        .await;
    let mut outbox = outbox(folder.path(), "centre").await;
    let first = outbox.next(1).await.unwrap();
    outbox.done(&first, &[]).await.unwrap();
    let batch = outbox.next(2).await.unwrap();
    assert_eq!((batch.rows.len(), batch.is_empty()), (0, false));
    outbox.done(&batch, &[]).await.unwrap();
    assert_eq!(ids(&outbox.next(2).await.unwrap()), [rows[3].id]);
    let backlog = outbox.backlog().await.unwrap();
    assert_eq!((backlog.rows, backlog.quarantined), (1, 2));
    assert_eq!(outbox.days().await.unwrap()[0].rows, 1);
}

#[tokio::test]
async fn a_day_is_shipped_again_without_moving_the_cursor() {
    let (folder, log) = open(&Settings::default()).await;
    let mut rows: Vec<_> = (0..7).map(|number| row(&format!("r-{number}"))).collect();
    let noon: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().unwrap();
    for (number, row) in (0..).zip(&mut rows) {
        row.time = noon + TimeDelta::hours(11 * (number / 2));
    }
    log.append_all(rows.clone()).await.unwrap();
    let mut outbox = outbox(folder.path(), "centre").await;
    let mut centre = Centre::default();
    let batch = outbox.next(6).await.unwrap();
    centre.take(&batch);
    outbox.done(&batch, &[]).await.unwrap();
    let days = outbox.days().await.unwrap();
    assert_eq!(days, centre.days());
    for day in &days {
        let waiting = rows[6].time.date_naive() == day.day;
        let waiting: Vec<_> = waiting.then_some(rows[6].id).into_iter().collect();
        assert_eq!(outbox.day(day.day).await.unwrap(), (*day, waiting));
    }
    assert_eq!(days.iter().map(|day| day.rows).collect::<Vec<_>>(), [4, 2]);
    let mut again = Vec::new();
    let mut after = None;
    loop {
        let batch = outbox.of_day(noon.date_naive(), after, 3).await.unwrap();
        outbox.done(&batch, &[]).await.unwrap();
        again.extend(ids(&batch));
        after = batch.rows.last().map(|row| (row.time, row.id));
        if after.is_none() {
            break;
        }
    }
    assert_eq!(
        again,
        rows[..4].iter().map(|row| row.id).collect::<Vec<_>>()
    );
    // The last row has not been shipped, so it is not shipped again.
    let next_day = noon.date_naive().succ_opt().unwrap();
    let batch = outbox.of_day(next_day, None, 10).await.unwrap();
    assert_eq!(ids(&batch), [rows[4].id, rows[5].id]);
    assert_eq!(ids(&outbox.next(10).await.unwrap()), [rows[6].id]);
}

#[tokio::test]
async fn targets_do_not_know_of_each_other_and_one_can_be_dropped() {
    let (folder, log) = open(&Settings::default()).await;
    log.append_all(vec![row("a"), row("b")]).await.unwrap();
    let mut first = outbox(folder.path(), "first").await;
    let mut second = outbox(folder.path(), "second").await;
    ship(&mut first, &mut Centre::default(), 10).await;
    let waiting = async || {
        let targets = log.reader().targets().await.unwrap();
        let waiting = targets.iter().map(|it| (it.name.clone(), it.backlog.rows));
        waiting.collect::<Vec<_>>()
    };
    let named = |name: &str, rows| (name.to_owned(), rows);
    assert_eq!(waiting().await, [named("first", 0), named("second", 2)]);
    let batch = second.next(1).await.unwrap();
    outbox(folder.path(), "second")
        .await
        .forget()
        .await
        .unwrap();
    assert_eq!(waiting().await, [named("first", 0)]);
    let error = second.done(&batch, &[]).await.unwrap_err();
    assert!(matches!(error, LogError::NoTarget(..)), "{error}");
    assert!(error.to_string().contains("second"), "{error}");
}

#[tokio::test]
async fn a_cursor_that_was_put_back_meanwhile_stays_there() {
    let (folder, log) = open(&Settings::default()).await;
    log.append_all(vec![row("a"), row("b"), row("c")])
        .await
        .unwrap();
    let mut service = outbox(folder.path(), "centre").await;
    let mut centre = Centre::default();
    let first = service.next(2).await.unwrap();
    service.done(&first, &[]).await.unwrap();
    let second = service.next(2).await.unwrap();
    // Somebody ships from the start beside the service.
    outbox(folder.path(), "centre")
        .await
        .rewind()
        .await
        .unwrap();
    service.done(&second, &[]).await.unwrap();
    assert_eq!(ship(&mut service, &mut centre, 2).await, 3);
}

#[tokio::test]
async fn late_feedback_goes_when_all_targets_have_it() {
    let (folder, log) = open(&Settings::default()).await;
    let mut first = outbox(folder.path(), "first").await;
    let mut second = outbox(folder.path(), "second").await;
    let add = "INSERT INTO late_feedback (time, request_id, outcome, note) \
               VALUES ('2026-11-24T12:00:00.000000Z', 'r', 'genuine', 'a secret')";
    for _ in 0..3 {
        log.execute(add).await;
    }
    let two = first.late_feedback(2).await.unwrap();
    assert_eq!((two.len(), two[0].note.clone()), (2, None));
    assert_eq!(two[0].outcome, ReportedOutcome::Genuine);
    first.late_feedback_done(two[1].id).await.unwrap();
    assert_eq!(first.late_feedback(10).await.unwrap()[0].id, two[1].id + 1);
    assert_eq!(second.late_feedback(10).await.unwrap().len(), 3);
    for outbox in [&mut first, &mut second] {
        outbox.late_feedback_done(two[1].id + 1).await.unwrap();
        assert_eq!(outbox.late_feedback(10).await.unwrap(), []);
    }
    // All lines are deleted, and the next one has a number that no cursor has passed.
    log.execute(add).await;
    let last = first.late_feedback(10).await.unwrap();
    assert_eq!(last[0].id, two[1].id + 2);
}

#[tokio::test]
async fn what_is_no_log_is_not_shipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let error = Outbox::open(&path, "centre", false).await.unwrap_err();
    assert!(matches!(error, LogError::Missing(_)), "{error}");
}
