//! Tokens over the Unix socket, for programs of this machine.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::daemon::Home;
use crate::support::{Answer, Daemon};

/// A daemon that the network reaches, with a socket beside.
fn protected() -> Home {
    Home::new()
        .config("[server]\nsocket = \"faceood.sock\"\n[server.tls]\nmode = \"off\"\n")
        .listen("0.0.0.0:0")
        .with_token()
}

/// Status and body of what the socket answers.
fn over_socket(daemon: &Daemon, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "60"])
        .args(["--request", method, "--write-out", "\n%{http_code}"])
        .arg("--unix-socket")
        .arg(daemon.data_dir().join("faceood.sock"))
        .arg(format!("http://localhost{path}"));
    if !body.is_null() {
        curl.args(["--header", "Content-Type: application/json"])
            .args(["--data", &body.to_string()]);
    }
    let output = curl.output().expect("these tests need curl");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let (answer, status) = printed.rsplit_once('\n').expect("a status");
    let answer = serde_json::from_str(answer).unwrap_or_default();
    (status.parse().unwrap(), answer)
}

fn info_with(daemon: &Daemon, token: &str) -> u16 {
    let client = daemon.client();
    let request = client.http().get(client.url("/v1/info"));
    Answer::of(request.bearer_auth(token)).status
}

fn secret(answer: &Value) -> String {
    answer["token"].as_str().expect("a token").to_owned()
}

#[test]
fn a_token_made_over_the_socket_opens_at_once_and_is_closed_at_once() {
    let daemon = protected().start();
    let new = json!({"name": "desk", "role": "operator"});
    let (status, made) = over_socket(&daemon, "POST", "/v1/tokens", &new);
    assert_eq!(status, 201, "{made}");
    let first = secret(&made);
    assert!(first.starts_with("fod_"), "{made}");
    assert_eq!(info_with(&daemon, &first), 200);

    let kept = json!({"keep_old_seconds": 3600});
    let (status, rotated) = over_socket(&daemon, "POST", "/v1/tokens/desk/rotate", &kept);
    assert_eq!(status, 200, "{rotated}");
    assert!(rotated["previous_until"].is_string(), "{rotated}");
    let second = secret(&rotated);
    assert_eq!(
        [&first, &second].map(|token| info_with(&daemon, token)),
        [200, 200]
    );
    let gone = json!({"keep_old_seconds": 0});
    let (_, rotated) = over_socket(&daemon, "POST", "/v1/tokens/desk/rotate", &gone);
    let third = secret(&rotated);
    let statuses = [&first, &second, &third].map(|token| info_with(&daemon, token));
    assert_eq!(statuses, [401, 401, 200]);

    let (status, listed) = over_socket(&daemon, "GET", "/v1/tokens", &Value::Null);
    assert_eq!(status, 200);
    let listed = listed["tokens"].as_array().unwrap();
    let desk = listed.iter().find(|token| token["name"] == "desk").unwrap();
    assert_eq!(
        (&desk["role"], &desk["state"]),
        (&json!("operator"), &json!("valid"))
    );
    assert!(
        desk.get("sha256").is_none() && desk.get("token").is_none(),
        "{desk}"
    );

    let (status, answer) = over_socket(&daemon, "DELETE", "/v1/tokens/desk", &Value::Null);
    assert_eq!(status, 204, "{answer}");
    assert_eq!(info_with(&daemon, &third), 401);
    // What the daemon wrote, the command reads; and no secret went into the log.
    let shown = daemon.home().admin(&["token", "list", "--json"]).success();
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let shown = shown.as_array().unwrap().iter();
    let states: Vec<_> = shown.filter(|token| token["name"] == "desk").collect();
    assert_eq!(states[0]["state"], "revoked");
    let output = daemon.output();
    for token in [&first, &second, &third] {
        assert!(!output.contains(token.as_str()), "a secret is in the log");
    }
    assert!(
        output.contains("a token was revoked over the Unix socket"),
        "{output}"
    );
}

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    let daemon = protected().start();
    let gate = json!({"name": "gate", "role": "terminal", "sources": ["gate-3"]});
    let (status, made) = over_socket(&daemon, "POST", "/v1/tokens", &gate);
    assert_eq!(status, 201, "{made}");
    let listed = || over_socket(&daemon, "GET", "/v1/tokens", &Value::Null).1;
    let before = listed();
    for (method, path, body, status, word) in [
        ("POST", "/v1/tokens", gate.clone(), 400, "already"),
        (
            "POST",
            "/v1/tokens",
            json!({"name": "a b", "role": "admin"}),
            400,
            "name",
        ),
        (
            "POST",
            "/v1/tokens",
            json!({"name": "a", "role": "boss"}),
            400,
            "boss",
        ),
        (
            "POST",
            "/v1/tokens",
            json!({"name": "a", "role": "admin", "sources": ["x"]}),
            400,
            "terminals only",
        ),
        ("POST", "/v1/tokens", json!({"name": "a"}), 400, "role"),
        (
            "POST",
            "/v1/tokens/nobody/rotate",
            json!({}),
            404,
            "no token",
        ),
        ("DELETE", "/v1/tokens/nobody", Value::Null, 404, "no token"),
        (
            "DELETE",
            "/v1/tokens/gate?forgt=true",
            Value::Null,
            400,
            "forget",
        ),
        ("PUT", "/v1/tokens/gate", Value::Null, 405, "DELETE"),
    ] {
        let (got, answer) = over_socket(&daemon, method, path, &body);
        assert_eq!(got, status, "{method} {path} {body}: {answer}");
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(word), "{method} {path} {body}: {answer}");
    }
    assert_eq!(listed(), before);
    // A token that is shown counts, also over the socket: a terminal stays one.
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "60", "--unix-socket"])
        .arg(daemon.data_dir().join("faceood.sock"))
        .args(["--header", &format!("X-API-Key: {}", secret(&made))])
        .arg("http://localhost/v1/tokens")
        .output()
        .unwrap();
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(answer.contains("urn:faceood:problem:forbidden"), "{answer}");
    // Not from this machine by another way either.
    let local = Daemon::start();
    let answer = local.client().get("/v1/tokens").expect_status(403);
    assert!(answer.text().contains("Unix socket"), "{}", answer.text());
}

#[test]
fn the_daemon_and_the_command_change_the_file_without_losing_a_token() {
    let daemon = protected().start();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..10 {
                let new = json!({"name": format!("socket-{number}"), "role": "terminal"});
                assert_eq!(over_socket(&daemon, "POST", "/v1/tokens", &new).0, 201);
            }
        });
        scope.spawn(|| {
            for number in 0..10 {
                let name = format!("command-{number}");
                let arguments = ["token", "add", &name, "--role", "terminal"];
                daemon.home().admin(&arguments).success();
            }
        });
    });
    let (_, listed) = over_socket(&daemon, "GET", "/v1/tokens", &Value::Null);
    let listed = listed["tokens"].as_array().unwrap();
    let is_new = |name: &str| name.starts_with("socket-") || name.starts_with("command-");
    let names = listed.iter().filter_map(|token| token["name"].as_str());
    assert_eq!(names.filter(|name| is_new(name)).count(), 20);
}

#[test]
fn a_file_that_the_daemon_may_not_write_is_named_with_the_ways_out() {
    let settings =
        "[server]\nsocket = \"faceood.sock\"\n[access]\ntokens_file = \"kept/tokens.toml\"\n";
    let daemon = Home::new().config(settings).start();
    let add = |name: &str| {
        let new = json!({"name": name, "role": "operator"});
        over_socket(&daemon, "POST", "/v1/tokens", &new)
    };
    assert_eq!(add("desk").0, 201);
    let folder = daemon.home().config_file().with_file_name("kept");
    // Root may write anywhere, so that a file stands where the folder was.
    fs::rename(&folder, folder.with_extension("away")).unwrap();
    fs::write(&folder, "").unwrap();
    let (status, answer) = add("gate");
    assert_eq!(status, 403, "{answer}");
    let detail = answer["detail"].as_str().unwrap();
    for word in ["kept", "faceood-admin token", "access.tokens_file"] {
        assert!(detail.contains(word), "{detail}");
    }
}

#[test]
fn a_broken_file_is_a_failure_that_names_no_path() {
    let daemon = protected().start();
    let file = daemon.home().config_file().with_file_name("tokens.toml");
    let whole = fs::read(&file).unwrap();
    let new = json!({"name": "desk", "role": "operator"});
    for broken in [&b"[[token]]\n"[..], b"\xff\xfe"] {
        fs::write(&file, broken).unwrap();
        for (method, path, body) in [
            ("GET", "/v1/tokens", &Value::Null),
            ("POST", "/v1/tokens", &new),
            ("DELETE", "/v1/tokens/test", &Value::Null),
        ] {
            let (status, answer) = over_socket(&daemon, method, path, body);
            assert_eq!(status, 500, "{method}: {answer}");
            let detail = answer["detail"].as_str().unwrap();
            assert!(!detail.contains("tokens.toml"), "{method}: {detail}");
        }
        assert_eq!(fs::read(&file).unwrap(), broken);
    }
    fs::write(&file, whole).unwrap();
    assert_eq!(over_socket(&daemon, "POST", "/v1/tokens", &new).0, 201);
}
