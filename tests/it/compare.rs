//! `POST /v1/compare`: both sides are judged before the similarity is believed.

use serde_json::{Value, json};

use crate::support::client::embedding;
use crate::support::{Daemon, photos};

/// A different capture of the same scene: another size, other compression, other light.
fn another_capture() -> Vec<u8> {
    let picture = photos::pixels(&photos::astronaut());
    photos::jpeg(&photos::lit(&photos::resized(&picture, 480, 480), 0.9), 80)
}

/// The same face made worthless: nothing but noise and blur is left of it.
fn ruined() -> Vec<u8> {
    let picture = photos::blurred(&photos::pixels(&photos::astronaut()), 6.0);
    photos::jpeg(&photos::noisy(&picture, 45.0, 7), 90)
}

fn cosine(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[test]
fn two_captures_of_one_person_are_the_same_and_both_rows_say_so() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let answer = client.compare(
        &another_capture(),
        &photos::astronaut(),
        "?source=gate&embedding=true",
    );
    let body = answer.ok();
    assert_eq!(body["verdict"], "same", "{body}");
    let similarity = body["similarity"].as_f64().unwrap();
    let expected = cosine(&embedding(&body["probe"]), &embedding(&body["reference"]));
    assert!(
        (similarity - expected).abs() < 1e-5,
        "{similarity} is not {expected}"
    );
    assert!(similarity > 0.6 && similarity <= 1.0, "{similarity}");
    let cut = |name: &str| body["thresholds"][name].as_f64().unwrap();
    assert!((cut("same") - 0.45).abs() < 1e-6 && (cut("different") - 0.35).abs() < 1e-6);

    let log = client.get("/v1/inferences").ok();
    let rows = log["inferences"].as_array().unwrap();
    let mut roles: Vec<_> = rows
        .iter()
        .map(|row| row["role"].as_str().unwrap())
        .collect();
    roles.sort_unstable();
    assert_eq!(roles, ["probe", "reference"]);
    for row in rows {
        assert_eq!(row["request_id"], body["request_id"]);
        assert_eq!(
            (&row["verdict"], &row["source"]),
            (&json!("same"), &json!("gate"))
        );
        assert!((row["similarity"].as_f64().unwrap() - similarity).abs() < 1e-6);
    }

    let without = client
        .compare(&another_capture(), &photos::astronaut(), "")
        .ok();
    assert!(
        without["probe"].get("embedding").is_none(),
        "embeddings are sent unasked"
    );
}

#[test]
fn a_side_that_is_rejected_is_not_believed_whatever_the_similarity() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let good = photos::astronaut();
    // The very same picture twice: similarity 1, and still not to be believed.
    for (probe, reference) in [
        (ruined(), good.clone()),
        (good, ruined()),
        (ruined(), ruined()),
    ] {
        let body = client.compare(&probe, &reference, "").ok();
        assert_eq!(body["verdict"], "untrusted", "{body}");
        let actions = [&body["probe"], &body["reference"]].map(|side| &side["decision"]["action"]);
        assert!(actions.contains(&&json!("reject")), "{actions:?}");
    }
}

#[test]
fn an_embedding_stands_for_a_picture() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let probe = another_capture();
    let text = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(&probe)
    };
    let extracted = client.extract(&photos::astronaut(), "").ok();
    let by_pictures = client.compare(&probe, &photos::astronaut(), "").ok();
    let mut reference = json!({
        "embedding": extracted["faces"][0]["embedding"],
        "model_sha256": extracted["model"]["sha256"],
    });
    let compare = |reference: &Value| {
        let body = json!({ "probe": { "image": text }, "reference": reference });
        client.post_json("/v1/compare", &body)
    };

    let body = compare(&reference).ok();
    let (one, other) = (
        body["similarity"].as_f64().unwrap(),
        by_pictures["similarity"].as_f64().unwrap(),
    );
    assert!((one - other).abs() < 1e-5, "{one} is not {other}");
    assert_eq!(body["verdict"], by_pictures["verdict"]);
    assert_eq!(body["reference"]["quality"], Value::Null);
    assert_eq!(body["reference"]["decision"]["action"], "accept");

    reference["quality_score"] = json!(0.2);
    let body = compare(&reference).ok();
    assert_eq!(body["verdict"], "untrusted", "{body}");
    assert_eq!(body["reference"]["quality"]["grade"], "bad");
    reference["quality_score"] = json!(0.5);
    let body = compare(&reference).ok();
    assert_eq!(body["verdict"], "review", "{body}");

    reference["model_sha256"] = json!("0".repeat(64));
    let problem = compare(&reference).problem(409, "model_mismatch");
    assert_eq!(problem["part"], "reference");
    let ours = extracted["model"]["sha256"].as_str().unwrap();
    assert!(
        problem["detail"].as_str().unwrap().contains(&ours[..12]),
        "{problem}"
    );
    for text in ["", "\u{1b}[31mred", "\u{202e}cba"] {
        reference["model_sha256"] = json!(text);
        let problem = compare(&reference).problem(409, "model_mismatch");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("pack (no SHA-256), this"), "{detail}");
        assert!(
            !detail.contains(['\u{1b}', '\u{202e}']) && !detail.contains("31m"),
            "{detail}"
        );
    }
}

#[test]
fn a_problem_names_its_side_and_both_sides_have_rows() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let nobody = photos::jpeg(&photos::without_face(400, 400, 5), 90);
    let problem = client
        .compare(&photos::astronaut(), &nobody, "")
        .problem(422, "no_face");
    assert_eq!(problem["part"], "reference");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("`reference`: no face found in 400×400 px"),
        "{detail}"
    );
    let problem = client
        .compare(b"not a picture", &photos::astronaut(), "")
        .problem(415, "unsupported_media_type");
    assert_eq!(problem["part"], "probe");

    let log = client.get("/v1/inferences").ok();
    let mut seen: Vec<_> = log["inferences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["role"].as_str().unwrap(), row["error_code"].as_str()))
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            ("probe", None),
            ("probe", Some("unsupported_media_type")),
            ("reference", None),
            ("reference", Some("no_face")),
        ]
    );
}
