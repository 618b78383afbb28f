//! The parent's side: one process for each worker, started again whenever it ends.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use image::RgbImage;
use rustix::buffer::spare_capacity;
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::process::{Pid, Resource, Rlimit};

use super::messages::{self, Answer, Order, Part};
use crate::capture::decoding::damaged;
use crate::capture::jpeg::{self, Structure};
use crate::capture::pixels::Area;
use crate::capture::{CaptureError, Damage, ImageFormat, Settings};
use crate::own_program::OwnProgram;

/// Longest that one picture may take. The limits of [`capture`](crate::capture) keep the slowest to
/// a few seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Shared memory that a process keeps between two pictures; what is beyond goes back to the system.
const KEPT_BYTES: u64 = 16 << 20;

/// Memory of the process beside its pictures.
const OWN_BYTES: u64 = 64 << 20;

/// Who decodes JPEGs: this process, or one that may do nothing else. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Decoder(Option<Arc<Mutex<Confined>>>);

#[derive(Debug)]
struct Confined {
    program: OwnProgram,
    settings: Settings,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    orders: UnixStream,
    answers: BufReader<UnixStream>,
    /// First the bytes of the picture, at most [`Settings::max_bytes`], then its pixels.
    memory: File,
}

impl Decoder {
    /// Decodes in a process of `program`, which calls [`decode_for_parent`](super::decode_for_parent).
    ///
    /// # Errors
    /// Where no such process can be started.
    pub fn confined(program: &OwnProgram, settings: &Settings) -> io::Result<Self> {
        let confined = Confined {
            program: program.clone(),
            process: Some(Process::start(program, settings)?),
            settings: settings.clone(),
        };
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
        let stopped = CaptureError::DecoderStopped {
            format: ImageFormat::Jpeg,
        };
        let pixels_at = self.settings.max_bytes;
        // Twice: it may have been ended from outside, which says nothing of the picture.
        for _ in 0..2 {
            let process = match self.running() {
                Ok(process) => process,
                Err(error) => {
                    tracing::error!(%error, "the process that decodes JPEGs cannot be started");
                    return Err(CaptureError::OutOfMemory);
                }
            };
            match process.ask(bytes, part, pixels_at, &is_possible) {
                Ok(answer) => return answer,
                Err(error) => {
                    let ended = self.process.take().map(Process::end);
                    tracing::warn!(%error, ?ended, "the process that decodes JPEGs ended at a picture");
                }
            }
        }
        Err(stopped)
    }

    fn running(&mut self) -> io::Result<&mut Process> {
        Ok(match &mut self.process {
            Some(process) => process,
            stopped => stopped.insert(Process::start(&self.program, &self.settings)?),
        })
    }
}

impl Process {
    fn start(program: &OwnProgram, settings: &Settings) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = rustix::fs::memfd_create(c"faceood-picture", flags)?;
        let bytes = settings.max_bytes as u64 + 3 * settings.max_pixels;
        rustix::fs::ftruncate(&memory, bytes)?;
        rustix::fs::fcntl_add_seals(&memory, SealFlags::GROW | SealFlags::SHRINK)?;
        let (orders, childs) = UnixStream::pair()?;
        orders.set_read_timeout(Some(PATIENCE))?;
        orders.set_write_timeout(Some(PATIENCE))?;
        let child = program
            .command()
            // Ctrl-C in a terminal is for the daemon, which first finishes what it has begun.
            .process_group(0)
            .stdin(OwnedFd::from(childs))
            .stdout(memory.try_clone()?)
            .stderr(Stdio::inherit())
            .spawn()?;
        let data = Some(settings.memory_bytes(1).saturating_add(OWN_BYTES));
        let limits = Rlimit {
            current: data,
            maximum: data,
        };
        if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
            // Where that is forbidden, as in the unit, the memory of the whole service is bounded.
            let _ = rustix::process::prlimit(Some(pid), Resource::Data, limits);
        }
        let mut process = Self {
            child,
            answers: BufReader::new(orders.try_clone()?),
            orders,
            memory: File::from(memory),
        };
        match messages::receive(&mut process.answers) {
            Ok(Some(messages::Ready)) => Ok(process),
            outcome => {
                let ended = process.end()?;
                let why = outcome
                    .err()
                    .map_or(String::new(), |error| format!(": {error}"));
                Err(io::Error::other(format!(
                    "it did not get ready ({ended}){why}"
                )))
            }
        }
    }

    /// The pixels, or why there are none; an error where the process is of no more use.
    fn ask(
        &mut self,
        bytes: &[u8],
        part: Part,
        pixels_at: usize,
        is_possible: &impl Fn(&Area) -> bool,
    ) -> io::Result<Result<(RgbImage, Area), CaptureError>> {
        self.memory.write_all_at(bytes, 0)?;
        let order = Order {
            bytes: bytes.len(),
            pixels_at,
            part,
        };
        messages::send(&mut self.orders, &order)?;
        let answer: Answer =
            messages::receive(&mut self.answers)?.ok_or(ErrorKind::UnexpectedEof)?;
        let area = match answer {
            Ok(area) if is_possible(&area) => area,
            Ok(area) => return Err(io::Error::other(format!("it decoded {area:?}"))),
            Err(error) => return Ok(Err(error)),
        };
        let start = pixels_at as u64;
        let pixels = match self.copy(start, area.pixels() as usize * 3)? {
            Ok(pixels) => pixels,
            Err(error) => return Ok(Err(error)),
        };
        self.free(start, start + pixels.len() as u64);
        let picture = RgbImage::from_raw(area.width, area.height, pixels)
            .ok_or_else(|| damaged(ImageFormat::Jpeg, Damage::SizeUnlikePixels));
        Ok(picture.map(|picture| (picture, area)))
    }

    /// `length` bytes of the shared memory, from `start` on.
    fn copy(&self, start: u64, length: usize) -> io::Result<Result<Vec<u8>, CaptureError>> {
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(length).is_err() {
            return Ok(Err(CaptureError::OutOfMemory));
        }
        while bytes.len() < length {
            let at = start + bytes.len() as u64;
            // Into memory that nobody has filled before: zeros first would cost as much again.
            if rustix::io::pread(&self.memory, spare_capacity(&mut bytes), at)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        bytes.truncate(length);
        Ok(Ok(bytes))
    }

    /// Gives back the shared memory from [`KEPT_BYTES`] after `start` to `end`.
    fn free(&self, start: u64, end: u64) {
        let kept = start + KEPT_BYTES;
        if end > kept {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // Where that fails the next picture overwrites it.
            let _ = rustix::fs::fallocate(&self.memory, flags, kept, end - kept);
        }
    }

    /// Ends it, and says how it ended where it had done so by itself.
    fn end(mut self) -> io::Result<std::process::ExitStatus> {
        let _ = self.child.kill();
        self.child.wait()
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
        Decoder::confined(&program, &Settings::default())
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
        ] {
            let liar =
                format!("echo null >&0; read order; printf '%s\\n' '{answer}' >&0; sleep 60");
            assert_eq!(ask(&script(&liar).unwrap()), stopped, "{answer:.80}");
        }
        let liar = format!(
            "echo null >&0; read order; echo '{{\"Ok\":{}}}' >&0; sleep 60",
            area(512)
        );
        let pixels = script(&liar).unwrap();
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
}
