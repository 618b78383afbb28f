//! Parquet through the column writers, without Arrow. Rows are collected up to a row group,
//! then written by column.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use faceood_log::{Column, ColumnKind, Value, columns, decimal};

/// Rows of a row group: enough for columns to compress, few enough to hold (about 6 MB without
/// blobs).
const GROUP_ROWS: usize = 4096;

/// A row group ends earlier when its blobs and texts reach this size.
const GROUP_BYTES: usize = 16 << 20;

pub(super) struct Sink<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    /// What waits for the row group to be full, by column.
    waiting: Vec<Vec<Value>>,
    rows: usize,
    bytes: usize,
}

impl<W: Write + Send> Sink<W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        Ok(Self {
            writer: writer(out).map_err(from_parquet)?,
            waiting: vec![Vec::new(); columns().len()],
            rows: 0,
            bytes: 0,
        })
    }

    pub(super) fn write(&mut self, values: Vec<Value>) -> io::Result<()> {
        for (column, value) in self.waiting.iter_mut().zip(values) {
            self.bytes += match &value {
                Value::Text(text) | Value::Json(text) => text.len(),
                Value::Blob(bytes) => bytes.len(),
                _ => 0,
            };
            column.push(value);
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.end_group().map_err(from_parquet)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.end_group().map_err(from_parquet)?;
        }
        self.writer.close().map(drop).map_err(from_parquet)
    }

    fn end_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for (column, values) in columns().iter().zip(&mut self.waiting) {
            let no_writer =
                || ParquetError::General(format!("no writer for column {}", column.name));
            let mut writer = group.next_column()?.ok_or_else(no_writer)?;
            let values = std::mem::take(values);
            match column.kind {
                ColumnKind::Text | ColumnKind::Json | ColumnKind::Blob => {
                    put::<ByteArrayType>(&mut writer, values, |value| match value {
                        Value::Text(text) | Value::Json(text) => Some(text.into_bytes().into()),
                        Value::Blob(bytes) => Some(bytes.into()),
                        _ => None,
                    })
                }
                ColumnKind::Time | ColumnKind::Integer => {
                    put::<Int64Type>(&mut writer, values, |value| match value {
                        Value::Time(time) => Some(time.timestamp_micros()),
                        Value::Integer(number) => Some(number),
                        _ => None,
                    })
                }
                ColumnKind::Real => put::<DoubleType>(&mut writer, values, |value| match value {
                    Value::Real(number) => Some(decimal(number)),
                    _ => None,
                }),
            }?;
            writer.close()?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

fn writer<W: Write + Send>(out: W) -> Result<SerializedFileWriter<W>, ParquetError> {
    let fields = columns().iter().map(|column| field(*column).map(Arc::new));
    let schema = Type::group_type_builder("inferences")
        .with_fields(fields.collect::<Result<_, _>>()?)
        .build()?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))
}

/// Writes one column: the values that are there, and for each row whether one is.
fn put<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    values: Vec<Value>,
    convert: impl Fn(Value) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let values: Vec<Option<T::T>> = values.into_iter().map(convert).collect();
    let levels = values.iter().map(|value| i16::from(value.is_some()));
    let levels: Vec<i16> = levels.collect();
    let values: Vec<T::T> = values.into_iter().flatten().collect();
    let writer = writer.typed::<T>();
    writer.write_batch(&values, Some(&levels), None).map(drop)
}

fn field(column: Column) -> Result<Type, ParquetError> {
    let (physical, logical) = match column.kind {
        ColumnKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ColumnKind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
        ColumnKind::Blob => (Physical::BYTE_ARRAY, None),
        ColumnKind::Integer => (Physical::INT64, None),
        ColumnKind::Real => (Physical::DOUBLE, None),
        ColumnKind::Time => {
            let micros = LogicalType::timestamp(true, TimeUnit::MICROS);
            (Physical::INT64, Some(micros))
        }
    };
    Type::primitive_type_builder(column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

/// Keeps the kind of error, so that a broken pipe is known as one.
fn from_parquet(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        error => io::Error::other(error),
    }
}
