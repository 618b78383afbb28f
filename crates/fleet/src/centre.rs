//! A box's connection to the centre: batches of rows, what the box is, and what the centre holds of
//! it.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};
use faceood_log::{Column, LateFeedback, Value};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use uuid::Uuid;

use crate::connection::{Link, Purpose};
use crate::{CentreAddress, FleetError, copy, schema};

/// Where a centre has taken no row of a batch and refused so many without a visible fault, the
/// fault is its own.
const MOST_REFUSED: usize = 50;

/// One row of a box's log, as it is shipped.
#[derive(Clone, Copy, Debug)]
pub struct ShippedRow<'a> {
    /// The log's own count.
    pub seq: Option<i64>,
    /// The row's id.
    pub id: Uuid,
    /// The row's time.
    pub time: DateTime<Utc>,
    /// Its values, in the order of the columns that go with the batch.
    pub values: &'a [Value],
}

/// What the centre did with rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Rows that were new to it.
    pub rows: u64,
    /// Rows that it had, and whose outcome is newer now.
    pub outcomes: u64,
    /// Rows that it cannot take, with what the server has against them.
    pub refused: Vec<(Uuid, String)>,
}

/// What a box says of itself at each visit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoxFacts {
    /// Which log it ships.
    pub log_id: Uuid,
    /// Who ships: one start of a machine, with one file.
    pub instance: Uuid,
    /// Release of faceood.
    pub version: String,
    /// Of the newest row: name, version and SHA-256 of the pack.
    pub pack: Option<String>,
    /// See `pack`.
    pub pack_version: Option<String>,
    /// See `pack`.
    pub pack_sha256: Option<String>,
    /// Of the newest row.
    pub calibration_id: Option<String>,
    /// Of the newest row.
    pub provider: Option<String>,
    /// Rows that wait for the centre.
    pub unshipped: u64,
    /// The time of the oldest of them.
    pub oldest: Option<DateTime<Utc>>,
    /// Rows that the centre could not take.
    pub quarantined: u64,
}

/// What the centre holds of one log and one day (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CentreDay {
    /// Rows.
    pub rows: u64,
    /// Exclusive or of the upper halves of their ids.
    pub id_high: u64,
    /// Exclusive or of the lower halves.
    pub id_low: u64,
    /// Rows with an outcome that this box told.
    pub outcomes: u64,
}

/// A box's connection to the centre.
#[derive(Debug)]
pub struct Centre {
    link: Link,
    node: String,
    columns: BTreeSet<String>,
    /// Months whose partition is there, or never will be.
    months: HashSet<(i32, u32)>,
    /// The columns of the temporary table, once it is made, in its order.
    batch_columns: Option<Vec<Column>>,
}

impl Centre {
    /// Connects as `node`, which is also the common name of the certificate. `None`: as the role
    /// that the address names.
    ///
    /// # Errors
    /// Where the centre cannot be reached, has no tables, or takes the box for another one.
    pub async fn connect(address: &CentreAddress, node: Option<&str>) -> Result<Self, FleetError> {
        let mut link = Link::open(address, node, Purpose::Box).await?;
        let columns = schema::expect_tables(&mut link).await?;
        let role: String = link
            .step("asking for the role", async |connection| {
                sqlx::query_scalar("SELECT current_user::text")
                    .fetch_one(connection)
                    .await
            })
            .await?;
        let target = link.target();
        if let Some(node) = node.filter(|node| *node != role) {
            return Err(FleetError::Unfit(format!(
                "{target} knows this box as {role:?}, and its log was written by {node:?}: the setting `node` and the common \
                 name of the certificate must be the same"
            )));
        }
        Ok(Self {
            link,
            node: role,
            columns,
            months: HashSet::new(),
            batch_columns: None,
        })
    }

    /// The role at the centre: the box's name there.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Host and database.
    pub fn target(&self) -> &str {
        self.link.target()
    }

    /// Whether this log has been shipped under this box's name, or given that name by
    /// [`enrol`](crate::enrol).
    ///
    /// # Errors
    /// What the centre says.
    pub async fn has_shipped(&mut self, log_id: Uuid) -> Result<bool, FleetError> {
        self.link
            .step("asking for this log", async |connection| {
                sqlx::query_scalar(
                    "SELECT EXISTS (SELECT FROM shippers WHERE log_id = $1 AND node = current_user)",
                )
                .bind(log_id)
                .fetch_one(connection)
                .await
            })
            .await
    }

    /// Says what the box is, and that it is there.
    ///
    /// # Errors
    /// What the centre says.
    pub async fn introduce(&mut self, facts: &BoxFacts) -> Result<(), FleetError> {
        // A week ahead, so that the first row of a month does not wait for whoever reads.
        let soon = Utc::now() + TimeDelta::days(7);
        self.make_months(std::iter::once(soon)).await?;
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.link
            .step("saying what the box is", async |connection| {
                sqlx::query(
                    "INSERT INTO shippers (log_id, instance) VALUES ($1, $2) \
                     ON CONFLICT (log_id, instance, node) DO UPDATE \
                     SET last_seen = now(), address = inet_client_addr()",
                )
                .bind(facts.log_id)
                .bind(facts.instance)
                .execute(&mut *connection)
                .await?;
                sqlx::query(
                    "INSERT INTO boxes (version, pack, pack_version, pack_sha256, calibration_id, \
                        provider, log_id, last_seen, box_time, unshipped, oldest, quarantined) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, now(), $8, $9, $10, $11) \
                     ON CONFLICT (node) DO UPDATE SET version = excluded.version, \
                        pack = excluded.pack, pack_version = excluded.pack_version, \
                        pack_sha256 = excluded.pack_sha256, \
                        calibration_id = excluded.calibration_id, \
                        provider = excluded.provider, log_id = excluded.log_id, \
                        last_seen = excluded.last_seen, box_time = excluded.box_time, \
                        unshipped = excluded.unshipped, oldest = excluded.oldest, \
                        quarantined = excluded.quarantined",
                )
                .bind(&facts.version)
                .bind(&facts.pack)
                .bind(&facts.pack_version)
                .bind(&facts.pack_sha256)
                .bind(&facts.calibration_id)
                .bind(&facts.provider)
                .bind(facts.log_id)
                .bind(Utc::now())
                .bind(count(facts.unshipped))
                .bind(facts.oldest)
                .bind(count(facts.quarantined))
                .execute(connection)
                .await
            })
            .await?;
        Ok(())
    }

    /// Stores `rows` in one transaction. Rows that are there already stay as they are, but for an
    /// outcome that is newer. Where the server refuses a value, the batch is halved until the row
    /// stands alone; that row is named, and all others are stored.
    ///
    /// # Errors
    /// Where the centre fails otherwise. Whether the last transaction was done is then not known;
    /// sending the same rows again is safe. A centre that refuses every one of many rows has a fault
    /// of its own: no row is passed over for that.
    pub async fn write(
        &mut self,
        log_id: Uuid,
        columns: &[Column],
        rows: &[ShippedRow<'_>],
    ) -> Result<Stored, FleetError> {
        let mut stored = Stored::default();
        let mut parts = vec![rows];
        let (mut is_any_taken, mut unexplained) = (false, 0);
        while let Some(part) = parts.pop() {
            let tried = self.write_whole(log_id, columns, part).await;
            match tried {
                Ok((new, outcomes)) => {
                    is_any_taken = true;
                    stored.rows += new;
                    stored.outcomes += outcomes;
                }
                Err(error) => match (error.row_fault(), part) {
                    (None, _) => return Err(error),
                    (Some(why), [row]) => {
                        unexplained += usize::from(!has_nul(row));
                        if !is_any_taken && unexplained == MOST_REFUSED {
                            return Err(self.refuses_all(&why));
                        }
                        stored.refused.push((row.id, why));
                    }
                    (Some(_), part) => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                },
            }
        }
        Ok(stored)
    }

    fn refuses_all(&self, why: &str) -> FleetError {
        FleetError::Unfit(format!(
            "{} refuses row after row, and what it says of the last one is {why:?}: the fault is that server's own, and no row \
             is passed over for it. Bring its tables up to date (faceood-admin fleet migrate), and look whether somebody has \
             given them constraints or triggers",
            self.target(),
        ))
    }

    async fn write_whole(
        &mut self,
        log_id: Uuid,
        columns: &[Column],
        rows: &[ShippedRow<'_>],
    ) -> Result<(u64, u64), FleetError> {
        let times = || rows.iter().map(|row| row.time);
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Ok((0, 0));
        };
        self.make_months(times()).await?;
        let known: Vec<Column> = columns
            .iter()
            .filter(|column| self.columns.contains(column.name))
            .copied()
            .collect();
        if self.batch_columns.as_ref() != Some(&known) {
            self.make_batch_table(&known).await?;
        }
        let names: Vec<&str> = known.iter().map(|column| column.name).collect();
        let names = names.join(", ");
        let text = self.encoded(log_id, columns, rows);
        // Time bounds that the planner sees, so that it looks into no other partition.
        let window = format!(
            "known.time BETWEEN '{}' AND '{}'",
            faceood_log::time_text(first),
            faceood_log::time_text(last)
        );
        let is_told = |row: &ShippedRow<'_>| {
            let mut values = columns.iter().zip(row.values);
            values.any(|(column, value)| column.name == "outcome" && *value != Value::Null)
        };
        let has_outcomes = rows.iter().any(is_told);
        let has_notes = known.iter().any(|column| column.name == "outcome_note");
        self.link
            .step("storing rows", async |connection| {
                let mut transaction = connection.begin().await?;
                let copy = format!("COPY batch (log_id, seq, {names}, extra) FROM STDIN");
                let mut batch = transaction.copy_in_raw(&copy).await?;
                batch.send(text).await?;
                batch.finish().await?;
                let insert = format!(
                    "INSERT INTO inferences (log_id, seq, {names}, extra) \
                     SELECT log_id, seq, {names}, extra FROM batch \
                     ON CONFLICT (node, time, id) DO NOTHING"
                );
                let inserted = sqlx::query(AssertSqlSafe(insert))
                    .execute(&mut *transaction)
                    .await?;
                let mut outcomes = 0;
                if has_outcomes && inserted.rows_affected() < rows.len() as u64 {
                    outcomes = update_outcomes(&mut transaction, &window, has_notes).await?;
                }
                transaction.commit().await?;
                Ok((inserted.rows_affected(), outcomes))
            })
            .await
    }

    /// Makes the partitions that rows of these times need.
    async fn make_months(
        &mut self,
        times: impl Iterator<Item = DateTime<Utc>>,
    ) -> Result<(), FleetError> {
        for time in times {
            if !self.months.contains(&(time.year(), time.month())) {
                let made = self
                    .link
                    .step("making a month's partition", async |connection| {
                        sqlx::query("SELECT faceood_partition($1)")
                            .bind(time)
                            .execute(connection)
                            .await
                    })
                    .await;
                match made {
                    // Somebody reads the default partition. It takes the rows for now, and a later
                    // visit moves them.
                    Err(error) if error.is_wait_over() => {
                        tracing::warn!(%error, "the month has no partition of its own yet");
                    }
                    Err(error) => return Err(error),
                    Ok(_) => {}
                }
                self.months.insert((time.year(), time.month()));
            }
        }
        Ok(())
    }

    /// The temporary table that batches are copied into, with the types of the centre's columns.
    async fn make_batch_table(&mut self, columns: &[Column]) -> Result<(), FleetError> {
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        let statement = format!(
            "DROP TABLE IF EXISTS pg_temp.batch; CREATE TEMPORARY TABLE batch ON COMMIT DELETE ROWS AS \
             SELECT log_id, seq, {}, extra FROM inferences WITH NO DATA",
            names.join(", ")
        );
        self.link
            .step("making a temporary table", async |connection| {
                sqlx::raw_sql(AssertSqlSafe(statement))
                    .execute(connection)
                    .await
            })
            .await?;
        self.batch_columns = Some(columns.to_vec());
        Ok(())
    }

    fn encoded(&self, log_id: Uuid, columns: &[Column], rows: &[ShippedRow<'_>]) -> Vec<u8> {
        let mut text = Vec::with_capacity(rows.len() * 1024);
        for row in rows {
            copy::shown(&mut text, Some(log_id), b'\t');
            copy::shown(&mut text, row.seq, b'\t');
            let mut unknown = Vec::new();
            for (column, value) in columns.iter().zip(row.values) {
                if self.columns.contains(column.name) {
                    copy::field(&mut text, value, b'\t');
                } else {
                    unknown.push((*column, value));
                }
            }
            copy::shown(&mut text, copy::extra(unknown.into_iter()), b'\n');
        }
        text
    }

    /// What the centre holds of a day of this log, but for the rows with the ids `without`.
    ///
    /// # Errors
    /// What the centre says.
    pub async fn day(
        &mut self,
        log_id: Uuid,
        day: NaiveDate,
        without: &[Uuid],
    ) -> Result<CentreDay, FleetError> {
        let begin = day.and_time(NaiveTime::MIN).and_utc();
        let end = begin + TimeDelta::days(1);
        let found: (i64, Option<i64>, Option<i64>, i64) = self
            .link
            .step("counting a day's rows", async |connection| {
                sqlx::query_as(
                    "SELECT count(*), bit_xor(faceood_id_half(id, 0)), bit_xor(faceood_id_half(id, 1)), \
                     count(outcome) FILTER (WHERE outcome_node IS NULL) FROM inferences \
                     WHERE node = current_user AND log_id = $1 AND time >= $2 AND time < $3 AND id <> ALL ($4)",
                )
                .bind(log_id)
                .bind(begin)
                .bind(end)
                .bind(without)
                .fetch_one(connection)
                .await
            })
            .await?;
        Ok(CentreDay {
            rows: found.0.unsigned_abs(),
            id_high: found.1.unwrap_or(0).cast_unsigned(),
            id_low: found.2.unwrap_or(0).cast_unsigned(),
            outcomes: found.3.unsigned_abs(),
        })
    }

    /// Stores words about requests of other boxes, all or none.
    pub(crate) async fn tell_at_once(&mut self, lines: &[LateFeedback]) -> Result<(), FleetError> {
        let request_ids: Vec<&str> = lines.iter().map(|line| &*line.request_id).collect();
        let times: Vec<_> = lines.iter().map(|line| line.time).collect();
        let outcomes: Vec<&str> = lines.iter().map(|line| line.outcome.name()).collect();
        let notes: Vec<_> = lines.iter().map(|line| line.note.as_deref()).collect();
        let tokens: Vec<_> = lines
            .iter()
            .map(|line| line.only_token.as_deref())
            .collect();
        self.link
            .step("telling of feedback about other boxes", async |connection| {
                sqlx::query(
                    "INSERT INTO late_feedback (request_id, time, outcome, note, only_token) \
                     SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[]) \
                     ON CONFLICT DO NOTHING",
                )
                .bind(request_ids)
                .bind(times)
                .bind(outcomes)
                .bind(notes)
                .bind(tokens)
                .execute(connection)
                .await
            })
            .await
            .map(drop)
    }

    /// Ends the connection in good order.
    pub async fn close(self) {
        self.link.close().await;
    }
}

/// Whether the row holds the character NUL, which no text of PostgreSQL can hold.
fn has_nul(row: &ShippedRow<'_>) -> bool {
    row.values.iter().any(|value| match value {
        Value::Text(text) => text.contains('\0'),
        Value::Json(text) => text.contains("\\u0000"),
        _ => false,
    })
}

/// Takes over the outcomes in the batch that are newer than what the centre has. Of two words in
/// one log the one with the higher `seq` is newer, whatever the clock said. A log that was restored
/// from a backup counts from an earlier number again; there the time decides, unless it lies ahead.
async fn update_outcomes(
    connection: &mut PgConnection,
    window: &str,
    has_notes: bool,
) -> Result<u64, sqlx::Error> {
    // A temporary table has no statistics. By its key, each row is found at once.
    sqlx::raw_sql("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
        .execute(&mut *connection)
        .await?;
    let note = if has_notes {
        "outcome_note = batch.outcome_note, "
    } else {
        ""
    };
    let update = format!(
        "UPDATE inferences AS known SET outcome = batch.outcome, outcome_time = batch.outcome_time, {note}\
         outcome_node = NULL, seq = batch.seq FROM batch \
         WHERE known.node = current_user AND known.time = batch.time AND known.id = batch.id AND {window} \
         AND batch.outcome IS NOT NULL \
         AND (known.outcome_time IS NULL OR known.outcome_node IS NOT NULL OR coalesce(known.seq, 0) < batch.seq \
              OR (known.outcome_time < batch.outcome_time AND batch.outcome_time < now() + interval '10 minutes'))"
    );
    let updated = sqlx::query(AssertSqlSafe(update)).persistent(false);
    Ok(updated.execute(connection).await?.rows_affected())
}
