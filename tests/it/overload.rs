//! More than the machine can do: refused at once and told when to come back, while what was taken
//! is answered.

use std::collections::BTreeMap;

use crate::support::{Daemon, photos};

#[test]
fn what_cannot_wait_is_refused_and_the_rest_is_answered() {
    let daemon = Daemon::with_config("[pipeline]\nworkers = 1\nqueue = 1\n");
    let client = daemon.client();
    let photo = photos::astronaut();
    let answers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..24)
            .map(|_| scope.spawn(|| client.extract(&photo, "?source=crowd")))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.status).or_insert(0) += 1;
        if answer.status == 503 {
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
            answer.problem(503, "overloaded");
        } else {
            answer.ok();
        }
    }
    assert!(counts[&200] >= 1 && counts[&503] >= 1, "{counts:?}");
    client.extract(&photo, "").ok();

    let log = client.get("/v1/inferences?source=crowd").ok();
    let rows = log["inferences"].as_array().unwrap();
    let refused = rows
        .iter()
        .filter(|row| row["error_code"] == "overloaded")
        .count();
    assert_eq!((rows.len(), refused), (24, counts[&503]));
}

#[test]
fn uploads_share_a_purse() {
    let daemon = Daemon::with_config("[server]\nupload_memory_bytes = 1000000\n");
    let client = daemon.client();
    let large = photos::encoded(&photos::without_face(700, 700, 6), image::ImageFormat::Bmp);
    assert!(large.len() > 1_000_000);
    let small = photos::jpeg(&photos::without_face(64, 64, 6), 80);
    for _ in 0..3 {
        let answer = client.quality(&large, "");
        assert!(answer.header("retry-after").is_some());
        let problem = answer.problem(503, "overloaded");
        assert!(
            problem["detail"].as_str().unwrap().contains("1000000"),
            "{problem}"
        );
        // What was paid for the refused one is given back.
        client.quality(&small, "").ok();
    }
}
