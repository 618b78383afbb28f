//! Keeps the watch on the clock: in memory for each commit, in the database between starts.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, FromRow, Row, SqliteConnection};

use super::clock::{
    self, Change, Clock, ClockMark, Doubt, JUMP, Moment, Reading, STEADY_SECONDS, Watch,
};
use super::error::At;
use super::query::LogReader;
use super::record::InferenceRecord;
use super::{LogError, row, schema, stamp};

/// How old the written state may be: far less than a day, and rarely enough for a memory card.
const SAVE_EVERY_SECONDS: i64 = 600;

/// What an operator may do about a clock in doubt.
const WAY_OUT: &str = "no row is deleted by age until the clock has been steady for a day, or until somebody who has looked \
                       at it says that it is right: faceood-admin prune --trust-clock";

/// A look at the clock, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) now: Moment,
    pub(super) is_trusted: bool,
}

/// Keeps the watch.
#[derive(Debug)]
pub(super) struct Keeper {
    clock: Clock,
    // A std mutex: held for some arithmetic only, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Uptime at which this process began to count.
    started: Duration,
    /// Running time of the daemons before.
    run_before: i64,
    /// `None` until the database has been read for the first time.
    watch: Option<Watch>,
    /// When, in running time, the state was written; `None` where it has to be written anew.
    saved: Option<i64>,
    /// Since when, in running time, rows bear times that the clock has not reached.
    ahead_since: Option<i64>,
}

impl State {
    fn moment(&self, reading: &Reading) -> Moment {
        let running = reading.uptime.saturating_sub(self.started).as_secs();
        Moment {
            time: reading.wall,
            run_seconds: self.run_before + i64::try_from(running).unwrap_or(i64::MAX),
        }
    }

    fn trust(&mut self, now: Moment) {
        self.watch = Some(Watch::trusting(now));
        self.ahead_since = None;
        self.saved = None;
        stamp::follow();
    }
}

impl Keeper {
    pub(super) fn new(clock: Clock) -> Self {
        let started = clock.read().uptime;
        let state = State {
            started,
            ..State::default()
        };
        Self {
            clock,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(&self, state: &mut State, reading: &Reading) -> Look {
        let now = state.moment(reading);
        let Some(watch) = &mut state.watch else {
            return Look {
                now,
                is_trusted: true,
            };
        };
        let change = watch.look(now);
        let is_trusted = watch.doubt.is_none();
        if change.is_some() {
            state.saved = None;
        }
        match change {
            None => {}
            Some(Change::Jumped(doubt)) => tracing::error!("{doubt}: {WAY_OUT}"),
            Some(Change::Returned) => tracing::warn!("the clock is back where it was expected"),
            Some(Change::Settled) => {
                tracing::warn!("the clock has been steady for a day: it is believed");
            }
        }
        let is_over = |since| now.run_seconds - since >= STEADY_SECONDS;
        if is_trusted && state.ahead_since.is_some_and(is_over) {
            tracing::warn!("rows bear the time of the clock again, which had been set back");
            state.trust(now);
        }
        metrics::gauge!("faceood_clock_in_doubt").set(f64::from(!is_trusted));
        Look { now, is_trusted }
    }

    fn mark_of(&self, state: &mut State, reading: &Reading) -> (Look, Option<ClockMark>) {
        let look = self.judge(state, reading);
        let jumped = (!look.is_trusted).then_some(ClockMark::Jumped);
        (look, jumped.or_else(|| clock::mark_of(reading)))
    }

    /// Why the present time cannot be trusted, and for how many seconds the daemon has run on this
    /// log.
    pub(super) fn mark_of_now(&self) -> (Option<ClockMark>, i64) {
        let reading = self.clock.read();
        let (look, mark) = self.mark_of(&mut self.state(), &reading);
        (mark, look.now.run_seconds)
    }

    /// Marks the rows whose time cannot be trusted.
    pub(super) fn mark<'a>(&self, records: impl Iterator<Item = &'a mut InferenceRecord>) {
        let reading = self.clock.read();
        let mut state = self.state();
        let (look, of_all) = self.mark_of(&mut state, &reading);
        for record in records {
            let is_ahead = record.time - reading.wall > JUMP;
            if is_ahead {
                state.ahead_since.get_or_insert(look.now.run_seconds);
            }
            let ahead = is_ahead.then_some(ClockMark::Jumped);
            if let Some(mark) = ahead.or(of_all) {
                record.clock = Some(mark);
                record.clock_run_seconds = u64::try_from(look.now.run_seconds).ok();
                metrics::counter!("faceood_log_doubtful_rows_total").increment(1);
            }
        }
    }

    /// Takes up what the database and an operator say of the clock, and writes what is known now.
    pub(super) async fn tend(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<Look, sqlx::Error> {
        let stored = Stored::read(connection).await?;
        let newest = Newest::read(connection).await?;
        let reading = self.clock.read();
        let (look, to_save) = {
            let mut state = self.state();
            if state.watch.is_none() {
                state.run_before = stored.as_ref().map_or(0, |stored| stored.seen.run_seconds);
                let now = state.moment(&reading);
                state.watch = Some(begin(stored.as_ref(), newest.as_ref(), now));
            }
            let accepted = stored.as_ref().and_then(|stored| stored.accepted);
            if accepted.is_some_and(|accepted| (accepted - reading.wall).abs() <= JUMP) {
                let now = state.moment(&reading);
                state.trust(now);
                tracing::warn!(clock = %now.time, "an operator says that the clock is right: it is believed again");
            }
            let look = self.judge(&mut state, &reading);
            let run = look.now.run_seconds;
            let is_old = |saved| run - saved >= SAVE_EVERY_SECONDS;
            let is_due = stored.is_none() || accepted.is_some() || state.saved.is_none_or(is_old);
            (look, state.watch.filter(|_| is_due))
        };
        if let Some(watch) = to_save {
            let last_row = newest.map_or(0, |newest| newest.number);
            let accepted = stored.and_then(|stored| stored.accepted);
            save(connection, &watch, last_row, accepted).await?;
            self.state().saved = Some(look.now.run_seconds);
        }
        Ok(look)
    }

    /// Writes what is known now, so that the next start can compare.
    pub(super) async fn leave(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        self.state().saved = None;
        self.tend(connection).await.map(drop)
    }

    /// What an operator should know.
    pub(super) fn warnings(&self) -> Vec<String> {
        let state = self.state();
        let doubt = state.watch.and_then(|watch| watch.doubt);
        let doubt = doubt.map(|doubt| format!("{doubt}: {WAY_OUT}"));
        let ahead = state.ahead_since.map(|_| {
            "the clock was set back while the daemon ran, and rows keep their order by bearing later times than the clock \
             shows: restart the daemon, or say that the clock is right: faceood-admin prune --trust-clock"
                .to_owned()
        });
        doubt.into_iter().chain(ahead).collect()
    }
}

/// The watch at the first look of a process. What a release without this table wrote is judged by
/// its newest row.
fn begin(stored: Option<&Stored>, newest: Option<&Newest>, now: Moment) -> Watch {
    let mut watch = Watch::trusting(stored.map_or(now, |stored| stored.seen));
    watch.doubt = stored.and_then(|stored| stored.doubt);
    let last_row = stored.map_or(0, |stored| stored.last_row);
    if let Some(newest) = newest.filter(|newest| newest.number > last_row && newest.is_trusted) {
        // Written after the last look: it knows more.
        watch.seen.time = newest.time;
        watch.anchor = watch.seen;
    }
    watch
}

/// The newest row by the order of writing.
struct Newest {
    number: i64,
    time: DateTime<Utc>,
    is_trusted: bool,
}

impl Newest {
    async fn read(connection: &mut SqliteConnection) -> Result<Option<Self>, sqlx::Error> {
        let found: Option<(i64, String, bool)> = sqlx::query_as(
            "SELECT rowid, time, clock IS NULL FROM inferences ORDER BY rowid DESC LIMIT 1",
        )
        .fetch_optional(connection)
        .await?;
        let Some((number, time, is_trusted)) = found else {
            return Ok(None);
        };
        let time = decoded(&time)?;
        Ok(Some(Self {
            number,
            time,
            is_trusted,
        }))
    }
}

/// The row of table `clock_watch`.
#[derive(Clone, Debug)]
struct Stored {
    seen: Moment,
    last_row: i64,
    doubt: Option<Doubt>,
    accepted: Option<DateTime<Utc>>,
}

impl Stored {
    async fn read(connection: &mut SqliteConnection) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as("SELECT * FROM clock_watch")
            .fetch_optional(connection)
            .await
    }
}

impl FromRow<'_, SqliteRow> for Stored {
    fn from_row(found: &SqliteRow) -> Result<Self, sqlx::Error> {
        let time = |column| -> Result<Option<DateTime<Utc>>, sqlx::Error> {
            let text: Option<&str> = found.try_get(column)?;
            text.map(decoded).transpose()
        };
        let moment = |time_column, run_column| -> Result<Option<Moment>, sqlx::Error> {
            let run: Option<i64> = found.try_get(run_column)?;
            let both = time(time_column)?.zip(run);
            Ok(both.map(|(time, run_seconds)| Moment { time, run_seconds }))
        };
        let since = moment("doubt_time", "doubt_run_seconds")?;
        let expected = moment("expected_time", "expected_run_seconds")?;
        Ok(Self {
            seen: moment("seen_time", "seen_run_seconds")?
                .ok_or_else(|| sqlx::Error::ColumnNotFound("seen_time".to_owned()))?,
            last_row: found.try_get("last_row")?,
            doubt: since
                .zip(expected)
                .map(|(since, expected)| Doubt { since, expected }),
            accepted: time("accepted_time")?,
        })
    }
}

fn decoded(time: &str) -> Result<DateTime<Utc>, sqlx::Error> {
    row::parse_time(time).map_err(|found| sqlx::Error::Decode(found.into()))
}

/// `accepted` has been taken into account; a later word of an operator stays for the next look.
async fn save(
    connection: &mut SqliteConnection,
    watch: &Watch,
    last_row: i64,
    accepted: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    let text = |moment: Moment| row::time_text(moment.time);
    let since = watch.doubt.map(|doubt| doubt.since);
    let expected = watch.doubt.map(|doubt| doubt.expected);
    sqlx::query(
        "INSERT INTO clock_watch VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL) ON CONFLICT DO UPDATE SET \
         seen_time = ?1, seen_run_seconds = ?2, last_row = ?3, doubt_time = ?4, doubt_run_seconds = ?5, \
         expected_time = ?6, expected_run_seconds = ?7, accepted_time = nullif(accepted_time, ?8)",
    )
    .bind(text(watch.seen))
    .bind(watch.seen.run_seconds)
    .bind(last_row)
    .bind(since.map(text))
    .bind(since.map(|moment| moment.run_seconds))
    .bind(expected.map(text))
    .bind(expected.map(|moment| moment.run_seconds))
    .bind(accepted.map(row::time_text))
    .execute(connection)
    .await
    .map(drop)
}

/// What the log knows of the clock, for whoever wants to delete by it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClockFacts {
    /// What the clock showed when the daemon last looked; `None` where none has yet.
    pub seen: Option<DateTime<Utc>>,
    /// Why it is in doubt; `None` while the daemon trusts it.
    pub doubt: Option<String>,
    /// Time of the newest row, where that can be trusted.
    pub newest: Option<DateTime<Utc>>,
    /// Rows whose time cannot be trusted.
    pub doubtful_rows: u64,
}

impl ClockFacts {
    /// What speaks against deleting by a clock that shows `now`.
    pub fn objection(&self, now: DateTime<Utc>) -> Option<String> {
        let shows = now.format("%F %T UTC");
        let far = |time: DateTime<Utc>| (now - time).abs() > JUMP;
        let unlike = self.seen.filter(|seen| far(*seen));
        let unlike = unlike.map(|seen| ("the daemon last saw it at", seen));
        let behind = self.newest.filter(|newest| *newest - now > JUMP);
        let behind = behind.map(|newest| ("the newest row is of", newest));
        let objection = unlike.or(behind).map(|(what, time)| {
            format!(
                "the clock shows {shows}, and {what} {}",
                time.format("%F %T")
            )
        });
        self.doubt.clone().or(objection)
    }
}

impl LogReader {
    /// What this log knows of the clock.
    pub async fn clock(&self) -> Result<ClockFacts, LogError> {
        let facts = async {
            let mut connection = self.pool().acquire().await?;
            let stored = Stored::read(&mut connection).await?;
            let newest = Newest::read(&mut connection).await?;
            let doubtful: i64 =
                sqlx::query_scalar("SELECT count(*) FROM inferences WHERE clock IS NOT NULL")
                    .fetch_one(&mut *connection)
                    .await?;
            let newest = newest.filter(|row| row.is_trusted);
            Ok(ClockFacts {
                seen: stored.as_ref().map(|stored| stored.seen.time),
                doubt: stored.and_then(|stored| Some(stored.doubt?.to_string())),
                newest: newest.map(|newest| newest.time),
                doubtful_rows: doubtful.unsigned_abs(),
            })
        };
        facts.await.at(self.path())
    }

    /// How many rows before `oldest` have a time that cannot be trusted.
    pub async fn doubtful_before(&self, oldest: DateTime<Utc>) -> Result<u64, LogError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM inferences WHERE time < ? AND clock IS NOT NULL",
        )
        .bind(row::time_text(oldest))
        .fetch_one(&self.pool())
        .await
        .at(self.path())?;
        Ok(count.unsigned_abs())
    }
}

/// Says to the daemon of the log at `path` that the clock, which shows `now`, is right. It hears of
/// that within a minute, or at its next start.
///
/// # Errors
/// Where the log is missing, not of this release's schema, or refuses to be written.
pub async fn accept_clock(path: &Path, now: DateTime<Utc>) -> Result<(), LogError> {
    let mut connection = schema::open_beside(path).await?;
    sqlx::query(
        "INSERT INTO clock_watch (id, seen_time, seen_run_seconds, last_row, accepted_time) VALUES (1, ?1, 0, 0, ?1) \
         ON CONFLICT DO UPDATE SET accepted_time = excluded.accepted_time",
    )
    .bind(row::time_text(now))
    .execute(&mut connection)
    .await
    .at(path)?;
    connection.close().await.at(path)
}
