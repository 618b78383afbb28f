//! Sums of each day's rows, to compare a log with what a centre has of it.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rusqlite::{Transaction, params};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::Outbox;
use super::position::WAITS;
use crate::scan::connect;
use crate::{LogError, LogFault};

/// Rows that a target has confirmed and not refused, from the time `?2` up to `?3`.
const CONFIRMED: &str = "SELECT substr(time, 1, 10), id, outcome IS NOT NULL FROM inferences AS confirmed, shipping \
    WHERE target = ?1 AND time >= ?2 AND time < ?3 AND (confirmed.seq <= shipping.seq \
    OR confirmed.seq IS NULL AND (time, confirmed.id) <= (old_time, old_id)) \
    AND NOT EXISTS (SELECT 1 FROM shipping_quarantine AS refused \
    WHERE refused.id = confirmed.id AND refused.target = ?1)";

/// Comes after every time as text.
const AFTER_ALL: &str = "~";

/// Every time of `day` is text between these two.
pub(super) fn bounds(day: NaiveDate) -> [String; 2] {
    let next = day.succ_opt().unwrap_or(NaiveDate::MAX);
    [day.to_string(), next.to_string()]
}

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

impl DayLedger {
    fn new(day: NaiveDate, sums: Sums) -> Self {
        Self {
            day,
            rows: sums.rows,
            id_high: sums.ids[0],
            id_low: sums.ids[1],
            outcomes: sums.outcomes,
        }
    }
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
        let read = |transaction: &Transaction<'_>, target: &str| {
            days(transaction, target, &[String::new(), AFTER_ALL.to_owned()])
        };
        let sums = self.at_one_moment(read).await?;
        // A time that cannot be read is of no day, and its row is in quarantine.
        let ledger = |(day, sums): (String, Sums)| Some(DayLedger::new(day.parse().ok()?, sums));
        Ok(sums.into_iter().filter_map(ledger).collect())
    }

    /// The same for the one `day`, and the rows of that day that the target has not confirmed in
    /// their present state: it may have each of them or not. At most 10,000 of these.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn day(&mut self, day: NaiveDate) -> Result<(DayLedger, Vec<Uuid>), LogError> {
        let read = move |transaction: &Transaction<'_>, target: &str| {
            let window = bounds(day);
            let sums = days(transaction, target, &window)?.remove(&window[0]);
            let mut waiting = transaction.prepare(&format!(
                "SELECT id FROM inferences AS waiting, shipping \
                 WHERE target = ?1 AND time >= ?2 AND time < ?3 AND {WAITS} LIMIT 10000"
            ))?;
            let waiting = waiting.query_map(params![target, window[0], window[1]], |row| {
                Ok(Uuid::try_parse(row.get_ref(0)?.as_str()?))
            })?;
            let waiting: Result<Vec<_>, _> = waiting.collect();
            Ok((sums.unwrap_or_default(), waiting?))
        };
        let (sums, waiting) = self.at_one_moment(read).await?;
        // An id that cannot be read is of a row that no target has.
        let waiting = waiting.into_iter().flatten().collect();
        Ok((DayLedger::new(day, sums), waiting))
    }

    /// Reads all that `read` asks for, while rows come and go.
    async fn at_one_moment<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(&Transaction<'_>, &str) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        self.position().await?;
        let (path, target) = (self.path.clone(), self.target.clone());
        let read = tokio::task::spawn_blocking(move || {
            let done = connect(&path, false)
                .and_then(|mut connection| read(&connection.transaction()?, &target));
            done.map_err(|error: rusqlite::Error| LogError::scan(&path, &error))
        });
        read.await.map_err(|_| LogFault::Closed)?
    }
}

fn days(
    transaction: &Transaction<'_>,
    target: &str,
    window: &[String; 2],
) -> rusqlite::Result<BTreeMap<String, Sums>> {
    let [begin, end] = window;
    let mut days: BTreeMap<String, Sums> = BTreeMap::new();
    let mut deleted = transaction.prepare(
        "SELECT day, rows, id_high, id_low, outcomes FROM pruned_days WHERE target = ?1 AND day >= ?2 AND day < ?3",
    )?;
    let mut deleted = deleted.query([target, begin, end])?;
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
    let mut confirmed = confirmed.query([target, begin, end])?;
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
