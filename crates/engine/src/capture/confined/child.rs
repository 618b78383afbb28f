//! The child's side: gives up its rights, then decodes what it is told to.
#![expect(
    unsafe_code,
    reason = "no safe call closes descriptors that the parent left open, or maps shared memory"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;

use memmap2::MmapMut;
use rustix::process::{Signal, set_parent_process_death_signal};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::messages::{self, Answer, Order, Part};
use crate::capture::CaptureError;
use crate::capture::jpeg::{self, Structure};
use crate::capture::pixels::Area;

/// What a decoder needs beside memory: to hear, to answer, and to end.
const ALLOWED: [libc::c_long; 14] = [
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigreturn,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Decodes what [`Decoder::confined`](super::Decoder::confined) in the parent process asks for, until
/// that ends. Standard input is the connection to it, standard output the shared memory.
///
/// # Errors
/// Where the kernel does not let the process give up its rights, or the parent cannot be understood.
pub fn decode_for_parent() -> io::Result<()> {
    leave_all()?;
    // What a decoder writes there would look like the daemon's own words.
    let nothing = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stderr(&nothing)?;
    drop(nothing);
    let mut connection = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let memory = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // SAFETY: its length is sealed. The parent writes to it only while this process waits for an
    // order.
    let mut memory = unsafe { MmapMut::map_mut(&memory)? };
    let confined = confine().map_err(|error| error.to_string());
    messages::send(&mut connection, &confined)?;
    if confined.is_err() {
        return Ok(());
    }
    while let Some(order) = messages::receive::<Order>(&mut connection)? {
        messages::send(&mut connection, &carry_out(&order, &mut memory))?;
    }
    Ok(())
}

fn carry_out(order: &Order, memory: &mut [u8]) -> Answer {
    let (before, after) = memory
        .split_at_mut_checked(order.pixels_at)
        .ok_or(CaptureError::OutOfMemory)?;
    let bytes = before.get(..order.bytes).ok_or(CaptureError::OutOfMemory)?;
    let structure = Structure::read(bytes)?;
    match order.part {
        Part::Whole { eighths } => {
            let [width, height] = jpeg::reduced(&structure, eighths);
            let all = Area {
                x: 0,
                y: 0,
                width,
                height,
            };
            jpeg::decode_into(place(after, all)?, bytes, &structure, eighths)?;
            Ok(all)
        }
        Part::Region(area) => {
            let (picture, area) = jpeg::decode_region(bytes, &structure, area)?;
            place(after, area)?.copy_from_slice(&picture);
            Ok(area)
        }
    }
}

/// Where the pixels of `area` go.
fn place(memory: &mut [u8], area: Area) -> Result<&mut [u8], CaptureError> {
    let pixels = memory.get_mut(..area.pixels() as usize * 3);
    pixels.ok_or(CaptureError::OutOfMemory)
}

/// Leaves this process no descriptors but its three standard ones.
fn leave_all() -> io::Result<()> {
    // Not for the decoder: a parent that was killed must leave nothing behind.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let _ = rustix::thread::set_name(c"faceood-decoder");
    // SAFETY: nothing in this process has opened a descriptor yet, so none that is closed here has
    // an owner. A kernel before 5.9 does not know the call; all that the daemon opens closes itself.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    Ok(())
}

/// Leaves this process no calls but [`ALLOWED`].
fn confine() -> io::Result<()> {
    let failed = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
    let filter = filter().map_err(|error| failed(&error))?;
    seccompiler::apply_filter(&filter).map_err(|error| failed(&error))
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let only_with = |argument, operator, value| {
        let condition =
            SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value as u64)?;
        Ok(vec![SeccompRule::new(vec![condition])?])
    };
    // New memory, but none that could hold code.
    let no_code = SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64);
    // Rust's library asks in builds with debug assertions. Other commands can have signals sent.
    let is_asking = only_with(1, SeccompCmpOp::Eq, libc::F_GETFD)?;
    let mut rules: BTreeMap<_, _> = ALLOWED.map(|call| (call, Vec::new())).into();
    rules.insert(libc::SYS_mmap, only_with(2, no_code.clone(), 0)?);
    rules.insert(libc::SYS_mprotect, only_with(2, no_code, 0)?);
    rules.insert(libc::SYS_fcntl, is_asking);
    SeccompFilter::new(
        rules,
        // As if the file or address was not permitted. To end the process would also end it at a
        // harmless call that another version of the C library makes.
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{TcpListener, UdpSocket};
    use std::process::Command;

    use super::*;

    const PHOTO: &[u8] = include_bytes!("../../../../../tests/photos/astronaut.jpg");

    /// The filter holds for the thread that takes it, and so for a whole process of one thread.
    #[test]
    fn a_confined_thread_can_decode_and_nothing_else() {
        let filter = filter().unwrap();
        let own = rustix::process::getpid();
        let kept = File::open("/dev/null").unwrap();
        let outcomes = std::thread::spawn(move || {
            seccompiler::apply_filter(&filter).unwrap();
            let structure = Structure::read(PHOTO).unwrap();
            let picture = jpeg::decode(PHOTO, &structure, 8).unwrap();
            assert_eq!(picture.dimensions(), (512, 512));
            let mapped = |rights| {
                let (flags, none) = (
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    std::ptr::null_mut(),
                );
                // SAFETY: new memory, which nobody touches.
                let memory = unsafe { libc::mmap(none, 4096, rights, flags, -1, 0) };
                (memory == libc::MAP_FAILED).then(io::Error::last_os_error)
            };
            assert!(mapped(libc::PROT_READ | libc::PROT_WRITE).is_none());
            [
                ("read a file", File::open("/etc/passwd").err()),
                ("write a file", File::create("/tmp/faceood-confined").err()),
                ("listen", TcpListener::bind("127.0.0.1:0").err()),
                ("send", UdpSocket::bind("127.0.0.1:0").err()),
                ("start a program", Command::new("/bin/true").status().err()),
                (
                    "start a thread",
                    std::thread::Builder::new().spawn(|| ()).err(),
                ),
                (
                    "end a process",
                    rustix::process::kill_process(own, Signal::CONT)
                        .err()
                        .map(io::Error::from),
                ),
                (
                    "have a signal sent",
                    rustix::io::fcntl_setfd(&kept, rustix::io::FdFlags::empty())
                        .err()
                        .map(io::Error::from),
                ),
                ("hold code", mapped(libc::PROT_READ | libc::PROT_EXEC)),
            ]
        });
        for (what, error) in outcomes.join().unwrap() {
            let kind = error.map(|error| error.kind());
            assert_eq!(kind, Some(ErrorKind::PermissionDenied), "{what}");
        }
    }
}
