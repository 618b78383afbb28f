//! Goes through the rows that exceed the limits, a few at a time, and past those that have to wait
//! for a centre.

use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};

use super::gate::{Candidate, Gate};
use super::{Doubtful, Limits, Pruned, number, used_bytes};
use crate::row;

/// What is deleted, one kind after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Rows whose time can be trusted and is too old.
    Aged,
    /// Rows by the daemon's running time.
    Doubtful,
    /// Lines of other tables that are too old.
    Others,
    /// The oldest rows while the database is too large.
    Large,
    End,
}

/// What one step of the walk did.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) pruned: Pruned,
    /// There is nothing more to delete.
    pub(super) is_over: bool,
}

/// One walk towards some limits.
#[derive(Debug)]
pub(super) struct Walk {
    limits: Limits,
    stage: Stage,
    /// The last row of the stage that was looked at.
    last: Candidate,
    /// Rows of the stage that it has passed.
    passed: u64,
    /// Rows beyond the limits that wait for a centre.
    kept: u64,
}

impl Walk {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            stage: Stage::Aged,
            last: Candidate::before_all(),
            passed: 0,
            kept: 0,
        }
    }

    /// Whether it is a walk towards these limits.
    pub(super) fn is_towards(&self, limits: &Limits) -> bool {
        self.limits == *limits
    }

    /// Deletes at most `rows` rows in the caller's transaction. A stage ends early when it has
    /// passed `most_passed` rows.
    pub(super) async fn step(
        &mut self,
        connection: &mut SqliteConnection,
        rows: u32,
        most_passed: u64,
    ) -> Result<Walked, sqlx::Error> {
        let gate = Gate::read(connection, self.limits.even_unshipped).await?;
        let mut pruned = Pruned::default();
        while self.stage != Stage::End {
            if self.stage == Stage::Others {
                let (refusals, others) = self.delete_others(connection, &gate, rows).await?;
                if refusals + others > 0 {
                    pruned.refusals = refusals;
                    return Ok(Walked {
                        pruned,
                        is_over: false,
                    });
                }
                self.advance();
                continue;
            }
            let excess = match self.stage {
                Stage::Large => self.excess(connection).await?,
                _ => u64::MAX,
            };
            let most = u32::try_from(excess).unwrap_or(u32::MAX).min(rows);
            let found = match self.passed >= most_passed {
                true => Vec::new(),
                false => self.look(connection, most).await?,
            };
            let Some(last) = found.last() else {
                // Of the rows in excess some may have been counted by their age.
                if self.stage == Stage::Large {
                    pruned.kept_unshipped = excess.saturating_sub(self.kept);
                }
                self.advance();
                continue;
            };
            self.last = last.clone();
            let (gone, kept): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| gate.lets_go(it));
            pruned.rows = gate.delete(connection, &gone).await?;
            self.passed += kept.len() as u64;
            if self.stage != Stage::Large {
                self.kept += kept.len() as u64;
                pruned.kept_unshipped = kept.len() as u64;
            }
            return Ok(Walked {
                pruned,
                is_over: false,
            });
        }
        Ok(Walked {
            pruned,
            is_over: true,
        })
    }

    fn advance(&mut self) {
        self.stage = match self.stage {
            Stage::Aged => Stage::Doubtful,
            Stage::Doubtful => Stage::Others,
            Stage::Others => Stage::Large,
            Stage::Large | Stage::End => Stage::End,
        };
        self.last = Candidate::before_all();
        self.passed = 0;
    }

    /// The next rows of the stage, at most `most`.
    async fn look(
        &self,
        connection: &mut SqliteConnection,
        most: u32,
    ) -> Result<Vec<Candidate>, sqlx::Error> {
        let last = &self.last;
        let (which, bind): (_, Box<dyn FnOnce(Query) -> Query + Send>) = match self.stage {
            Stage::Aged => {
                let Some(oldest) = self.limits.oldest.map(row::time_text) else {
                    return Ok(Vec::new());
                };
                let which = match self.limits.doubtful {
                    Doubtful::AsStamped => "(time, id) > (?, ?) AND time < ? ORDER BY time, id",
                    Doubtful::Keep | Doubtful::WrittenBefore(_) => {
                        "clock IS NULL AND (time, id) > (?, ?) AND time < ? ORDER BY time, id"
                    }
                };
                let (time, id) = (last.time.clone(), last.id.clone());
                (
                    which,
                    Box::new(|query| query.bind(time).bind(id).bind(oldest)),
                )
            }
            Stage::Doubtful => {
                let Doubtful::WrittenBefore(before) = self.limits.doubtful else {
                    return Ok(Vec::new());
                };
                let (run_seconds, number) = (last.run_seconds, last.number);
                let which = "clock IS NOT NULL AND (clock_run_seconds, rowid) > (?, ?) AND clock_run_seconds < ? \
                             ORDER BY clock_run_seconds, rowid";
                (
                    which,
                    Box::new(move |query| query.bind(run_seconds).bind(number).bind(before)),
                )
            }
            // By the order of writing, which no clock can confuse.
            Stage::Large => {
                let number = last.number;
                (
                    "rowid > ? ORDER BY rowid",
                    Box::new(move |query| query.bind(number)),
                )
            }
            Stage::Others | Stage::End => return Ok(Vec::new()),
        };
        let query = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "SELECT rowid AS number, time, id, seq, outcome IS NOT NULL AS has_outcome, \
             coalesce(clock_run_seconds, 0) AS run_seconds FROM inferences WHERE {which} LIMIT ?"
        )));
        bind(query).bind(most).fetch_all(connection).await
    }

    /// About how many rows must go until the size fits.
    async fn excess(&self, connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
        let Some(most) = self.limits.max_bytes else {
            return Ok(0);
        };
        let used = used_bytes(connection).await?;
        if used <= most {
            return Ok(0);
        }
        // Not more than the excess's share of all rows, so that a small log is not emptied by one
        // large step. Rows go from the beginning only, so the numbers in between are nearly all
        // taken.
        let span = "SELECT coalesce(max(rowid) - min(rowid) + 1, 0) FROM inferences";
        let all = number(connection, span).await?.unsigned_abs();
        let share = u128::from(all) * u128::from(used - most) / u128::from(used) + 1;
        Ok(u64::try_from(share).unwrap_or(u64::MAX).min(all))
    }

    /// Refusals that are too old, and late feedback that no centre waits for.
    async fn delete_others(
        &self,
        connection: &mut SqliteConnection,
        gate: &Gate,
        rows: u32,
    ) -> Result<(u64, u64), sqlx::Error> {
        let refusals = self.delete_by_age(connection, "access", rows).await?;
        if refusals > 0 || !gate.lets_late_feedback_go() {
            return Ok((refusals, 0));
        }
        let late = self
            .delete_by_age(connection, "late_feedback", rows)
            .await?;
        Ok((0, late))
    }

    /// Deletes some lines of `table` that are too old.
    async fn delete_by_age(
        &self,
        connection: &mut SqliteConnection,
        table: &'static str,
        rows: u32,
    ) -> Result<u64, sqlx::Error> {
        let statement = |which: &str| {
            sqlx::AssertSqlSafe(format!(
                "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {which} LIMIT ?)"
            ))
        };
        if let Some(oldest) = self.limits.oldest {
            let statement = statement(match self.limits.doubtful {
                Doubtful::AsStamped => "time < ? ORDER BY time, id",
                Doubtful::Keep | Doubtful::WrittenBefore(_) => {
                    "clock IS NULL AND time < ? ORDER BY time, id"
                }
            });
            let statement = sqlx::query(statement)
                .bind(row::time_text(oldest))
                .bind(rows);
            let deleted = statement.execute(&mut *connection).await?;
            if deleted.rows_affected() > 0 {
                return Ok(deleted.rows_affected());
            }
        }
        let Doubtful::WrittenBefore(run_seconds) = self.limits.doubtful else {
            return Ok(0);
        };
        let statement =
            statement("clock IS NOT NULL AND clock_run_seconds < ? ORDER BY clock_run_seconds");
        let statement = sqlx::query(statement).bind(run_seconds).bind(rows);
        Ok(statement.execute(connection).await?.rows_affected())
    }
}

type Query = sqlx::query::QueryAs<'static, Sqlite, Candidate, SqliteArguments>;
