//! What the daemon asks of the system for its own process, and how that ends.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

/// Takes as many open files as the system permits, and says how many: each connection is one.
pub fn raise_open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limits.maximum,
        ..limits
    };
    let in_force = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limits.maximum,
        Err(_) => limits.current,
    };
    in_force.unwrap_or(u64::MAX)
}

/// What the daemon writes is about faces: no other user may read it, whatever the umask was.
pub fn keep_private() {
    use rustix::fs::Mode;
    let given = rustix::process::umask(Mode::RWXO);
    rustix::process::umask(given | Mode::RWXO);
}

/// Ends the process as it is. `std::process::exit` would first run the destructors of ONNX
/// Runtime's and OpenVINO's globals, under the hands of threads that still compute: the process
/// then now and then dies of a segmentation fault in place of its exit code.
#[expect(unsafe_code, reason = "no safe way out leaves the destructors be")]
pub fn end_at_once(code: i32) -> ! {
    // SAFETY: `_exit` takes any number, touches no memory of ours, and does not return.
    unsafe { libc::_exit(code) }
}

/// An error and what lies behind it, without what the one before it has said already.
pub fn said_once(error: &anyhow::Error) -> Vec<String> {
    let all: Vec<String> = error.chain().map(ToString::to_string).collect();
    let is_new = |place: &usize| *place == 0 || !all[place - 1].contains(&all[*place]);
    (0..all.len())
        .filter(is_new)
        .map(|place| all[place].clone())
        .collect()
}

/// Says on standard error why the daemon ends: the text log may not run yet, or not any more.
#[expect(
    clippy::print_stderr,
    reason = "the last word of a process that could not start"
)]
pub fn complain(words: &str) {
    eprintln!("faceoodd: {words}");
}

/// Ends the process when `time` is over and a worker or the disk still does not come back. Nothing
/// is lost by that: who has an answer has a row.
pub fn end_after(time: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(time);
        complain("a worker or the disk did not come back in time: ending without them");
        end_at_once(1);
    });
}

/// Returns at the first SIGTERM or SIGINT. A second SIGINT ends the process at once.
///
/// # Errors
/// Where the system takes no handler for these signals.
pub async fn asked_to_stop() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        if interrupt.recv().await.is_some() {
            complain("interrupted again: ending at once");
            end_at_once(130);
        }
    });
    Ok(())
}
