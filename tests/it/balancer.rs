//! Several boxes behind the HAProxy that is shipped (`deploy/haproxy/faceood.cfg`), set up as the
//! guide docs/fleet.md has it: a box that dies and boxes that are restarted one by one cost their
//! callers nothing.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use image::ImageFormat;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::certificates::Ends;
use crate::support::client::Answer;
use crate::support::daemon::Home;
use crate::support::{Client, Daemon, TestAuthority, photos, repository, wait_for};

const BOXES: usize = 3;

/// Requests that one client has on their way at a time.
const AT_ONCE: usize = 6;

/// Many more with `scripts/test-fleet`, which says so in this variable.
fn requests() -> usize {
    let given = std::env::var("FLEET_REQUESTS").ok();
    given.map_or(240, |text| text.parse().expect("a number of requests"))
}

/// A port that nobody has at the moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A box of the fleet: on the network by TLS with a certificate of its own authority, and by a port
/// that it keeps over restarts.
fn fleet_box(number: usize, port: u16) -> Home {
    Home::new()
        .config(&format!(
            "node = \"box-{number}\"\n[access]\nrate_requests = 10000\npictures_at_once = 100\nprocessor_share = 1.0\n[log]\nkeep_late_feedback = true\n"
        ))
        .env("FACEOOD_SERVER__UNREADY_MS", "2000")
        .with_token()
        .argument("--listen")
        .argument(&format!("0.0.0.0:{port}"))
}

struct Balancer {
    process: Child,
    address: SocketAddr,
}

impl Balancer {
    /// Starts HAProxy with the file that is shipped, changed only in its places.
    fn start(folder: &Path, ports: &[u16]) -> Self {
        let shipped = fs::read_to_string(repository().join("deploy/haproxy/faceood.cfg")).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let site = TestAuthority::new("the site").server(Ends::Future);
        let pem = folder.join("faceood.pem");
        fs::write(&pem, format!("{}{}", site.certificate, site.key)).unwrap();
        let authorities = folder.join("boxes.pem");
        let mut text = changed(&shipped, "/dev/log", folder.join("log").to_str().unwrap());
        text = changed(
            &text,
            "/etc/haproxy/faceood-boxes.pem",
            authorities.to_str().unwrap(),
        );
        text = changed(&text, "/etc/haproxy/faceood.pem", pem.to_str().unwrap());
        text = changed(
            &text,
            "127.0.0.1:8404",
            &format!("127.0.0.1:{}", free_port()),
        );
        text = changed(&text, "bind :7861", &format!("bind {address}"));
        for (number, port) in (1..).zip(ports) {
            let server = format!("box-{number} 192.168.1.1{number}:7861");
            text = changed(&text, &server, &format!("box-{number} 127.0.0.1:{port}"));
        }
        let file = folder.join("haproxy.cfg");
        fs::write(&file, &text).unwrap();
        let checked = Command::new("haproxy")
            .arg("-c")
            .arg("-f")
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(
            checked.status.success() && !said.contains("WARNING"),
            "{said}"
        );

        // The client of these tests speaks no TLS.
        let ssl = format!(" ssl crt {} alpn http/1.1", pem.display());
        fs::write(&file, changed(&text, &ssl, "")).unwrap();
        let output = fs::File::create(folder.join("haproxy.log")).unwrap();
        let process = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .unwrap();
        wait_for("HAProxy to listen", || TcpStream::connect(address).ok());
        Self { process, address }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
    }
}

/// `text` with another word in the place of one that is there.
#[track_caller]
fn changed(text: &str, word: &str, other: &str) -> String {
    assert!(text.contains(word), "the shipped file has no {word}");
    text.replace(word, other)
}

fn post(client: &Client, path: &str, kind: &str, body: Vec<u8>) -> Answer {
    let request = client.http().post(client.url(path)).bearer_auth("fod_test");
    Answer::of(request.header("content-type", kind).body(body))
}

/// Tells how the request turned out; says which box took it.
#[track_caller]
fn give_feedback(client: &Client, request_id: &str) -> String {
    let body = json!({"request_id": request_id, "outcome": "genuine"}).to_string();
    let answer = post(
        client,
        "/v1/feedback",
        "application/json",
        body.into_bytes(),
    );
    let answer = answer.expect_status(200);
    answer.header("x-faceood-node").unwrap().to_owned()
}

#[test]
fn a_box_that_dies_and_boxes_that_are_restarted_cost_nobody_an_answer() {
    if Command::new("haproxy").arg("-v").output().is_err() {
        eprintln!("skipped: there is no haproxy here (./scripts/setup --for-tests installs it)");
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let ports = [(); BOXES].map(|()| free_port());
    let boxes: Vec<Daemon> = thread::scope(|scope| {
        let starts = (1..)
            .zip(ports)
            .map(|(number, port)| scope.spawn(move || fleet_box(number, port).start()));
        let starts: Vec<_> = starts.collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    let authorities = boxes
        .iter()
        .map(|daemon| daemon.client().get("/ca.pem").text());
    fs::write(
        folder.path().join("boxes.pem"),
        authorities.collect::<String>(),
    )
    .unwrap();
    let balancer = Balancer::start(folder.path(), &ports);
    let total = requests();
    let picture = photos::resized(&photos::pixels(&photos::astronaut()), 160, 160);
    let picture = photos::encoded(&picture, ImageFormat::Png);

    // A step of the story for each share of the requests that is answered.
    let answered = AtomicUsize::new(0);
    let given = Mutex::new(Vec::new());
    let sent = AtomicUsize::new(0);
    let wait_for_share = |share: usize| {
        wait_for("requests to be answered", || {
            (answered.load(Ordering::Relaxed) >= total * share / 10).then_some(())
        });
    };
    thread::scope(|scope| {
        let client = Client::new(balancer.address);
        for _ in 0..AT_ONCE {
            let (client, picture) = (client.clone(), &picture);
            let (sent, answered, given) = (&sent, &answered, &given);
            scope.spawn(move || {
                while sent.fetch_add(1, Ordering::Relaxed) < total {
                    let answer = post(&client, "/v1/quality", "image/png", picture.clone());
                    let answer = answer.expect_status(200);
                    let node = answer.header("x-faceood-node").unwrap().to_owned();
                    let id = answer.header("x-request-id").unwrap().to_owned();
                    // Whoever answers for a box that is away keeps the word for the centre.
                    give_feedback(&client, &id);
                    given.lock().unwrap().push((id, node));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut boxes = boxes;
        wait_for_share(2);
        let home = boxes.remove(1).kill();
        wait_for_share(4);
        boxes.insert(1, home.start());
        for number in 0..BOXES {
            wait_for_share(5 + number);
            let (status, home) = boxes.remove(number).stop();
            assert!(status.success(), "{status}");
            boxes.insert(number, home.start());
            // HAProxy sends to it again after two good checks.
            let client = Client::new(balancer.address);
            wait_for("the box to be used again", || {
                let answer = post(&client, "/v1/quality", "image/png", picture.clone());
                let answer = answer.expect_status(200);
                let is_it = answer.header("x-faceood-node") == Some(&format!("box-{}", number + 1));
                is_it.then_some(())
            });
        }
        wait_for_share(10);

        let given = given.lock().unwrap();
        assert_eq!(given.len(), total);
        for number in 1..=BOXES {
            let name = format!("box-{number}");
            assert!(
                given.iter().any(|(_, node)| *node == name),
                "{name} had no part"
            );
        }
        // All boxes are there again, and each gets the words about its own answers.
        for (id, node) in given.iter() {
            assert_eq!(give_feedback(&client, id), *node, "{id}");
        }
        drop(boxes);
    });
}
