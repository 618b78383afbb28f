//! Every failure that a caller can see has one shape, and each code is really raised.

use std::collections::BTreeSet;

use faceood::problem::ProblemCode;
use serde_json::json;

use crate::support::{Daemon, photos};

/// Raised by tests of their own (overload, a failing log, a panic), or by what is not built yet (authentication, rates).
const ELSEWHERE: [ProblemCode; 6] = [
    ProblemCode::Unauthenticated,
    ProblemCode::Forbidden,
    ProblemCode::RateLimited,
    ProblemCode::Overloaded,
    ProblemCode::NotReady,
    ProblemCode::Internal,
];

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
    let all: BTreeSet<_> = ProblemCode::ALL.iter().map(|code| code.code()).collect();
    assert_eq!(seen, all);

    // Every failed question about a picture has its row; a wrong path or method is no such question.
    let log = client.get("/v1/inferences").ok();
    let rows = log["inferences"].as_array().unwrap();
    let failed = rows
        .iter()
        .filter(|row| row["error_code"].is_string())
        .count();
    // The comparison with a foreign embedding has a second side, which is sound.
    assert_eq!((rows.len(), failed), (12, 11), "{rows:#?}");
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
