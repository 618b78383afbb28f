//! Sums of each day's rows, to compare a log with what a centre has of it.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;
use rusqlite::Connection;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::Outbox;
use crate::scan::connect;
use crate::{LogError, LogFault};

/// Rows that a target has confirmed and not refused.
const CONFIRMED: &str = "SELECT substr(time, 1, 10), id, outcome IS NOT NULL FROM inferences AS confirmed, shipping \
    WHERE target = ?1 AND (confirmed.seq <= shipping.seq \
    OR confirmed.seq IS NULL AND (time, confirmed.id) <= (old_time, old_id)) \
    AND NOT EXISTS (SELECT 1 FROM shipping_quarantine AS refused \
    WHERE refused.id = confirmed.id AND refused.target = ?1)";

/// The rows of one UTC day in four numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayLedger {
    /// The day of the rows' times.
    pub day: NaiveDate,
    /// How many rows.
    pub rows: u64,
    /// XOR of the first 64 bits of their ids.
    pub id_high: u64,
    /// XOR of the last 64 bits of their ids.
    pub id_low: u64,
    /// How many have an outcome.
    pub outcomes: u64,
}

/// Sums of one day, without the day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) rows: u64,
    pub(crate) ids: [u64; 2],
    pub(crate) outcomes: u64,
}

impl Sums {
    pub(crate) fn add(&mut self, id: Uuid, has_outcome: bool) {
        let (high, low) = id.as_u64_pair();
        self.join(&Self {
            rows: 1,
            ids: [high, low],
            outcomes: u64::from(has_outcome),
        });
    }

    /// Adds the sums to those of the rows of `day` that were deleted after `target` had got them.
    pub(crate) async fn write(
        &self,
        connection: &mut SqliteConnection,
        target: &str,
        day: &str,
    ) -> Result<(), sqlx::Error> {
        // SQLite has no operator for XOR.
        sqlx::query(
            "INSERT INTO pruned_days (target, day, rows, id_high, id_low, outcomes) VALUES (?, ?, ?, ?, ?, ?) \
             ON CONFLICT DO UPDATE SET rows = rows + excluded.rows, outcomes = outcomes + excluded.outcomes, \
             id_high = (id_high | excluded.id_high) & ~(id_high & excluded.id_high), \
             id_low = (id_low | excluded.id_low) & ~(id_low & excluded.id_low)",
        )
        .bind(target)
        .bind(day)
        .bind(self.rows.cast_signed())
        .bind(self.ids[0].cast_signed())
        .bind(self.ids[1].cast_signed())
        .bind(self.outcomes.cast_signed())
        .execute(connection)
        .await
        .map(drop)
    }

    fn join(&mut self, other: &Self) {
        self.rows += other.rows;
        self.outcomes += other.outcomes;
        for (ours, theirs) in self.ids.iter_mut().zip(other.ids) {
            *ours ^= theirs;
        }
    }
}

impl Outbox {
    /// For each UTC day, by day: the rows that the target has confirmed, whether they are still here
    /// or were deleted since; without those in quarantine. Reads the whole log. What gets feedback
    /// counts again when it has been shipped again, so ask when nothing waits.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn days(&mut self) -> Result<Vec<DayLedger>, LogError> {
        self.position().await?;
        let (path, target) = (self.path.clone(), self.target.clone());
        let read = tokio::task::spawn_blocking(move || {
            days(&path, &target).map_err(|error| LogError::scan(&path, error))
        });
        let sums = read.await.map_err(|_| LogFault::Closed)??;
        let ledger = |(day, sums): (String, Sums)| {
            // A time that cannot be read is of no day, and its row is in quarantine.
            let day = day.parse().ok()?;
            Some(DayLedger {
                day,
                rows: sums.rows,
                id_high: sums.ids[0],
                id_low: sums.ids[1],
                outcomes: sums.outcomes,
            })
        };
        Ok(sums.into_iter().filter_map(ledger).collect())
    }
}

fn days(path: &Path, target: &str) -> Result<BTreeMap<String, Sums>, rusqlite::Error> {
    let mut connection: Connection = connect(path, false)?;
    // One moment for both tables: a row that is deleted goes from one into the other.
    let transaction = connection.transaction()?;
    let mut days: BTreeMap<String, Sums> = BTreeMap::new();
    let mut deleted = transaction.prepare(
        "SELECT day, rows, id_high, id_low, outcomes FROM pruned_days WHERE target = ?1",
    )?;
    let mut deleted = deleted.query([target])?;
    while let Some(found) = deleted.next()? {
        let number = |index| found.get(index).map(i64::cast_unsigned);
        let sums = Sums {
            rows: number(1)?,
            ids: [number(2)?, number(3)?],
            outcomes: number(4)?,
        };
        days.insert(found.get(0)?, sums);
    }
    let mut confirmed = transaction.prepare(CONFIRMED)?;
    let mut confirmed = confirmed.query([target])?;
    while let Some(found) = confirmed.next()? {
        let (day, id) = (found.get_ref(0)?.as_str()?, found.get_ref(1)?.as_str()?);
        let Ok(id) = Uuid::try_parse(id) else {
            continue;
        };
        let has_outcome = found.get(2)?;
        if let Some(sums) = days.get_mut(day) {
            sums.add(id, has_outcome);
        } else {
            let mut sums = Sums::default();
            sums.add(id, has_outcome);
            days.insert(day.to_owned(), sums);
        }
    }
    Ok(days)
}
