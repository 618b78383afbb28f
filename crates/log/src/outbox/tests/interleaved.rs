//! Whatever happens in whatever order, the centre has exactly the rows of the log.

use proptest::prelude::*;

use super::*;
use crate::Filter;

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
    ]
}

/// What happens between a batch's reading and its confirmation goes on at the same time.
async fn happen(event: Event, log: &mut InferenceLog, folder: &Path, requests: &mut Vec<String>) {
    match event {
        Event::Append(count) => {
            for _ in 0..count {
                let request = format!("r-{}", requests.len());
                log.append(row(&request)).await.unwrap();
                requests.push(request);
            }
        }
        Event::Feedback(number, is_genuine) => {
            let Some(request) = requests.get(usize::from(number) % requests.len().max(1)) else {
                return;
            };
            let outcome = match is_genuine {
                true => ReportedOutcome::Genuine,
                false => ReportedOutcome::Impostor,
            };
            log.record_feedback(told(request, outcome)).await.unwrap();
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
            let mut requests = Vec::new();
            happen(Event::Append(old), &mut log, folder.path(), &mut requests).await;
            age(&log).await;
            let mut centre = Centre::default();
            let mut sender = outbox(folder.path(), "centre").await;
            for (event, meanwhile) in events {
                let Event::Batch(most, crash) = event else {
                    happen(event, &mut log, folder.path(), &mut requests).await;
                    continue;
                };
                let batch = sender.next(most.into()).await.unwrap();
                happen(meanwhile, &mut log, folder.path(), &mut requests).await;
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
            let all = Filter { limit: Some(1000), ..Filter::default() };
            let rows = log.reader().query(&all, None).await.unwrap().records;
            let expected: BTreeMap<Uuid, Kept> = rows.iter().map(|row| {
                let outcome = row.outcome.map(|outcome| outcome.name().to_owned());
                (row.id, (row.time.date_naive(), outcome, row.outcome_time))
            }).collect();
            assert_eq!(requests.len(), expected.len());
            assert_eq!(centre.0, expected);
            assert_eq!(sender.days().await.unwrap(), centre.days());
        });
    }
}
