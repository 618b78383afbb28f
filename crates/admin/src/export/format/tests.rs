use std::sync::Arc;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use bytes::Bytes;

use super::*;
use faceood_log::fixture::{full_record, keep_all, open};
use faceood_log::{ColumnKind, Endpoint, InferenceLog, Role, columns};

/// A log with a row in which everything is set and, after it, one in which nothing more than must
/// be.
async fn two_rows() -> (tempfile::TempDir, InferenceLog, [InferenceRecord; 2]) {
    let (folder, log) = open(&keep_all()).await;
    let mut full = full_record("full", 5);
    full.quality_score = Some(0.83);
    let bare = InferenceRecord::new("bare, \"quoted\"\nline", Endpoint::Quality, Role::Image);
    log.append_all(vec![full.clone(), bare.clone()])
        .await
        .unwrap();
    (folder, log, [full, bare])
}

async fn exported(log: &InferenceLog, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    let written = export(log.reader(), &Filter::default(), format, &mut out)
        .await
        .unwrap();
    assert_eq!(written, 2);
    out
}

#[tokio::test]
async fn csv_has_every_column_of_every_row() {
    let (_folder, log, records) = two_rows().await;
    let out = exported(&log, Format::Csv).await;
    let mut reader = csv::Reader::from_reader(&out[..]);
    let header = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), records.len());
    assert_eq!(header.len(), columns().len());
    for (index, column) in columns().iter().enumerate() {
        assert_eq!(&header[index], column.name);
        for (row, record) in rows.iter().zip(&records) {
            assert_eq!(
                row[index],
                csv_text(to_values(record)[index].clone()),
                "{}",
                column.name
            );
        }
        assert!(!rows[0][index].is_empty(), "{}", column.name);
    }
    assert_eq!(&rows[1][2], records[1].request_id);
    assert!(String::from_utf8(out).unwrap().contains(",0.83,"));
}

#[tokio::test]
async fn jsonl_has_every_column_of_every_row() {
    let (_folder, log, records) = two_rows().await;
    let out = String::from_utf8(exported(&log, Format::Jsonl).await).unwrap();
    let rows: Vec<serde_json::Map<String, serde_json::Value>> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows, records.iter().map(to_json).collect::<Vec<_>>());
    for column in columns() {
        assert!(!rows[0][column.name].is_null(), "{}", column.name);
        assert!(rows[1].contains_key(column.name), "{}", column.name);
    }
}

fn parquet_reader(out: Vec<u8>) -> SerializedFileReader<Bytes> {
    SerializedFileReader::new(Bytes::from(out)).unwrap()
}

#[tokio::test]
async fn parquet_has_every_column_of_every_row() {
    let (_folder, log, records) = two_rows().await;
    let reader = parquet_reader(exported(&log, Format::Parquet).await);
    let rows: Vec<_> = reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), records.len());
    for (row, record) in rows.iter().zip(&records) {
        let fields: Vec<(&String, &Field)> = row.get_column_iter().collect();
        assert_eq!(fields.len(), columns().len());
        for ((column, value), (name, field)) in columns().iter().zip(to_values(record)).zip(fields)
        {
            assert_eq!(name, column.name);
            let expected = match value {
                Value::Null => Field::Null,
                Value::Text(text) | Value::Json(text) => Field::Str(text),
                Value::Time(time) => Field::TimestampMicros(time.timestamp_micros()),
                Value::Integer(number) => Field::Long(number),
                Value::Real(number) => Field::Double(decimal(number)),
                Value::Blob(bytes) => Field::Bytes(bytes.into()),
            };
            assert_eq!(*field, expected, "{} ({:?})", column.name, column.kind);
        }
    }
    assert!(
        columns()
            .iter()
            .any(|column| column.kind == ColumnKind::Blob)
    );
}

#[tokio::test]
async fn many_rows_become_several_row_groups_and_none_is_lost() {
    let (_folder, log) = open(&faceood_log::Settings::default()).await;
    let rows: u16 = 9000;
    log.append_all((0..rows).map(|seed| full_record("r", seed)).collect())
        .await
        .unwrap();
    let mut out = Vec::new();
    let written = export(log.reader(), &Filter::default(), Format::Parquet, &mut out)
        .await
        .unwrap();
    assert_eq!(written, u64::from(rows));
    let reader = parquet_reader(out);
    assert_eq!(reader.num_row_groups(), 3);
    let score = columns()
        .iter()
        .position(|column| column.name == "quality_score")
        .unwrap();
    let scores: Vec<Field> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().get_column_iter().nth(score).unwrap().1.clone())
        .collect();
    let expected: Vec<Field> = (0..rows)
        .map(|seed| Field::Double(decimal(full_record("r", seed).quality_score.unwrap())))
        .collect();
    assert_eq!(scores, expected);
}

#[tokio::test]
async fn an_empty_log_exports_as_a_valid_file() {
    let (_folder, log) = open(&faceood_log::Settings::default()).await;
    for format in [Format::Csv, Format::Jsonl, Format::Parquet] {
        let mut out = Vec::new();
        let written = export(log.reader(), &Filter::default(), format, &mut out)
            .await
            .unwrap();
        assert_eq!(written, 0);
        if format == Format::Parquet {
            assert_eq!(parquet_reader(out).metadata().file_metadata().num_rows(), 0);
        }
    }
}

/// A pipe whose reader left after some bytes.
struct Broken(Arc<std::sync::atomic::AtomicUsize>);

impl Write for Broken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use std::sync::atomic::Ordering;
        if self.0.load(Ordering::Relaxed) == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.0.fetch_sub(1, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_broken_pipe_is_known_as_one_in_every_format() {
    let (_folder, log, _) = two_rows().await;
    for format in [Format::Csv, Format::Jsonl, Format::Parquet] {
        for writes in 0..2 {
            let out = Broken(Arc::new(writes.into()));
            let error = export(log.reader(), &Filter::default(), format, out).await;
            // A small file may be out before the pipe breaks.
            match error {
                Err(error) => assert!(crate::is_broken_pipe(&error.into()), "{format:?}"),
                Ok(written) => assert!(writes > 0 && written == 2, "{format:?}"),
            }
        }
    }
}

#[tokio::test]
async fn without_an_end_rows_from_the_future_are_exported_too() {
    let (_folder, log) = open(&faceood_log::Settings::default()).await;
    let rows = (0..6).map(|number| {
        let mut row = full_record("r", number);
        if number < 3 {
            row.time += chrono::TimeDelta::days(3650);
        }
        row
    });
    log.append_all(rows.collect()).await.unwrap();
    for format in [Format::Csv, Format::Jsonl, Format::Parquet] {
        let written = export(log.reader(), &Filter::default(), format, &mut Vec::new()).await;
        assert_eq!(written.unwrap(), 6, "{format:?}");
    }
}

#[tokio::test]
async fn no_cell_of_a_caller_is_a_formula() {
    let (_folder, log) = open(&faceood_log::Settings::default()).await;
    let mut row = full_record("-1", 1);
    row.outcome_note = Some("=HYPERLINK(\"http://example.com\")".to_owned());
    row.pose_yaw = Some(-3.5);
    log.append(row.clone()).await.unwrap();
    let mut out = Vec::new();
    export(log.reader(), &Filter::default(), Format::Csv, &mut out)
        .await
        .unwrap();
    let mut reader = csv::Reader::from_reader(&out[..]);
    let head = reader.headers().unwrap().clone();
    let cells = reader.records().next().unwrap().unwrap();
    let cell = |name: &str| &cells[head.iter().position(|column| column == name).unwrap()];
    assert_eq!(cell("outcome_note"), "'=HYPERLINK(\"http://example.com\")");
    assert_eq!((cell("request_id"), cell("pose_yaw")), ("'-1", "-3.5"));
    // Programs get what was written.
    let mut out = Vec::new();
    export(log.reader(), &Filter::default(), Format::Jsonl, &mut out)
        .await
        .unwrap();
    let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(line["outcome_note"], row.outcome_note.unwrap());
}
