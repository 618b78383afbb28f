//! The text log: every line of a request has its id, whichever thread wrote it.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use serde_json::Value;

use crate::bounds::crowd;
use crate::support::{Daemon, photos, wait_for};

#[test]
fn a_line_that_a_worker_wrote_has_the_id_of_the_request_once() {
    let daemon = Daemon::with_config(
        "[pipeline]\nworkers = 1\n[telemetry]\nlevel = \"warn,faceood=debug\"\n",
    );
    // The worker finds out that nobody waits any more, and says so.
    let picture = crowd(5, 5);
    let mut socket = TcpStream::connect(daemon.address()).unwrap();
    let head = format!(
        "POST /v1/extract?faces=all&source=gate HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: hung-up\r\n\
         Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        picture.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(&picture).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    wait_for("the worker's line", || {
        daemon.output().contains("gave up a picture").then_some(())
    });
    let refused = daemon.client().extract(b"GIF89a......", "?source=gate");
    let refused = refused.header("x-request-id").unwrap().to_owned();
    let other = daemon.client().quality(&photos::astronaut(), "").ok();
    let other = other["request_id"].as_str().unwrap().to_owned();

    let (status, home) = daemon.stop();
    assert!(status.success());
    let files = std::fs::read_dir(home.data_dir().join("logs")).unwrap();
    let files = files.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let json: String = files.collect();
    let human = home.output();
    for id in ["hung-up", &refused, &other] {
        for (text, field) in [(&json, "\"request_id\":"), (&human, "request_id=")] {
            let lines: Vec<_> = text.lines().filter(|line| line.contains(id)).collect();
            assert!(!lines.is_empty(), "{id}: {text}");
            for line in lines {
                for once in [field, id, "/v1/"] {
                    assert_eq!(line.matches(once).count(), 1, "{once}: {line}");
                }
            }
        }
    }
    let lines = json
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_worker: Vec<_> = lines
        .filter(|line| line["target"] == "faceood_engine::pipeline::pool")
        .collect();
    assert_eq!(of_worker.len(), 1, "{json}");
    let line = &of_worker[0];
    assert_eq!(line["message"], "gave up a picture");
    assert_eq!(line["request_id"], "hung-up", "{line}");
    assert_eq!(line["endpoint"], "/v1/extract", "{line}");
    assert_eq!(line["source"], "gate", "{line}");
}
