//! Who may call a daemon that listens on the network, over real sockets.
//!
//! The daemon listens on all addresses, so that it asks for tokens, and is called by 127.0.0.1. It
//! speaks plain HTTP, as behind a proxy that ends TLS.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::admin::{clean, command};
use crate::support::daemon::Home;
use crate::support::{Admin, Answer, Daemon, photos, program, wait_for};

const ROLES: [&str; 4] = ["terminal", "operator", "metrics", "admin"];

/// Method, path and the roles that may; `None`: open to everybody.
const ENDPOINTS: [(&str, &str, Option<&[&str]>); 23] = [
    (
        "POST",
        "/v1/extract",
        Some(&["terminal", "operator", "admin"]),
    ),
    (
        "POST",
        "/v1/quality",
        Some(&["terminal", "operator", "admin"]),
    ),
    (
        "POST",
        "/v1/compare",
        Some(&["terminal", "operator", "admin"]),
    ),
    (
        "POST",
        "/v1/feedback",
        Some(&["terminal", "operator", "admin"]),
    ),
    ("GET", "/v1/info", Some(&["operator", "admin"])),
    ("GET", "/v1/inferences", Some(&["operator", "admin"])),
    // Over the Unix socket alone.
    ("GET", "/v1/tokens", Some(&[])),
    ("POST", "/v1/tokens", Some(&[])),
    ("DELETE", "/v1/tokens/gate", Some(&[])),
    ("POST", "/v1/tokens/gate/rotate", Some(&[])),
    ("GET", "/reports/latest", Some(&["operator", "admin"])),
    ("GET", "/metrics", Some(&["metrics", "admin"])),
    ("GET", "/openapi.json", Some(&ROLES)),
    ("GET", "/docs", Some(&ROLES)),
    ("GET", "/docs/", Some(&ROLES)),
    ("GET", "/docs/swagger-ui.css", Some(&ROLES)),
    ("GET", "/readyz", None),
    ("GET", "/healthz", None),
    ("GET", "/ca.pem", None),
    ("GET", "/session", None),
    ("GET", "/", None),
    ("GET", "/page/app.js", None),
    ("GET", "/nope", None),
];

const PLAIN: &str = "[server.tls]\nmode = \"off\"\n";

/// A home whose daemon listens on the network.
fn on_the_network(config: &str) -> Home {
    Home::new()
        .config(&format!("{config}{PLAIN}"))
        .listen("0.0.0.0:0")
}

/// A daemon that asks for tokens.
struct Appliance {
    daemon: Daemon,
}

impl Appliance {
    /// With a token for each role, by whose name it goes.
    fn start(config: &str) -> (Self, Vec<String>) {
        let home = on_the_network(config);
        let tokens = ROLES.map(|role| add(&home, &[role, "--role", role]));
        let daemon = home.start();
        (Self { daemon }, tokens.to_vec())
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let client = self.daemon.client();
        let method = method.parse().unwrap();
        let request = client.http().request(method, client.url(path));
        let request = headers.iter().fold(request, |request, &(name, value)| {
            request.header(name, value)
        });
        Answer::of(request)
    }

    fn with(&self, token: &str, method: &str, path: &str) -> Answer {
        self.ask(
            method,
            path,
            &[("Authorization", &format!("Bearer {token}"))],
        )
    }

    /// `/v1/extract` with the committed photo.
    fn extract(&self, token: &str, query: &str) -> Answer {
        let client = self.daemon.client();
        let request = client
            .http()
            .post(client.url(&format!("/v1/extract{query}")));
        let request = request
            .bearer_auth(token)
            .header("Content-Type", "image/jpeg");
        Answer::of(request.body(photos::astronaut()))
    }

    fn admin(&self, arguments: &[&str]) -> Admin {
        self.daemon.home().admin(arguments)
    }
}

fn add(home: &Home, arguments: &[&str]) -> String {
    let added = home
        .admin(&[&["token", "add"], arguments].concat())
        .success();
    added.stdout.trim().to_owned()
}

fn code(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let kind = body["type"].as_str().unwrap_or_default();
    kind.rsplit(':').next().unwrap_or_default().to_owned()
}

#[test]
fn every_role_may_what_it_is_for_and_no_more() {
    let (on_network, tokens) = Appliance::start("");
    for (method, path, allowed) in ENDPOINTS {
        let answer = on_network.ask(method, path, &[]);
        let is_open = !["unauthenticated", "forbidden"].contains(&code(&answer).as_str());
        assert_eq!(
            is_open,
            allowed.is_none(),
            "{method} {path} without a token"
        );
        if allowed.is_some() {
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(
                answer.headers["www-authenticate"], "Bearer realm=\"faceood\"",
                "{path}"
            );
        }
        for (role, token) in ROLES.iter().zip(&tokens) {
            let answer = on_network.with(token, method, path);
            let may = allowed.is_none_or(|allowed| allowed.contains(role));
            assert_eq!(
                code(&answer) != "forbidden",
                may,
                "{method} {path} as {role}"
            );
            assert_eq!(answer.status == 403, !may, "{method} {path} as {role}");
            assert_ne!(
                code(&answer),
                "unauthenticated",
                "{method} {path} as {role}"
            );
        }
    }
    let key = on_network.ask("GET", "/v1/info", &[("X-API-Key", &tokens[1])]);
    assert_eq!(key.status, 200);
}

#[test]
fn no_spelling_of_a_path_gets_past_the_roles() {
    let (on_network, tokens) = Appliance::start("");
    for (method, path, _) in ENDPOINTS.iter().filter(|(.., allowed)| allowed.is_some()) {
        let Some(last) = path.chars().last().filter(char::is_ascii_alphabetic) else {
            continue;
        };
        let encoded = format!("{}%{:02x}", &path[..path.len() - 1], last as u32);
        let upper = path.to_uppercase();
        for spelling in [encoded, format!("/{path}"), format!("{path}/"), upper] {
            if ENDPOINTS.iter().any(|(_, known, _)| *known == spelling) {
                continue;
            }
            let answers = [
                on_network.ask(method, &spelling, &[]),
                on_network.with(&tokens[2], method, &spelling),
            ];
            for answer in answers {
                assert!(
                    [401, 403, 404].contains(&answer.status),
                    "{spelling}: {}",
                    answer.text()
                );
            }
        }
    }
}

#[test]
fn a_terminals_rows_bear_its_name_and_its_source() {
    let home = on_the_network("");
    let gate = add(
        &home,
        &[
            "gate-3", "--role", "terminal", "--source", "gate-3", "--source", "gate-4",
        ],
    );
    let other = add(&home, &["kiosk", "--role", "terminal"]);
    let on_network = Appliance {
        daemon: home.start(),
    };

    let answer = on_network.extract(&gate, "").expect_status(200);
    let id = answer.json()["request_id"].as_str().unwrap().to_owned();
    on_network
        .extract(&gate, "?source=gate-4")
        .expect_status(200);
    let refused = on_network
        .extract(&gate, "?source=gate-5")
        .expect_status(403);
    assert!(
        refused.text().contains("gate-3, gate-4"),
        "{}",
        refused.text()
    );
    on_network
        .extract(&other, "?source=gate-5")
        .expect_status(200);

    let feedback = |token: &str| {
        let client = on_network.daemon.client();
        let request = client
            .http()
            .post(client.url("/v1/feedback"))
            .bearer_auth(token);
        Answer::of(request.json(&json!({"request_id": id, "outcome": "genuine"}))).status
    };
    assert_eq!(feedback(&other), 404, "of another terminal's request");
    assert_eq!(feedback(&gate), 200);

    let exported = on_network
        .admin(&["export", "--format", "jsonl"])
        .success()
        .stdout;
    let rows: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row["token"].as_str(), row["source"].as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (Some("gate-3"), Some("gate-3")),
            (Some("gate-3"), Some("gate-4")),
            (Some("gate-3"), None),
            (Some("kiosk"), Some("gate-5")),
        ]
    );
}

#[test]
fn a_revoked_or_rotated_token_acts_within_a_second() {
    let (on_network, tokens) = Appliance::start("");
    let operator = &tokens[1];
    let status = |token: &str| on_network.with(token, "GET", "/v1/info").status;
    assert_eq!(status(operator), 200);
    let rotated = on_network
        .admin(&["token", "rotate", "operator", "--keep-old", "1h"])
        .success();
    let new = rotated.stdout.trim();
    wait_for("the new secret", || (status(new) == 200).then_some(()));
    assert_eq!(status(operator), 200, "the old one is valid for an hour");
    on_network.admin(&["token", "revoke", "operator"]).success();
    let began = Instant::now();
    wait_for("the end of the token", || {
        (status(new) == 401).then_some(())
    });
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(status(operator), 401, "both secrets end");
    assert!(
        on_network
            .with(new, "GET", "/v1/info")
            .text()
            .contains("revoked")
    );

    let list = on_network
        .admin(&["token", "list", "--json"])
        .success()
        .json();
    assert_eq!(list[1]["state"], "revoked");
    assert!(!list.to_string().contains("fod_"), "{list}");
}

#[test]
fn the_list_of_tokens_says_when_each_was_used_last() {
    let (on_network, tokens) = Appliance::start("");
    for _ in 0..3 {
        assert_eq!(on_network.with(&tokens[1], "GET", "/v1/info").status, 200);
    }
    let list = wait_for("the uses in the log", || {
        let list = on_network.admin(&["token", "list", "--json"]).success();
        (list.json()[1]["uses"] == 3).then(|| list.json())
    });
    assert_eq!(list[1]["last_address"], "127.0.0.1", "{list}");
    assert!(list[1]["last_use"].is_string(), "{list}");
    assert_eq!(list[0]["uses"], 0, "{list}");
    let text = on_network.admin(&["token", "list"]).success().stdout;
    let of = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(of("operator").ends_with("127.0.0.1"), "{text}");
    assert!(of("terminal").contains("never"), "{text}");
}

#[test]
fn who_may_not_change_the_tokens_is_told_whom_to_become() {
    let home = Home::new();
    let folder = home.data_dir().with_file_name("tokens");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("tokens.toml");
    home.write_config(&format!("[access]\ntokens_file = {file:?}\n"));
    add(&home, &["gate-3", "--role", "terminal"]);
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    mode(&folder, 0o555).unwrap();
    mode(&folder.join(".tokens.lock"), 0o000).unwrap();
    mode(&file, 0o000).unwrap();
    let program = program("faceood-admin");
    let refused = |arguments: &[&str]| {
        let mut command = command();
        if rustix::process::geteuid().is_root() {
            // Without its capabilities root, too, may do no more than the modes say.
            command = clean("setpriv");
            command.args(["--bounding-set", "-all", program.as_str()]);
        }
        command.arg("--config").arg(home.config_file());
        command.args(arguments);
        Admin::finish(command).expect_code(1).stderr
    };
    let owner = Command::new("id").arg("-un").output().unwrap().stdout;
    let owner = String::from_utf8(owner).unwrap().trim().to_owned();
    let become_it = match owner.as_str() {
        "root" => format!("sudo {program}"),
        owner => format!("sudo -u {owner} {program}"),
    };
    for (arguments, place) in [
        (&["add", "gate-4", "--role", "terminal"][..], &folder),
        (&["rotate", "gate-3"], &folder),
        (&["revoke", "gate-3"], &folder),
        (&["list"], &file),
    ] {
        let typed = [&["token"], arguments].concat();
        let said = refused(&typed);
        let whose = format!("{} is {owner}'s, and this user may not", place.display());
        assert!(said.contains(&whose) && said.contains(&become_it), "{said}");
        assert!(said.contains(&typed.join(" ")), "{said}");
    }
    mode(&folder, 0o755).unwrap();
}

#[test]
fn whoever_guesses_is_refused_and_noted_and_the_log_never_has_a_secret() {
    let (on_network, tokens) = Appliance::start("");
    let ask = |token: &str| on_network.with(token, "GET", "/v1/info");
    for _ in 0..10 {
        assert_eq!(ask("fod_guess").status, 401);
    }
    let blocked = ask(&tokens[1]);
    assert_eq!(
        (blocked.status, code(&blocked).as_str()),
        (429, "rate_limited")
    );
    let wait: u64 = blocked.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((250..=300).contains(&wait), "{wait}");
    assert_eq!(on_network.ask("GET", "/healthz", &[]).status, 200);

    let seen = wait_for("the refusals in the log", || {
        let shown = on_network
            .admin(&["access", "--format", "json"])
            .success()
            .stdout;
        (shown.contains("wrong_token") && shown.contains("blocked")).then_some(shown)
    });
    assert!(!seen.contains("fod_"), "{seen}");
    let output = on_network.daemon.output();
    assert!(!output.contains("fod_"), "{output}");
}

#[test]
fn off_this_machine_a_daemon_starts_only_with_a_token_or_when_told_to_be_open() {
    let home = on_the_network("");
    for arguments in [&["--check"][..], &[]] {
        let refused = home.command().args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success());
        for way in ["faceood-admin token add", "server.open = true"] {
            assert!(said.contains(way), "{arguments:?}: {said}");
        }
    }
    let open = on_the_network("[server]\nopen = true\n").start();
    open.client().get("/v1/info").expect_status(200);
}

#[test]
fn a_flood_of_one_token_is_slowed_and_another_is_heard() {
    let home = on_the_network("[access]\nrate_requests = 2\n");
    let flood = add(&home, &["flood", "--role", "operator"]);
    let calm = add(&home, &["calm", "--role", "operator"]);
    let on_network = Appliance {
        daemon: home.start(),
    };
    let answers: Vec<Answer> = (0..20)
        .map(|_| on_network.with(&flood, "GET", "/v1/info"))
        .collect();
    let refused: Vec<&Answer> = answers
        .iter()
        .filter(|answer| answer.status == 429)
        .collect();
    assert!(refused.len() >= 5, "{}", refused.len());
    assert!(
        refused
            .iter()
            .all(|answer| answer.headers.contains_key("retry-after"))
    );
    assert!(refused[0].text().contains("access.rate_requests"));
    assert_eq!(on_network.with(&calm, "GET", "/v1/info").status, 200);
}

#[test]
fn a_chunked_upload_is_counted_by_what_has_come_of_it() {
    let home = on_the_network("[access]\nrate_bytes = 1000000\n");
    let flood = add(&home, &["flood", "--role", "terminal"]);
    let calm = add(&home, &["calm", "--role", "terminal"]);
    let on_network = Appliance {
        daemon: home.start(),
    };
    let send = |token: &str| {
        let client = on_network.daemon.client();
        let request = client.http().post(client.url("/v1/quality"));
        let request = request.bearer_auth(token).header("Content-Type", "image/x");
        // Without a length it goes in chunks.
        let body = reqwest::blocking::Body::new(std::io::repeat(b'x').take(900_000));
        Answer::of(request.body(body))
    };
    assert_eq!(send(&flood).status, 415, "the first fits");
    let refused = wait_for("the limit on bytes", || {
        let answer = send(&flood);
        (answer.status == 429).then_some(answer)
    });
    assert!(
        refused.text().contains("access.rate_bytes"),
        "{}",
        refused.text()
    );
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(wait, 1);
    assert_eq!(send(&calm).status, 415, "another token");
    wait_for("the refusal in the log", || {
        let shown = on_network
            .admin(&["access", "--format", "json"])
            .success()
            .stdout;
        (shown.contains("rate_limit") && shown.contains("/v1/quality")).then_some(())
    });
}

#[test]
fn the_page_signs_in_with_a_token_and_out_again() {
    let (on_network, tokens) = Appliance::start("");
    let client = on_network.daemon.client();
    let session = |token: &str| {
        let request = client.http().post(client.url("/session"));
        Answer::of(request.json(&json!({"token": token})))
    };
    let before = on_network.ask("GET", "/session", &[]).json();
    assert_eq!(
        before,
        json!({"protected": true, "name": null, "role": null})
    );
    assert_eq!(session("fod_wrong").status, 401);
    assert_eq!(session(&tokens[0]).status, 403, "terminals have no page");
    let signed_in = session(&tokens[1]).expect_status(204);
    let cookie = signed_in.headers["set-cookie"].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(
        !cookie.contains(tokens[1].as_str()),
        "the cookie is not the token"
    );
    let cookie = cookie.split(';').next().unwrap();
    let ask = |method, path| on_network.ask(method, path, &[("Cookie", cookie)]);
    assert_eq!(ask("GET", "/v1/info").status, 200);
    let who = ask("GET", "/session").json();
    assert_eq!(
        who,
        json!({"protected": true, "name": "operator", "role": "operator"})
    );
    assert_eq!(ask("DELETE", "/session").status, 204);
    assert_eq!(ask("GET", "/v1/info").status, 401);
}

#[test]
fn a_page_elsewhere_cannot_use_the_box_through_a_browser() {
    let daemon = Home::new()
        .config("[server]\norigins = [\"https://gate.example\"]\n")
        .start();
    let local = Appliance { daemon };
    let ask = |headers: &[(&str, &str)]| local.ask("GET", "/v1/inferences", headers);
    assert_eq!(ask(&[]).status, 200);
    assert_eq!(
        ask(&[("Host", "evil.example")]).status,
        403,
        "DNS rebinding"
    );
    assert_eq!(ask(&[("Origin", "http://evil.example")]).status, 403);
    assert_eq!(ask(&[("Sec-Fetch-Site", "cross-site")]).status, 403);
    // Failures too: else the page cannot read what is wrong.
    for (path, status) in [("/v1/inferences", 200), ("/v1/inferences?limit=x", 400)] {
        let allowed = local.ask("GET", path, &[("Origin", "https://gate.example")]);
        assert_eq!(allowed.status, status);
        let may_read = &allowed.headers["access-control-allow-origin"];
        assert_eq!(may_read, "https://gate.example");
    }

    let preflight = |origin| {
        let wanted = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            (
                "Access-Control-Request-Headers",
                "authorization,content-type",
            ),
        ];
        local.ask("OPTIONS", "/v1/extract", &wanted)
    };
    let granted = preflight("https://gate.example");
    assert_eq!(granted.status, 200);
    assert_eq!(
        granted.headers["access-control-allow-origin"],
        "https://gate.example"
    );
    let refused = preflight("https://evil.example");
    assert!(refused.status >= 400 && !refused.headers.contains_key("access-control-allow-origin"));
}

#[test]
fn without_a_token_nobody_learns_why_the_box_is_not_ready() {
    let (on_network, tokens) = Appliance::start("");
    let asked = on_network.ask("GET", "/readyz", &[]).expect_status(200);
    assert_eq!(asked.json(), json!({"status": "ready"}));
    assert_eq!(on_network.with(&tokens[2], "GET", "/readyz").status, 200);
}
