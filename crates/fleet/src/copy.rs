//! Rows in the text format of PostgreSQL's `COPY`.
//! <https://www.postgresql.org/docs/15/sql-copy.html#id-1.9.3.55.9.2>

use std::io::Write as _;

use faceood_log::{Column, Value, decimal, time_text};
use serde_json::{Map, Value as Json};

/// What stands for NULL.
const NULL: &[u8] = b"\\N";

/// Adds one field, and what ends it.
pub(crate) fn field(out: &mut Vec<u8>, value: &Value, end: u8) {
    match value {
        Value::Null => out.extend_from_slice(NULL),
        Value::Text(text) | Value::Json(text) => escaped(out, text),
        Value::Time(time) => out.extend_from_slice(time_text(*time).as_bytes()),
        // Writing to memory does not fail.
        Value::Integer(number) => drop(write!(out, "{number}")),
        Value::Real(number) => drop(write!(out, "{number}")),
        // Only embeddings and thumbnails are bytes, and they are never shipped.
        Value::Blob(_) => out.extend_from_slice(NULL),
    }
    out.push(end);
}

/// Adds `value` as a field; `None` is NULL.
pub(crate) fn shown(out: &mut Vec<u8>, value: Option<impl ToString>, end: u8) {
    match value {
        Some(value) => escaped(out, &value.to_string()),
        None => out.extend_from_slice(NULL),
    }
    out.push(end);
}

fn escaped(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => out.push(byte),
        }
    }
}

/// The columns that the centre does not have, as one JSON object: `None` where all are NULL.
pub(crate) fn extra<'a>(unknown: impl Iterator<Item = (Column, &'a Value)>) -> Option<Json> {
    let values: Map<String, Json> = unknown
        .filter_map(|(column, value)| Some((column.name.to_owned(), json(value)?)))
        .collect();
    (!values.is_empty()).then_some(Json::Object(values))
}

fn json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null | Value::Blob(_) => return None,
        Value::Text(text) => text.as_str().into(),
        Value::Time(time) => time_text(*time).into(),
        Value::Integer(number) => (*number).into(),
        Value::Real(number) => decimal(*number).into(),
        Value::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use faceood_log::ColumnKind;

    fn line(values: &[Value]) -> String {
        let mut out = Vec::new();
        for value in values {
            field(&mut out, value, b'|');
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_kind_is_written_as_postgresql_reads_it() {
        let time = "2026-11-30T08:00:00.123456Z".parse().unwrap();
        let values = [
            Value::Null,
            Value::Text("a\tb\nc\\d\re".to_owned()),
            Value::Time(time),
            Value::Integer(-7),
            Value::Real(0.4),
            Value::Json(r#"{"a":"\n"}"#.to_owned()),
            Value::Blob(vec![1]),
        ];
        assert_eq!(
            line(&values),
            "\\N|a\\tb\\nc\\\\d\\re|2026-11-30T08:00:00.123456Z|-7|0.4|{\"a\":\"\\\\n\"}|\\N|"
        );
    }

    #[test]
    fn what_the_centre_lacks_keeps_its_type_and_bytes_are_left_out() {
        let column = |name, kind| Column { name, kind };
        let values = [
            (column("a", ColumnKind::Real), Value::Real(0.4)),
            (column("b", ColumnKind::Json), Value::Json("[1]".to_owned())),
            (column("c", ColumnKind::Text), Value::Null),
            (column("embedding", ColumnKind::Blob), Value::Blob(vec![1])),
        ];
        let found = extra(values.iter().map(|(column, value)| (*column, value)));
        assert_eq!(found.unwrap(), serde_json::json!({"a": 0.4, "b": [1]}));
        assert_eq!(extra([(values[2].0, &values[2].1)].into_iter()), None);
    }
}
