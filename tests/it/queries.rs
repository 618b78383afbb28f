//! `GET /v1/inferences`: the log, filtered and page by page.

use std::collections::BTreeSet;

use crate::support::{Client, Daemon, photos};

fn ids(client: &Client, query: &str) -> (Vec<String>, Option<String>) {
    let body = client.get(&format!("/v1/inferences{query}")).ok();
    let rows = body["inferences"].as_array().unwrap();
    let ids = rows
        .iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect();
    (ids, body["next_cursor"].as_str().map(str::to_owned))
}

#[test]
fn pages_give_each_row_once_newest_first() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let small = photos::jpeg(&photos::without_face(64, 64, 2), 80);
    for _ in 0..7 {
        client.quality(&small, "").ok();
    }
    let (all, end) = ids(&client, "");
    assert_eq!((all.len(), end), (7, None));
    assert!(
        all.is_sorted_by(|newer, older| newer > older),
        "UUIDv7 in the order of time: {all:?}"
    );

    let mut paged = Vec::new();
    let mut query = "?limit=3".to_owned();
    loop {
        let (page, cursor) = ids(&client, &query);
        paged.extend(page);
        let Some(cursor) = cursor else { break };
        // A row that comes meanwhile must not move the pages.
        client.quality(&small, "").ok();
        query = format!("?limit=3&cursor={cursor}");
    }
    assert_eq!(paged, all);
}

#[test]
fn filters_narrow_it() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let clean = photos::pixels(&photos::astronaut());
    client.extract(&photos::astronaut(), "?source=door-1").ok();
    let worse = photos::noisy(&photos::blurred(&clean, 4.0), 40.0, 3);
    client
        .quality(&photos::jpeg(&worse, 90), "?source=door-2")
        .ok();

    let all: BTreeSet<_> = ids(&client, "").0.into_iter().collect();
    let first: BTreeSet<_> = ids(&client, "?source=door-1").0.into_iter().collect();
    let second: BTreeSet<_> = ids(&client, "?source=door-2").0.into_iter().collect();
    assert_eq!((all.len(), first.len()), (2, 1));
    assert!(first.is_disjoint(&second));
    assert_eq!(&first | &second, all);
    let low: BTreeSet<_> = ids(&client, "?max_score=0.5").0.into_iter().collect();
    assert_eq!(low, second, "only the bad one scores up to 0.5");
    assert_eq!(ids(&client, "?since=1h").0.len(), 2);
    assert_eq!(ids(&client, "?until=1h").0.len(), 0);
    assert_eq!(
        ids(
            &client,
            "?since=2020-01-01T00:00:00%2B08:00&until=2020-02-01T00:00:00Z"
        )
        .0
        .len(),
        0
    );
}

#[test]
fn what_cannot_be_asked_is_told() {
    let daemon = Daemon::start();
    let client = daemon.client();
    for (query, said) in [
        ("?cursor=nonsense", "next_cursor"),
        ("?since=yesterday", "24h"),
        ("?limit=0", "1 to 1000"),
        ("?since=1h&until=2h", "`since` is later than `until`"),
        ("?max_score=2", "0 to 1"),
        ("?max_scor=0.4", "`max_score`"),
        ("?source=a%20b", "1 to 64"),
        ("?limit=1&limit=2", "twice"),
    ] {
        let problem = client
            .get(&format!("/v1/inferences{query}"))
            .problem(400, "invalid_parameter");
        assert!(
            problem["detail"].as_str().unwrap().contains(said),
            "{problem}"
        );
    }
}
