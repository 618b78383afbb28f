//! Reads rows from an exported Parquet file.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use faceood_log::{Filter, LogError, Observation};

/// Shows every row of an export at `path` that `filter` finds to `visit`, in the file's order. Of
/// the filter only times and source count.
///
/// # Errors
/// If the file is no such export or cannot be read, [`LogError::BadColumn`], or what `visit` says.
pub(super) fn scan(
    path: &Path,
    filter: &Filter,
    visit: &mut impl FnMut(&Observation<'_>) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let failed = |error: ParquetError| LogError::io("read", path, io::Error::other(error));
    let file = File::open(path).map_err(|error| LogError::io("open", path, error))?;
    let reader = SerializedFileReader::new(file).map_err(failed)?;
    let metadata = reader.metadata().file_metadata();
    let schema = metadata.schema_descr().root_schema();
    let wanted: BTreeSet<&str> = Observation::columns().collect();
    let mut present = schema.get_fields().to_vec();
    present.retain(|field| wanted.contains(field.name()));
    for column in ["id", "time", "quality_score"] {
        if !present.iter().any(|field| field.name() == column) {
            let missing = format!(
                "it has no column {column}: give a file of `faceood-admin export --format parquet`"
            );
            return Err(LogError::io("use", path, io::Error::other(missing)));
        }
    }
    let projection = Type::group_type_builder(schema.name())
        .with_fields(present)
        .build()
        .map_err(failed)?;
    for row in reader.get_row_iter(Some(projection)).map_err(failed)? {
        let row = row.map_err(failed)?;
        let fields = row.get_column_iter();
        let fields: HashMap<&str, &Field> =
            fields.map(|(name, field)| (name.as_str(), field)).collect();
        let observation = Observation::from_columns(
            |name| text(fields.get(name).copied()),
            |name| number(fields.get(name)?),
            || time(fields.get("time")?),
        )?;
        if fits(&observation, filter) {
            visit(&observation)?;
        }
    }
    Ok(())
}

fn fits(row: &Observation<'_>, filter: &Filter) -> bool {
    debug_assert!(filter.max_score.is_none(), "an analysis reads all scores");
    let source = filter.source.as_deref();
    filter.since.is_none_or(|since| row.time >= since)
        && filter.until.is_none_or(|until| row.time < until)
        && source.is_none_or(|source| row.source == Some(source))
}

fn text(field: Option<&Field>) -> Result<Option<&str>, String> {
    match field {
        None | Some(Field::Null) => Ok(None),
        Some(Field::Str(text)) => Ok(Some(text)),
        Some(Field::Bytes(bytes)) => bytes.as_utf8().map(Some).map_err(|error| error.to_string()),
        Some(other) => Err(format!("{other} is no text")),
    }
}

fn number(field: &Field) -> Option<f32> {
    let number = match *field {
        Field::Double(number) => number as f32,
        Field::Float(number) => number,
        Field::Long(number) => number as f32,
        _ => return None,
    };
    Some(number).filter(|number| number.is_finite())
}

fn time(field: &Field) -> Option<DateTime<Utc>> {
    match *field {
        Field::TimestampMicros(micros) => DateTime::from_timestamp_micros(micros),
        _ => None,
    }
}
