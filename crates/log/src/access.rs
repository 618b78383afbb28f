//! Refused requests and the use of tokens. They wait in memory until the writer takes them, so that
//! neither a flood of refusals nor a slow disk holds up a request.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use faceood_engine::named;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, QueryBuilder, Row, Sqlite, SqliteConnection};

use super::clock::ClockMark;
use super::error::At;
use super::query::LogReader;
use super::{LogError, Settings, row};

/// Most rows of table `access`; the oldest go.
pub const MOST_ACCESS_ROWS: u32 = 100_000;

/// Refusals that wait for the writer: as many as it takes in eight seconds. A flood loses the rest.
const MOST_WAITING: usize = 4096;

/// Refusals of one transaction, of which there is one a second: a flood must not wear out the disk.
const BATCH_ROWS: usize = 500;

/// Tokens whose use is kept: far more than a box has terminals.
const MOST_TOKENS: usize = 10_000;

/// Bytes of a row of table `access` with its indexes: the size of a database of 100,000 rows with
/// IPv6 addresses and tokens of 18 characters, divided by their number. A tenth of `log.max_bytes`
/// is the most that they may take, so that refusals cannot push the inferences out of a small log.
const BYTES_PER_ROW: u64 = 166;

named! {
    /// Why a request was refused.
    AccessRefusal {
        /// It came without a token, and needs one.
        NoToken "no_token",
        /// Nobody has its token.
        WrongToken "wrong_token",
        /// Its token has expired.
        Expired "expired",
        /// Its token was revoked.
        Revoked "revoked",
        /// The role of its token may not do this.
        Role "role",
        /// Its token is bound to other sources.
        Source "source",
        /// Its address is locked out after too many wrong tokens.
        Blocked "blocked",
        /// Too many requests, or too much work, for one token or address.
        RateLimit "rate_limit",
        /// It names a host that this box is not.
        Host "host",
        /// A page of another site sent it.
        CrossSite "cross_site",
        /// Its client certificate is missing or not accepted.
        Certificate "certificate",
    }
}

/// One request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessEvent {
    /// When.
    pub time: DateTime<Utc>,
    /// From where; `None` over the local socket.
    pub address: Option<IpAddr>,
    /// Name of the known token that came with it, never a secret.
    pub token: Option<String>,
    /// The route's pattern, such as `/v1/extract`, or `other`, or `tls` where the handshake failed:
    /// never the path that the caller sent, which has no bound.
    pub endpoint: String,
    /// Why.
    pub refusal: AccessRefusal,
}

/// How often a token has allowed a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenUse {
    /// Its name.
    pub token: String,
    /// How often.
    pub uses: u64,
    /// The first time.
    pub first: DateTime<Utc>,
    /// The last time.
    pub last: DateTime<Utc>,
    /// From where it was used last; `None` over the local socket.
    pub last_address: Option<IpAddr>,
}

impl TokenUse {
    /// Adds what came later.
    fn add(&mut self, later: &Self) {
        self.uses = self.uses.saturating_add(later.uses);
        self.last = later.last;
        self.last_address = later.last_address;
    }
}

/// Which refusals to read. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessFilter {
    /// At or after this time.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
    /// From this address.
    pub address: Option<IpAddr>,
    /// For this reason.
    pub refusal: Option<AccessRefusal>,
    /// Only so many, the newest; all where it is `None`, which is [`MOST_ACCESS_ROWS`] at most.
    pub limit: Option<u32>,
}

/// What waits for the writer.
// A std mutex: held for some copying only, never across an await.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Batch>);

/// What is written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    events: VecDeque<AccessEvent>,
    uses: BTreeMap<String, TokenUse>,
}

impl Waiting {
    fn batch(&self) -> MutexGuard<'_, Batch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, events: Vec<AccessEvent>, uses: Vec<TokenUse>) {
        let mut waiting = self.batch();
        let room = MOST_WAITING.saturating_sub(waiting.events.len());
        count_dropped(events.len().saturating_sub(room));
        waiting.events.extend(events.into_iter().take(room));
        for told in uses {
            waiting.add_use(told);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let waiting = self.batch();
        waiting.events.is_empty() && waiting.uses.is_empty()
    }

    /// Takes out what one transaction writes.
    pub(super) fn take(&self) -> Batch {
        let mut waiting = self.batch();
        let count = waiting.events.len().min(BATCH_ROWS);
        Batch {
            events: waiting.events.drain(..count).collect(),
            uses: std::mem::take(&mut waiting.uses),
        }
    }

    /// Puts back what could not be written, before what has come meanwhile.
    pub(super) fn give_back(&self, mut batch: Batch) {
        let mut waiting = self.batch();
        batch.events.append(&mut waiting.events);
        count_dropped(batch.events.len().saturating_sub(MOST_WAITING));
        batch.events.truncate(MOST_WAITING);
        for later in std::mem::take(&mut waiting.uses).into_values() {
            batch.add_use(later);
        }
        *waiting = batch;
    }
}

impl Batch {
    fn add_use(&mut self, told: TokenUse) {
        if let Some(known) = self.uses.get_mut(&told.token) {
            known.add(&told);
        } else if self.uses.len() < MOST_TOKENS {
            self.uses.insert(told.token.clone(), told);
        } else {
            count_dropped(1);
        }
    }

    /// Gives up on what breaks a rule of the tables: it would stand in the way of all that follows.
    pub(super) fn give_up(self) {
        count_dropped(self.events.len() + self.uses.len());
    }

    /// One transaction. `mark` says why the clock cannot be trusted now, and how long the daemon
    /// has run.
    pub(super) async fn write(
        &self,
        connection: &mut SqliteConnection,
        (mark, run_seconds): (Option<ClockMark>, i64),
        settings: &Settings,
    ) -> Result<(), sqlx::Error> {
        let mark = mark.and_then(|mark| row::word(&mark));
        let run_seconds = mark.is_some().then_some(run_seconds);
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        if !self.events.is_empty() {
            let mut insert: QueryBuilder<Sqlite> = QueryBuilder::new(
                "INSERT INTO access (time, clock, clock_run_seconds, address, token, endpoint, refusal) ",
            );
            insert.push_values(&self.events, |mut line, event| {
                line.push_bind(row::time_text(event.time))
                    .push_bind(mark.as_deref())
                    .push_bind(run_seconds)
                    .push_bind(event.address.map(address_text))
                    .push_bind(event.token.as_deref())
                    .push_bind(event.endpoint.as_str())
                    .push_bind(event.refusal.name());
            });
            insert.build().execute(&mut *transaction).await?;
            sqlx::query("DELETE FROM access WHERE id <= (SELECT max(id) FROM access) - ?")
                .bind(most_rows(settings))
                .execute(&mut *transaction)
                .await?;
        }
        for told in self.uses.values() {
            // The later word counts, whatever its clock showed.
            sqlx::query(
                "INSERT INTO token_use VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET \
                 uses = uses + excluded.uses, last_time = excluded.last_time, last_address = excluded.last_address",
            )
            .bind(&told.token)
            .bind(i64::try_from(told.uses).unwrap_or(i64::MAX))
            .bind(row::time_text(told.first))
            .bind(row::time_text(told.last))
            .bind(told.last_address.map(address_text))
            .execute(&mut *transaction)
            .await?;
        }
        if !self.uses.is_empty() {
            sqlx::query(
                "DELETE FROM token_use WHERE token IN \
                 (SELECT token FROM token_use ORDER BY last_time DESC LIMIT -1 OFFSET ?)",
            )
            .bind(MOST_TOKENS as i64)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        metrics::counter!("faceood_log_access_rows_total").increment(self.events.len() as u64);
        Ok(())
    }
}

fn count_dropped(lines: usize) {
    metrics::counter!("faceood_log_access_dropped_total").increment(lines as u64);
}

/// How many rows table `access` may have.
fn most_rows(settings: &Settings) -> i64 {
    let share = match settings.max_bytes {
        0 => u64::MAX,
        bytes => bytes / 10 / BYTES_PER_ROW,
    };
    i64::from(u32::try_from(share).map_or(MOST_ACCESS_ROWS, |share| share.min(MOST_ACCESS_ROWS)))
}

/// An address as it is stored: of an IPv4 caller on a socket for both kinds the IPv4 address.
fn address_text(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

impl LogReader {
    /// The refusals that `filter` finds, in the order in which they were written. A column that
    /// does not fit is [`LogError::BadColumn`].
    pub async fn accesses(&self, filter: &AccessFilter) -> Result<Vec<AccessEvent>, LogError> {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new(
            "SELECT time, address, token, endpoint, refusal FROM access WHERE true",
        );
        let conditions = [
            (" AND time >= ", filter.since.map(row::time_text)),
            (" AND time < ", filter.until.map(row::time_text)),
            (" AND address = ", filter.address.map(address_text)),
            (
                " AND refusal = ",
                filter.refusal.map(|it| it.name().to_owned()),
            ),
        ];
        for (condition, value) in conditions {
            if let Some(value) = value {
                query.push(condition).push_bind(value);
            }
        }
        let limit = filter
            .limit
            .unwrap_or(MOST_ACCESS_ROWS)
            .min(MOST_ACCESS_ROWS);
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
        let found = query.build().fetch_all(&self.pool()).await;
        found.at(self.path())?.iter().rev().map(event).collect()
    }

    /// How often each token was used, in the order of their names. A column that does not fit is
    /// [`LogError::BadColumn`].
    pub async fn token_uses(&self) -> Result<Vec<TokenUse>, LogError> {
        let found = sqlx::query("SELECT * FROM token_use ORDER BY token")
            .fetch_all(&self.pool())
            .await;
        found.at(self.path())?.iter().map(token_use).collect()
    }

    /// How many refusals are from before `oldest`. Those whose time cannot be trusted count if
    /// `with_doubtful`.
    pub async fn accesses_before(
        &self,
        oldest: DateTime<Utc>,
        with_doubtful: bool,
    ) -> Result<u64, LogError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM access WHERE time < ? AND (? OR clock IS NULL)",
        )
        .bind(row::time_text(oldest))
        .bind(with_doubtful)
        .fetch_one(&self.pool())
        .await
        .at(self.path())?;
        Ok(count.unsigned_abs())
    }
}

fn event(found: &SqliteRow) -> Result<AccessEvent, LogError> {
    let refusal: String = get(found, "refusal")?;
    let refusal = AccessRefusal::from_name(&refusal).ok_or(refusal);
    Ok(AccessEvent {
        time: time(found, "time")?,
        address: address(found, "address")?,
        token: get(found, "token")?,
        endpoint: get(found, "endpoint")?,
        refusal: refusal.map_err(LogError::in_column("refusal"))?,
    })
}

fn token_use(found: &SqliteRow) -> Result<TokenUse, LogError> {
    let uses: i64 = get(found, "uses")?;
    Ok(TokenUse {
        token: get(found, "token")?,
        uses: uses.unsigned_abs(),
        first: time(found, "first_time")?,
        last: time(found, "last_time")?,
        last_address: address(found, "last_address")?,
    })
}

fn get<'r, T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>>(
    found: &'r SqliteRow,
    column: &'static str,
) -> Result<T, LogError> {
    let value = found.try_get(column);
    value.map_err(|error| LogError::in_column(column)(error.to_string()))
}

fn time(found: &SqliteRow, column: &'static str) -> Result<DateTime<Utc>, LogError> {
    row::parse_time(get(found, column)?).map_err(LogError::in_column(column))
}

fn address(found: &SqliteRow, column: &'static str) -> Result<Option<IpAddr>, LogError> {
    let text: Option<&str> = get(found, column)?;
    let parse = |text: &str| text.parse().map_err(|_| format!("{text:?} is no address"));
    text.map(parse)
        .transpose()
        .map_err(LogError::in_column(column))
}

#[cfg(test)]
mod tests;
