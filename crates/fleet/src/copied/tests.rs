use super::*;

/// What PostgreSQL 15.18 sent for
/// `COPY (SELECT * FROM (VALUES ('gate-1'::text, '[{"name": "noise", "weight": 0.5}]'::jsonb,
/// 0.25::real, 7::bigint, true, '2026-11-13 08:00:00.123456+00'::timestamptz,
/// '0199b3f2-5f0e-7c31-8a41-0b6f1f0e9c55'::uuid, 1.5::double precision), (NULL, NULL, 'NaN'::real,
/// -1, false, '1999-12-31 23:59:59+00', '0199b3f2-5f0e-7c31-8a41-0b6f1f0e9c56', NULL)) AS v) TO
/// STDOUT (FORMAT binary)`, as hexadecimal.
const SENT: &str = "\
    5047434f50590aff0d0a000000000000000000000800000006676174652d3100000023015b7b226e\
    616d65223a20226e6f697365222c2022776569676874223a20302e357d5d000000043e8000000000\
    00080000000000000007000000010100000008000303229561e240000000100199b3f25f0e7c318a\
    410b6f1f0e9c55000000083ff80000000000000008ffffffffffffffff000000047fc00000000000\
    08ffffffffffffffff000000010000000008fffffffffff0bdc0000000100199b3f25f0e7c318a41\
    0b6f1f0e9c56ffffffffffff";

fn sent() -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&SENT[at..at + 2], 16).unwrap();
    (0..SENT.len()).step_by(2).map(digit).collect()
}

/// The rows of a stream that comes in such chunks, as text.
fn read<'a>(
    fields: usize,
    chunks: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<String>, CopyError> {
    let mut decoder = CopyDecoder::new(fields);
    let mut rows = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk, |row| -> Result<(), CopyError> {
            let strings = (row.text(0)?, row.jsonb(1)?);
            let numbers = (row.real(2)?, row.bigint(3)?, row.double(7)?);
            let keys = (row.time(5)?.map(|time| time.to_rfc3339()), row.uuid(6)?);
            rows.push(format!("{strings:?} {numbers:?} {keys:?}"));
            Ok(())
        })?;
    }
    decoder.finish().map(|()| rows)
}

#[test]
fn rows_are_read_however_the_stream_is_cut() {
    let sent = sent();
    let whole = read(8, [sent.as_slice()].into_iter()).unwrap();
    assert_eq!(
        whole,
        [
            r#"(Some("gate-1"), Some("[{\"name\": \"noise\", \"weight\": 0.5}]")) (Some(0.25), Some(7), Some(1.5)) (Some("2026-11-13T08:00:00.123456+00:00"), Some(0199b3f2-5f0e-7c31-8a41-0b6f1f0e9c55))"#,
            r#"(None, None) (None, Some(-1), None) (Some("1999-12-31T23:59:59+00:00"), Some(0199b3f2-5f0e-7c31-8a41-0b6f1f0e9c56))"#,
        ]
    );
    for length in 1..sent.len() {
        assert_eq!(
            read(8, sent.chunks(length)).as_ref(),
            Ok(&whole),
            "{length}"
        );
        let two = [&sent[..length], &sent[length..]];
        assert_eq!(read(8, two.into_iter()).as_ref(), Ok(&whole), "{length}");
    }
}

#[test]
fn a_stream_that_ends_early_is_refused_wherever_it_ends() {
    let sent = sent();
    for length in 0..sent.len() {
        let part = [&sent[..length]];
        assert_eq!(
            read(8, part.into_iter()),
            Err(CopyError::Truncated),
            "{length}"
        );
    }
}

#[test]
fn what_is_no_copy_is_refused() {
    let changed = |at: usize, byte: u8| {
        let mut sent = sent();
        sent[at] = byte;
        read(8, [sent.as_slice()].into_iter()).unwrap_err()
    };
    assert_eq!(changed(0, b'p'), CopyError::Head);
    // The flag for OIDs, and an extension of negative length.
    assert_eq!(changed(12, 1), CopyError::Head);
    assert_eq!(changed(15, 0xff), CopyError::Head);
    let fields = CopyError::Fields {
        found: 7,
        expected: 8,
    };
    assert_eq!(changed(20, 7), fields);
    assert_eq!(changed(21, 0x7f), CopyError::Length);
    assert_eq!(changed(21, 0x80), CopyError::Length);
    let text = CopyError::Value {
        field: 0,
        expected: "text",
    };
    assert_eq!(changed(25, 0xff), text);
    let json = CopyError::Value {
        field: 1,
        expected: "jsonb",
    };
    assert_eq!(changed(35, 2), json);
    let mut longer = sent();
    longer.push(0);
    assert_eq!(
        read(8, [longer.as_slice()].into_iter()),
        Err(CopyError::Surplus)
    );
    // A row that never ends does not fill the memory.
    let mut endless = sent()[..21].to_vec();
    endless.extend((LONGEST_ROW as i32).to_be_bytes());
    let zeros = vec![0; 1 << 20];
    let chunks = [endless.as_slice()]
        .into_iter()
        .chain(std::iter::repeat_n(zeros.as_slice(), 16));
    assert!(read(8, chunks).is_err());
}

#[test]
fn an_infinite_time_and_a_text_of_another_kind_are_named() {
    let fields = [
        Some(i64::MAX.to_be_bytes().as_slice().to_vec()),
        Some(vec![1, 2]),
    ];
    let fields: Vec<Option<&[u8]>> = fields.iter().map(Option::as_deref).collect();
    let row = CopiedRow { fields: &fields };
    let time = CopyError::Value {
        field: 0,
        expected: "timestamptz",
    };
    assert_eq!(row.time(0), Err(time));
    let real = CopyError::Value {
        field: 1,
        expected: "real",
    };
    assert_eq!(row.real(1), Err(real));
    assert_eq!(row.uuid(2), Ok(None));
}
