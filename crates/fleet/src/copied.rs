//! Takes apart what `COPY … TO STDOUT (FORMAT binary)` sends: rows of fields, in network byte order
//! (<https://www.postgresql.org/docs/15/sql-copy.html>, "Binary Format"). It holds at most one row.

use std::str::{self, Utf8Error};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Begins every stream.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Flags that a reader must know. None of them is in use but for OIDs, which went with
/// PostgreSQL 12.
const CRITICAL: u32 = 0xffff_0000;

/// Stands in place of a number of fields after the last row.
const END: i16 = -1;

/// Longest row. Texts of the log are bounded far below it.
const LONGEST_ROW: usize = 4 << 20;

/// Microseconds from 1970 to 2000, which PostgreSQL counts from.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Bytes that do not follow the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CopyError {
    /// The stream does not begin as the format says, or has flags that this release does not know.
    #[error("it does not begin as binary COPY of PostgreSQL 15 does")]
    Head,
    /// A row has another number of fields than was asked for.
    #[error("a row has {found} fields in place of {expected}")]
    Fields {
        /// As the stream says.
        found: i16,
        /// As was asked for.
        expected: usize,
    },
    /// A row or field is longer than any that the log has, or has a length below zero.
    #[error("a row says that it is longer than {LONGEST_ROW} bytes, or shorter than nothing")]
    Length,
    /// The stream ends within a row, or without its end.
    #[error("it ends before its end: the connection was probably lost")]
    Truncated,
    /// Bytes follow after its end.
    #[error("it goes on after its end")]
    Surplus,
    /// A field does not hold a value of its type.
    #[error("field {field} holds no {expected}")]
    Value {
        /// Its place, from 0.
        field: usize,
        /// What it should hold.
        expected: &'static str,
    },
}

/// One row; each field is NULL or its bytes.
#[derive(Debug)]
pub(crate) struct CopiedRow<'a> {
    fields: &'a [Option<&'a [u8]>],
}

impl<'a> CopiedRow<'a> {
    fn get<T>(
        &self,
        field: usize,
        expected: &'static str,
        read: impl FnOnce(&'a [u8]) -> Option<T>,
    ) -> Result<Option<T>, CopyError> {
        let bytes = self.fields.get(field).copied().flatten();
        let read = |bytes| read(bytes).ok_or(CopyError::Value { field, expected });
        bytes.map(read).transpose()
    }

    /// A `text` or `varchar`.
    pub(crate) fn text(&self, field: usize) -> Result<Option<&'a str>, CopyError> {
        self.get(field, "text", |bytes| utf8(bytes).ok())
    }

    /// A `jsonb`, as text.
    pub(crate) fn jsonb(&self, field: usize) -> Result<Option<&'a str>, CopyError> {
        self.get(field, "jsonb", |bytes| utf8(bytes.strip_prefix(&[1])?).ok())
    }

    /// A `real`; NaN and infinities are none.
    pub(crate) fn real(&self, field: usize) -> Result<Option<f32>, CopyError> {
        let number = self.get(field, "real", |bytes| {
            Some(f32::from_be_bytes(bytes.try_into().ok()?))
        })?;
        Ok(number.filter(|number| number.is_finite()))
    }

    /// A `double precision`; NaN and infinities are none.
    pub(crate) fn double(&self, field: usize) -> Result<Option<f64>, CopyError> {
        let number = self.get(field, "double precision", |bytes| {
            Some(f64::from_be_bytes(bytes.try_into().ok()?))
        })?;
        Ok(number.filter(|number| number.is_finite()))
    }

    /// A `bigint`.
    pub(crate) fn bigint(&self, field: usize) -> Result<Option<i64>, CopyError> {
        self.get(field, "bigint", |bytes| {
            Some(i64::from_be_bytes(bytes.try_into().ok()?))
        })
    }

    /// A `timestamptz` that is no infinity.
    pub(crate) fn time(&self, field: usize) -> Result<Option<DateTime<Utc>>, CopyError> {
        self.get(field, "timestamptz", |bytes| {
            let micros = i64::from_be_bytes(bytes.try_into().ok()?);
            DateTime::from_timestamp_micros(micros.checked_add(EPOCH_MICROS)?)
        })
    }

    /// A `uuid`.
    pub(crate) fn uuid(&self, field: usize) -> Result<Option<Uuid>, CopyError> {
        self.get(field, "uuid", |bytes| Uuid::from_slice(bytes).ok())
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Utf8Error> {
    str::from_utf8(bytes)
}

/// The state between two chunks of a stream.
#[derive(Debug)]
pub(crate) struct CopyDecoder {
    fields: usize,
    has_begun: bool,
    has_ended: bool,
    /// The beginning of a row of which the rest has not come.
    rest: Vec<u8>,
}

impl CopyDecoder {
    /// For rows of so many fields.
    pub(crate) fn new(fields: usize) -> Self {
        Self {
            fields,
            has_begun: false,
            has_ended: false,
            rest: Vec::new(),
        }
    }

    /// Shows every row that ends in `chunk` to `visit`.
    ///
    /// # Errors
    /// [`CopyError`], or what `visit` says.
    pub(crate) fn feed<E: From<CopyError>>(
        &mut self,
        chunk: &[u8],
        mut visit: impl FnMut(&CopiedRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        // Mostly a chunk is a row, and nothing has to be put together.
        let mut held = std::mem::take(&mut self.rest);
        let bytes = if held.is_empty() {
            chunk
        } else {
            held.extend_from_slice(chunk);
            held.as_slice()
        };
        let mut reader = Reader { bytes, at: 0 };
        loop {
            let begin = reader.at;
            let whole = if self.has_ended {
                if begin < bytes.len() {
                    return Err(CopyError::Surplus.into());
                }
                false
            } else if self.has_begun {
                self.row(&mut reader, &mut visit)?
            } else {
                let whole = head(&mut reader)?.is_some();
                self.has_begun = whole;
                whole
            };
            if !whole {
                let rest = &bytes[begin..];
                if rest.len() > LONGEST_ROW {
                    return Err(CopyError::Length.into());
                }
                self.rest = rest.to_vec();
                return Ok(());
            }
        }
    }

    /// Whether the row, or the end, was there as a whole.
    fn row<E: From<CopyError>>(
        &mut self,
        reader: &mut Reader<'_>,
        visit: &mut impl FnMut(&CopiedRow<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        const MOST_FIELDS: usize = 128;
        let Some(count) = reader.array().map(i16::from_be_bytes) else {
            return Ok(false);
        };
        if count == END {
            self.has_ended = true;
            return Ok(true);
        }
        if usize::try_from(count) != Ok(self.fields) || self.fields > MOST_FIELDS {
            let expected = self.fields;
            return Err(CopyError::Fields {
                found: count,
                expected,
            }
            .into());
        }
        let mut fields = [None; MOST_FIELDS];
        for field in &mut fields[..self.fields] {
            let Some(length) = reader.array().map(i32::from_be_bytes) else {
                return Ok(false);
            };
            if length == -1 {
                continue;
            }
            let length = usize::try_from(length)
                .ok()
                .filter(|length| *length <= LONGEST_ROW);
            let length = length.ok_or(CopyError::Length)?;
            let Some(bytes) = reader.take(length) else {
                return Ok(false);
            };
            *field = Some(bytes);
        }
        let fields = &fields[..self.fields];
        visit(&CopiedRow { fields })?;
        Ok(true)
    }

    /// Says whether the stream came to its end.
    ///
    /// # Errors
    /// [`CopyError::Truncated`].
    pub(crate) fn finish(self) -> Result<(), CopyError> {
        if self.has_ended && self.rest.is_empty() {
            Ok(())
        } else {
            Err(CopyError::Truncated)
        }
    }
}

/// Reads signature, flags and extension; `None` where they are not there as a whole.
fn head(reader: &mut Reader<'_>) -> Result<Option<()>, CopyError> {
    let seen = SIGNATURE.len().min(reader.bytes.len());
    if reader.bytes[..seen] != SIGNATURE[..seen] {
        return Err(CopyError::Head);
    }
    let mut parts = || {
        reader.take(SIGNATURE.len())?;
        let flags = reader.array().map(u32::from_be_bytes)?;
        let extension = reader.array().map(i32::from_be_bytes)?;
        Some((flags, extension))
    };
    let Some((flags, extension)) = parts() else {
        return Ok(None);
    };
    let extension = usize::try_from(extension)
        .ok()
        .filter(|length| *length <= LONGEST_ROW);
    match extension {
        Some(length) if flags & CRITICAL == 0 => Ok(reader.take(length).map(drop)),
        _ => Err(CopyError::Head),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let bytes = self.bytes.get(self.at..self.at + length)?;
        self.at += length;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}

#[cfg(test)]
mod tests;
