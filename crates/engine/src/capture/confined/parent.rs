//! The parent's side: one process for each worker, started again whenever it ends.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use image::RgbImage;
use rustix::buffer::spare_capacity;
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::process::{Pid, Resource, Rlimit, Signal};

use super::messages::{self, Answer, Order, Part};
use crate::capture::decoding::damaged;
use crate::capture::jpeg::{self, Structure};
use crate::capture::pixels::Area;
use crate::capture::{CaptureError, Damage, ImageFormat, Memory, Settings};
use crate::own_program::OwnProgram;

/// Longest that one picture may take. The limits of [`capture`](crate::capture) keep the slowest to
/// a few seconds. Twice that, and a start between, is less than what makes a worker count as stuck.
const PATIENCE: Duration = Duration::from_secs(9);

/// Shared memory that a process keeps between two pictures, for the file and for the pixels; what is
/// beyond goes back to the system.
const KEPT_FILE_BYTES: u64 = 4 << 20;
const KEPT_PIXEL_BYTES: u64 = 16 << 20;

/// Longest text that is taken from a process; libjpeg-turbo's are no longer.
const LONGEST_WORDS: usize = 200;

/// Memory of the process beside its pictures.
const OWN_BYTES: u64 = 64 << 20;

/// Who decodes JPEGs: this process, or one that may do nothing else. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Decoder(Option<Arc<Mutex<Confined>>>);

#[derive(Debug)]
struct Confined {
    program: OwnProgram,
    settings: Settings,
    /// Memory in bytes that all pictures together may take.
    memory_bytes: u64,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    connection: UnixStream,
    /// First the bytes of the picture, at most [`Settings::max_bytes`], then its pixels.
    memory: File,
    /// Where in that memory the pixels begin.
    pixels_at: usize,
    /// Its length.
    shared: u64,
}

impl Decoder {
    /// Decodes in a process of `program`, which calls [`decode_for_parent`](super::decode_for_parent),
    /// with pictures out of `memory`. The process ends with the thread that asks for it.
    ///
    /// # Errors
    /// Where no such process can be started.
    pub fn confined(
        program: &OwnProgram,
        settings: &Settings,
        memory: &Memory,
    ) -> io::Result<Self> {
        let mut confined = Confined {
            program: program.clone(),
            settings: settings.clone(),
            memory_bytes: memory.limit(),
            process: None,
        };
        confined.running()?;
        Ok(Self(Some(Arc::new(Mutex::new(confined)))))
    }

    /// As [`jpeg::decode`].
    pub(in crate::capture) fn decode(
        &self,
        bytes: &[u8],
        structure: &Structure,
        eighths: u32,
    ) -> Result<RgbImage, CaptureError> {
        let Some(confined) = &self.0 else {
            return jpeg::decode(bytes, structure, eighths);
        };
        let [width, height] = jpeg::reduced(structure, eighths);
        let all = Area {
            x: 0,
            y: 0,
            width,
            height,
        };
        let ask = |confined: &mut Confined| {
            confined.ask(bytes, Part::Whole { eighths }, |got| *got == all)
        };
        let asked = ask(&mut confined.lock().unwrap_or_else(PoisonError::into_inner));
        asked.map(|(picture, _)| picture)
    }

    /// As [`jpeg::decode_region`].
    pub(in crate::capture) fn decode_region(
        &self,
        bytes: &[u8],
        structure: &Structure,
        area: Area,
    ) -> Result<(RgbImage, Area), CaptureError> {
        let Some(confined) = &self.0 else {
            return jpeg::decode_region(bytes, structure, area);
        };
        let is_inside = |start: u32, length: u32, side: u32| {
            start.checked_add(length).is_some_and(|end| end <= side)
        };
        let is_possible = |got: &Area| {
            is_inside(got.x, got.width, structure.width)
                && is_inside(got.y, got.height, structure.height)
                && got.contains(&area)
        };
        let mut confined = confined.lock().unwrap_or_else(PoisonError::into_inner);
        confined.ask(bytes, Part::Region(area), is_possible)
    }
}

impl Confined {
    /// Gives the pixels of `part`, and where they lie, if that `is_possible`.
    fn ask(
        &mut self,
        bytes: &[u8],
        part: Part,
        is_possible: impl Fn(&Area) -> bool,
    ) -> Result<(RgbImage, Area), CaptureError> {
        let mut failure = CaptureError::OutOfMemory;
        // Twice: it may have been ended from outside, which says nothing of the picture.
        for _ in 0..2 {
            let process = match self.running() {
                Ok(process) => process,
                Err(error) => {
                    tracing::error!(%error, "the process that decodes JPEGs cannot be started");
                    return Err(CaptureError::OutOfMemory);
                }
            };
            let asked = process.ask(bytes, part, &is_possible);
            process.free();
            let error = match asked {
                Ok(answer) => return answer,
                Err(error) => error,
            };
            let ended = self.process.take().and_then(|process| process.end().ok());
            tracing::warn!(%error, ?ended, "the process that decodes JPEGs ended at a picture");
            failure = blamed(error.kind(), ended);
            // It has had its time.
            if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) {
                break;
            }
        }
        Err(failure)
    }

    fn running(&mut self) -> io::Result<&mut Process> {
        Ok(match &mut self.process {
            Some(process) => process,
            stopped => stopped.insert(Process::start(
                &self.program,
                &self.settings,
                self.memory_bytes,
            )?),
        })
    }
}

/// What a failure is told as: the picture's fault, or that of a system that lacks memory or time.
fn blamed(kind: ErrorKind, ended: Option<ExitStatus>) -> CaptureError {
    let by = ended
        .and_then(|ended| ended.signal())
        .and_then(Signal::from_named_raw);
    let is_gone = matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe);
    match kind {
        ErrorKind::WouldBlock
        | ErrorKind::TimedOut
        | ErrorKind::StorageFull
        | ErrorKind::OutOfMemory => CaptureError::OutOfMemory,
        _ if is_gone && matches!(by, Some(Signal::KILL | Signal::BUS)) => CaptureError::OutOfMemory,
        _ => CaptureError::DecoderStopped {
            format: ImageFormat::Jpeg,
        },
    }
}

/// The failure that a process tells, if a decoder of JPEGs can have it; its words may be anybody's.
fn believed(failure: CaptureError) -> Option<CaptureError> {
    use CaptureError as E;
    let format = ImageFormat::Jpeg;
    let damage = match failure {
        E::OutOfMemory => return Some(E::OutOfMemory),
        E::Truncated { .. } => return Some(E::Truncated { format }),
        E::DecoderStopped { .. } => return Some(E::DecoderStopped { format }),
        E::Damaged { damage, .. } => damage,
        _ => return None,
    };
    let damage = match damage {
        Damage::Part { .. } => return None,
        Damage::Data { words } => {
            let plain = words.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
            let words = plain.take(LONGEST_WORDS).collect();
            Damage::Data { words }
        }
        other => other,
    };
    Some(damaged(format, damage))
}

impl Process {
    /// For pictures as `settings` allow them, which may take `memory_bytes`.
    fn start(program: &OwnProgram, settings: &Settings, memory_bytes: u64) -> io::Result<Self> {
        // Behind the largest file, to which an end marker may have been added.
        let pixels_at = settings.max_bytes + 2;
        let shared = pixels_at as u64 + 3 * settings.max_pixels;
        let memory = File::from(shared_memory()?);
        rustix::fs::ftruncate(&memory, shared)?;
        rustix::fs::fcntl_add_seals(&memory, SealFlags::GROW | SealFlags::SHRINK)?;
        let (connection, childs) = UnixStream::pair()?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        let child = program
            .command()
            // Ctrl-C in a terminal is for the daemon, which first finishes what it has begun.
            .process_group(0)
            .stdin(OwnedFd::from(childs))
            .stdout(memory.try_clone()?)
            .stderr(Stdio::inherit())
            .spawn()?;
        let mut process = Self {
            child,
            connection,
            memory,
            pixels_at,
            shared,
        };
        let data = Some(memory_bytes.saturating_add(OWN_BYTES));
        let limits = Rlimit {
            current: data,
            maximum: data,
        };
        if let Some(pid) = Pid::from_raw(process.child.id().cast_signed()) {
            // Where that is forbidden the memory of the whole service is bounded.
            let _ = rustix::process::prlimit(Some(pid), Resource::Data, limits);
        }
        let why = match messages::receive(&mut process.connection) {
            Ok(Some(messages::Confined::Ok(()))) => return Ok(process),
            Ok(Some(Err(why))) => why,
            Ok(None) => "it ended".to_owned(),
            Err(error) => error.to_string(),
        };
        let ended = process.end()?;
        let text = format!("it did not give up its rights: {why} ({ended})");
        Err(io::Error::other(text))
    }

    /// The pixels, or why there are none; an error where the process is of no more use.
    fn ask(
        &mut self,
        bytes: &[u8],
        part: Part,
        is_possible: &impl Fn(&Area) -> bool,
    ) -> io::Result<Result<(RgbImage, Area), CaptureError>> {
        self.memory.write_all_at(bytes, 0)?;
        let order = Order {
            bytes: bytes.len(),
            pixels_at: self.pixels_at,
            part,
        };
        messages::send(&mut self.connection, &order)?;
        let answer: Answer =
            messages::receive(&mut self.connection)?.ok_or(ErrorKind::UnexpectedEof)?;
        let area = match answer {
            Ok(area) if is_possible(&area) => area,
            Ok(area) => return Err(io::Error::other(format!("it decoded {area:?}"))),
            Err(failure) => {
                let believed = believed(failure).ok_or(ErrorKind::InvalidData)?;
                return Ok(Err(believed));
            }
        };
        let pixels = match self.copy(area.pixels() as usize * 3)? {
            Ok(pixels) => pixels,
            Err(error) => return Ok(Err(error)),
        };
        let picture = RgbImage::from_raw(area.width, area.height, pixels)
            .ok_or_else(|| damaged(ImageFormat::Jpeg, Damage::SizeUnlikePixels));
        Ok(picture.map(|picture| (picture, area)))
    }

    /// The first `length` bytes of the pixels.
    fn copy(&self, length: usize) -> io::Result<Result<Vec<u8>, CaptureError>> {
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(length).is_err() {
            return Ok(Err(CaptureError::OutOfMemory));
        }
        while bytes.len() < length {
            let at = (self.pixels_at + bytes.len()) as u64;
            // Into memory that nobody has filled before: zeros first would cost as much again.
            if rustix::io::pread(&self.memory, spare_capacity(&mut bytes), at)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        bytes.truncate(length);
        Ok(Ok(bytes))
    }

    /// Gives back the shared memory that is not kept, whatever the process has written to it.
    fn free(&self) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let pixels_at = self.pixels_at as u64;
        let beyond = pixels_at + KEPT_PIXEL_BYTES;
        for (start, end) in [(KEPT_FILE_BYTES, pixels_at), (beyond, self.shared)] {
            if end > start {
                // Where that fails the next picture overwrites it.
                let _ = rustix::fs::fallocate(&self.memory, flags, start, end - start);
            }
        }
    }

    /// Ends it, and says how it ended where it had done so by itself.
    fn end(mut self) -> io::Result<std::process::ExitStatus> {
        let _ = self.child.kill();
        self.child.wait()
    }
}

/// Memory of no file, which cannot be executed where the kernel knows that (6.3).
fn shared_memory() -> io::Result<OwnedFd> {
    let make = |more| {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | more;
        rustix::fs::memfd_create(c"faceood-picture", flags)
    };
    match make(MemfdFlags::NOEXEC_SEAL) {
        Err(rustix::io::Errno::INVAL) => Ok(make(MemfdFlags::empty())?),
        made => Ok(made?),
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            let _ = process.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHOTO: &[u8] = include_bytes!("../../../../../tests/photos/astronaut.jpg");

    /// A decoder that is this shell script: standard input is the connection.
    fn script(text: &str) -> io::Result<Decoder> {
        let program = OwnProgram {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), text.to_owned()],
        };
        let settings = Settings::default();
        let memory = Memory::new(settings.memory_bytes(1));
        Decoder::confined(&program, &settings, &memory)
    }

    /// One that says it is ready, reads an order and sends this.
    fn liar(answer: &str) -> Decoder {
        let ready = r#"{"Ok":null}"#;
        script(&format!(
            "echo '{ready}' >&0; read order; printf '%s\\n' '{answer}' >&0; sleep 60"
        ))
        .unwrap()
    }

    fn ask(decoder: &Decoder) -> CaptureError {
        let structure = Structure::read(PHOTO).unwrap();
        decoder.decode(PHOTO, &structure, 8).unwrap_err()
    }

    #[test]
    fn one_that_cannot_give_up_its_rights_is_none() {
        let error = script("exit 3").unwrap_err().to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(script("echo nonsense >&0; sleep 60").is_err());
        let told = script(r#"echo '{"Err":"no seccomp"}' >&0"#).unwrap_err();
        assert!(told.to_string().contains("no seccomp"), "{told}");
    }

    #[test]
    fn what_it_makes_up_is_not_believed() {
        let stopped = CaptureError::DecoderStopped {
            format: ImageFormat::Jpeg,
        };
        let area = |width: u64| format!(r#"{{"x":0,"y":0,"width":{width},"height":512}}"#);
        for answer in [
            format!(r#"{{"Ok":{}}}"#, area(511)),
            format!(r#"{{"Ok":{}}}"#, area(4_000_000_000)),
            format!(r#"{{"Ok":{}}}"#, area(1 << 40)),
            "x".repeat(100_000),
            String::new(),
            r#"{"Err":"Empty"}"#.to_owned(),
        ] {
            assert_eq!(ask(&liar(&answer)), stopped, "{answer:.80}");
        }
        let words = format!("{}\u{1b}[2J", "a".repeat(3000));
        let answer = format!(
            r#"{{"Err":{{"Damaged":{{"format":"jpeg","damage":{{"Data":{{"words":{}}}}}}}}}}}"#,
            serde_json::to_string(&words).unwrap()
        );
        let damage = Damage::Data {
            words: "a".repeat(LONGEST_WORDS),
        };
        assert_eq!(ask(&liar(&answer)), damaged(ImageFormat::Jpeg, damage));

        let pixels = liar(&format!(r#"{{"Ok":{}}}"#, area(512)));
        let structure = Structure::read(PHOTO).unwrap();
        // Made up, and of the right size.
        assert!(
            pixels
                .decode(PHOTO, &structure, 8)
                .unwrap()
                .iter()
                .all(|&value| value == 0)
        );
    }

    #[test]
    fn one_that_is_killed_again_and_again_is_no_fault_of_the_picture() {
        let killed = r#"echo '{"Ok":null}' >&0; read order; kill -9 $$"#;
        assert_eq!(ask(&script(killed).unwrap()), CaptureError::OutOfMemory);
        let crashed = r#"echo '{"Ok":null}' >&0; read order; kill -11 $$"#;
        let stopped = CaptureError::DecoderStopped {
            format: ImageFormat::Jpeg,
        };
        assert_eq!(ask(&script(crashed).unwrap()), stopped);
    }

    #[test]
    fn what_a_process_leaves_in_memory_goes_back_also_where_it_fails() {
        let damaged = r#"{"Err":{"Truncated":{"format":"jpeg"}}}"#;
        let filler = format!(
            "echo '{{\"Ok\":null}}' >&0; read order; \
             dd if=/dev/zero of=/proc/self/fd/1 bs=1M count=90 conv=notrunc 2>&-; echo '{damaged}' >&0; sleep 60"
        );
        let decoder = script(&filler).unwrap();
        let truncated = CaptureError::Truncated {
            format: ImageFormat::Jpeg,
        };
        assert_eq!(ask(&decoder), truncated);
        let confined = decoder.0.as_ref().unwrap().lock().unwrap();
        let memory = &confined.process.as_ref().unwrap().memory;
        let held = rustix::fs::fstat(memory).unwrap().st_blocks * 512;
        assert!(
            held <= (KEPT_FILE_BYTES + KEPT_PIXEL_BYTES + 8192) as i64,
            "{held}"
        );
    }
}
