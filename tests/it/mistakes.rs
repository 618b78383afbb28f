//! An integrator's first afternoon, one mistake after the other against one daemon: each gets an
//! answer that says what to do, and what is no mistake just works.

use reqwest::blocking::multipart::{Form, Part};
use serde_json::Value;

use crate::support::client::embedding;
use crate::support::daemon::Home;
use crate::support::{Client, admin, photos, program};

/// An iPhone's photo as far as its first box.
const HEIC: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heicmiaf";

#[track_caller]
fn assert_says(problem: &Value, words: &[&str]) {
    let detail = problem["detail"].as_str().unwrap();
    for word in words {
        assert!(detail.contains(word), "{word:?} is not in: {detail}");
    }
}

/// As a form sends a file of this name and of this claimed type.
fn extract_named(client: &Client, name: &str, claimed: &str, bytes: &[u8]) -> Value {
    let part = Part::bytes(bytes.to_vec()).file_name(name.to_owned());
    let form = Form::new().part("image", part.mime_str(claimed).unwrap());
    let request = client
        .http()
        .post(client.url("/v1/extract"))
        .multipart(form);
    let response = request.send().unwrap();
    assert_eq!(response.status(), 200, "{name}");
    response.json().unwrap()
}

fn cosine(one: &Value, other: &Value) -> f64 {
    let (one, other) = (embedding(one), embedding(other));
    one.iter().zip(&other).map(|(a, b)| a * b).sum()
}

#[test]
fn every_mistake_of_the_first_afternoon_is_told_the_way_out() {
    let daemon = Home::new()
        .config("[policies.alone]\naccept = 0.6\nreview = 0.4\nsingle_face = true\n")
        .start();
    let client = daemon.client();
    let photo = photos::astronaut();
    let pixels = photos::pixels(&photo);

    // A second daemon where the first one listens.
    let home = Home::new();
    let address = daemon.address().to_string();
    let mut second = admin::clean(&program("faceoodd"));
    second
        .args(["--listen", &address])
        .arg("--config")
        .arg(home.config_file());
    second.arg("--data-dir").arg(home.data_dir());
    let second = second.output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&address) && said.contains("ss -ltnp") && said.contains("--listen"),
        "{said}"
    );
    let line = said.lines().find(|line| line.contains("ss -ltnp")).unwrap();
    assert_eq!(line.matches("os error").count(), 1, "{line}");

    let problem = client
        .post_parts("/v1/extract", &[("photo", &photo)])
        .problem(400, "malformed_request");
    assert_says(&problem, &["`photo`", "expected: `image`"]);

    let upright = client.extract(&photo, "").ok();
    let png = photos::encoded(&pixels, image::ImageFormat::Png);
    let renamed = extract_named(&client, "face.jpg", "image/jpeg", &png);
    assert_eq!(renamed["image"]["format"], "png");
    assert!(cosine(&renamed["faces"][0], &upright["faces"][0]) > 0.999);

    // A phone held upright: the pixels lie on their side, EXIF says so.
    let portrait = image::imageops::crop_imm(&pixels, 30, 0, 400, 512).to_image();
    let lying = photos::jpeg(&image::imageops::rotate270(&portrait), 95);
    let portrait = client
        .extract(&photos::with_orientation(&lying, 6), "")
        .ok();
    assert_eq!(
        (&portrait["image"]["width"], &portrait["image"]["height"]),
        (&400.into(), &512.into())
    );
    let roll = portrait["faces"][0]["pose"]["roll"].as_f64().unwrap();
    assert!(roll.abs() < 15.0, "the head lies on its side: {roll}");
    assert!(cosine(&portrait["faces"][0], &upright["faces"][0]) > 0.99);

    let large = photos::jpeg(&photos::resized(&pixels, 3464, 3464), 90);
    let large = client.extract(&large, "").ok();
    assert_eq!(large["image"]["width"], 3464);
    assert_eq!(large["faces"][0]["decision"]["action"], "accept");
    assert!(cosine(&large["faces"][0], &upright["faces"][0]) > 0.9);

    let problem = client
        .extract(HEIC, "")
        .problem(415, "unsupported_media_type");
    assert_says(&problem, &["HEIC", "JPEG", "convert"]);

    let nobody = photos::jpeg(&photos::without_face(640, 480, 5), 90);
    let problem = client.extract(&nobody, "").problem(422, "no_face");
    assert_says(&problem, &["640×480", "show one whole face"]);

    let ground = photos::without_face(1024, 512, 3);
    let two = photos::pasted(&photos::pasted(&ground, &pixels, 0, 0), &pixels, 512, 0);
    let two = client
        .extract(&photos::jpeg(&two, 95), "?scenario=alone")
        .ok();
    let decision = &two["faces"][0]["decision"];
    assert_eq!(
        (&decision["action"], &decision["reasons"][0]),
        (&"reject".into(), &"several_faces".into())
    );
    let hints = two["hints"].as_array().unwrap();
    let hint = hints
        .iter()
        .find(|hint| hint["code"] == "several_faces")
        .unwrap();
    assert!(
        hint["message"].as_str().unwrap().contains("one person"),
        "{hint}"
    );

    // Each of them has its row.
    let log = client.get("/v1/inferences").ok();
    let mut codes: Vec<&Value> = log["inferences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["error_code"])
        .collect();
    codes.reverse();
    let expected = [
        Some("malformed_request"),
        None,
        None,
        None,
        None,
        Some("unsupported_media_type"),
        Some("no_face"),
        None,
    ];
    assert_eq!(codes, expected.map(Value::from).iter().collect::<Vec<_>>());
}
