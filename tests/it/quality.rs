//! `POST /v1/quality`: what a terminal asks about each frame.

use image::imageops;
use serde_json::{Value, json};

use crate::support::{Daemon, photos};

#[test]
fn a_frame_is_judged_without_embeddings() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let extracted = client.extract(&photos::astronaut(), "").ok();
    let body = client.quality(&photos::astronaut(), "").ok();
    assert!(body["faces"][0].get("embedding").is_none());
    assert_eq!(
        body["faces"][0]["quality"],
        extracted["faces"][0]["quality"]
    );
    assert_eq!(body["faces"][0]["decision"]["action"], "accept");
}

#[test]
fn nobody_in_front_of_the_camera_is_no_error() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let nobody = photos::jpeg(&photos::without_face(640, 480, 1), 90);
    let body = client.quality(&nobody, "?source=kiosk").ok();
    assert_eq!(body["faces"], json!([]));
    assert_eq!(body["hints"][0]["code"], "no_face");
    assert_eq!(
        body["image"],
        json!({ "width": 640, "height": 480, "format": "jpeg" })
    );

    let log = client.get("/v1/inferences").ok();
    let row = &log["inferences"][0];
    assert_eq!(
        (&row["endpoint"], &row["error_code"]),
        (&json!("quality"), &Value::Null)
    );
    assert_eq!(row["face_count"], 0);
    assert_eq!(row["image_width"], 640);

    client.extract(&nobody, "").problem(422, "no_face");
    let log = client.get("/v1/inferences").ok();
    let row = &log["inferences"][0];
    assert_eq!(
        (&row["error_code"], &row["image_width"]),
        (&json!("no_face"), &json!(640))
    );
}

#[test]
fn worse_frames_score_less_and_the_person_is_told_what_to_do() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let clean = photos::pixels(&photos::astronaut());
    let score = |picture: &image::RgbImage| {
        let body = client.quality(&photos::jpeg(picture, 92), "").ok();
        (
            body["faces"][0]["quality"]["score"].as_f64().unwrap_or(0.0),
            body,
        )
    };
    let (best, _) = score(&clean);
    let (noisy, body) = score(&photos::noisy(&clean, 40.0, 11));
    assert!(noisy < best - 0.05, "{noisy} against {best}");
    assert_ne!(body["faces"][0]["quality"]["causes"], json!([]), "{body}");
    let (dark, body) = score(&photos::lit(&clean, 0.12));
    assert!(dark < best, "{dark} against {best}");
    let codes: Vec<_> = body["hints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hint| &hint["code"])
        .collect();
    assert!(codes.contains(&&json!("more_light")), "{body}");
}

#[test]
fn a_picture_that_is_turned_is_told_to_be_turned_and_nothing_else() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let upright = photos::pixels(&photos::astronaut());
    for turned in [imageops::rotate90(&upright), imageops::rotate270(&upright)] {
        let picture = photos::jpeg(&turned, 90);
        let answer = client.quality(&picture, "").ok();
        let hints: Vec<_> = answer["hints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hint| hint["code"].clone())
            .collect();
        assert!(hints.contains(&"turn_picture".into()), "{answer}");
        assert!(!hints.contains(&"hold_still".into()), "{answer}");
        if answer["faces"].as_array().unwrap().is_empty() {
            let problem = client.extract(&picture, "").problem(422, "no_face");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("is turned"), "{detail}");
        }
    }
    let hints = client.quality(&photos::astronaut(), "").ok()["hints"].clone();
    assert_eq!(hints, serde_json::json!([]));
    // No face either way is no picture to be turned.
    let nobody = photos::jpeg(&photos::without_face(400, 300, 5), 90);
    let hints = client.quality(&nobody, "").ok()["hints"].clone();
    assert_eq!(hints[0]["code"], "no_face");
    assert_eq!(hints[1], serde_json::Value::Null, "{hints}");
}

#[test]
fn whoever_is_not_accepted_is_told_what_to_do() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let upright = photos::pixels(&photos::astronaut());
    let compressed = photos::jpeg(&upright, 5);
    let dark = photos::jpeg(&photos::lit(&upright, 0.05), 90);
    let mut refused = 0;
    for (picture, scenario) in [
        (&compressed, "access"),
        (&compressed, "enroll"),
        (&dark, "access"),
        (&dark, "enroll"),
    ] {
        let query = format!("?scenario={scenario}");
        let answer = client.quality(picture, &query).ok();
        let action = &answer["faces"][0]["decision"]["action"];
        if *action != "accept" {
            refused += 1;
            assert!(answer["hints"][0]["message"].is_string(), "{answer}");
        }
    }
    assert!(refused > 0);

    let enrolled = client.extract(&photos::astronaut(), "").ok();
    let side = json!({ "embedding": enrolled["faces"][0]["embedding"], "quality_score": 0.2 });
    let body = json!({ "probe": side, "reference": side });
    let answer = client.post_json("/v1/compare", &body).ok();
    assert_eq!(answer["verdict"], "untrusted");
    assert_eq!(answer["hints"][0]["code"], "retake", "{answer}");
}
