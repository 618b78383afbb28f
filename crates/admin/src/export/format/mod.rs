//! File formats of an export: every column of every row, oldest first, in constant memory.

use std::io::{self, Write};
use std::ops::ControlFlow;

use faceood_fleet::{CentreFilter, CentreReader, FleetError};
use faceood_log::{
    Filter, InferenceRecord, LARGEST_PAGE, LogError, LogReader, Order, Value, base64_text, columns,
    decimal, time_text, to_json, to_values,
};

use crate::output;
use crate::sinks::csv_cell;

mod parquet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    // NULL is empty, blobs are base64, `reasons`, `causes` and `network_norms` JSON. A text that a
    // spreadsheet would take for a formula has an apostrophe before it.
    /// Comma-separated values with a header
    Csv,
    // NULL is null, blobs are base64.
    /// One JSON object a line
    Jsonl,
    // Times are timestamps, blobs bytes.
    /// Apache Parquet
    Parquet,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Centre(#[from] FleetError),
    #[error("the export cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Writes the rows that `filter` finds to `out` and returns how many. The filter's limit and order
/// do not apply. Rows that are written to a live log after the call are left out, so that the
/// export ends; they are told by the order of writing, since a clock may have been wrong.
pub(super) async fn export(
    reader: &LogReader,
    filter: &Filter,
    format: Format,
    out: impl Write + Send,
) -> Result<u64, ExportError> {
    let filter = Filter {
        up_to: Some(reader.newest_number().await?),
        limit: Some(LARGEST_PAGE),
        order: Order::OldestFirst,
        ..filter.clone()
    };
    let mut sink = Sink::new(format, out)?;
    let (mut cursor, mut written) = (None, 0);
    loop {
        // A page at a time and not one long read, which would keep SQLite from recycling its
        // write-ahead log.
        let page = reader.query(&filter, cursor.as_ref()).await?;
        for record in &page.records {
            sink.write(record)?;
        }
        written += page.records.len() as u64;
        cursor = page.next;
        if cursor.is_none() {
            sink.finish()?;
            return Ok(written);
        }
    }
}

/// Writes the rows of a centre as [`export`] does those of a log. A source has its box's name before
/// it, as in reports.
pub(super) async fn export_centre(
    reader: &CentreReader,
    filter: &Filter,
    format: Format,
    out: impl Write + Send,
) -> Result<u64, ExportError> {
    let filter = CentreFilter {
        since: filter.since,
        until: filter.until,
        max_score: filter.max_score,
        ..CentreFilter::default().of_source(filter.source.as_deref())
    };
    let mut sink = Sink::new(format, out)?;
    let (mut written, mut failed) = (0, None);
    let mut snapshot = reader.snapshot().await?;
    let exported = snapshot.export(&filter, |node, mut record| {
        let source = record.source.unwrap_or_default();
        record.source = Some(format!("{node}/{source}"));
        written += 1;
        match sink.write(&record) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    let unknown = exported.await?;
    snapshot.close().await;
    if unknown > 0 {
        output::note(&format!(
            "{unknown} values have words that this release does not know, and are left out: boxes that run a newer one \
             wrote them. Upgrade faceood-admin here"
        ));
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    sink.finish()?;
    Ok(written)
}

enum Sink<W: Write + Send> {
    Csv(csv::Writer<W>),
    Jsonl(io::BufWriter<W>),
    Parquet(parquet::Sink<W>),
}

impl<W: Write + Send> Sink<W> {
    fn new(format: Format, out: W) -> io::Result<Self> {
        Ok(match format {
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer
                    .write_record(columns().iter().map(|column| column.name))
                    .map_err(from_csv)?;
                Self::Csv(writer)
            }
            Format::Jsonl => Self::Jsonl(io::BufWriter::new(out)),
            Format::Parquet => Self::Parquet(parquet::Sink::new(out)?),
        })
    }

    fn write(&mut self, record: &InferenceRecord) -> io::Result<()> {
        match self {
            Self::Csv(writer) => writer
                .write_record(to_values(record).into_iter().map(csv_text))
                .map_err(from_csv),
            Self::Jsonl(writer) => {
                serde_json::to_writer(&mut *writer, &to_json(record))?;
                writer.write_all(b"\n")
            }
            Self::Parquet(sink) => sink.write(to_values(record)),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Csv(mut writer) => writer.flush(),
            Self::Jsonl(mut writer) => writer.flush(),
            Self::Parquet(sink) => sink.finish(),
        }
    }
}

fn csv_text(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => csv_cell(&text),
        Value::Json(text) => text,
        Value::Time(time) => time_text(time),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => decimal(number).to_string(),
        Value::Blob(bytes) => base64_text(&bytes),
    }
}

/// Keeps the kind of error, so that a broken pipe is known as one.
fn from_csv(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

#[cfg(test)]
mod tests;
