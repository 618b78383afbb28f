//! The single list of columns. SQL, exports and JSON are generated from it. This module also
//! converts records to rows and back. A new column needs a migration, a field of
//! [`InferenceRecord`] and its name in `fields!`.

use std::error::Error;
use std::sync::LazyLock;

use chrono::{DateTime, SecondsFormat, Utc};
use faceood_engine::quality::{Component, Components};
use sqlx::Row;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use super::record::InferenceRecord;
use super::{LogError, base64_text};
use cell::Cell;

mod cell;

pub(super) use cell::word;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text.
    Text,
    /// A time, stored as text of fixed width (RFC 3339, UTC, microseconds) so that it sorts.
    Time,
    /// A whole number.
    Integer,
    /// A 32-bit float, stored as its shortest decimal, so that `<= 0.4` finds 0.4.
    Real,
    /// JSON as text.
    Json,
    /// Bytes.
    Blob,
}

/// One column of table `inferences`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, in the database and in every export.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
}

/// What one column holds in one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The column does not apply.
    Null,
    /// Of a [`ColumnKind::Text`] column.
    Text(String),
    /// Of a [`ColumnKind::Time`] column.
    Time(DateTime<Utc>),
    /// Of a [`ColumnKind::Integer`] column.
    Integer(i64),
    /// Of a [`ColumnKind::Real`] column.
    Real(f32),
    /// Of a [`ColumnKind::Json`] column.
    Json(String),
    /// Of a [`ColumnKind::Blob`] column.
    Blob(Vec<u8>),
}

/// Lists the record's fields once: columns, record → values and values → record follow from it. A
/// field that is missing here does not compile.
macro_rules! fields {
    ($($field:ident),* $(,)?) => {
        fn scalar_columns() -> Vec<Column> {
            vec![$(Column { name: stringify!($field), kind: kind_of(|record| &record.$field) }),*]
        }

        /// The record's values in the order of [`columns`].
        pub fn to_values(record: &InferenceRecord) -> Vec<Value> {
            let mut values = vec![$(record.$field.to_value()),*];
            values.extend(record.components.iter().map(|(_, value)| value.to_value()));
            values
        }

        /// The record that has `values`, which stand in the order of [`columns`].
        ///
        /// # Errors
        /// [`LogError::BadColumn`] where a value is not what its column holds, or a value's own error.
        pub(super) fn from_values(mut values: impl Iterator<Item = Result<Value, LogError>>) -> Result<InferenceRecord, LogError> {
            Ok(InferenceRecord {
                $($field: take(stringify!($field), &mut values)?,)*
                components: {
                    let mut components = Components::default();
                    for component in Component::ALL {
                        if let Some(value) = take(component.name(), &mut values)? {
                            components.set(component, value);
                        }
                    }
                    components
                },
            })
        }
    };
}

fields!(
    id,
    time,
    request_id,
    request_key,
    clock,
    clock_run_seconds,
    endpoint,
    role,
    scenario,
    source,
    token,
    image_width,
    image_height,
    image_format,
    image_bytes,
    face_index,
    face_count,
    box_x,
    box_y,
    box_width,
    box_height,
    detection_score,
    pose_yaw,
    pose_pitch,
    pose_roll,
    embedding_norm,
    network_norms,
    ood_logit,
    quality_score,
    interval_low,
    interval_high,
    pass_probability,
    grade,
    action,
    threshold,
    reasons,
    causes,
    similarity,
    verdict,
    queue_ms,
    decode_ms,
    detect_ms,
    align_ms,
    embed_ms,
    judge_ms,
    total_ms,
    pack,
    pack_version,
    pack_sha256,
    provider,
    calibration_id,
    error_code,
    error_detail,
    outcome,
    outcome_note,
    outcome_time,
    embedding,
    thumbnail,
);

fn kind_of<T: Cell>(_: fn(&InferenceRecord) -> &T) -> ColumnKind {
    T::KIND
}

fn take<T: Cell>(
    column: &'static str,
    values: &mut impl Iterator<Item = Result<Value, LogError>>,
) -> Result<T, LogError> {
    let value = values.next().unwrap_or(Ok(Value::Null))?;
    T::from_value(value).map_err(LogError::in_column(column))
}

/// Every column of table `inferences`: the record's fields, then each quality component.
pub fn columns() -> &'static [Column] {
    static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| {
        let components = Component::ALL.into_iter().map(|component| Column {
            name: component.name(),
            kind: ColumnKind::Real,
        });
        scalar_columns().into_iter().chain(components).collect()
    });
    &COLUMNS
}

/// The columns' names as a list for SELECT; reading relies on this order.
pub(super) fn column_list() -> &'static str {
    static LIST: LazyLock<String> = LazyLock::new(|| {
        let names: Vec<&str> = columns().iter().map(|column| column.name).collect();
        names.join(", ")
    });
    &LIST
}

/// The record that has `values`, which may be of a newer release: a word that this one does not know
/// is left out. Returns how many that were, too.
///
/// # Errors
/// [`LogError::BadColumn`] where no record can be without the value.
pub fn from_newer(mut values: Vec<Value>) -> Result<(InferenceRecord, u64), LogError> {
    let mut left_out = 0;
    loop {
        let error = match from_values(values.iter().cloned().map(Ok)) {
            Ok(record) => return Ok((record, left_out)),
            Err(error) => error,
        };
        let LogError::BadColumn { column, .. } = &error else {
            return Err(error);
        };
        let place = columns().iter().position(|it| it.name == *column);
        match place.and_then(|place| values.get_mut(place)) {
            Some(value) if *value != Value::Null => *value = Value::Null,
            _ => return Err(error),
        }
        left_out += 1;
    }
}

/// The statement that inserts one record with its place in the order of commits.
pub(super) fn insert_statement() -> &'static str {
    static INSERT: LazyLock<String> = LazyLock::new(|| {
        let places = vec!["?"; columns().len() + 1].join(", ");
        let columns = column_list();
        format!("INSERT INTO inferences ({columns}, seq) VALUES ({places})")
    });
    &INSERT
}

/// Binds `record` and `seq` to [`insert_statement`].
pub(super) fn bind(
    record: &InferenceRecord,
    seq: i64,
) -> sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments> {
    let query = sqlx::query(insert_statement());
    to_values(record)
        .into_iter()
        .fold(query, |query, value| match value {
            Value::Null => query.bind(None::<&str>),
            Value::Text(text) | Value::Json(text) => query.bind(text),
            Value::Time(time) => query.bind(time_text(time)),
            Value::Integer(number) => query.bind(number),
            Value::Real(number) => query.bind(decimal(number)),
            Value::Blob(bytes) => query.bind(bytes),
        })
        .bind(seq)
}

/// The record in `row`, which was selected by [`column_list`]. A word that this release does not know
/// is left out, as one row of a newer release must not stop a listing.
pub(super) fn from_row(row: &SqliteRow) -> Result<InferenceRecord, LogError> {
    let values = || {
        columns().iter().enumerate().map(move |(index, column)| {
            read(row, index, column.kind)
                .map_err(|error| LogError::in_column(column.name)(error.to_string()))
        })
    };
    let again = || {
        let values = values().collect::<Result<Vec<_>, _>>()?;
        from_newer(values).map(|(record, _)| record)
    };
    from_values(values())
        .or_else(|_| again())
        .map_err(|error| in_row(row, error))
}

/// Names the row that `error` is about: one such row stops whole listings.
fn in_row(row: &SqliteRow, error: LogError) -> LogError {
    let LogError::BadColumn { column, found } = error else {
        return error;
    };
    let id: String = row.try_get("id").unwrap_or_default();
    LogError::BadColumn {
        column,
        found: format!(
            "row {id}: {found}. A newer release may have written it: install that release again, or delete the row"
        ),
    }
}

/// What stands at the place `index` of `row`.
pub(super) fn read(
    row: &SqliteRow,
    index: usize,
    kind: ColumnKind,
) -> Result<Value, Box<dyn Error>> {
    let text = || row.try_get::<Option<String>, _>(index);
    let value = match kind {
        ColumnKind::Text => text()?.map(Value::Text),
        ColumnKind::Json => text()?.map(Value::Json),
        ColumnKind::Time => match text()? {
            Some(text) => Some(Value::Time(parse_time(&text)?)),
            None => None,
        },
        ColumnKind::Integer => row.try_get::<Option<i64>, _>(index)?.map(Value::Integer),
        // Stored from an f32.
        ColumnKind::Real => row
            .try_get::<Option<f64>, _>(index)?
            .map(|number| Value::Real(number as f32)),
        ColumnKind::Blob => row.try_get::<Option<Vec<u8>>, _>(index)?.map(Value::Blob),
    };
    Ok(value.unwrap_or(Value::Null))
}

/// The record as a JSON object, a member per column, without a value null; blobs are base64.
pub fn to_json(record: &InferenceRecord) -> serde_json::Map<String, serde_json::Value> {
    let values = columns().iter().zip(to_values(record));
    values
        .map(|(column, value)| (column.name.to_owned(), json_value(value)))
        .collect()
}

fn json_value(value: Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Text(text) => text.into(),
        Value::Time(time) => time_text(time).into(),
        Value::Integer(number) => number.into(),
        Value::Real(number) => decimal(number).into(),
        Value::Json(text) => serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)),
        Value::Blob(bytes) => base64_text(&bytes).into(),
    }
}

/// `time` as it is stored: of fixed width, so that it sorts as text.
pub fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

pub(super) fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .map_err(|error| format!("{text:?} is no RFC 3339 time: {error}"))
}

/// The 64-bit float that prints as `value` does: 0.83 and not 0.8299999833106995. Going back to 32
/// bits gives `value` again.
pub fn decimal(value: f32) -> f64 {
    let shortest: f64 = value.to_string().parse().unwrap_or(f64::from(value));
    let returns = (shortest as f32).to_bits() == value.to_bits();
    if returns { shortest } else { f64::from(value) }
}

#[cfg(test)]
mod tests;
