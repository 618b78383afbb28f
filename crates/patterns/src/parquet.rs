//! Reads rows from an exported Parquet file.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use chrono::DateTime;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use uuid::Uuid;

use faceood::inference_log::{
    Filter, LogError, Observation, SCANNED_COLUMNS as COLUMNS, bad_scanned_column as bad,
};
use faceood::quality::Component;

/// Shows every row of an export at `path` that `filter` finds to `visit`, in the file's order; limit and order of the filter do not
/// matter.
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
    let schema = reader
        .metadata()
        .file_metadata()
        .schema_descr()
        .root_schema();
    let wanted: BTreeSet<&str> = COLUMNS
        .into_iter()
        .chain(Component::ALL.iter().map(|component| component.name()))
        .collect();
    let present: Vec<_> = schema
        .get_fields()
        .iter()
        .filter(|field| wanted.contains(field.name()))
        .map(Arc::clone)
        .collect();
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
        let fields = Fields::of(&row);
        let observation = fields.observation()?;
        if fits(&observation, filter) {
            visit(&observation)?;
        }
    }
    Ok(())
}

fn fits(row: &Observation<'_>, filter: &Filter) -> bool {
    filter.since.is_none_or(|since| row.time >= since)
        && filter.until.is_none_or(|until| row.time < until)
        && filter
            .source
            .as_ref()
            .is_none_or(|source| row.source == Some(source.as_str()))
        && filter
            .max_score
            .is_none_or(|most| row.quality_score.is_some_and(|score| score <= most))
}

struct Fields<'a>(HashMap<&'a str, &'a Field>);

impl<'a> Fields<'a> {
    fn of(row: &'a Row) -> Self {
        let columns = row.get_column_iter();
        Self(
            columns
                .map(|(name, field)| (name.as_str(), field))
                .collect(),
        )
    }

    fn text(&self, index: usize) -> Result<Option<&'a str>, LogError> {
        match self.0.get(COLUMNS[index]) {
            None | Some(Field::Null) => Ok(None),
            Some(Field::Str(text)) => Ok(Some(text)),
            Some(Field::Bytes(bytes)) => bytes
                .as_utf8()
                .map(Some)
                .map_err(|error| bad(index, &error.to_string())),
            Some(other) => Err(bad(index, &format!("{other} is no text"))),
        }
    }

    fn number(&self, name: &str) -> Option<f32> {
        let number = match *self.0.get(name)? {
            Field::Double(number) => *number as f32,
            Field::Float(number) => *number,
            Field::Long(number) => *number as f32,
            _ => return None,
        };
        number.is_finite().then_some(number)
    }

    fn observation(&self) -> Result<Observation<'a>, LogError> {
        let id = self.text(0)?.unwrap_or_default();
        let time = match self.0.get(COLUMNS[1]) {
            Some(Field::TimestampMicros(micros)) => DateTime::from_timestamp_micros(*micros),
            _ => None,
        };
        let pair = |first: usize| {
            let second = self.number(COLUMNS[first + 1]);
            self.number(COLUMNS[first]).zip(second).map(Into::into)
        };
        Ok(Observation {
            id: Uuid::try_parse(id)
                .map_err(|error| bad(0, &format!("{id:?} is no UUID: {error}")))?,
            time: time.ok_or_else(|| bad(1, "is no time in microseconds"))?,
            source: self.text(2)?,
            quality_score: self.number(COLUMNS[3]),
            embedding_norm: self.number(COLUMNS[4]),
            pack: self.text(5)?,
            pack_sha256: self.text(6)?,
            calibration_id: self.text(7)?,
            is_error: self.text(8)?.is_some(),
            causes_json: self.text(9)?,
            image_px: pair(10),
            box_px: pair(12),
            components: Component::ALL.map(|component| self.number(component.name())),
        })
    }
}
