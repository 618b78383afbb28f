//! Client certificates in the place of tokens, shown by a real `curl`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::certificates::Ends;
use crate::support::daemon::Home;
use crate::support::{Daemon, TestAuthority, repository, wait_for};

/// A daemon that speaks TLS on the network, and an authority of clients that it takes.
struct Site {
    folder: TempDir,
    clients: TestAuthority,
    daemon: Daemon,
}

impl Site {
    /// With a token for the terminal `gate-3`.
    fn start(client_auth: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        let authority = TestAuthority::new("the site");
        authority.server(Ends::Future).write(folder.path(), "box");
        std::fs::write(path("ca.pem"), authority.pem()).unwrap();
        let clients = TestAuthority::new("the terminals");
        std::fs::write(path("clients.pem"), clients.pem()).unwrap();
        let config = format!(
            "[server.tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\nclient_auth = {client_auth:?}\n",
            path("box.pem"),
            path("box.key"),
            path("clients.pem")
        );
        let home = Home::new()
            .config(&config)
            .argument("--listen")
            .argument("0.0.0.0:0");
        let token = [
            "token", "add", "gate-3", "--role", "terminal", "--source", "gate-3",
        ];
        home.admin(&token).success();
        Self {
            folder,
            clients,
            daemon: home.start(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a certificate `name` of `authority` for the client `gate-3`.
    fn issue(&self, name: &str, authority: &TestAuthority, ends: Ends) {
        authority
            .client("gate-3", ends)
            .write(self.folder.path(), name);
    }

    /// Status and body of a request to the TLS address, with the certificate `client` if it has a
    /// name; the status is 0 where the handshake fails.
    fn ask(&self, client: &str, arguments: &[&str], path: &str) -> (u16, String) {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--noproxy", "*", "--max-time", "60"]);
        curl.args(["--write-out", "\n%{http_code}", "--cacert"]);
        curl.arg(self.path("ca.pem"));
        if !client.is_empty() {
            curl.arg("--cert").arg(self.path(&format!("{client}.pem")));
            curl.arg("--key").arg(self.path(&format!("{client}.key")));
        }
        curl.args(arguments);
        curl.arg(format!(
            "https://localhost:{}{path}",
            self.daemon.tls_port()
        ));
        let output = curl.output().expect("these tests need curl");
        let output = String::from_utf8(output.stdout).unwrap();
        let (body, status) = output.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// `/v1/quality` with the committed photo.
    fn quality(&self, client: &str, query: &str) -> (u16, String) {
        let photo = repository().join("tests/photos/astronaut.jpg");
        let body = format!("@{}", photo.display());
        let arguments = [
            "--header",
            "Content-Type: image/jpeg",
            "--data-binary",
            &body,
        ];
        self.ask(client, &arguments, &format!("/v1/quality{query}"))
    }

    /// How many refusals the log has for this reason at this endpoint; all are of this machine and
    /// bear the token's name.
    fn refusals(&self, refusal: &str, endpoint: &str, token: Option<&str>) -> u64 {
        let report = self.daemon.home().admin(&["access", "--format", "json"]);
        let report = report.success().json();
        let groups = report["groups"].as_array().unwrap();
        let alike = groups
            .iter()
            .filter(|group| group["refusal"] == refusal && group["endpoint"] == endpoint);
        alike
            .map(|group| {
                assert_eq!(group["address"], "127.0.0.1", "{group}");
                assert_eq!(group["token"].as_str(), token, "{group}");
                group["count"].as_u64().unwrap()
            })
            .sum()
    }
}

fn rows(home: &Home) -> Vec<Value> {
    let exported = home
        .admin(&["export", "--format", "jsonl"])
        .success()
        .stdout;
    let lines = exported.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_certificate_stands_for_the_token_of_its_name() {
    let site = Site::start("optional");
    site.issue("gate", &site.clients, Ends::Future);
    let folder: &Path = site.folder.path();
    site.clients
        .client("nobody", Ends::Future)
        .write(folder, "nobody");

    let (status, body) = site.quality("gate", "");
    assert_eq!(status, 200, "{body}");
    let (status, body) = site.quality("gate", "?source=gate-4");
    assert_eq!(status, 403, "bound to its source: {body}");
    let (status, body) = site.ask("gate", &[], "/v1/info");
    assert_eq!(status, 403, "bound to its role: {body}");
    let seen: Vec<_> = rows(site.daemon.home())
        .iter()
        .map(|row| (row["token"].clone(), row["source"].clone()))
        .collect();
    let token = Value::from("gate-3");
    assert_eq!(seen, [(token.clone(), token.clone()), (token, Value::Null)]);

    let (status, body) = site.quality("nobody", "");
    assert_eq!(status, 401);
    assert!(body.contains("faceood-admin token add nobody"), "{body}");
    assert_eq!(site.quality("", "").0, 401, "neither token nor certificate");

    site.daemon
        .home()
        .admin(&["token", "revoke", "gate-3"])
        .success();
    let began = Instant::now();
    let body = wait_for("the end of the token", || {
        let (status, body) = site.quality("gate", "");
        (status == 401).then_some(body)
    });
    let waited = began.elapsed();
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    assert!(body.contains("revoked"), "{body}");
    wait_for("the refusals in the log", || {
        let unknown = site.refusals("certificate", "/v1/quality", None);
        let revoked = site.refusals("revoked", "/v1/quality", Some("gate-3"));
        (unknown == 1 && revoked >= 1).then_some(())
    });
}

#[test]
fn a_certificate_that_is_refused_in_the_handshake_is_noted() {
    let stranger = TestAuthority::new("somebody");
    for (client_auth, refused) in [
        ("required", &["", "ended", "wrong"][..]),
        ("optional", &["ended", "wrong"]),
    ] {
        let site = Site::start(client_auth);
        site.issue("ended", &site.clients, Ends::Past);
        site.issue("wrong", &stranger, Ends::Future);
        for client in refused {
            let (status, body) = site.ask(client, &[], "/healthz");
            assert_eq!(status, 0, "{client_auth} {client}: {body}");
        }
        let count = refused.len() as u64;
        wait_for("the refusals in the log", || {
            (site.refusals("certificate", "tls", None) == count).then_some(())
        });
        let metrics = site.daemon.client().get("/metrics").text();
        let counted = format!("faceood_access_refusals_total{{reason=\"certificate\"}} {count}");
        assert!(metrics.contains(&counted), "{metrics}");
        let output = site.daemon.output();
        assert!(output.contains("a caller was refused"), "{output}");
    }
}
