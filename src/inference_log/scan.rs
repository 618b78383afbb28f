//! Reading the log for analysis: the columns that say how good a capture was, row after row and without building whole records,
//! so that millions of rows take seconds.

use std::path::Path;
use std::task::Poll;

use chrono::{DateTime, Utc};
use futures_util::{TryStreamExt, poll};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, SqliteConnection};
use uuid::Uuid;

use super::query::{Filter, LogReader, restrict};
use super::{InferenceRecord, LogError, row};
use crate::quality::{Cause, Component};

mod page;
mod parquet;

pub use parquet::scan_parquet;

/// Rows of one read. Each read ends its transaction, so that SQLite can go on recycling its write-ahead log.
const PAGE_ROWS: usize = 20_000;

/// The columns before the components, in the order in which [`observe`] and [`page`] read them.
const COLUMNS: [&str; 14] = [
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
    "image_width",
    "image_height",
    "box_width",
    "box_height",
];

/// So many of them say how good a capture was; the others and the components, what it is like.
const BRIEF: usize = 10;

/// Ids of one read.
const PAGE_IDS: usize = 500;

/// What analysis reads of one row. A column that does not apply, or that the row's schema did not have, is `None`.
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
    /// Whether the request failed.
    pub is_error: bool,
    /// The causes as JSON; [`Self::causes`] reads them.
    pub causes_json: Option<&'a str>,
    /// Width and height of the upright picture, pixels.
    pub image_px: Option<[f32; 2]>,
    /// Width and height of the face's box, pixels.
    pub box_px: Option<[f32; 2]>,
    /// Every component, in the order of [`Component::ALL`].
    pub components: [Option<f32>; Component::ALL.len()],
}

impl Observation<'_> {
    /// What pulls the score down; empty where nothing is written.
    ///
    /// # Errors
    /// [`LogError::BadColumn`] where the column holds no list of causes.
    pub fn causes(&self) -> Result<Vec<Cause>, LogError> {
        let Some(json) = self.causes_json else {
            return Ok(Vec::new());
        };
        serde_json::from_str(json).map_err(|error| LogError::BadColumn {
            column: "causes",
            found: format!("row {}: {json:?} does not fit: {error}", self.id),
        })
    }
}

impl LogReader {
    /// Opens an existing log as [`LogReader::open`] does, but one of an older schema, too: a backup of another box need not be brought
    /// up to date only to be looked at. Only [`scan`](Self::scan) and [`count`](Self::count) are sure to work on it.
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

    /// Shows the rows with these ids to `visit`, in any order; an id without a row is left out.
    ///
    /// # Errors
    /// What the database or `visit` says, or [`LogError::BadColumn`].
    pub async fn scan_ids(
        &self,
        ids: &[Uuid],
        mut visit: impl FnMut(&Observation<'_>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let columns = self.columns().await?.join(", ");
        for some in ids.chunks(PAGE_IDS) {
            let mut query = QueryBuilder::new("SELECT ");
            query.push(&columns);
            query.push(" FROM inferences WHERE id IN (");
            let mut list = query.separated(", ");
            for id in some {
                list.push_bind(id.to_string());
            }
            query.push(")");
            let pool = self.pool();
            let mut rows = query.build().fetch(&pool);
            while let Some(found) = rows.try_next().await.map_err(|e| self.failed(e))? {
                visit(&observe(&found)?)?;
            }
        }
        Ok(())
    }

    /// [`COLUMNS`] and the components as SQL; one that the table does not have is read as NULL.
    async fn columns(&self) -> Result<Vec<&'static str>, LogError> {
        let present: Vec<String> =
            sqlx::query_scalar("SELECT name FROM pragma_table_info('inferences')")
                .fetch_all(&self.pool())
                .await
                .map_err(|error| self.failed(error))?;
        let or_null = |name| {
            let is_there = present.iter().any(|column| column == name);
            if is_there { name } else { "NULL" }
        };
        let components = Component::ALL.iter().map(|component| component.name());
        Ok(COLUMNS.into_iter().chain(components).map(or_null).collect())
    }

    /// Shows every row that `filter` finds to `visit`, oldest first and without sizes and components; its limit and order do not matter.
    /// Rows that are written meanwhile may or may not be among them; no other is missed or shown twice.
    ///
    /// # Errors
    /// What the database or `visit` says, or [`LogError::BadColumn`].
    pub async fn scan(
        &self,
        filter: &Filter,
        mut visit: impl FnMut(&Observation<'_>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let columns = self.columns().await?[..BRIEF].join(", ");
        let pool = self.pool();
        let mut connection = pool.acquire().await.map_err(|error| self.failed(error))?;
        let mut lines = read_page(&mut connection, &columns, filter, None)
            .await
            .map_err(|error| self.failed(error))?;
        while let Some(last) = page::last(&lines)? {
            let more = read_page(&mut connection, &columns, filter, Some(last));
            let mut more = std::pin::pin!(more);
            // The database's own thread reads the next page while this one is looked at.
            let begun = poll!(more.as_mut());
            page::show(&lines, &mut visit)?;
            let read = match begun {
                Poll::Ready(read) => read,
                Poll::Pending => more.await,
            };
            lines = read.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }
}

/// The rows that `filter` finds after the one of this time and id, [`PAGE_ROWS`] at most.
async fn read_page(
    connection: &mut SqliteConnection,
    columns: &str,
    filter: &Filter,
    after: Option<[String; 2]>,
) -> Result<String, sqlx::Error> {
    let mut query =
        QueryBuilder::new("SELECT group_concat(line, char(10)) FROM (SELECT json_array(");
    query.push(columns).push(") AS line FROM inferences");
    restrict(&mut query, filter);
    if let Some([time, id]) = after {
        query.push(" AND (time, id) > (").push_bind(time);
        query.push(", ").push_bind(id).push(")");
    }
    query.push(format!(" ORDER BY time, id LIMIT {PAGE_ROWS})"));
    let lines: Option<String> = query.build_query_scalar().fetch_one(connection).await?;
    Ok(lines.unwrap_or_default())
}

fn observe(found: &SqliteRow) -> Result<Observation<'_>, LogError> {
    let time = text(found, 1)?;
    let id = text(found, 0)?;
    let mut components = [None; Component::ALL.len()];
    for (value, index) in components.iter_mut().zip(COLUMNS.len()..) {
        *value = real(found, index)?;
    }
    let pair = |first| -> Result<Option<[f32; 2]>, LogError> {
        Ok(real(found, first)?
            .zip(real(found, first + 1)?)
            .map(Into::into))
    };
    Ok(Observation {
        id: uuid(id)?,
        time: row::parse_time(time).map_err(|found| bad(1, &found))?,
        source: optional_text(found, 2)?,
        quality_score: real(found, 3)?,
        embedding_norm: real(found, 4)?,
        pack: optional_text(found, 5)?,
        pack_sha256: optional_text(found, 6)?,
        calibration_id: optional_text(found, 7)?,
        is_error: optional_text(found, 8)?.is_some(),
        causes_json: optional_text(found, 9)?,
        image_px: pair(10)?,
        box_px: pair(12)?,
        components,
    })
}

fn uuid(text: &str) -> Result<Uuid, LogError> {
    Uuid::try_parse(text).map_err(|error| bad(0, &format!("{text:?} is no UUID: {error}")))
}

fn text(found: &SqliteRow, index: usize) -> Result<&str, LogError> {
    found
        .try_get(index)
        .map_err(|error| bad(index, &error.to_string()))
}

fn optional_text(found: &SqliteRow, index: usize) -> Result<Option<&str>, LogError> {
    found
        .try_get(index)
        .map_err(|error| bad(index, &error.to_string()))
}

/// A number; whole ones, as sizes are, count as such.
fn real(found: &SqliteRow, index: usize) -> Result<Option<f32>, LogError> {
    let number: Option<f64> = found
        .try_get_unchecked(index)
        .map_err(|error| bad(index, &error.to_string()))?;
    Ok(number.and_then(finite))
}

#[expect(clippy::cast_possible_truncation, reason = "stored from an f32")]
fn finite(number: f64) -> Option<f32> {
    Some(number as f32).filter(|number| number.is_finite())
}

fn bad(index: usize, found: &str) -> LogError {
    let component = || Component::ALL.get(index.wrapping_sub(COLUMNS.len()));
    LogError::BadColumn {
        column: COLUMNS
            .get(index)
            .copied()
            .or_else(|| component().map(|component| component.name()))
            .unwrap_or("?"),
        found: found.to_owned(),
    }
}
