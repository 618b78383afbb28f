//! What the two processes say to each other: one line of JSON each way for a picture.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::capture::CaptureError;
use crate::capture::pixels::Area;

/// Longest line that is read. The longest words in one are libjpeg-turbo's, of 200 bytes.
const LONGEST_LINE: usize = 4096;

/// The child's first message: it has given up its rights, or why it could not.
pub(super) type Confined = Result<(), String>;

/// One picture to decode. Its bytes are the first of the shared memory.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// How many bytes it has.
    pub(super) bytes: usize,
    /// Where in the shared memory the pixels shall begin.
    pub(super) pixels_at: usize,
    pub(super) part: Part,
}

/// What of a picture is wanted.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Part {
    /// All of it, at so many eighths of its size.
    Whole { eighths: u32 },
    /// These pixels at full size, and perhaps some around them.
    Region(Area),
}

/// Which pixels lie in the shared memory, as 8-bit RGB row by row; or why none do.
pub(super) type Answer = Result<Area, CaptureError>;

pub(super) fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// The next message; `None` where the other side has ended. A whole message comes at once: whoever
/// sends it in pieces is not the program that this one has started.
pub(super) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut line = [0; LONGEST_LINE];
    let length = from.read(&mut line)?;
    match &line[..length] {
        [] => Ok(None),
        [message @ .., b'\n'] => serde_json::from_slice(message)
            .map(Some)
            .map_err(|_| io::ErrorKind::InvalidData.into()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
