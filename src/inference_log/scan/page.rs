//! Many rows as one value: each a line of JSON, made by SQLite. The driver hands over every column of every row by itself, which takes
//! several times as long as all that is done with it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::super::{LogError, row};
use super::{BRIEF, COLUMNS, Observation, bad, finite, uuid};
use crate::quality::Component;

/// A text that is borrowed from the page where it needs no unescaping.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The columns of a line; [`COLUMNS`] up to [`BRIEF`].
#[derive(Deserialize)]
struct Line<'a>(
    #[serde(borrow)] Text<'a>,
    #[serde(borrow)] Text<'a>,
    #[serde(borrow)] Option<Text<'a>>,
    Option<f64>,
    Option<f64>,
    #[serde(borrow)] Option<Text<'a>>,
    #[serde(borrow)] Option<Text<'a>>,
    #[serde(borrow)] Option<Text<'a>>,
    #[serde(borrow)] Option<Text<'a>>,
    #[serde(borrow)] Option<Text<'a>>,
);

/// Shows the rows of a page to `visit`.
pub(super) fn show(
    lines: &str,
    visit: &mut impl FnMut(&Observation<'_>) -> Result<(), LogError>,
) -> Result<(), LogError> {
    for text in lines.lines() {
        visit(&Line::read(text)?.observation()?)?;
    }
    Ok(())
}

/// Time and id of the last row, after which the next page begins; `None` of an empty page.
pub(super) fn last(lines: &str) -> Result<Option<[String; 2]>, LogError> {
    let Some(text) = lines.lines().next_back() else {
        return Ok(None);
    };
    let Line(id, time, ..) = Line::read(text)?;
    Ok(Some([time, id].map(|text| text.0.into_owned())))
}

impl<'a> Line<'a> {
    fn read(text: &'a str) -> Result<Self, LogError> {
        serde_json::from_str(text).map_err(|_| misfit(text))
    }
}

impl Line<'_> {
    fn observation(&self) -> Result<Observation<'_>, LogError> {
        let Line(id, time, source, score, norm, pack, sha256, calibration, error, causes) = self;
        Ok(Observation {
            id: uuid(&id.0)?,
            time: row::parse_time(&time.0).map_err(|found| bad(1, &found))?,
            source: shown(source),
            quality_score: score.and_then(finite),
            embedding_norm: norm.and_then(finite),
            pack: shown(pack),
            pack_sha256: shown(sha256),
            calibration_id: shown(calibration),
            is_error: error.is_some(),
            causes_json: shown(causes),
            image_px: None,
            box_px: None,
            components: [None; Component::ALL.len()],
        })
    }
}

fn shown<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(|text| text.0.as_ref())
}

/// What is wrong with a line: the first column that holds another kind of value than it should.
fn misfit(line: &str) -> LogError {
    let Ok(values) = serde_json::from_str::<Vec<Value>>(line) else {
        return bad(usize::MAX, line);
    };
    let is_wrong = |(index, value): &(usize, &Value)| match COLUMNS[*index] {
        "id" | "time" => !value.is_string(),
        "quality_score" | "embedding_norm" => !(value.is_null() || value.is_number()),
        _ => !(value.is_null() || value.is_string()),
    };
    let wrong = values.iter().take(BRIEF).enumerate().find(is_wrong);
    wrong.map_or_else(
        || bad(usize::MAX, line),
        |(index, value)| bad(index, &format!("{value} in the row {}", values[0])),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, score: &str, source: &str) -> String {
        format!(
            r#"["{id}","2026-11-20T10:00:00.000000Z",{source},{score},0.5,"default","ab","cd",null,"[]"]"#
        )
    }

    const ID: &str = "0199aaaa-0000-7000-8000-000000000001";

    #[test]
    fn each_line_is_a_row_and_the_last_one_says_where_to_go_on() {
        let page = [
            line(ID, "0.25", "\"gate-1\""),
            line(ID, "null", "\"a\\nb\""),
        ]
        .join("\n");
        let mut seen = Vec::new();
        show(&page, &mut |row| {
            seen.push((row.source.map(str::to_owned), row.quality_score));
            Ok(())
        })
        .unwrap();
        let [time, id] = last(&page).unwrap().unwrap();
        assert_eq!(
            (time.as_str(), id.as_str()),
            ("2026-11-20T10:00:00.000000Z", ID)
        );
        let expected = [("gate-1", Some(0.25)), ("a\nb", None)];
        assert_eq!(
            seen,
            expected.map(|(source, score)| (Some(source.to_owned()), score))
        );
        assert!(last("").unwrap().is_none());
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_column() {
        for (text, column) in [
            (line(ID, "\"high\"", "null"), "quality_score"),
            (line(ID, "0.2", "7"), "source"),
            (line("17", "0.2", "null"), "id"),
        ] {
            let message = show(&text, &mut |_| Ok(())).unwrap_err().to_string();
            assert!(message.contains(column), "{message}");
        }
    }
}
