//! TLS off loopback, against real clients: `curl` and `openssl s_client`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use faceood::server::tls::CertificateFacts;
use rustix::process::Signal;

use crate::support::certificates::{Ends, TestCertificate};
use crate::support::daemon::Home;
use crate::support::{DEADLINE, Daemon, TestAuthority, wait_for};

/// A home whose daemon also listens on all addresses of this machine, where it speaks TLS.
fn lan(config: &str) -> Home {
    Home::new()
        .config(config)
        .with_token()
        .argument("--listen")
        .argument("0.0.0.0:0")
}

/// A folder with an operator's authority, and a certificate of it for the box.
struct Site {
    folder: tempfile::TempDir,
    authority: TestAuthority,
    ca: PathBuf,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let authority = TestAuthority::new("the site");
        let ca = folder.path().join("ca.pem");
        fs::write(&ca, authority.pem()).unwrap();
        authority.server(Ends::Future).write(folder.path(), "box");
        Self {
            folder,
            authority,
            ca,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Settings with its certificate, and what else stands under `[server.tls]`. The service is
    /// open: who may do what is another matter than how it is carried.
    fn config(&self, server: &str, tls: &str) -> String {
        format!(
            "[server]\nopen = true\n{server}\n[server.tls]\ncertificate = {:?}\nkey = {:?}\n{tls}\n",
            self.path("box.pem"),
            self.path("box.key")
        )
    }

    /// Puts another certificate in the place of the box's; gives its fingerprint.
    fn replace(&self, certificate: &TestCertificate) -> String {
        let (path, _) = certificate.write(self.folder.path(), "box");
        CertificateFacts::read(&path).unwrap().sha256
    }
}

struct Fetched {
    is_done: bool,
    body: String,
    error: String,
}

/// `curl` with these arguments.
fn curl(arguments: &[&str]) -> Fetched {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "60",
        ])
        .args(arguments)
        .output()
        .expect("these tests need curl");
    Fetched {
        is_done: output.status.success(),
        body: String::from_utf8_lossy(&output.stdout).into_owned(),
        error: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[track_caller]
fn expect_alive(fetched: &Fetched) {
    assert_eq!(fetched.body, r#"{"status":"alive"}"#, "{}", fetched.error);
}

#[track_caller]
fn expect_refused(fetched: &Fetched) {
    assert!(
        !fetched.is_done && fetched.body.is_empty(),
        "{}",
        fetched.body
    );
}

/// What `openssl` says with these arguments and an empty input.
fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("these tests need openssl");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Fingerprint of the certificate that is served at a port of this machine.
fn served(port: u16) -> String {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("served.pem");
    let shown = openssl(&["s_client", "-connect", &format!("127.0.0.1:{port}")]);
    fs::write(&file, shown).unwrap();
    CertificateFacts::read(&file).map_or_else(|_| String::new(), |facts| facts.sha256)
}

/// A connection of `openssl s_client` that stays.
struct Kept {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Kept {
    fn open(port: u16, ca: &Path) -> Self {
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", "-CAfile"])
            .arg(ca)
            .args(["-connect", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need openssl");
        Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// GET over the same connection; the status line and the body.
    fn get(&mut self, path: &str) -> (String, String) {
        write!(self.input, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        self.input.flush().unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.output.read_line(&mut head).unwrap(), 0, "{head}");
        }
        let length = head.to_lowercase();
        let length = length.split("content-length: ").nth(1).unwrap();
        let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
        self.output.read_exact(&mut body).unwrap();
        let status = head.lines().next().unwrap().to_owned();
        (status, String::from_utf8(body).unwrap())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for_log(daemon: &Daemon, words: &str) {
    wait_for(words, || daemon.output().contains(words).then_some(()));
}

#[test]
fn a_box_without_a_certificate_makes_its_own_authority_that_clients_trust() {
    let daemon = lan("").start();
    let port = daemon.tls_port();
    let folder = tempfile::TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    let answer = daemon.client().get("/ca.pem").expect_status(200);
    fs::write(&ca, &answer.body).unwrap();
    let ca_path = ca.to_str().unwrap();
    for host in ["127.0.0.1", "localhost"] {
        expect_alive(&curl(&[
            "--cacert",
            ca_path,
            &format!("https://{host}:{port}/healthz"),
        ]));
    }
    let url = format!("https://127.0.0.1:{port}/healthz");
    expect_alive(&curl(&[
        "--tlsv1.2",
        "--tls-max",
        "1.2",
        "--cacert",
        ca_path,
        &url,
    ]));
    expect_refused(&curl(&[&url]));
    // Whoever has not the file yet gets it where it will be used.
    let unchecked = curl(&["--insecure", &format!("https://127.0.0.1:{port}/ca.pem")]);
    assert_eq!(unchecked.body.as_bytes(), answer.body);
    let shown = openssl(&[
        "s_client",
        "-alpn",
        "h2,http/1.1",
        "-connect",
        &format!("127.0.0.1:{port}"),
    ]);
    assert!(shown.contains("ALPN protocol: http/1.1"), "{shown}");

    let authority = CertificateFacts::read(&ca).unwrap();
    let printed = openssl(&["x509", "-noout", "-fingerprint", "-sha256", "-in", ca_path]);
    assert!(
        printed.contains(&authority.sha256),
        "{printed} for {}",
        authority.sha256
    );
    wait_for_log(&daemon, &authority.sha256);
    let info = daemon.client().get("/v1/info").ok();
    assert_eq!(info["tls"]["authority_sha256"], authority.sha256);
    assert_eq!(info["tls"]["authority"], "/ca.pem");
    assert_eq!(info["tls"]["certificate_sha256"], served(port));
    let metrics = daemon.client().get("/metrics").text();
    let ends = metrics
        .lines()
        .find_map(|line| line.strip_prefix("faceood_tls_certificate_expiry_seconds "))
        .unwrap();
    assert!(ends.parse::<f64>().unwrap() > 1.7e9, "{ends}");
    let address = fs::read_to_string(daemon.data_dir().join("address")).unwrap();
    assert_eq!(
        address.trim(),
        daemon.address().to_string(),
        "the plain one"
    );
    for key in ["server.key", "authority.key"] {
        let key = daemon.data_dir().join("tls").join(key);
        let mode = fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", key.display());
    }

    let before = served(port);
    let (status, home) = daemon.stop();
    assert!(status.success());
    let daemon = home.start();
    assert_eq!(served(daemon.tls_port()), before, "made once");
}

#[test]
fn loopback_and_an_open_box_speak_plain_http_as_before() {
    let daemon = Daemon::start();
    daemon.client().get("/ca.pem").problem(404, "not_found");
    assert!(daemon.client().get("/v1/info").ok()["tls"].is_null());
    assert!(!daemon.data_dir().join("tls").exists());
    let open = lan("[server]\nopen = true\n").start();
    let output = open.output();
    assert!(!output.contains("https://"), "{output}");
    assert!(!open.data_dir().join("tls").exists());
}

#[test]
fn a_configured_certificate_is_served_and_there_is_no_authority_to_fetch() {
    let site = Site::new();
    let daemon = lan(&site.config("", "")).start();
    let port = daemon.tls_port();
    let ca = site.ca.to_str().unwrap();
    let url = |path: &str| format!("https://localhost:{port}{path}");
    expect_alive(&curl(&["--cacert", ca, &url("/healthz")]));
    let missing = curl(&["--cacert", ca, &url("/ca.pem")]);
    assert!(
        missing.body.contains("urn:faceood:problem:not_found"),
        "{}",
        missing.body
    );
    assert!(daemon.client().get("/v1/info").ok()["tls"]["authority"].is_null());
    assert!(!daemon.data_dir().join("tls").exists());
    // What is no HTTP inside TLS is explained without advice on HTTPS.
    let mut kept = Kept::open(port, &site.ca);
    kept.input.write_all(b"no http\r\n\r\n").unwrap();
    kept.input.flush().unwrap();
    let mut answer = String::new();
    kept.output.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400") && !answer.contains("HTTPS"),
        "{answer}"
    );
}

#[test]
fn clients_show_certificates_as_the_settings_ask() {
    let site = Site::new();
    let clients = TestAuthority::new("the terminals");
    fs::write(site.path("clients.pem"), clients.pem()).unwrap();
    let stranger = TestAuthority::new("somebody");
    clients
        .client("gate-3", Ends::Future)
        .write(site.folder.path(), "good");
    clients
        .client("gate-3", Ends::Past)
        .write(site.folder.path(), "ended");
    stranger
        .client("gate-3", Ends::Future)
        .write(site.folder.path(), "wrong");
    // Signed by the right authority, for servers.
    clients
        .server(Ends::Future)
        .write(site.folder.path(), "server");
    let ca = site.ca.to_str().unwrap();
    for (client_auth, taken) in [
        ("off", &["", "good", "ended", "wrong"][..]),
        ("optional", &["", "good"]),
        ("required", &["good"]),
    ] {
        let tls = format!(
            "client_auth = {client_auth:?}\nclient_ca = {:?}",
            site.path("clients.pem")
        );
        let daemon = lan(&site.config("", &tls)).start();
        let url = format!("https://localhost:{}/healthz", daemon.tls_port());
        for shown in ["", "good", "ended", "wrong", "server"] {
            let [certificate, key] = ["pem", "key"].map(|end| site.path(&format!("{shown}.{end}")));
            let mut arguments = vec!["--cacert", ca];
            if !shown.is_empty() {
                arguments.extend(["--cert", certificate.to_str().unwrap()]);
                arguments.extend(["--key", key.to_str().unwrap()]);
            }
            arguments.push(&url);
            let fetched = curl(&arguments);
            if taken.contains(&shown) {
                expect_alive(&fetched);
            } else if client_auth != "off" {
                expect_refused(&fetched);
            }
        }
        let info = daemon.client().get("/v1/info").ok();
        assert_eq!(info["tls"]["client_auth"], client_auth);
        let metrics = daemon.client().get("/metrics").text();
        let is_counted =
            metrics.contains("faceood_tls_handshakes_failed_total{reason=\"client_certificate\"}");
        assert_eq!(is_counted, client_auth != "off", "{metrics}");
    }
}

#[test]
fn a_new_certificate_is_taken_by_itself_or_on_a_signal_and_connections_go_on() {
    let site = Site::new();
    let daemon = lan(&site.config("keep_alive_ms = 600000", "")).start();
    let port = daemon.tls_port();
    let first = served(port);
    let mut kept = Kept::open(port, &site.ca);
    assert_eq!(kept.get("/healthz").0, "HTTP/1.1 200 OK");

    let second = site.replace(&site.authority.server(Ends::Future));
    assert_ne!(second, first);
    wait_for("the new certificate", || {
        (served(port) == second).then_some(())
    });
    assert_eq!(
        kept.get("/healthz").1,
        r#"{"status":"alive"}"#,
        "the same connection"
    );

    let third = site.replace(&site.authority.server(Ends::Future));
    daemon.signal(Signal::HUP);
    wait_for("the next one", || (served(port) == third).then_some(()));
    assert_eq!(kept.get("/healthz").0, "HTTP/1.1 200 OK");

    // A certificate that has ended, a key of another, and no certificate at all.
    let refused = "the old one stays in force";
    let refusals = || daemon.output().matches(refused).count();
    site.replace(&site.authority.server(Ends::Past));
    daemon.signal(Signal::HUP);
    wait_for("the first refusal", || (refusals() == 1).then_some(()));
    fs::copy(site.path("box.key"), site.path("old.key")).unwrap();
    site.replace(&site.authority.server(Ends::Future));
    fs::copy(site.path("old.key"), site.path("box.key")).unwrap();
    wait_for("the second refusal", || (refusals() == 2).then_some(()));
    fs::write(site.path("box.pem"), "no certificate").unwrap();
    wait_for("the third refusal", || (refusals() == 3).then_some(()));
    assert_eq!(served(port), third);
    assert_eq!(kept.get("/healthz").0, "HTTP/1.1 200 OK");
    let output = daemon.output();
    assert!(
        output.contains("does not belong to the certificate"),
        "{output}"
    );

    let last = site.replace(&site.authority.server(Ends::Future));
    wait_for("a good one again", || (served(port) == last).then_some(()));
}

#[test]
fn plain_http_is_sent_to_https() {
    let site = Site::new();
    let daemon = lan(&site.config("", "")).start();
    let port = daemon.tls_port();
    let fetched = curl(&[&format!("http://127.0.0.1:{port}/v1/info")]);
    assert!(
        fetched.body.contains("https://"),
        "{} {}",
        fetched.body,
        fetched.error
    );
    assert!(
        fetched
            .body
            .contains("urn:faceood:problem:malformed_request"),
        "{}",
        fetched.body
    );
    // Also who is still sending hears it.
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
        .write_all(b"POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000\r\n\r\n")
        .unwrap();
    socket.write_all(&[b'x'; 50_000]).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("https://"),
        "{answer}"
    );
}

#[test]
fn a_silent_handshake_is_closed_and_keeps_nobody_waiting() {
    let site = Site::new();
    let daemon = lan(&site.config("workers = 1\nhead_timeout_ms = 2000", "")).start();
    let port = daemon.tls_port();
    let silent: Vec<TcpStream> = (0..20)
        .map(|index| {
            let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
            socket.set_read_timeout(Some(DEADLINE)).unwrap();
            if index % 2 == 0 {
                // The beginning of a handshake that never goes on.
                socket.write_all(&[0x16, 3, 1, 2]).unwrap();
            }
            socket
        })
        .collect();
    let ca = site.ca.to_str().unwrap();
    expect_alive(&curl(&[
        "--cacert",
        ca,
        &format!("https://localhost:{port}/healthz"),
    ]));
    for mut socket in silent {
        let end = socket.read(&mut [0; 8]);
        assert!(matches!(end, Ok(0)), "{end:?}");
    }
    let metrics = daemon.client().get("/metrics").text();
    let counted = metrics.contains("faceood_tls_handshakes_failed_total{reason=\"timeout\"} 20");
    assert!(counted, "{metrics}");
}

#[test]
fn handshakes_count_as_connections_and_do_not_hold_up_the_end() {
    let site = Site::new();
    let server = "max_connections_per_address = 4\nhead_timeout_ms = 600000";
    let mut daemon = lan(&site.config(server, "")).start();
    let port = daemon.tls_port();
    let connect = || {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        socket
    };
    let mut held = Vec::new();
    // Twice as many are closed unheard.
    wait_for("a connection that is one too many", || {
        let mut socket = connect();
        let is_closed = matches!(socket.read(&mut [0; 8]), Ok(0));
        held.push(socket);
        is_closed.then_some(())
    });
    assert!(held.len() <= 9, "{}", held.len());
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit().success(), "{}", daemon.output());
}

#[test]
fn settings_that_cannot_be_used_end_the_start_with_what_to_do() {
    let site = Site::new();
    let refusal = |home: Home, arguments: &[&str]| {
        let output = home.command().args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), error)
    };
    let (code, error) = refusal(lan(&site.config("", "client_auth = \"required\"")), &[]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("server.tls.client_ca is empty"), "{error}");
    let other = TestAuthority::new("another").server(Ends::Future);
    fs::write(site.path("box.key"), other.key).unwrap();
    for arguments in [&["--check"][..], &[]] {
        let (code, error) = refusal(lan(&site.config("", "")), arguments);
        assert_eq!(code, Some(1), "{error}");
        assert!(
            error.contains("does not belong to the certificate"),
            "{error}"
        );
    }
}
