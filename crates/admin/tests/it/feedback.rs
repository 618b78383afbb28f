//! `POST /v1/feedback`: what became of an answer stands beside its row, once, whoever tells it how
//! often.

use serde_json::{Value, json};

use crate::support::{Admin, Client, Daemon, photos};

fn outcomes(client: &Client) -> Vec<Value> {
    let log = client.get("/v1/inferences").ok();
    let rows = log["inferences"].as_array().unwrap();
    rows.iter().map(|row| row["outcome"].clone()).collect()
}

#[test]
fn an_outcome_stands_beside_its_rows() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let photo = photos::astronaut();
    client.extract(&photo, "").ok();
    let compared = client.compare(&photo, &photo, "").ok();
    let id = compared["request_id"].as_str().unwrap();

    let told = json!({ "request_id": id, "outcome": "genuine", "note": "looked at by the guard" });
    let first = client.post_json("/v1/feedback", &told).ok();
    assert_eq!(
        (&first["request_id"], &first["outcome"], &first["note"]),
        (&told["request_id"], &told["outcome"], &told["note"])
    );
    assert_eq!(
        client.post_json("/v1/feedback", &told).ok(),
        first,
        "telling it again changes nothing, not even its time"
    );
    let both = ["genuine", "genuine"].map(Value::from);
    assert_eq!(outcomes(&client), [&both[..], &[Value::Null]].concat());

    let otherwise = json!({ "request_id": id, "outcome": "unusable" });
    let later = client.post_json("/v1/feedback", &otherwise).ok();
    assert_eq!(
        (&later["outcome"], &later["note"]),
        (&json!("unusable"), &Value::Null)
    );
    assert!(later["time"].as_str() > first["time"].as_str());
    let both = ["unusable", "unusable"].map(Value::from);
    assert_eq!(outcomes(&client), [&both[..], &[Value::Null]].concat());

    let api = client.get("/openapi.json").ok();
    let path = &api["paths"]["/v1/feedback"]["post"];
    assert!(path["responses"]["404"].is_object(), "{path}");
    // A row takes its outcome along: into an export, and away.
    let data = daemon.data_dir();
    let admin = |arguments: &[&str]| {
        let folder = ["--data-dir", data.to_str().unwrap()];
        Admin::run(folder.iter().chain(arguments)).success().stdout
    };
    let rows = admin(&["export", "--format", "jsonl"]);
    assert_eq!(
        rows.matches("\"outcome\":\"unusable\"").count(),
        2,
        "{rows}"
    );
    assert!(admin(&["explain", id]).contains("feedback: unusable"));
    // Where no time service keeps the clock, rows go by age only where that is asked for.
    admin(&["prune", "--older-than", "0m", "--include-doubtful"]);
    let problem = client.post_json("/v1/feedback", &told);
    problem.problem(404, "not_found");
}

#[test]
fn what_cannot_be_told_says_why() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let id = client.extract(&photos::astronaut(), "").ok()["request_id"].clone();
    let long = "x".repeat(501);
    for (body, status, code, said) in [
        (
            json!({ "request_id": "nobody", "outcome": "genuine" }),
            404,
            "not_found",
            "`nobody`",
        ),
        (
            json!({ "request_id": "a b", "outcome": "genuine" }),
            400,
            "invalid_parameter",
            "`a b`",
        ),
        (
            json!({ "request_id": id, "outcome": "genuine", "note": long }),
            400,
            "invalid_parameter",
            "501 characters",
        ),
        (
            json!({ "request_id": id, "outcome": "good" }),
            400,
            "malformed_request",
            "impostor",
        ),
        (
            json!({ "request_id": id }),
            400,
            "malformed_request",
            "`outcome`",
        ),
        (
            json!({ "request_id": id, "outcome": "genuine", "who": "me" }),
            400,
            "malformed_request",
            "`who`",
        ),
        (
            json!({ "request_id": id, "outcome": "genuine", "note": "x".repeat(20_000) }),
            400,
            "malformed_request",
            "16384",
        ),
    ] {
        let problem = client
            .post_json("/v1/feedback", &body)
            .problem(status, code);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{said:?} is not in {detail:?}");
    }
    let form = client.post_raw("/v1/feedback", "text/plain", b"{}");
    let problem = form.problem(400, "malformed_request");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("application/json"),
        "{problem}"
    );
    client
        .get("/v1/feedback")
        .problem(405, "method_not_allowed");
    let known = json!({ "request_id": id, "outcome": "genuine" });
    client
        .post_json("/v1/feedback?x=1", &known)
        .problem(400, "invalid_parameter");
    assert_eq!(
        outcomes(&client),
        [Value::Null],
        "nothing was written, and no row made"
    );
}

#[test]
fn a_callers_words_are_only_shown_wherever_an_operator_reads_them() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let photo = photos::astronaut();
    let id = client.quality(&photo, "").ok()["request_id"].clone();
    let told = json!({
        "request_id": id, "outcome": "genuine", "author": "\u{1b}]0;guard\u{7}",
        "note": "=HYPERLINK(\"http://example.com\") \u{1b}[31m",
    });
    client.post_json("/v1/feedback", &told).ok();
    client
        .quality(&photo, "?scenario=%1b%5b31mred%c2%9b2J%0aready")
        .problem(400, "unknown_scenario");
    let data = daemon.data_dir();
    let admin = |arguments: &[&str]| {
        let folder = ["--data-dir", data.to_str().unwrap()];
        Admin::run(folder.iter().chain(arguments)).success().stdout
    };
    let explained = admin(&["explain", id.as_str().unwrap()]);
    assert!(explained.contains("=HYPERLINK"), "{explained}");
    assert!(explained.contains("127.0.0.1"), "{explained}");
    let json = admin(&["explain", id.as_str().unwrap(), "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["feedback"][0]["note"], told["note"]);
    let watched = admin(&["watch", "--once"]);
    let csv = admin(&["export", "--format", "csv"]);
    assert!(csv.contains("\"'=HYPERLINK"), "{csv}");
    let journal = daemon.output();
    assert!(journal.contains("unknown_scenario"), "{journal}");
    for text in [&explained, &watched, &journal] {
        let acts = |c: char| c.is_control() && c != '\n' && c != '\t';
        assert!(!text.contains(acts), "{text:?}");
    }
    assert!(!journal.contains("\nready"), "{journal}");
    let metrics = client.get("/metrics").text();
    assert!(!metrics.contains("31m"), "{metrics}");
}
