//! Reading at the centre: everything once, whatever it is cut into, and of one moment.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use faceood_fleet::{
    CentreAddress, CentreFilter, CentreKey, CentreReader, ClientFiles, Role, enrol,
};
use faceood_log::{InferenceRecord, LogError};
use uuid::Uuid;

use crate::rows::{centre, connect, owner, records, run, shipped, store, this_hour};

/// Rows by id, as a scan of all parts shows them.
async fn scanned(
    reader: &CentreReader,
    filter: &CentreFilter,
    piece: Option<u32>,
) -> (BTreeMap<Uuid, String>, usize) {
    let mut snapshot = reader.snapshot().await.unwrap();
    let parts = snapshot.parts(piece).await.unwrap();
    let mut connection = snapshot.moment().connect().await.unwrap();
    let mut found = BTreeMap::new();
    for part in &parts {
        let scan = connection.scan(part, filter, |node, draw, row| {
            assert!((0.0..=1.0).contains(&draw) && node == "gate");
            let shown = format!(
                "{:?} {:?} {:?}",
                row.time,
                row.quality_score,
                row.causes()?
                    .into_iter()
                    .collect::<Option<Vec<_>>>()
                    .unwrap_or_default()
            );
            assert!(
                found.insert(row.id, shown).is_none(),
                "{} came twice",
                row.id
            );
            Ok(())
        });
        scan.await.unwrap();
    }
    connection.close().await;
    (found, parts.len())
}

fn shown(record: &InferenceRecord) -> String {
    let causes = record.causes.clone().unwrap_or_default();
    format!("{:?} {:?} {causes:?}", record.time, record.quality_score)
}

#[test]
fn every_row_is_read_once_also_in_pieces() {
    run(async {
        let server = centre().await;
        let sent = records(900, this_hour() - chrono::TimeDelta::days(2));
        let mut link = connect(&server, "gate").await;
        store(&mut link, &shipped(), &sent).await;
        let reader = CentreReader::new(owner(&server));
        let expected: BTreeMap<Uuid, String> = sent
            .iter()
            .map(|record| (record.id, shown(record)))
            .collect();
        let all = CentreFilter::default();
        let (whole, few) = scanned(&reader, &all, None).await;
        let (pieces, many) = scanned(&reader, &all, Some(7)).await;
        assert!(whole == expected && pieces == expected);
        assert!(many > few + 5, "{many} pieces of {few} partitions");

        // Filters, with what must not end a text.
        for (filter, wanted) in [
            (
                CentreFilter {
                    max_score: Some(0.4),
                    ..all.clone()
                },
                300,
            ),
            (
                CentreFilter {
                    above_score: Some(0.4),
                    ..all.clone()
                },
                600,
            ),
            // Every row of these has an action that is not accept.
            (
                CentreFilter {
                    is_refused: Some(true),
                    ..all.clone()
                },
                900,
            ),
            (
                CentreFilter {
                    is_refused: Some(false),
                    ..all.clone()
                },
                0,
            ),
            (
                CentreFilter {
                    since: Some(sent[100].time),
                    ..all.clone()
                },
                800,
            ),
            (
                CentreFilter {
                    until: Some(sent[100].time),
                    ..all.clone()
                },
                100,
            ),
            (
                CentreFilter {
                    nodes: Some(vec!["gate".to_owned()]),
                    ..all.clone()
                },
                900,
            ),
            (
                CentreFilter {
                    nodes: Some(vec!["ga'te\",{".to_owned()]),
                    ..all.clone()
                },
                0,
            ),
            (
                CentreFilter {
                    nodes: Some(Vec::new()),
                    ..all.clone()
                },
                0,
            ),
            (all.clone().of_source(Some("o'clock' OR true --")), 0),
            (all.clone().of_source(sent[0].source.as_deref()), 900),
            (all.clone().of_source(Some("other/x")), 0),
        ] {
            let found = scanned(&reader, &filter, None).await.0;
            assert_eq!(found.len(), wanted, "{filter:?}");
        }
        let part = CentreFilter {
            share: Some(0.25),
            ..all.clone()
        };
        let part = scanned(&reader, &part, None).await.0.len();
        assert!((150..300).contains(&part), "{part} of 900 for a quarter");

        // The centre's counts, in whole hours.
        let mut snapshot = reader.snapshot().await.unwrap();
        assert_eq!(snapshot.rows(&all).await.unwrap(), 900);
        let (mut rows, mut scored) = (0, 0);
        let counted = snapshot.hours(&all, |hour| {
            assert_eq!(hour.node, "gate");
            rows += hour.rows;
            scored += hour.scored;
        });
        counted.await.unwrap();
        assert_eq!((rows, scored), (900, 900));

        // Whole rows, without what never leaves a box.
        let mut whole = Vec::new();
        let exported = snapshot.export(&all, |node, record| {
            assert_eq!(node, "gate");
            whole.push(record);
            ControlFlow::Continue(())
        });
        exported.await.unwrap();
        let mut expected = sent.clone();
        for record in &mut expected {
            (record.embedding, record.thumbnail) = (None, None);
        }
        assert!(whole == expected, "{:?}\n{:?}", whole[0], expected[0]);
        let mut first = 0;
        let mut snapshot = reader.snapshot().await.unwrap();
        let exported = snapshot.export(&all, |_, _| {
            first += 1;
            ControlFlow::Break(())
        });
        exported.await.unwrap();
        assert_eq!(first, 1);

        // Rows by their places; one that is not there is left out.
        let key = |id: Uuid| CentreKey {
            node: "gate".to_owned(),
            time: sent[3].time,
            id,
        };
        let mut seen = Vec::new();
        let mut snapshot = reader.snapshot().await.unwrap();
        let keys = [key(sent[3].id), key(Uuid::from_u128(1))];
        let found = snapshot.scan_keys(&keys, |_, row| {
            seen.push((row.id, row.components, row.box_px));
        });
        found.await.unwrap();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].0, sent[3].id);
        assert!(seen[0].1.iter().all(Option::is_some), "{:?}", seen[0].1);
        assert!(seen[0].2.is_some());
        let by_id = reader.by_id(sent[3].id).await.unwrap().unwrap();
        assert!(by_id.0 == "gate" && by_id.1 == expected[3]);
        assert!(reader.by_id(Uuid::from_u128(1)).await.unwrap().is_none());
        assert_eq!(
            reader.by_request(&sent[3].request_id).await.unwrap().len(),
            1
        );
    });
}

#[test]
fn what_comes_meanwhile_is_left_out_and_a_visitor_may_stop() {
    run(async {
        let server = centre().await;
        let begin = this_hour() - chrono::TimeDelta::hours(3);
        let sent = records(40, begin);
        let mut link = connect(&server, "gate").await;
        store(&mut link, &shipped(), &sent[..30]).await;
        enrol(&owner(&server), "analyst", &Role::Reader)
            .await
            .unwrap();
        let files = server.certificate("analyst");
        let files = ClientFiles {
            ca: Some(files.ca),
            certificate: Some(files.certificate),
            key: Some(files.key),
        };
        let url = server.url().replacen("127.0.0.1", "analyst@127.0.0.1", 1);
        let analyst = CentreAddress::new(&url, &files).unwrap();
        let reader = CentreReader::new(analyst);
        let mut snapshot = reader.snapshot().await.unwrap();
        store(&mut link, &shipped(), &sent[30..]).await;
        let parts = snapshot.parts(None).await.unwrap();
        let mut connection = snapshot.moment().connect().await.unwrap();
        let all = CentreFilter::default();
        let mut seen = 0;
        for part in &parts {
            let scan = connection.scan(part, &all, |_, _, _| {
                seen += 1;
                Ok(())
            });
            scan.await.unwrap();
        }
        assert_eq!(seen, 30);
        assert_eq!(snapshot.rows(&all).await.unwrap(), 30);

        let mut stopped = 0;
        for part in &parts {
            let mut connection = snapshot.moment().connect().await.unwrap();
            let scan = connection.scan(part, &all, |_, _, _| {
                let found = "enough".to_owned();
                Err(LogError::BadColumn {
                    column: "causes",
                    found,
                })
            });
            stopped += usize::from(
                scan.await
                    .is_err_and(|error| error.to_string().contains("enough")),
            );
        }
        assert_eq!(stopped, 1);
    });
}
