//! Several addresses at once, and the Unix socket.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use crate::support::daemon::Home;
use crate::support::{Client, Daemon, photos, wait_for};

fn with_socket() -> Home {
    Home::new().config("[server]\nsocket = \"faceood.sock\"\n")
}

/// `curl` over a Unix socket.
fn curl(socket: &Path, arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "--unix-socket",
        ])
        .arg(socket)
        .args(arguments)
        .output()
        .expect("these tests need curl");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn several_addresses_are_served_and_named_in_the_log() {
    // Two free ports, given back at once.
    let free = || {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    };
    let (one, other) = (free(), free());
    let daemon = Home::new()
        .argument("--listen")
        .argument(&format!("{one},{other}"))
        .start();
    for address in [daemon.address(), one, other] {
        assert_eq!(Client::new(address).get("/healthz").ok()["status"], "alive");
    }
    let line = wait_for("the line that names them", || {
        let output = daemon.output();
        output
            .lines()
            .find(|line| line.contains("listening on"))
            .map(str::to_owned)
    });
    let places = format!("http://{} http://{one} http://{other}", daemon.address());
    assert!(line.contains(&places), "{line}");
    let written = fs::read_to_string(daemon.data_dir().join("address")).unwrap();
    assert_eq!(written, format!("{}\n", daemon.address()), "the first");
}

#[test]
fn a_socket_serves_its_user_and_group_and_goes_with_the_daemon() {
    let daemon = with_socket().start();
    let socket = daemon.data_dir().join("faceood.sock");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660, "{mode:o}");
    let ready = curl(&socket, &["http://localhost/readyz"]);
    assert!(ready.contains("\"ready\""), "{ready}");
    let folder = tempfile::TempDir::new().unwrap();
    let photo = folder.path().join("photo.jpg");
    fs::write(&photo, photos::astronaut()).unwrap();
    let form = format!("image=@{}", photo.display());
    let answer = curl(&socket, &["--form", &form, "http://localhost/v1/quality"]);
    assert!(answer.contains("\"faces_found\":1"), "{answer}");
    let (status, home) = daemon.stop();
    assert!(status.success() && !socket.exists());

    // One that was killed leaves its socket; the next takes the place.
    let daemon = home.start();
    let home = daemon.kill();
    assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
    let daemon = home.start();
    assert!(curl(&socket, &["http://localhost/healthz"]).contains("alive"));
    drop(daemon);
}

#[test]
fn a_socket_that_is_in_use_or_no_socket_is_left_alone() {
    let refusal = |home: &Home| {
        let output = home.command().output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let first: Daemon = with_socket().start();
    let socket = first.data_dir().join("faceood.sock");
    let second = Home::new().config(&format!("[server]\nsocket = {socket:?}\n"));
    let error = refusal(&second);
    assert!(error.contains("another daemon listens on it"), "{error}");
    assert!(curl(&socket, &["http://localhost/healthz"]).contains("alive"));

    let file = second.data_dir().join("file");
    fs::write(&file, "of somebody").unwrap();
    second.write_config("[server]\nsocket = \"file\"\n");
    let error = refusal(&second);
    assert!(error.contains("is no socket"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"of somebody");
}
