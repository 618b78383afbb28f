//! Reads only the columns that the analysis needs, so that millions of rows take seconds. The rows
//! come one by one, and no whole records are built.

use std::borrow::Cow;
use std::path::Path;

use chrono::{DateTime, Utc};
use faceood_engine::policy::{Action, Reason};
use faceood_engine::quality::{Cause, CauseName, Component};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OpenFlags, Row, params_from_iter};
use serde::Deserialize;
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::query::{Filter, LogReader, conditions};
use super::{InferenceRecord, LogError, row};

/// Rows of one read. Each read ends its transaction, so that SQLite can go on recycling its
/// write-ahead log.
const PAGE_ROWS: i64 = 20_000;

/// The columns before the components, in the order in which rows are read.
const SCANNED_COLUMNS: [&str; 16] = [
    "id",
    "time",
    "source",
    "quality_score",
    "embedding_norm",
    "pack",
    "pack_sha256",
    "calibration_id",
    "error_code",
    "causes",
    "action",
    "reasons",
    "image_width",
    "image_height",
    "box_width",
    "box_height",
];

/// So many of them say how good a capture was; the others and the components, what it is like.
const BRIEF: usize = 12;

/// The time of the row that was written halfway between the oldest and the newest row of a window.
const MIDDLE: &str = "SELECT time FROM inferences WHERE rowid >= \
    ((SELECT rowid FROM inferences WHERE time >= ?1 ORDER BY time, id LIMIT 1) \
    + (SELECT rowid FROM inferences WHERE time < ?2 ORDER BY time DESC, id DESC LIMIT 1)) / 2 \
    ORDER BY rowid LIMIT 1";

/// A row that has a score but no action, as other programs may write it, counts as not accepted up
/// to this score.
pub const LOW_SCORE: f32 = 0.4;

/// What analysis reads of one row. A column that does not apply, or that the row's schema did not
/// have, is `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation<'a> {
    /// The row's id.
    pub id: Uuid,
    /// When the outcome was known.
    pub time: DateTime<Utc>,
    /// The caller's terminal or camera id.
    pub source: Option<&'a str>,
    /// The quality score, 0…1.
    pub quality_score: Option<f32>,
    /// Length of the embedding before normalisation.
    pub embedding_norm: Option<f32>,
    /// Name of the model pack.
    pub pack: Option<&'a str>,
    /// SHA-256 of the model pack.
    pub pack_sha256: Option<&'a str>,
    /// Which calibration was used.
    pub calibration_id: Option<&'a str>,
    /// The problem code of a failed request, in the word of the release that wrote the row.
    pub error_code: Option<&'a str>,
    /// The causes as JSON; [`Self::causes`] reads them.
    pub causes_json: Option<&'a str>,
    /// What the scenario's policy decided, in the word of the release that wrote the row.
    pub action: Option<&'a str>,
    /// Why the action is not accept, as JSON; [`Self::reasons`] reads them.
    pub reasons_json: Option<&'a str>,
    /// Width and height of the upright picture, pixels.
    pub image_px: Option<[f32; 2]>,
    /// Width and height of the face's box, pixels.
    pub box_px: Option<[f32; 2]>,
    /// Every component, in the order of [`Component::ALL`].
    pub components: [Option<f32>; Component::ALL.len()],
}

/// A cause as it is written, whichever release wrote it.
#[derive(Deserialize)]
struct WrittenCause<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    weight: f32,
}

impl<'a> Observation<'a> {
    /// Names of the columns that an observation is made of.
    pub fn columns() -> impl Iterator<Item = &'static str> {
        let components = Component::ALL.iter().map(|component| component.name());
        SCANNED_COLUMNS.into_iter().chain(components)
    }

    /// Makes an observation of a row's columns. `text` and `number` read the column of a name,
    /// `time` reads the column `time`. They return `None` where it has no such value; `text` says
    /// what is wrong with a value that is no text.
    ///
    /// # Errors
    /// [`LogError::BadColumn`] where a text, the id or the time is not what it should be.
    pub fn from_columns(
        text: impl Fn(&'static str) -> Result<Option<&'a str>, String>,
        number: impl Fn(&'static str) -> Option<f32>,
        time: impl FnOnce() -> Option<DateTime<Utc>>,
    ) -> Result<Self, LogError> {
        let bad = |column, found| LogError::BadColumn { column, found };
        let text = |column| text(column).map_err(|found| bad(column, found));
        let pair = |first, second| Some([number(first)?, number(second)?]);
        let id = text("id")?.unwrap_or_default();
        Ok(Self {
            id: Uuid::try_parse(id)
                .map_err(|error| bad("id", format!("{id:?} is no UUID: {error}")))?,
            time: time().ok_or_else(|| bad("time", "is no time in microseconds".to_owned()))?,
            source: text("source")?,
            quality_score: number("quality_score"),
            embedding_norm: number("embedding_norm"),
            pack: text("pack")?,
            pack_sha256: text("pack_sha256")?,
            calibration_id: text("calibration_id")?,
            error_code: text("error_code")?,
            causes_json: text("causes")?,
            action: text("action")?,
            reasons_json: text("reasons")?,
            image_px: pair("image_width", "image_height"),
            box_px: pair("box_width", "box_height"),
            components: Component::ALL.map(|component| number(component.name())),
        })
    }

    /// What pulls the score down; empty where nothing is written. `None` is a cause that this
    /// release does not know: a centre has rows of newer boxes.
    ///
    /// # Errors
    /// [`LogError::BadColumn`] where the column holds no list of causes.
    pub fn causes(&self) -> Result<Vec<Option<Cause>>, LogError> {
        let Some(json) = self.causes_json else {
            return Ok(Vec::new());
        };
        let written: Result<Vec<WrittenCause<'_>>, _> = serde_json::from_str(json);
        let written = written.map_err(|error| LogError::BadColumn {
            column: "causes",
            found: format!("row {}: {json:?} does not fit: {error}", self.id),
        })?;
        let known = |cause: WrittenCause<'_>| {
            CauseName::from_name(&cause.name).map(|name| Cause {
                name,
                weight: cause.weight,
            })
        };
        Ok(written.into_iter().map(known).collect())
    }

    /// Why the action is not accept; empty where nothing is written. Reasons that this release does
    /// not know are left out: a centre has rows of newer boxes.
    ///
    /// # Errors
    /// [`LogError::BadColumn`] where the column holds no list of reasons.
    pub fn reasons(&self) -> Result<Vec<Reason>, LogError> {
        let Some(json) = self.reasons_json else {
            return Ok(Vec::new());
        };
        let written: Result<Vec<Cow<'_, str>>, _> = serde_json::from_str(json);
        let written = written.map_err(|error| LogError::BadColumn {
            column: "reasons",
            found: format!("row {}: {json:?} does not fit: {error}", self.id),
        })?;
        let known = written.iter().filter_map(|name| Reason::from_name(name));
        Ok(known.collect())
    }

    /// Whether the capture was judged and not accepted: by its action, or up to [`LOW_SCORE`] where
    /// the row has none.
    pub fn is_refused(&self) -> bool {
        let by_action = self.action.map(|action| action != Action::Accept.name());
        self.quality_score
            .is_some_and(|score| by_action.unwrap_or(score <= LOW_SCORE))
    }
}

impl LogReader {
    /// Opens an existing log as [`LogReader::open`] does. Also opens a log of an older schema,
    /// without migrating it, such as a backup of another box. Only [`scan`](Self::scan) and
    /// [`count`](Self::count) are sure to work on it.
    ///
    /// # Errors
    /// As [`LogReader::open`], but for [`LogError::OlderSchema`].
    pub async fn open_any_age(path: &Path) -> Result<Self, LogError> {
        let (reader, found) = Self::open_of_any_version(path).await?;
        if found == 0 || found > super::newest_version() {
            super::schema::expect_newest(path, found)?;
        }
        Ok(reader)
    }

    /// The row with this id.
    ///
    /// # Errors
    /// What the database says, or [`LogError::BadColumn`].
    pub async fn by_id(&self, id: Uuid) -> Result<Option<InferenceRecord>, LogError> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(row::column_list());
        query
            .push(" FROM inferences WHERE id = ")
            .push_bind(id.to_string());
        let found = query.build().fetch_optional(&self.pool()).await;
        let found = found.map_err(|error| self.failed(error))?;
        found.as_ref().map(row::from_row).transpose()
    }

    /// The name of the box that writes this log, where it says so; logs of older releases do not.
    ///
    /// # Errors
    /// What the database says.
    pub async fn node(&self) -> Result<Option<String>, LogError> {
        let is_known = sqlx::query_scalar(
            "SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = 'log_identity'",
        );
        let is_known: bool = is_known
            .fetch_one(&self.pool())
            .await
            .map_err(|error| self.failed(error))?;
        if !is_known {
            return Ok(None);
        }
        let node = sqlx::query_scalar("SELECT node FROM log_identity")
            .fetch_optional(&self.pool())
            .await;
        Ok(node.map_err(|error| self.failed(error))?.flatten())
    }

    /// The picture kept with a row: `None` where there is none, or no such row.
    ///
    /// # Errors
    /// What the database says.
    pub async fn thumbnail(&self, id: Uuid) -> Result<Option<Vec<u8>>, LogError> {
        let picture = sqlx::query_scalar("SELECT thumbnail FROM inferences WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(&self.pool())
            .await;
        Ok(picture.map_err(|error| self.failed(error))?.flatten())
    }

    /// Shows the rows with these ids to `visit`; an id without a row is left out. Blocks the
    /// thread.
    ///
    /// # Errors
    /// What the database or `visit` says, or [`LogError::BadColumn`].
    pub fn scan_ids(
        &self,
        ids: &[Uuid],
        mut visit: impl FnMut(&Observation<'_>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let failed = |error: rusqlite::Error| LogError::scan(self.path(), &error);
        let connection = connect(self.path(), self.is_still).map_err(failed)?;
        let columns = columns(&connection).map_err(failed)?.join(", ");
        let query = format!("SELECT {columns} FROM inferences WHERE id = ?");
        let mut statement = connection.prepare(&query).map_err(failed)?;
        for id in ids {
            let mut rows = statement.query([id.to_string()]).map_err(failed)?;
            while let Some(found) = rows.next().map_err(failed)? {
                visit(&complete(found)?)?;
            }
        }
        Ok(())
    }

    /// Shows every row that `filter` finds to `visit`, oldest first and without sizes and
    /// components; its limit and order do not matter. Rows that are written meanwhile may or may
    /// not be among them; no other is missed or shown twice. Blocks the thread.
    ///
    /// # Errors
    /// What the database or `visit` says, or [`LogError::BadColumn`].
    pub fn scan(
        &self,
        filter: &Filter,
        mut visit: impl FnMut(&Observation<'_>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let failed = |error: rusqlite::Error| LogError::scan(self.path(), &error);
        let connection = connect(self.path(), self.is_still).map_err(failed)?;
        let columns = columns(&connection).map_err(failed)?[..BRIEF].join(", ");
        let mut query = format!("SELECT {columns} FROM inferences WHERE (time, id) > (?, ?)");
        // Every row comes after this place.
        let mut bound = vec![Value::Text(String::new()); 2];
        for (condition, value) in conditions(filter) {
            query += " AND ";
            query += condition;
            if let Some(value) = value {
                query.push('?');
                bound.push(value);
            }
        }
        query += " ORDER BY time, id LIMIT ?";
        bound.push(Value::Integer(PAGE_ROWS));
        let mut statement = connection.prepare(&query).map_err(failed)?;
        loop {
            let mut rows = statement.query(params_from_iter(&bound)).map_err(failed)?;
            let mut count = 0;
            while let Some(found) = rows.next().map_err(failed)? {
                visit(&brief(found)?)?;
                count += 1;
                if count == PAGE_ROWS {
                    bound[0] = text(found, 1)?.to_owned().into();
                    bound[1] = text(found, 0)?.to_owned().into();
                }
            }
            if count < PAGE_ROWS {
                return Ok(());
            }
        }
    }

    /// Splits `filter` by time, so that threads can [`scan`](Self::scan) its parts at once: they
    /// come in the order of time, and each row is in one of them. Where rows were written in the
    /// order of time, the parts have about as many rows each.
    ///
    /// # Errors
    /// What the database says, or [`LogError::BadColumn`].
    pub fn halves(&self, filter: &Filter) -> Result<Vec<Filter>, LogError> {
        let failed = |error: rusqlite::Error| LogError::scan(self.path(), &error);
        let bound = |time: Option<DateTime<Utc>>, default: &str| {
            time.map_or_else(|| default.to_owned(), row::time_text)
        };
        // Every time is text after "" and before "~".
        let window = [bound(filter.since, ""), bound(filter.until, "~")];
        let connection = connect(self.path(), self.is_still).map_err(failed)?;
        let mut found = connection.prepare(MIDDLE).map_err(failed)?;
        let mut found = found.query(window).map_err(failed)?;
        let Some(middle) = found.next().map_err(failed)? else {
            return Ok(vec![filter.clone()]);
        };
        let middle =
            row::parse_time(text(middle, 0)?).map_err(|why| bad_scanned_column(1, &why))?;
        let mut parts = vec![filter.clone(); 2];
        parts[0].until = Some(filter.until.map_or(middle, |until| until.min(middle)));
        parts[1].since = Some(filter.since.map_or(middle, |since| since.max(middle)));
        Ok(parts)
    }
}

/// A connection of the calling thread. The pool's driver copies every column of every row and hands
/// it over from a thread of its own, which takes several times as long as all that a scan does with
/// a row.
pub(super) fn connect(path: &Path, is_still: bool) -> Result<Connection, rusqlite::Error> {
    let path = path.to_string_lossy();
    let path = path
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    let uri = format!("file:{path}?immutable={}", u8::from(is_still));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags)
}

/// An observation's columns as SQL; one that the table does not have is read as NULL.
fn columns(connection: &Connection) -> Result<Vec<&'static str>, rusqlite::Error> {
    let present: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info('inferences')")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let or_null = |name| {
        let is_there = present.iter().any(|column| column == name);
        if is_there { name } else { "NULL" }
    };
    Ok(Observation::columns().map(or_null).collect())
}

/// Reads the first [`BRIEF`] columns.
fn brief<'a>(found: &'a Row<'_>) -> Result<Observation<'a>, LogError> {
    let (id, time) = (text(found, 0)?, text(found, 1)?);
    Ok(Observation {
        id: Uuid::try_parse(id)
            .map_err(|error| bad_scanned_column(0, &format!("{id:?} is no UUID: {error}")))?,
        time: row::parse_time(time).map_err(|why| misfit(found, 1, &why))?,
        source: optional_text(found, 2)?,
        quality_score: real(found, 3)?,
        embedding_norm: real(found, 4)?,
        pack: optional_text(found, 5)?,
        pack_sha256: optional_text(found, 6)?,
        calibration_id: optional_text(found, 7)?,
        error_code: optional_text(found, 8)?,
        causes_json: optional_text(found, 9)?,
        action: optional_text(found, 10)?,
        reasons_json: optional_text(found, 11)?,
        image_px: None,
        box_px: None,
        components: [None; Component::ALL.len()],
    })
}

/// Reads all columns.
fn complete<'a>(found: &'a Row<'_>) -> Result<Observation<'a>, LogError> {
    let pair = |first| -> Result<Option<[f32; 2]>, LogError> {
        Ok(real(found, first)?
            .zip(real(found, first + 1)?)
            .map(Into::into))
    };
    let mut components = [None; Component::ALL.len()];
    for (value, index) in components.iter_mut().zip(SCANNED_COLUMNS.len()..) {
        *value = real(found, index)?;
    }
    Ok(Observation {
        image_px: pair(12)?,
        box_px: pair(14)?,
        components,
        ..brief(found)?
    })
}

fn text<'a>(found: &'a Row<'_>, index: usize) -> Result<&'a str, LogError> {
    optional_text(found, index)?.ok_or_else(|| misfit(found, index, "there is no value"))
}

fn optional_text<'a>(found: &'a Row<'_>, index: usize) -> Result<Option<&'a str>, LogError> {
    found
        .get_ref(index)
        .map_err(|error| bad_scanned_column(index, &error.to_string()))?
        .as_str_or_null()
        .map_err(|error| misfit(found, index, &error.to_string()))
}

/// A number; whole ones, as sizes are, count as such.
fn real(found: &Row<'_>, index: usize) -> Result<Option<f32>, LogError> {
    match found.get_ref(index) {
        Ok(ValueRef::Null) => Ok(None),
        Ok(ValueRef::Real(number)) => Ok(finite(number)),
        Ok(ValueRef::Integer(number)) => Ok(finite(number as f64)),
        Ok(other) => Err(misfit(
            found,
            index,
            &format!("a {} where a number belongs", other.data_type()),
        )),
        Err(error) => Err(bad_scanned_column(index, &error.to_string())),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "stored from an f32")]
fn finite(number: f64) -> Option<f32> {
    Some(number as f32).filter(|number| number.is_finite())
}

/// What is wrong with a value, and in which row.
fn misfit(found: &Row<'_>, index: usize, why: &str) -> LogError {
    let id = found.get_ref(0).ok().and_then(|id| id.as_str().ok());
    bad_scanned_column(index, &format!("{why}, in the row {}", id.unwrap_or("?")))
}

/// The error for what was found in a scanned column, by its place.
fn bad_scanned_column(index: usize, found: &str) -> LogError {
    LogError::BadColumn {
        column: Observation::columns().nth(index).unwrap_or("?"),
        found: found.to_owned(),
    }
}

#[cfg(test)]
mod tests;
