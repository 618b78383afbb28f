//! What daemon and command know of a centre that gets the log's rows: they say what waits, and delete
//! none of it.

use serde_json::json;

use crate::support::database::Outsider;
use crate::support::{Admin, Client, Daemon, photos};

/// The value of a metric of the centre.
fn of_centre(client: &Client, name: &str) -> Option<f64> {
    let metrics = client.get("/metrics").text();
    let start = format!("faceood_ship_{name}{{target=\"centre/fleet\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
    line.map(|value| value.parse().unwrap())
}

#[test]
fn rows_wait_for_their_centre_and_everybody_says_so() {
    let daemon = Daemon::start();
    let client = daemon.client();
    for _ in 0..3 {
        client.extract(&photos::astronaut(), "").ok();
    }
    assert_eq!(of_centre(&client, "unshipped_rows"), None);
    let database = daemon.data_dir().join("faceood.db");
    let mut outsider = Outsider::open(&database);
    outsider.execute("INSERT INTO shipping (target, seq, rows) VALUES ('centre/fleet', 1, 1)");
    assert_eq!(of_centre(&client, "unshipped_rows"), Some(2.0));
    assert_eq!(of_centre(&client, "rows_total"), Some(1.0));
    assert_eq!(of_centre(&client, "quarantined_rows"), Some(0.0));
    let waited = of_centre(&client, "oldest_unshipped_seconds").unwrap();
    assert!((0.0..600.0).contains(&waited), "{waited}");
    assert!(
        of_centre(&client, "last_success_timestamp_seconds")
            .unwrap()
            .is_nan()
    );

    let data = daemon.data_dir();
    let admin = |arguments: &[&str]| {
        let folder = ["--data-dir", data.to_str().unwrap()];
        Admin::run(folder.iter().chain(arguments))
    };
    let doctor = admin(&["doctor", "--json"]).json();
    let checks = doctor["checks"].as_array().unwrap();
    let check = checks.iter().find(|it| it["name"] == "shipping").unwrap();
    let found = check["found"].as_str().unwrap();
    assert!(
        found.contains("centre/fleet: 2 rows wait, never reached"),
        "{check}"
    );

    let prune = ["prune", "--older-than", "0m", "--include-doubtful"];
    let prune = |more: &[&str]| admin(&[&prune, more].concat()).success();
    let told = prune(&["--dry-run", "--json"]).json();
    let counts = |told: &serde_json::Value| {
        let count = |name: &str| told[name].as_u64().unwrap();
        (count("rows_deleted"), count("rows_unshipped"))
    };
    assert_eq!(counts(&told), (1, 2));
    let done = prune(&[]).stdout;
    assert!(
        done.contains("1 of 3 rows deleted") && done.contains("2 rows are kept beyond"),
        "{done}"
    );
    assert_eq!(counts(&prune(&["--json"]).json()), (0, 2));
    assert_eq!(
        counts(&prune(&["--even-unshipped", "--dry-run", "--json"]).json()),
        (2, 0)
    );
    assert_eq!(
        counts(&prune(&["--even-unshipped", "--json"]).json()),
        (2, 0)
    );
    assert_eq!(of_centre(&client, "unshipped_rows"), Some(0.0));
    // A centre that was dropped raises no alert.
    outsider.execute("DELETE FROM shipping");
    assert!(of_centre(&client, "unshipped_rows").unwrap().is_nan());
}

#[test]
fn feedback_about_a_request_of_another_box_is_taken_where_that_is_wanted() {
    let daemon = Daemon::with_config("[log]\nkeep_late_feedback = true\n");
    let client = daemon.client();
    let told = json!({ "request_id": "of-another-box", "outcome": "impostor", "note": "seen" });
    let first = client.post_json("/v1/feedback", &told).ok();
    assert_eq!(
        (&first["request_id"], &first["outcome"]),
        (&told["request_id"], &told["outcome"])
    );
    assert_eq!(client.post_json("/v1/feedback", &told).ok(), first);
    let ours = client.extract(&photos::astronaut(), "").ok();
    let ours = json!({ "request_id": ours["request_id"], "outcome": "genuine" });
    client.post_json("/v1/feedback", &ours).ok();
    let rows = client.get("/v1/inferences").ok();
    assert_eq!(rows["inferences"][0]["outcome"], "genuine");
}
