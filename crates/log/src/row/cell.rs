//! Which Rust types fit into a column, and how.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use faceood_engine::policy::{Action, Reason, Verdict};
use faceood_engine::problem::ProblemCode;
use faceood_engine::quality::{Cause, Grade};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::super::clock::ClockMark;
use super::super::record::{Endpoint, ReportedOutcome, Role};
use super::{ColumnKind, Value};

/// A field's type that fits into a column.
pub(super) trait Cell: Sized {
    const KIND: ColumnKind;
    fn to_value(&self) -> Value;
    /// The error says what is wrong with the value; the caller adds the column's name.
    fn from_value(value: Value) -> Result<Self, String>;
}

/// The word that stands for a unit variant on the wire and in the log.
pub(in super::super) fn word<T: Serialize>(variant: &T) -> Option<String> {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(word)) => Some(word),
        _ => None,
    }
}

impl<T: Cell> Cell for Option<T> {
    const KIND: ColumnKind = T::KIND;
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

fn unexpected<T>(expected: &str, value: &Value) -> Result<T, String> {
    Err(match value {
        Value::Null => format!("is NULL, expected {expected}"),
        value => format!("holds {value:?}, expected {expected}"),
    })
}

macro_rules! plain_cells {
    ($($plain:ty: $kind:ident $expected:literal),*) => {$(
        impl Cell for $plain {
            const KIND: ColumnKind = ColumnKind::$kind;
            fn to_value(&self) -> Value {
                Value::$kind(self.clone())
            }
            fn from_value(value: Value) -> Result<Self, String> {
                match value {
                    Value::$kind(held) => Ok(held),
                    value => unexpected($expected, &value),
                }
            }
        }
    )*};
}
plain_cells!(String: Text "text", DateTime<Utc>: Time "a time", Vec<u8>: Blob "bytes");

impl Cell for Uuid {
    const KIND: ColumnKind = ColumnKind::Text;
    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
    fn from_value(value: Value) -> Result<Self, String> {
        let text = String::from_value(value)?;
        text.parse()
            .map_err(|error| format!("{text:?} is no UUID: {error}"))
    }
}

impl Cell for ProblemCode {
    const KIND: ColumnKind = ColumnKind::Text;
    fn to_value(&self) -> Value {
        Value::Text(self.code().to_owned())
    }
    fn from_value(value: Value) -> Result<Self, String> {
        let text = String::from_value(value)?;
        Self::from_code(&text).ok_or_else(|| format!("{text:?} is no known problem code"))
    }
}

impl Cell for f32 {
    const KIND: ColumnKind = ColumnKind::Real;
    fn to_value(&self) -> Value {
        // SQLite knows no NaN, and an infinity is no measurement.
        if self.is_finite() {
            Value::Real(*self)
        } else {
            Value::Null
        }
    }
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Real(number) => Ok(number),
            value => unexpected("a number", &value),
        }
    }
}

macro_rules! integer_cells {
    ($($number:ty),*) => {$(
        impl Cell for $number {
            const KIND: ColumnKind = ColumnKind::Integer;
            fn to_value(&self) -> Value {
                Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
            }
            fn from_value(value: Value) -> Result<Self, String> {
                match value {
                    Value::Integer(number) => {
                        Self::try_from(number).map_err(|_| format!("holds {number}, which is out of range"))
                    }
                    value => unexpected("a whole number", &value),
                }
            }
        }
    )*};
}
integer_cells!(u32, u64);

macro_rules! word_cells {
    ($($word:ty),*) => {$(
        impl Cell for $word {
            const KIND: ColumnKind = ColumnKind::Text;
            fn to_value(&self) -> Value {
                word(self).map_or(Value::Null, Value::Text)
            }
            fn from_value(value: Value) -> Result<Self, String> {
                let text = String::from_value(value)?;
                serde_json::from_value(serde_json::Value::String(text)).map_err(|error| error.to_string())
            }
        }
    )*};
}
word_cells!(
    Endpoint,
    Role,
    Grade,
    Action,
    Verdict,
    ReportedOutcome,
    ClockMark
);

macro_rules! json_cells {
    ($($json:ty),*) => {$(
        impl Cell for $json {
            const KIND: ColumnKind = ColumnKind::Json;
            fn to_value(&self) -> Value {
                serde_json::to_string(self).map_or(Value::Null, Value::Json)
            }
            fn from_value(value: Value) -> Result<Self, String> {
                match value {
                    Value::Json(text) => parse_json(&text),
                    value => unexpected("JSON", &value),
                }
            }
        }
    )*};
}
json_cells!(BTreeMap<String, f32>, Vec<Reason>, Vec<Cause>);

fn parse_json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("{text:?} does not fit: {error}"))
}

impl Cell for Vec<f32> {
    const KIND: ColumnKind = ColumnKind::Blob;
    fn to_value(&self) -> Value {
        Value::Blob(self.iter().copied().flat_map(f32::to_le_bytes).collect())
    }
    fn from_value(value: Value) -> Result<Self, String> {
        let bytes = Vec::<u8>::from_value(value)?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            let held = bytes.len();
            return Err(format!("holds {held} bytes, expected a multiple of 4"));
        }
        Ok(numbers.iter().copied().map(f32::from_le_bytes).collect())
    }
}
