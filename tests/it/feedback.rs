//! `POST /v1/feedback`: what became of an answer stands beside its row, once, whoever tells it how often.

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
    admin(&["prune", "--older-than", "0m"]);
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
            "`impostor`",
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
