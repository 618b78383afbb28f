//! Any bytes in any wrapping give a picture or a problem of the caller's, never a panic, and never
//! more bytes than allowed.

use proptest::prelude::*;

use super::*;

/// Sends `request`; whatever it is, it must be answered, and not as a fault of ours.
fn settle(request: TestRequest) -> Result<(), TestCaseError> {
    let (status, body) = actix_web::rt::System::new().block_on(send(request));
    prop_assert!(!status.is_server_error(), "{status}: {body}");
    if let Some(size) = body["image"].as_u64() {
        prop_assert!(size <= LIMIT as u64);
    } else if status.is_client_error() {
        let detail = body["detail"].as_str().unwrap_or_default();
        prop_assert!(!detail.is_empty() && detail.len() < 1000, "{detail}");
    }
    Ok(())
}

fn form_of(body: Vec<u8>) -> TestRequest {
    form("/one", &[]).set_payload(body)
}

/// Bytes of a form that are mostly what a form is made of.
fn form_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(format!("--{BOUNDARY}").into_bytes()),
        Just(format!("--{BOUNDARY}--").into_bytes()),
        Just(b"\r\n".to_vec()),
        Just(b"Content-Disposition: form-data; name=\"image\"".to_vec()),
        Just(b"Content-Disposition: form-data; filename=\"\xD5\xD5\"; name=image".to_vec()),
        Just(b"Content-Type: multipart/mixed; boundary=x".to_vec()),
        Just(b"Content-Length: 99999999".to_vec()),
        Just(b"name=\"".to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// JSON that is nearly a request.
fn json_like() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[A-Za-z0-9+/=%_ -]{0,40}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::collection::vec(any::<f32>(), 0..4).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let key = prop_oneof![
            Just("image".to_owned()),
            Just("probe".to_owned()),
            Just("reference".to_owned()),
            Just("embedding".to_owned()),
            any::<String>(),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_form(body in form_like()) {
        settle(form_of(body))?;
    }

    #[test]
    fn any_change_of_a_form(
        picture in prop::collection::vec(any::<u8>(), 0..100),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let start = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n");
        let end = format!("\r\n--{BOUNDARY}--\r\n");
        let mut body = [start.as_bytes(), &picture, end.as_bytes()].concat();
        for (at, value) in changes {
            let at = at.index(body.len());
            body[at] = value;
        }
        if is_cut {
            body.truncate(cut.index(body.len()));
        }
        settle(form_of(body))?;
    }

    #[test]
    fn any_json(body in json_like(), is_pair: bool) {
        settle(json_body(if is_pair { "/two" } else { "/one" }, &body.to_string()))?;
    }

    #[test]
    fn any_text_as_json(body in prop::collection::vec(any::<u8>(), 0..60)) {
        let request = TestRequest::post().uri("/one").insert_header(ContentType::json());
        settle(request.set_payload(body))?;
    }

    #[test]
    fn base64_in_any_clothes_gives_the_same_bytes(
        rest in prop::collection::vec(any::<u8>(), 60..400),
        clothes in 0..4_usize,
    ) {
        // As a JPEG begins: another text with a slash at its start could be a path.
        let bytes = [&[0xFF, 0xD8, 0xFF], rest.as_slice()].concat();
        let text = STANDARD.encode(&bytes);
        let dressed = match clothes {
            0 => text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"),
            1 => text.replace('+', " "),
            2 => text.replace('+', "-").replace('/', "_"),
            _ => text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + "\n").collect(),
        };
        // A space at the end is taken for white space.
        prop_assume!(!dressed.ends_with(' ') && !dressed.starts_with(' '));
        let body = json!({ "image": dressed }).to_string();
        let (status, answer) = actix_web::rt::System::new().block_on(send(json_body("/one", &body)));
        prop_assert_eq!((status, answer), (StatusCode::OK, json!({ "image": bytes.len() })));
    }
}
