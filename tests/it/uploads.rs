//! What integrators send by mistake, and what the impatient and the slow send: each gets an answer
//! that says what to do.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::support::{DEADLINE, Daemon, photos};

/// The first bytes of an iPhone's photo: enough to know the type.
const HEIC: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heicmiaf";

#[test]
fn mistakes_are_answered_with_the_way_out() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let photo = photos::astronaut();
    let detail = |problem: serde_json::Value| problem["detail"].as_str().unwrap().to_owned();

    let wrong_part = client.post_parts("/v1/extract", &[("file", &photo)]);
    let said = detail(wrong_part.problem(400, "malformed_request"));
    assert!(
        said.contains("`file`") && said.contains("`image`"),
        "{said}"
    );
    let said = detail(
        client
            .extract(HEIC, "")
            .problem(415, "unsupported_media_type"),
    );
    assert!(said.contains("HEIC") && said.contains("JPEG"), "{said}");
    let said = detail(
        client
            .extract(b"%PDF-1.7", "")
            .problem(415, "unsupported_media_type"),
    );
    assert!(said.contains("JPEG"), "{said}");
    let said = detail(
        client
            .extract(&photo[..photo.len() / 3], "")
            .problem(422, "undecodable_image"),
    );
    assert!(!said.is_empty());
    let said = detail(client.extract(b"", "").problem(400, "malformed_request"));
    assert!(said.contains("empty"), "{said}");
    let url = json!({ "image": "http://127.0.0.1/photo.jpg" });
    let said = detail(
        client
            .post_json("/v1/extract", &url)
            .problem(400, "malformed_request"),
    );
    assert!(said.contains("URL"), "{said}");
    let path = json!({ "image": "/etc/passwd" });
    let said = detail(
        client
            .post_json("/v1/extract", &path)
            .problem(400, "malformed_request"),
    );
    assert!(said.contains("path"), "{said}");

    // Each has its row, and the next request works.
    client.extract(&photo, "").ok();
    let rows = client.get("/v1/inferences").ok();
    let rows = rows["inferences"].as_array().unwrap();
    assert_eq!(rows.len(), 8);
    assert_eq!(
        rows.iter()
            .filter(|row| row["error_code"].is_string())
            .count(),
        7
    );
}

#[test]
fn a_picture_is_what_its_bytes_are() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let pixels = photos::pixels(&photos::astronaut());
    for (format, name) in [
        (image::ImageFormat::Png, "png"),
        (image::ImageFormat::WebP, "webp"),
        (image::ImageFormat::Bmp, "bmp"),
        (image::ImageFormat::Tiff, "tiff"),
    ] {
        let bytes = photos::encoded(&pixels, format);
        let body = client.post_raw("/v1/quality", "image/jpeg", &bytes).ok();
        assert_eq!(body["image"]["format"], name);
        assert_eq!(body["faces"].as_array().unwrap().len(), 1, "{name}");
    }
}

#[test]
fn limits_are_told_with_what_was_seen() {
    let daemon = Daemon::with_config("[capture]\nmax_bytes = 100000\nmax_pixels = 1000000\n");
    let client = daemon.client();
    let large = vec![0xff; 150_000];
    for answer in [
        client.post_raw("/v1/extract", "image/jpeg", &large),
        client.extract(&large, ""),
    ] {
        let problem = answer.problem(413, "image_too_large");
        assert!(
            problem["detail"].as_str().unwrap().contains("100000"),
            "{problem}"
        );
    }
    let wide = photos::encoded(
        &photos::without_face(1200, 1000, 4),
        image::ImageFormat::Bmp,
    );
    let problem = Daemon::with_config("[capture]\nmax_pixels = 1000000\n")
        .client()
        .extract(&wide, "")
        .problem(413, "image_too_large");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("1200") && detail.contains("1000"),
        "{problem}"
    );
}

#[test]
fn memory_is_told_with_what_the_picture_takes() {
    let daemon = Daemon::with_config("[capture]\nmax_memory_bytes = 3000000\n");
    let client = daemon.client();
    let pixels = photos::without_face(1000, 800, 4);
    let problem = client
        .extract(&photos::encoded(&pixels, image::ImageFormat::Bmp), "")
        .problem(413, "image_too_large");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("takes 5 MB, the limit is 3 MB"),
        "{problem}"
    );
    // A smaller one still finds its place, again and again.
    for _ in 0..3 {
        client.extract(&photos::astronaut(), "").ok();
    }
}

#[test]
fn two_hundred_slow_clients_do_not_starve_a_good_one() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let mut slow = Vec::new();
    for index in 0..200 {
        let mut socket = TcpStream::connect(daemon.address()).unwrap();
        // Half of them stop within the head, half within the body.
        let head = if index % 2 == 0 {
            "POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nContent-Type: ima".to_owned()
        } else {
            "POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 10000000\r\n\r\n\u{7f}"
                .to_owned()
        };
        socket.write_all(head.as_bytes()).unwrap();
        slow.push(socket);
    }
    for _ in 0..3 {
        client.extract(&photos::astronaut(), "").ok();
    }
    assert_eq!(client.get("/readyz").status, 200);
    drop(slow);
    client.extract(&photos::astronaut(), "").ok();
}

#[test]
fn a_client_that_falls_silent_is_let_go() {
    let config = "[server]\nhead_timeout_ms = 300\nbody_idle_timeout_ms = 300\n";
    let daemon = Daemon::with_config(config);
    let mut body = TcpStream::connect(daemon.address()).unwrap();
    body.set_read_timeout(Some(DEADLINE)).unwrap();
    body.write_all(b"POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\nabc")
        .unwrap();
    let mut answer = String::new();
    body.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("stopped after 3 bytes"), "{answer}");

    let mut head = TcpStream::connect(daemon.address()).unwrap();
    head.set_read_timeout(Some(DEADLINE)).unwrap();
    head.write_all(b"POST /v1/extract HT").unwrap();
    let mut answer = String::new();
    head.read_to_string(&mut answer).unwrap();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
}
