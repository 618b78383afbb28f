//! What the daemon asks of the system for its own process.

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
