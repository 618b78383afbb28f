//! `tls show` and `tls renew`, and what `doctor` says of certificates.

use std::fs;

use serde_json::Value;

use crate::support::certificates::Ends;
use crate::support::daemon::Home;
use crate::support::{Admin, Daemon, TestAuthority, wait_for};

/// A daemon that also listens on all addresses of this machine, where it speaks TLS.
fn lan() -> Daemon {
    Home::new()
        .with_token()
        .argument("--listen")
        .argument("0.0.0.0:0")
        .start()
}

fn admin(daemon: &Daemon, arguments: &[&str]) -> Admin {
    let data = daemon.data_dir();
    Admin::run(
        ["--data-dir", data.to_str().unwrap()]
            .iter()
            .chain(arguments),
    )
}

fn shown(daemon: &Daemon) -> Value {
    admin(daemon, &["tls", "show", "--format", "json"])
        .success()
        .json()
}

#[test]
fn the_boxs_own_certificate_is_shown_and_renewed_beside_a_running_daemon() {
    let daemon = lan();
    let first = shown(&daemon);
    assert_eq!(first["source"], "own");
    assert_eq!(first["key"]["belongs"], true, "{first}");
    assert_eq!(
        first["certificate"]["issuer"],
        first["authority"]["subject"]
    );
    let info = || daemon.client().get("/v1/info").ok()["tls"].clone();
    assert_eq!(info()["certificate_sha256"], first["certificate"]["sha256"]);
    assert_eq!(info()["authority_sha256"], first["authority"]["sha256"]);
    let text = admin(&daemon, &["tls", "show"]).success().stdout;
    for part in ["localhost", "days left", "belongs to the certificate"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }

    let renewed = admin(&daemon, &["tls", "renew"]).success();
    assert!(
        !renewed.stderr.contains("every terminal"),
        "{}",
        renewed.stderr
    );
    let second = shown(&daemon);
    assert_ne!(
        second["certificate"]["sha256"],
        first["certificate"]["sha256"]
    );
    assert_eq!(second["authority"], first["authority"]);
    wait_for("the renewed certificate", || {
        (info()["certificate_sha256"] == second["certificate"]["sha256"]).then_some(())
    });

    let renewed = admin(&daemon, &["tls", "renew", "--authority"]).success();
    assert!(
        renewed.stderr.contains("every terminal"),
        "{}",
        renewed.stderr
    );
    let third = shown(&daemon);
    assert_ne!(third["authority"]["sha256"], first["authority"]["sha256"]);
    wait_for("the new authority", || {
        (info()["authority_sha256"] == third["authority"]["sha256"]).then_some(())
    });
    let pem = daemon.client().get("/ca.pem").expect_status(200).body;
    assert_eq!(
        pem,
        fs::read(daemon.data_dir().join("tls/authority.pem")).unwrap()
    );
}

#[test]
fn a_configured_certificate_is_shown_but_not_renewed_and_doctor_looks_at_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let authority = TestAuthority::new("the site");
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let config = format!(
        "listen = \"0.0.0.0:0\"\n[server.tls]\ncertificate = {:?}\nkey = {:?}\n",
        path("box.pem"),
        path("box.key")
    );
    fs::write(path("config.toml"), config).unwrap();
    let admin = |arguments: &[&str]| {
        let base = [
            "--config".to_owned(),
            path("config.toml"),
            "--data-dir".to_owned(),
            path("data"),
        ];
        Admin::run(
            base.iter()
                .map(String::as_str)
                .chain(arguments.iter().copied()),
        )
    };
    let doctor = || {
        let report = admin(&["doctor", "--json"]).json();
        let checks = report["checks"].as_array().unwrap().clone();
        checks
            .into_iter()
            .find(|check| check["name"] == "tls")
            .unwrap()
    };
    let gone = admin(&["tls", "show"]).expect_code(1);
    assert!(
        gone.stderr.contains("box.pem cannot be read"),
        "{}",
        gone.stderr
    );

    let (_, key) = authority.server(Ends::Future).write(folder.path(), "box");
    let show = admin(&["tls", "show", "--format", "json"]).success().json();
    assert_eq!(show["source"], "configured");
    assert!(show["authority"].is_null(), "{show}");
    assert_eq!(show["certificate"]["issuer"], "CN=the site");
    let refused = admin(&["tls", "renew"]).expect_code(1);
    assert!(
        refused.stderr.contains("was configured"),
        "{}",
        refused.stderr
    );
    let open = doctor();
    assert_eq!(
        open["status"], "warning",
        "a key that others can read: {open}"
    );
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(&key, mode(0o600)).unwrap();
    assert_eq!(doctor()["status"], "ok", "{}", doctor());

    authority.server(Ends::Past).write(folder.path(), "box");
    fs::set_permissions(&key, mode(0o600)).unwrap();
    let ended = doctor();
    assert_eq!(ended["status"], "failed", "{ended}");
    assert!(
        ended["found"].as_str().unwrap().contains("has ended"),
        "{ended}"
    );

    fs::write(path("box.pem"), authority.server(Ends::Future).certificate).unwrap();
    let other = doctor();
    assert!(
        other["found"].as_str().unwrap().contains("does not belong"),
        "{other}"
    );
    let show = admin(&["tls", "show", "--format", "json"]).success().json();
    assert_eq!(show["key"]["belongs"], false, "{show}");
}

#[test]
fn a_box_without_tls_has_nothing_to_show() {
    let daemon = Daemon::start();
    let none = admin(&daemon, &["tls", "show"]).expect_code(1);
    assert!(
        none.stderr.contains("there is no certificate"),
        "{}",
        none.stderr
    );
}
