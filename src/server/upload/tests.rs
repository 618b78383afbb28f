use actix_web::body::to_bytes;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, HttpResponse, middleware};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::server::problem_response::CONTENT_TYPE as PROBLEM_TYPE;
use crate::server::request_id::with_request_id;

mod properties;

const LIMIT: usize = 200_000;
const BOUNDARY: &str = "boundary-of-the-form";

fn limits() -> UploadLimits {
    UploadLimits {
        image_bytes: LIMIT,
        idle: Duration::from_secs(5),
        total: Duration::from_secs(30),
        memory: UploadMemory::new(8 * LIMIT),
    }
}

/// Sends `request` to `/one` or `/two`, which answer with the sizes of what they understood; gives
/// status and body.
async fn send(request: TestRequest) -> (StatusCode, Value) {
    async fn one(upload: Upload) -> HttpResponse {
        HttpResponse::Ok().json(json!({ "image": upload.bytes.len() }))
    }
    async fn two(pair: Pair) -> HttpResponse {
        let shown = |side: &Side| match side {
            Side::Image(upload) => json!({ "image": upload.bytes.len() }),
            Side::Embedding(given) => json!({
                "first": given.embedding.values()[0],
                "model_sha256": given.model_sha256,
                "quality_score": given.quality_score,
            }),
        };
        HttpResponse::Ok().json(json!([shown(&pair.probe), shown(&pair.reference)]))
    }
    let limits = limits();
    let free = limits.memory.free_bytes();
    let memory = limits.memory.clone();
    let app = App::new()
        .app_data(web::Data::new(limits))
        .route("/one", web::post().to(one))
        .route("/two", web::post().to(two))
        .wrap(middleware::from_fn(with_request_id));
    let app = init_service(app).await;
    let response = call_service(&app, request.to_request()).await;
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).cloned();
    assert!(response.headers().contains_key("x-request-id"));
    let body = to_bytes(response.into_body()).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    if !status.is_success() {
        assert_eq!(kind.unwrap(), PROBLEM_TYPE);
        assert_eq!(body["status"], status.as_u16());
    }
    assert_eq!(
        memory.free_bytes(),
        free,
        "memory of the upload is not given back"
    );
    (status, body)
}

fn raw(kind: &'static str, body: Vec<u8>) -> TestRequest {
    TestRequest::post()
        .uri("/one")
        .insert_header(("content-type", kind))
        .set_payload(body)
}

fn form(uri: &str, parts: &[(&str, &[u8])]) -> TestRequest {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x\"\r\n\r\n")
                .as_bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    TestRequest::post()
        .uri(uri)
        .insert_header((
            "content-type",
            format!("multipart/form-data; boundary={BOUNDARY}"),
        ))
        .set_payload(body)
}

fn json_body(uri: &str, body: &str) -> TestRequest {
    TestRequest::post()
        .uri(uri)
        .insert_header(ContentType::json())
        .set_payload(body.to_owned())
}

/// Sends `request`, which must fail with `code`; gives the detail and the part.
async fn refused(request: TestRequest, code: ProblemCode) -> (String, Value) {
    let (status, body) = send(request).await;
    assert_eq!(status.as_u16(), code.status(), "{body}");
    assert_eq!(
        body["type"],
        format!("urn:faceood:problem:{}", code.code()),
        "{body}"
    );
    (
        body["detail"].as_str().unwrap().to_owned(),
        body["part"].clone(),
    )
}

#[actix_web::test]
async fn three_ways_give_the_same_picture() {
    let picture = vec![0xab; 5000];
    let text = STANDARD.encode(&picture);
    for request in [
        raw("image/jpeg", picture.clone()),
        raw("application/octet-stream", picture.clone()),
        form("/one", &[("image", &picture)]),
        json_body("/one", &json!({ "image": text }).to_string()),
        json_body(
            "/one",
            &json!({ "image": format!("data:image/jpeg;base64,{text}") }).to_string(),
        ),
    ] {
        let (status, body) = send(request).await;
        assert_eq!((status, body), (StatusCode::OK, json!({ "image": 5000 })));
    }
}

#[actix_web::test]
async fn a_wrong_part_is_named_with_the_right_one() {
    let request = form("/one", &[("file", b"abc")]);
    let (detail, _) = refused(request, ProblemCode::MalformedRequest).await;
    assert!(
        detail.contains("`file`") && detail.contains("`image`"),
        "{detail}"
    );
    let request = form("/one", &[("scenario", b"access")]);
    let (detail, _) = refused(request, ProblemCode::MalformedRequest).await;
    assert!(detail.contains("?scenario="), "{detail}");
    let request = form("/two", &[("probe", b"abc")]);
    let (detail, _) = refused(request, ProblemCode::MalformedRequest).await;
    assert!(detail.contains("no part `reference`"), "{detail}");
    let request = form("/one", &[("image", b"abc"), ("image", b"abc")]);
    assert!(
        refused(request, ProblemCode::MalformedRequest)
            .await
            .0
            .contains("twice")
    );
    let request = form("/one", &[]);
    assert!(
        refused(request, ProblemCode::MalformedRequest)
            .await
            .0
            .contains("`image`")
    );
}

#[actix_web::test]
async fn empty_bodies_are_told_so() {
    for request in [
        raw("image/png", Vec::new()),
        form("/one", &[("image", b"")]),
        json_body("/one", ""),
        json_body("/one", r#"{"image": ""}"#),
    ] {
        let (detail, _) = refused(request, ProblemCode::MalformedRequest).await;
        assert!(detail.contains("empty"), "{detail}");
    }
}

#[actix_web::test]
async fn content_types_that_are_not_taken_say_which_are() {
    let none = TestRequest::post().uri("/one").set_payload("abc");
    let (detail, _) = refused(none, ProblemCode::MalformedRequest).await;
    assert!(detail.contains("no Content-Type"), "{detail}");
    let (detail, _) = refused(
        raw("text/plain", b"abc".to_vec()),
        ProblemCode::UnsupportedMediaType,
    )
    .await;
    assert!(
        detail.contains("text/plain") && detail.contains("multipart/form-data"),
        "{detail}"
    );
    for kind in ["", "image", "/", "\u{e9}"] {
        let request = raw(kind, b"abc".to_vec());
        let (detail, _) = refused(request, ProblemCode::UnsupportedMediaType).await;
        assert!(detail.starts_with("Content-Type is `"), "{kind}: {detail}");
    }
    for kind in ["IMAGE/jpeg", "image/jpeg ; a", " image/*;", "image/x;;"] {
        let (status, body) = send(raw(kind, b"abc".to_vec())).await;
        assert_eq!(status, StatusCode::OK, "{kind}: {body}");
    }
    let curl = raw("application/x-www-form-urlencoded", b"abc".to_vec());
    let (detail, _) = refused(curl, ProblemCode::UnsupportedMediaType).await;
    assert!(detail.contains("curl"), "{detail}");
    let zipped = raw("image/jpeg", b"abc".to_vec()).insert_header(("content-encoding", "gzip"));
    refused(zipped, ProblemCode::UnsupportedMediaType).await;
    let pair = TestRequest::post()
        .uri("/two")
        .insert_header(("content-type", "image/jpeg"));
    let (detail, _) = refused(pair.set_payload("abc"), ProblemCode::UnsupportedMediaType).await;
    assert!(detail.contains("`probe` and `reference`"), "{detail}");
    let unbounded = raw("multipart/form-data", b"abc".to_vec());
    let (detail, _) = refused(unbounded, ProblemCode::MalformedRequest).await;
    assert!(detail.contains("boundary"), "{detail}");
}

#[actix_web::test]
async fn too_many_bytes_are_refused_with_limit_and_size() {
    let large = vec![1; LIMIT + 1];
    let declared = raw("image/jpeg", large.clone()).insert_header((CONTENT_LENGTH, large.len()));
    let (detail, _) = refused(declared, ProblemCode::ImageTooLarge).await;
    assert!(
        detail.contains("200001") && detail.contains("200000"),
        "{detail}"
    );
    let (detail, part) = refused(
        form("/two", &[("probe", b"x"), ("reference", &large)]),
        ProblemCode::ImageTooLarge,
    )
    .await;
    assert!(detail.contains("`reference`"), "{detail}");
    assert_eq!(part, "reference");
    let text = json!({ "image": STANDARD.encode(&large) }).to_string();
    let (detail, _) = refused(json_body("/one", &text), ProblemCode::ImageTooLarge).await;
    assert!(detail.contains("200001"), "{detail}");
    let (status, _) = send(raw("image/jpeg", vec![1; LIMIT])).await;
    assert_eq!(status, StatusCode::OK);
}

#[actix_web::test]
async fn json_mistakes_are_placed() {
    let (detail, _) = refused(
        json_body("/one", r#"{"imge": "abcd"}"#),
        ProblemCode::MalformedRequest,
    )
    .await;
    assert!(
        detail.contains("`imge`; the nearest known one is `image` (known: image) at line 1"),
        "{detail}"
    );
    for (uri, body, said) in [
        ("/one", "{}", "missing field `image` at line 1"),
        ("/one", "[]", "expected an object at line 1"),
        ("/one", r#"["abcd"]"#, "expected an object at line 1"),
        ("/one", r#"{"image": ""} x"#, "trailing characters at"),
        ("/one", r#"{"photo": ""}"#, "`photo` (known: image) at"),
        ("/two", "{}", "missing field `probe` at line 1"),
        ("/two", r#"{"probe": {}}"#, "missing field `reference`"),
        ("/two", r#"{"refrence": 1}"#, "known one is `reference`"),
        ("/two", r#"{"probe": {"img": 1}}"#, "known one is `image`"),
    ] {
        let (detail, _) = refused(json_body(uri, body), ProblemCode::MalformedRequest).await;
        assert!(
            detail.contains(said) && detail.contains("; send {\""),
            "{detail}"
        );
    }
    let long = format!("\"{}\"", "x".repeat(10_000));
    let (detail, _) = refused(json_body("/one", &long), ProblemCode::MalformedRequest).await;
    assert!(detail.len() < 400 && detail.contains("line 1"), "{detail}");
    let (detail, _) = refused(
        json_body("/one", r#"{"image": 7}"#),
        ProblemCode::MalformedRequest,
    )
    .await;
    assert!(detail.contains("expected a string"), "{detail}");
    let (detail, _) = refused(
        json_body("/one", r#"{"image": "https://a.b/c.jpg"}"#),
        ProblemCode::MalformedRequest,
    )
    .await;
    assert!(detail.contains("URL"), "{detail}");
}

#[actix_web::test]
async fn what_stands_in_json_is_never_repeated() {
    let secret = STANDARD.encode([0xab; 300]);
    let embedding = json!(vec![0.123_456_f32; 512]);
    for (uri, body, said) in [
        ("/one", json!([[secret]]), "expected an object"),
        (
            "/one",
            json!({ "image": [secret] }),
            "`image`: invalid type: list, expected a string",
        ),
        (
            "/one",
            json!({ "image": 0.123_456 }),
            "floating point, expected",
        ),
        ("/one", json!(secret), "expected an object"),
        (
            "/one",
            json!({ secret.as_str(): 1 }),
            "unknown field of 400 bytes, expected `image`",
        ),
        (
            "/two",
            json!({ "probe": secret }),
            "invalid type: string, expected",
        ),
        (
            "/two",
            json!({ "probe": { "embedding": secret }, "reference": {} }),
            "`probe.embedding`: invalid type: string, expected a list",
        ),
        (
            "/two",
            json!({ "probe": { "embedding": { "values": embedding } } }),
            "object, expected a list",
        ),
        (
            "/two",
            json!({ "probe": { "embedding": ["0.123456, expected x"] } }),
            "`probe.embedding[0]`: invalid type: string, expected a number",
        ),
    ] {
        let request = json_body(uri, &body.to_string());
        let (detail, _) = refused(request, ProblemCode::MalformedRequest).await;
        assert!(detail.contains(said), "{detail}");
        assert!(
            !detail.contains(&secret[..8]) && !detail.contains("0.123"),
            "{detail}"
        );
    }
}

#[actix_web::test]
async fn json_of_other_programs_is_read_or_told_what_it_is() {
    let text = r#"{"image": "q6ur"}"#;
    let marked = TestRequest::post()
        .uri("/one")
        .insert_header(ContentType::json())
        .set_payload(format!("\u{feff}{text}"));
    assert_eq!(send(marked).await.1, json!({ "image": 3 }));
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = TestRequest::post()
        .uri("/one")
        .insert_header(ContentType::json())
        .set_payload(wide);
    let (detail, _) = refused(wide, ProblemCode::MalformedRequest).await;
    assert!(detail.contains("UTF-16"), "{detail}");
}

#[actix_web::test]
async fn a_content_encoding_that_changes_nothing_is_taken() {
    for encoding in ["identity", "Identity", " IDENTITY ", ""] {
        let request = raw("image/jpeg", vec![7; 50]).insert_header(("content-encoding", encoding));
        let (status, body) = send(request).await;
        assert_eq!(
            (status, body),
            (StatusCode::OK, json!({ "image": 50 })),
            "{encoding:?}"
        );
    }
}

/// A form with one part whose Content-Disposition is `disposition`.
fn form_with(disposition: &[u8]) -> TestRequest {
    let start = format!("--{BOUNDARY}\r\nContent-Disposition: ");
    let end = format!("\r\n\r\npicture\r\n--{BOUNDARY}--\r\n");
    form("/one", &[]).set_payload([start.as_bytes(), disposition, end.as_bytes()].concat())
}

#[actix_web::test]
async fn a_file_name_in_any_encoding_is_no_hindrance() {
    // 照片, 功 (whose second byte in Big5 is a backslash) and é.
    let names: [&[u8]; 5] = [
        b"\xD5\xD5\xC6\xAC.jpg",
        b"\xA5\x5C",
        b"\xE9.jpg",
        "照片.jpg".as_bytes(),
        b"a;b=c.jpg",
    ];
    for name in names {
        let quoted = [b"form-data; name=\"image\"; filename=\"", name, b"\""].concat();
        let first = [b"form-data; filename=\"", name, b"\"; name=image"].concat();
        let extended = [quoted.as_slice(), b"; filename*=GBK''%D5%D5.jpg"].concat();
        for disposition in [quoted, first, extended] {
            let (status, body) = send(form_with(&disposition)).await;
            assert_eq!(
                (status, body),
                (StatusCode::OK, json!({ "image": 7 })),
                "{name:?}"
            );
        }
    }
    for nameless in [&b"form-data"[..], b"form-data; filename=\"image\"", b"\xE9"] {
        let (detail, _) = refused(form_with(nameless), ProblemCode::MalformedRequest).await;
        assert!(detail.contains("without a name"), "{detail}");
    }
}

fn unit_vector() -> Vec<f32> {
    let mut values = vec![0.0; 512];
    (values[0], values[1]) = (0.6, 0.8);
    values
}

#[actix_web::test]
async fn an_embedding_stands_for_a_side_and_is_of_unit_length_again() {
    let mut rounded = unit_vector();
    rounded[0] = 0.606;
    let body = json!({
        "probe": { "image": STANDARD.encode([7; 100]) },
        "reference": { "embedding": rounded, "model_sha256": "ab", "quality_score": 0.8 },
    });
    let (status, body) = send(json_body("/two", &body.to_string())).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body[0]["image"], 100);
    assert_eq!(
        (&body[1]["model_sha256"], &body[1]["quality_score"]),
        (&json!("ab"), &json!(0.8_f32))
    );
    let first = body[1]["first"].as_f64().unwrap();
    assert!(
        (first - 0.606 / 0.606_f64.hypot(0.8)).abs() < 1e-6,
        "{first}"
    );
}

#[actix_web::test]
async fn sides_that_cannot_be_used_are_blamed() {
    let good = json!({ "embedding": unit_vector() });
    let mut twice_as_long = unit_vector();
    twice_as_long[0] = 2.0;
    for (side, said) in [
        (json!({}), "neither"),
        (
            json!({ "image": "AAAA", "embedding": unit_vector() }),
            "both",
        ),
        (
            json!({ "image": "AAAA", "quality_score": 0.5 }),
            "belong to an embedding",
        ),
        (json!({ "embedding": [0.5, 0.5] }), "has 2 numbers"),
        (json!({ "embedding": twice_as_long }), "has the length"),
        (json!({ "embedding": vec![0.0; 512] }), "all zeros"),
        (
            json!({ "embedding": unit_vector(), "quality_score": 1.5 }),
            "0 to 1",
        ),
        (json!({ "image": "/etc/passwd" }), "path"),
    ] {
        let body = json!({ "probe": good, "reference": side }).to_string();
        let (detail, part) = refused(json_body("/two", &body), ProblemCode::MalformedRequest).await;
        assert!(
            detail.contains(said) && detail.contains("reference"),
            "{detail}"
        );
        assert_eq!(part, "reference");
    }
    for (side, said) in [
        (
            json!([null, unit_vector(), null, null]),
            "`reference`: invalid type: list, expected an object with `image`",
        ),
        (
            json!({ "embedding": unit_vector(), "quality_score": "good" }),
            "`reference.quality_score`: invalid type: string, expected a number",
        ),
        (json!({ "img": "AAAA" }), "known one is `image`"),
    ] {
        let body = json!({ "probe": good, "reference": side }).to_string();
        let (detail, part) = refused(json_body("/two", &body), ProblemCode::MalformedRequest).await;
        assert!(detail.contains(said), "{detail}");
        assert_eq!(part, "reference", "{detail}");
    }
    // A key that is no side is none, whatever it is called.
    for (uri, body) in [
        ("/one", json!({ "probe": "AAAA" })),
        ("/two", json!({ "probe.image": "AAAA" })),
        ("/two", json!({ "probe": good })),
    ] {
        let request = json_body(uri, &body.to_string());
        let (detail, part) = refused(request, ProblemCode::MalformedRequest).await;
        assert_eq!(part, Value::Null, "{detail}");
    }
    let huge = json!({ "probe": good, "reference": { "embedding": unit_vector() } }).to_string();
    let huge = huge.replacen(&json!(0.6_f32).to_string(), "1e39", 1);
    let (detail, part) = refused(json_body("/two", &huge), ProblemCode::MalformedRequest).await;
    assert!(detail.contains("finite"), "{detail}");
    assert_eq!(part, "probe");
}
