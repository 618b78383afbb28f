//! Every failure that a caller can see has one shape, and each code is really raised.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use faceood_engine::problem::ProblemCode;
use serde_json::json;

use crate::support::{DEADLINE, Daemon, photos};

/// Raised by tests of their own (overload, a failing log, a panic), or by what is not built yet
/// (authentication, rates).
const ELSEWHERE: [ProblemCode; 7] = [
    ProblemCode::Unauthenticated,
    ProblemCode::Forbidden,
    ProblemCode::RateLimited,
    ProblemCode::Overloaded,
    ProblemCode::DeadlineExceeded,
    ProblemCode::NotReady,
    ProblemCode::Internal,
];

#[test]
fn what_can_be_wrong_with_a_picture_is_said_in_chinese_to_who_reads_it() {
    let daemon = Daemon::with_config("[capture]\nmax_bytes = 300000\nmax_pixels = 1000000\n");
    let detail = |bytes: &[u8], language: &str| {
        let form = reqwest::blocking::multipart::Form::new().part(
            "image",
            reqwest::blocking::multipart::Part::bytes(bytes.to_vec()),
        );
        let client = daemon.client();
        let request = client.http().post(client.url("/v1/extract"));
        let answer = request
            .header("Accept-Language", language)
            .multipart(form)
            .send()
            .unwrap();
        assert!(answer.status().is_client_error(), "{answer:?}");
        let body: serde_json::Value = answer.json().unwrap();
        body["detail"].as_str().unwrap().to_owned()
    };
    let nobody = photos::jpeg(&photos::without_face(300, 300, 8), 90);
    let wide = photos::jpeg(&photos::without_face(2000, 1000, 8), 30);
    for (bytes, chinese) in [
        (b"".as_slice(), "图片为空"),
        (b"%PDF-1.7", "这是 PDF 文件"),
        (&nobody[..300], "JPEG 文件不完整"),
        (&nobody, "300×300 像素的图片中未检测到人脸"),
        (&wide, "2000×1000 像素，上限为 100 万像素"),
        (&vec![7; 300_001], "300000 字节"),
    ] {
        let said = detail(bytes, "zh-CN,zh;q=0.9");
        assert!(said.contains(chinese), "{said}");
        let english = detail(bytes, "fr");
        assert!(english.is_ascii() || english.contains('×'), "{english}");
    }
}

#[test]
fn every_code_is_raised_with_its_status_and_words_that_help() {
    let daemon = Daemon::with_config("[capture]\nmax_bytes = 300000\n");
    let client = daemon.client();
    let photo = photos::astronaut();
    let nobody = photos::jpeg(&photos::without_face(300, 300, 8), 90);
    let mut one = vec![0.0; 512];
    one[0] = 1.0;
    let foreign = json!({
        "probe": { "embedding": one, "model_sha256": "ab" },
        "reference": { "embedding": one },
    });
    let get = |path: &str| client.get(path);
    let raised = [
        (
            client.extract(b"", ""),
            ProblemCode::MalformedRequest,
            "empty",
        ),
        (
            client.extract(&photo, "?scenario=acess"),
            ProblemCode::UnknownScenario,
            "`access`",
        ),
        (
            client.extract(&photo, "?sauce=a"),
            ProblemCode::InvalidParameter,
            "`source`",
        ),
        (
            client.extract(&photo, "?source=a/b"),
            ProblemCode::InvalidParameter,
            "1 to 64",
        ),
        (
            client.extract(&photo, "?faces=both"),
            ProblemCode::InvalidParameter,
            "largest or all",
        ),
        (
            client.quality(&photo, "?embedding=true"),
            ProblemCode::InvalidParameter,
            "embedding",
        ),
        (get("/v2/extract"), ProblemCode::NotFound, "/v1/extract"),
        (get("/v1/extract"), ProblemCode::MethodNotAllowed, "POST"),
        (
            client.post_json("/v1/compare", &foreign),
            ProblemCode::ModelMismatch,
            "pack ab",
        ),
        (
            client.extract(&vec![0xff; 300_001], ""),
            ProblemCode::ImageTooLarge,
            "300000",
        ),
        (
            client.extract(b"GIF89a......", ""),
            ProblemCode::UnsupportedMediaType,
            "JPEG",
        ),
        (
            client.extract(&photo[..2000], ""),
            ProblemCode::UndecodableImage,
            "",
        ),
        (client.extract(&nobody, ""), ProblemCode::NoFace, ""),
    ];
    let mut seen: BTreeSet<_> = ELSEWHERE.iter().map(|code| code.code()).collect();
    for (answer, code, said) in raised {
        assert!(answer.header("retry-after").is_none());
        let problem = answer.problem(code.status(), code.code());
        assert_eq!(problem["title"], code.title());
        assert!(
            problem["detail"].as_str().unwrap().contains(said),
            "{problem}"
        );
        seen.insert(code.code());
    }
    let answered = ProblemCode::ALL.iter().filter(|code| code.is_answered());
    let all: BTreeSet<_> = answered.map(|code| code.code()).collect();
    assert_eq!(seen, all);

    // Every failed question about a picture has its row; a wrong path or method is no such
    // question.
    let log = client.get("/v1/inferences").ok();
    let rows = log["inferences"].as_array().unwrap();
    let failed = rows
        .iter()
        .filter(|row| row["error_code"].is_string())
        .count();
    // The comparison with a foreign embedding has a second side, which is sound.
    assert_eq!((rows.len(), failed), (12, 11), "{rows:#?}");
}

/// As much of the answer to `head`, sent as it is, as comes before the connection is closed.
fn raw(daemon: &Daemon, head: &str) -> String {
    let mut socket = TcpStream::connect(daemon.address()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // What was sent beyond the refusal makes the kernel reset the connection.
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn whatever_is_sent_gets_a_problem() {
    let daemon = Daemon::start();
    let host = "Host: localhost\r\nConnection: close\r\n";
    for (line, status) in [
        ("OPTIONS * HTTP/1.1", 404),
        ("CONNECT a:1 HTTP/1.1", 404),
        ("GET /%zz/%00 HTTP/1.1", 404),
        ("GET /docs/nothing HTTP/1.1", 404),
        ("GET /page/..%2f..%2fx HTTP/1.1", 404),
        ("OPTIONS /v1/extract HTTP/1.1", 405),
        ("BREW /healthz HTTP/1.1", 405),
        ("POST /v1/extract?scenario=%ff HTTP/1.1", 400),
        ("POST /v1/extract HTTP/1.1", 400),
    ] {
        let answer = raw(&daemon, &format!("{line}\r\n{host}\r\n"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{line}: {head}"
        );
        assert!(head.contains("application/problem+json"), "{line}: {head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["status"], status, "{line}: {body}");
    }
    // The table in docs/api.md.
    let lines = "X-A: 1\r\n".repeat(97);
    for (head, status) in [
        ("\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            format!("POST /v1/extract HTTP/1.1\r\n{host}Content-Length: abc\r\n\r\n"),
            400,
        ),
        (
            format!("GET /{} HTTP/1.1\r\n{host}\r\n", "a".repeat(1 << 16)),
            400,
        ),
        (format!("GET /healthz HTTP/1.1\r\n{host}{lines}\r\n"), 431),
    ] {
        let answer = raw(&daemon, &head);
        let begin: String = head.chars().take(60).collect();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{begin}: {answer}"
        );
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("application/problem+json"), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["status"], status, "{body}");
        assert_eq!(body["type"], "urn:faceood:problem:malformed_request");
        let id = body["request_id"].as_str().unwrap();
        assert!(head.contains(&format!("x-request-id: {id}")), "{head}");
    }
}

#[test]
fn ids_are_kept_or_made_on_every_answer() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let id_for = |sent: &str, path: &str| {
        let request = client
            .http()
            .get(client.url(path))
            .header("x-request-id", sent);
        let response = request.send().unwrap();
        response.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/",
        "/nowhere",
        "/v1/extract",
        "/docs",
    ] {
        assert_eq!(id_for("a.B_c:9-", path), "a.B_c:9-", "{path}");
        let made = id_for("not allowed", path);
        assert_eq!(made.len(), 36, "{path}: {made}");
    }
}
