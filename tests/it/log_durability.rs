//! `kill -9` under load: every answer that arrived has its row in the reopened database.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Daemon, photos, wait_for};

/// How often the daemon is killed.
const KILLS: usize = 20;

/// Answers that have arrived before each kill; what is under way then is lost, and may be.
const ANSWERS: usize = 4;

/// Clients that ask at once.
const CLIENTS: usize = 3;

#[test]
fn no_acknowledged_row_is_lost_however_often_it_is_killed() {
    let photo = photos::astronaut();
    let mut daemon = Daemon::start();
    for _ in 0..KILLS {
        let acknowledged = Mutex::new(Vec::new());
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let client = daemon.client();
                    while !is_over.load(Ordering::Relaxed) {
                        let part: (&str, &[u8]) = ("image", &photo);
                        let answer = client.try_post_parts("/v1/quality", &[part]);
                        // The connection broke: the daemon is gone.
                        let Some(answer) = answer else { return };
                        let id = answer.ok()["request_id"].as_str().map(ToOwned::to_owned);
                        lock(&acknowledged).extend(id);
                    }
                });
            }
            wait_for("answers", || {
                (lock(&acknowledged).len() >= ANSWERS).then_some(())
            });
            daemon.signal(Signal::KILL);
            is_over.store(true, Ordering::Relaxed);
        });
        daemon.wait_exit();
        daemon = daemon.into_home().start();
        let ready = daemon.client().get("/readyz").ok();
        assert!(ready["warnings"].is_null(), "{ready}");
        let log = daemon.client().get("/v1/inferences?limit=100").ok();
        let rows: Vec<&Value> = log["inferences"].as_array().into_iter().flatten().collect();
        for id in lock(&acknowledged).iter() {
            assert!(
                rows.iter().any(|row| row["request_id"] == id.as_str()),
                "{id} has no row"
            );
        }
    }
}

fn lock(ids: &Mutex<Vec<String>>) -> std::sync::MutexGuard<'_, Vec<String>> {
    ids.lock().unwrap_or_else(PoisonError::into_inner)
}
