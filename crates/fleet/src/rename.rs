//! A box gets another name, and its history with it.

use sqlx::{AssertSqlSafe, Connection};

use crate::FleetError;
use crate::connection::Link;

/// Each with `$1` for the old name and `$2` for the new one, in this order. A row that was sent
/// under both names stays as the new one has it: it was sent later.
const STEPS: [&str; 9] = [
    "DELETE FROM inferences AS old USING inferences AS new WHERE old.node = $1 AND new.node = $2 \
     AND new.time = old.time AND new.id = old.id",
    "UPDATE inferences SET node = $2 WHERE node = $1",
    "UPDATE inferences SET outcome_node = $2 WHERE outcome IS NOT NULL AND outcome_node = $1",
    // All old counts are gone before the first new one is made.
    "WITH gone AS (DELETE FROM hourly WHERE node IN ($1, $2) RETURNING *) INSERT INTO hourly \
     SELECT $2, source, hour, pack_sha256, calibration_id, sum(rows), sum(scored), sum(low), sum(accepted), sum(reviewed), \
     sum(rejected), sum(errors), sum(score_sum), sum(score_squares), sum(normed), sum(norm_sum), sum(norm_squares) \
     FROM gone GROUP BY source, hour, pack_sha256, calibration_id",
    "DELETE FROM late_feedback AS old USING late_feedback AS new WHERE old.node = $1 AND new.node = $2 \
     AND new.request_id = old.request_id AND new.time = old.time",
    "UPDATE late_feedback SET node = CASE node WHEN $1 THEN $2 ELSE node END, \
     joined_node = CASE joined_node WHEN $1 THEN $2 ELSE joined_node END WHERE $1 IN (node, joined_node)",
    "WITH gone AS (DELETE FROM shippers WHERE node IN ($1, $2) RETURNING *) \
     INSERT INTO shippers (log_id, instance, node, first_seen, last_seen, address) \
     SELECT log_id, instance, $2, min(first_seen), max(last_seen), (array_agg(address ORDER BY last_seen DESC))[1] \
     FROM gone GROUP BY log_id, instance",
    "UPDATE boxes SET site = coalesce(boxes.site, old.site), ring = coalesce(boxes.ring, old.ring) \
     FROM boxes AS old WHERE boxes.node = $2 AND old.node = $1",
    "DELETE FROM boxes WHERE node = $1",
];

/// Gives all that the box `old` has sent to the box `new`, in one transaction, and lets nobody log
/// in as `old` any more. Returns how many rows that were.
///
/// # Errors
/// [`FleetError::Unfit`] where no box of that name has ever been there; what the server says.
pub(crate) async fn rename(link: &mut Link, old: &str, new: &str) -> Result<u64, FleetError> {
    let is_known: bool = link
        .step("looking for the box", async |connection| {
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM boxes WHERE node = $1)")
                .bind(old)
                .fetch_one(connection)
                .await
        })
        .await?;
    if !is_known || old == new {
        return Err(FleetError::Unfit(format!(
            "{} knows no other box {old:?}: look at the names that faceood-admin fleet shows",
            link.target()
        )));
    }
    link.step("giving a box another name", async |connection| {
        let mut transaction = connection.begin().await?;
        // No word about a row of these boxes is joined meanwhile.
        sqlx::raw_sql("SELECT pg_advisory_xact_lock(hashtextextended('faceood_join', 0))")
            .execute(&mut *transaction)
            .await?;
        let retire: Option<String> = sqlx::query_scalar(
            "SELECT format('ALTER ROLE %I NOLOGIN', rolname) FROM pg_roles WHERE rolname = $1",
        )
        .bind(old)
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(retire) = retire {
            sqlx::raw_sql(AssertSqlSafe(retire))
                .execute(&mut *transaction)
                .await?;
        }
        let mut rows = 0;
        for (number, step) in STEPS.into_iter().enumerate() {
            let done = sqlx::query(step)
                .bind(old)
                .bind(new)
                .execute(&mut *transaction)
                .await?;
            if number == 1 {
                rows = done.rows_affected();
            }
        }
        transaction.commit().await?;
        Ok(rows)
    })
    .await
}
