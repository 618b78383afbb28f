//! `POST /v1/extract`: a picture → faces with embedding, quality and decision, and a row before the
//! answer.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::client::embedding;
use crate::support::{Daemon, photos};

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn a_photo_gives_what_the_contract_promises_and_a_row() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let answer = client.extract(&photos::astronaut(), "?source=door-1");
    let request_id = answer.header("x-request-id").unwrap().to_owned();
    let body = answer.ok();

    let top = [
        "faces",
        "faces_found",
        "faces_omitted",
        "hints",
        "image",
        "model",
        "request_id",
        "timings_ms",
    ];
    assert_eq!(keys(&body), top);
    assert_eq!(body["request_id"], request_id);
    assert_eq!(
        keys(&body["model"]),
        ["pack", "provider", "sha256", "version"]
    );
    assert_eq!(body["model"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(
        body["image"],
        json!({ "width": 512, "height": 512, "format": "jpeg" })
    );
    for stage in ["decode", "detect", "align", "embed", "total"] {
        assert!(body["timings_ms"][stage].as_f64().unwrap() > 0.0, "{stage}");
    }

    let faces = body["faces"].as_array().unwrap();
    assert_eq!(faces.len(), 1);
    let face = &faces[0];
    let (x, y) = (
        face["box"]["x"].as_f64().unwrap(),
        face["box"]["y"].as_f64().unwrap(),
    );
    let (width, height) = (
        face["box"]["width"].as_f64().unwrap(),
        face["box"]["height"].as_f64().unwrap(),
    );
    // Eileen Collins' face is around (224, 115) in this photo.
    assert!(
        (x..x + width).contains(&224.0) && (y..y + height).contains(&115.0),
        "{}",
        face["box"]
    );
    assert!(face["detection_score"].as_f64().unwrap() > 0.5);
    let landmarks: Vec<[f64; 2]> = serde_json::from_value(face["landmarks"].clone()).unwrap();
    let [left_eye, right_eye, nose, left_mouth, right_mouth] = landmarks[..] else {
        panic!("{landmarks:?}");
    };
    assert!(
        left_eye[0] < right_eye[0] && left_mouth[0] < right_mouth[0],
        "{landmarks:?}"
    );
    assert!(
        left_eye[1] < nose[1] && nose[1] < left_mouth[1],
        "{landmarks:?}"
    );
    assert_eq!(keys(&face["pose"]), ["pitch", "roll", "yaw"]);
    let _ = embedding(face);
    assert!(face["embedding_norm"].as_f64().unwrap() > 0.5);

    let quality = &face["quality"];
    let score = quality["score"].as_f64().unwrap();
    let interval: [f64; 2] = serde_json::from_value(quality["interval"].clone()).unwrap();
    assert!(interval[0] <= score && score <= interval[1], "{quality}");
    assert!((0.0..=1.0).contains(&quality["pass_probability"].as_f64().unwrap()));
    assert!(score >= 0.6, "a clean photo scores {score}");
    let grade = if score >= 0.8 { "excellent" } else { "good" };
    assert_eq!(quality["grade"], grade);
    assert!(quality["components"]["sharpness"].is_number(), "{quality}");
    assert!(quality["causes"].is_array());
    let decision = &face["decision"];
    assert_eq!(
        (&decision["scenario"], &decision["action"]),
        (&json!("access"), &json!("accept"))
    );
    assert!((decision["threshold"].as_f64().unwrap() - 0.6).abs() < 1e-6);
    assert_eq!(decision["reasons"], json!([]));

    let log = client.get("/v1/inferences").ok();
    let row = &log["inferences"][0];
    assert_eq!(row["request_id"], request_id);
    assert_eq!(
        (&row["source"], &row["endpoint"]),
        (&json!("door-1"), &json!("extract"))
    );
    assert!((row["quality_score"].as_f64().unwrap() - score).abs() < 1e-6);
    assert!(row.get("embedding").is_none(), "an embedding is sent");
}

#[test]
fn every_way_of_sending_a_picture_gives_the_same_numbers() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let photo = photos::astronaut();
    let text = base64::engine::general_purpose::STANDARD.encode(&photo);
    let first = client.extract(&photo, "").ok();
    let expected = embedding(&first["faces"][0]);
    let data = format!("data:image/png;base64,{text}");
    for answer in [
        client.post_raw("/v1/extract", "image/png", &photo),
        client.post_json("/v1/extract", &json!({ "image": text })),
        client.post_json("/v1/extract", &json!({ "image": data })),
    ] {
        let body = answer.ok();
        assert_eq!(embedding(&body["faces"][0]), expected);
        assert_eq!(
            body["image"]["format"], "jpeg",
            "the type is read from the bytes"
        );
    }
}

#[test]
fn parameters_choose_faces_embedding_and_scenario() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let one = photos::pixels(&photos::astronaut());
    let small = photos::resized(&one, 256, 256);
    let both = photos::pasted(
        &photos::pasted(&photos::without_face(800, 512, 3), &one, 0, 0),
        &small,
        540,
        100,
    );
    let both = photos::jpeg(&both, 95);

    let body = client
        .extract(&both, "?faces=all&embedding=false&scenario=search")
        .ok();
    let faces = body["faces"].as_array().unwrap();
    assert_eq!(faces.len(), 2, "{body}");
    let area = |face: &Value| {
        face["box"]["width"].as_f64().unwrap() * face["box"]["height"].as_f64().unwrap()
    };
    assert!(area(&faces[0]) > area(&faces[1]), "the largest comes first");
    assert!(faces.iter().all(|face| face.get("embedding").is_none()));
    assert!(
        faces
            .iter()
            .all(|face| face["decision"]["scenario"] == "search")
    );
    let codes: Vec<_> = body["hints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hint| &hint["code"])
        .collect();
    assert!(codes.contains(&&json!("several_faces")), "{codes:?}");

    let largest = client.extract(&both, "").ok();
    assert_eq!(largest["faces"].as_array().unwrap().len(), 1);
    // Looking for one face may look at another scale than looking for all, so the boxes agree but
    // are not equal.
    for (side, extent) in [("x", "width"), ("y", "height")] {
        let middle = |face: &Value| {
            face["box"][side].as_f64().unwrap() + face["box"][extent].as_f64().unwrap() / 2.0
        };
        let (one, other) = (middle(&largest["faces"][0]), middle(&faces[0]));
        assert!((one - other).abs() < 10.0, "{side}: {one} and {other}");
    }
}

#[test]
fn hints_come_in_the_readers_language_and_the_callers_id_is_kept() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let small = photos::resized(&photos::pixels(&photos::astronaut()), 256, 256);
    let small = photos::jpeg(&small, 95);
    let hint = |language: &str| {
        let request = client
            .http()
            .post(client.url("/v1/extract"))
            .header("content-type", "image/jpeg")
            .header("accept-language", language)
            .header("x-request-id", "kiosk:7")
            .body(small.clone());
        let response = request.send().unwrap();
        assert_eq!(response.headers()["x-request-id"], "kiosk:7");
        let body: Value = response.json().unwrap();
        assert_eq!(body["request_id"], "kiosk:7");
        let hints = body["hints"].as_array().unwrap();
        let found = hints.iter().find(|hint| hint["code"] == "image_too_small");
        found.unwrap_or_else(|| panic!("{body}"))["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(hint("en").contains("300"), "{}", hint("en"));
    assert!(hint("zh-CN,zh;q=0.9").contains('请'), "{}", hint("zh"));
}

#[test]
fn parallel_requests_give_the_same_numbers_as_one_by_one() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let one = photos::pixels(&photos::astronaut());
    let pictures: Vec<Vec<u8>> = (0..6_u8)
        .map(|step| photos::jpeg(&one, 50 + 8 * step))
        .collect();
    let serial: Vec<Value> = pictures
        .iter()
        .map(|picture| client.extract(picture, "").ok()["faces"].take())
        .collect();
    let parallel: Vec<Value> = std::thread::scope(|scope| {
        let threads: Vec<_> = pictures
            .iter()
            .map(|picture| scope.spawn(|| client.extract(picture, "").ok()["faces"].take()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(serial, parallel);
}
