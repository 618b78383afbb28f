//! Whatever happens in whatever order, the centre has exactly the rows of the log.

use proptest::prelude::*;

use super::*;
use crate::{Limits, prune};

/// Every row that was ever written, with what was told of it.
type All = Vec<InferenceRecord>;

/// What may happen to a log.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// So many rows are written.
    Append(u8),
    /// Feedback on the row with this number, if there are so many.
    Feedback(u8, bool),
    /// A batch of at most so many rows is shipped; the shipper or its connection ends before the
    /// centre has it, before the cursor moves, or not at all.
    Batch(u8, Crash),
    /// The daemon starts again.
    Restart,
    /// The cursor is put back.
    Rewind,
    /// All rows older than the one with this number are too old.
    Prune(u8),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Crash {
    BeforeTheCentre,
    BeforeTheCursor,
    No,
}

fn event() -> impl Strategy<Value = Event> {
    let crash = prop_oneof![
        Just(Crash::BeforeTheCentre),
        Just(Crash::BeforeTheCursor),
        Just(Crash::No),
        Just(Crash::No)
    ];
    prop_oneof![
        3 => (1_u8..5).prop_map(Event::Append),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(row, is_genuine)| Event::Feedback(row, is_genuine)),
        5 => (1_u8..6, crash).prop_map(|(most, crash)| Event::Batch(most, crash)),
        1 => Just(Event::Restart),
        1 => Just(Event::Rewind),
        2 => any::<u8>().prop_map(Event::Prune),
    ]
}

/// What happens between a batch's reading and its confirmation goes on at the same time.
async fn happen(event: Event, log: &mut InferenceLog, folder: &Path, all: &mut All) {
    match event {
        Event::Append(count) => {
            for _ in 0..count {
                let row = row(&format!("r-{}", all.len()));
                log.append(row.clone()).await.unwrap();
                all.push(row);
            }
        }
        Event::Feedback(number, is_genuine) => {
            let number = usize::from(number) % all.len().max(1);
            let Some(row) = all.get_mut(number) else {
                return;
            };
            let outcome = match is_genuine {
                true => ReportedOutcome::Genuine,
                false => ReportedOutcome::Impostor,
            };
            let feedback = told(&row.request_id, outcome);
            // A deleted row gets none.
            if let Some(time) = log.record_feedback(feedback).await.unwrap() {
                row.outcome = Some(outcome);
                row.outcome_time = Some(time);
            }
        }
        Event::Prune(number) => {
            let oldest = all.get(usize::from(number) % all.len().max(1));
            let limits = Limits {
                oldest: oldest.map(|row| row.time),
                ..Limits::default()
            };
            let path = folder.join(FILE_NAME);
            prune(&path, &limits, |_| {}).await.unwrap();
        }
        Event::Restart => {
            log.close().await;
            let settings = Settings::default();
            *log = InferenceLog::open(&settings, folder).await.unwrap();
        }
        Event::Rewind => outbox(folder, "centre").await.rewind().await.unwrap(),
        Event::Batch(..) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_centre_has_exactly_the_rows_whatever_happens_meanwhile(
        old in 0_u8..12,
        events in prop::collection::vec((event(), event()), 0..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (folder, mut log) = open(&Settings::default()).await;
            let mut all = All::new();
            happen(Event::Append(old), &mut log, folder.path(), &mut all).await;
            age(&log).await;
            let mut centre = Centre::default();
            let mut sender = outbox(folder.path(), "centre").await;
            for (event, meanwhile) in events {
                let Event::Batch(most, crash) = event else {
                    happen(event, &mut log, folder.path(), &mut all).await;
                    continue;
                };
                let batch = sender.next(most.into()).await.unwrap();
                happen(meanwhile, &mut log, folder.path(), &mut all).await;
                if crash != Crash::BeforeTheCentre {
                    centre.take(&batch);
                }
                match crash {
                    Crash::No => sender.done(&batch, &[]).await.unwrap(),
                    _ => sender = outbox(folder.path(), "centre").await,
                }
            }
            ship(&mut sender, &mut centre, 4).await;
            assert_eq!(sender.backlog().await.unwrap().rows, 0);
            let expected: BTreeMap<Uuid, Kept> = all.iter().map(|row| {
                let outcome = row.outcome.map(|outcome| outcome.name().to_owned());
                (row.id, (row.time.date_naive(), outcome, row.outcome_time))
            }).collect();
            assert_eq!(all.len(), expected.len());
            assert_eq!(centre.0, expected);
            assert_eq!(sender.days().await.unwrap(), centre.days());
        });
    }
}
