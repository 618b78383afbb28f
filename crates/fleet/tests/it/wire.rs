//! A way to the server that records what is sent, loses or holds back answers, and can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A proxy on a free port. Its threads end with the test's program.
pub(crate) struct Wire {
    pub(crate) port: u16,
    sent: Arc<Mutex<Vec<u8>>>,
    losses: Arc<AtomicU32>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    is_cut: AtomicBool,
    /// Whether answers to COMMIT are held back.
    holds: AtomicBool,
    /// Whether one is.
    is_holding: AtomicBool,
}

/// How often what can be held back or cut is looked at.
const TICK: Duration = Duration::from_millis(2);

impl Wire {
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Self {
            port: listener.local_addr().unwrap().port(),
            sent: Arc::default(),
            losses: Arc::default(),
            state: Arc::default(),
        };
        let (sent, losses) = (Arc::clone(&wire.sent), Arc::clone(&wire.losses));
        let state = Arc::clone(&wire.state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if state.is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                let (sent, losses) = (Arc::clone(&sent), Arc::clone(&losses));
                let answers = [server.try_clone().unwrap(), client.try_clone().unwrap()];
                let loses = Arc::new(AtomicU32::new(0));
                let is_losing = Arc::clone(&loses);
                let ends = [server.try_clone().unwrap(), client.try_clone().unwrap()];
                let [cutting, holding] = [Arc::clone(&state), Arc::clone(&state)];
                thread::spawn(move || {
                    while !cutting.is_cut.load(Ordering::SeqCst) {
                        thread::sleep(TICK);
                    }
                    let cut = |end: &TcpStream| drop(end.shutdown(Shutdown::Both));
                    ends.iter().for_each(cut);
                });
                thread::spawn(move || answer(answers, &is_losing));
                thread::spawn(move || ask([client, server], &sent, &losses, &loses, &holding));
            }
        });
        wire
    }

    /// Loses the answers to the next so many COMMITs, and cuts the connection each time.
    pub(crate) fn lose(&self, commits: u32) {
        self.losses.store(commits, Ordering::SeqCst);
    }

    /// How many answers are still to be lost.
    pub(crate) fn left(&self) -> u32 {
        self.losses.load(Ordering::SeqCst)
    }

    /// Cuts all connections, and takes no new ones.
    pub(crate) fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
    }

    /// Takes connections again.
    pub(crate) fn mend(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
    }

    /// Holds back the next COMMIT until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.state.holds.store(true, Ordering::SeqCst);
    }

    /// Whether a COMMIT is held back.
    pub(crate) fn is_holding(&self) -> bool {
        self.state.is_holding.load(Ordering::SeqCst)
    }

    /// See [`hold`](Self::hold).
    pub(crate) fn release(&self) {
        self.state.holds.store(false, Ordering::SeqCst);
    }

    /// All that clients have sent.
    pub(crate) fn sent(&self) -> Vec<u8> {
        self.sent.lock().unwrap().clone()
    }
}

fn ask(
    [mut client, mut server]: [TcpStream; 2],
    sent: &Mutex<Vec<u8>>,
    losses: &AtomicU32,
    loses: &AtomicU32,
    state: &State,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let bytes = &buffer[..count];
        sent.lock().unwrap().extend_from_slice(bytes);
        let is_commit = bytes.windows(7).any(|part| part == b"COMMIT\0");
        let takes = |left: u32| left.checked_sub(1);
        if is_commit
            && losses
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, takes)
                .is_ok()
        {
            loses.store(1, Ordering::SeqCst);
        }
        while is_commit && state.holds.load(Ordering::SeqCst) {
            state.is_holding.store(true, Ordering::SeqCst);
            thread::sleep(TICK);
        }
        if server.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

fn answer([mut server, mut client]: [TcpStream; 2], loses: &AtomicU32) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        // The server has done it, and nobody hears of that.
        if loses.load(Ordering::SeqCst) > 0 || client.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}
