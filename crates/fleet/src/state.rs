//! What the centre knows of its boxes.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use crate::connection::{Link, Purpose};
use crate::{CentreAddress, FleetError, schema};

/// Boxes, clones, and what waits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetState {
    /// The time at the centre.
    pub now: DateTime<Utc>,
    /// Every box, by name.
    pub boxes: Vec<BoxState>,
    /// Logs that two machines ship at once.
    pub clones: Vec<CloneAlarm>,
    /// Words about requests that no box has shipped yet.
    pub feedback_waiting: u64,
    /// Rows whose time is of a broken clock.
    pub rows_without_month: u64,
}

/// One box, as it was at its last visit, and its rows in the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, FromRow)]
pub struct BoxState {
    /// Its name.
    pub node: String,
    /// Where it stands, as the operator said.
    pub site: Option<String>,
    /// In which ring it gets releases, as the operator said.
    pub ring: Option<String>,
    /// Release of faceood.
    pub version: Option<String>,
    /// Model pack and its version.
    pub pack: Option<String>,
    /// Version of the pack.
    pub pack_version: Option<String>,
    /// Calibration in force.
    pub calibration_id: Option<String>,
    /// Where the pack runs.
    pub provider: Option<String>,
    /// Its last visit, by the centre's clock; `None`: it never came.
    pub last_seen: Option<DateTime<Utc>>,
    /// By how many seconds its clock was ahead of the centre's then.
    pub clock_ahead_seconds: Option<f64>,
    /// Rows that waited after its last visit.
    pub unshipped: Option<i64>,
    /// The time of the oldest of them.
    pub oldest: Option<DateTime<Utc>>,
    /// Rows that the centre could not take.
    pub quarantined: Option<i64>,
    /// Its rows of the window, by day.
    #[sqlx(skip)]
    pub days: BTreeMap<NaiveDate, BoxDay>,
}

/// Counts of a box and a day, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BoxDay {
    /// Rows.
    pub rows: u64,
    /// Rows with a score.
    pub scored: u64,
    /// Of them, at most 0.4.
    pub low: u64,
    /// Decisions.
    pub decided: u64,
    /// Of them, to reject.
    pub rejected: u64,
    /// Failed requests.
    pub errors: u64,
}

impl BoxDay {
    /// The counts of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            scored: self.scored + other.scored,
            low: self.low + other.low,
            decided: self.decided + other.decided,
            rejected: self.rejected + other.rejected,
            errors: self.errors + other.errors,
        }
    }
}

/// A log that two machines, or two starts of one, shipped at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct CloneAlarm {
    /// The log's id, which both have.
    pub log_id: Uuid,
    /// The two names; equal where both have the same certificate.
    pub nodes: Vec<String>,
    /// From where each came last.
    pub addresses: Vec<String>,
    /// When the second one came first.
    pub since: DateTime<Utc>,
    /// When both were last there.
    pub until: DateTime<Utc>,
}

/// Clones are told of for so long after both were last seen.
const CLONES: &str = "SELECT a.log_id, ARRAY[a.node, b.node] AS nodes, \
    ARRAY[coalesce(host(a.address), 'local socket'), coalesce(host(b.address), 'local socket')] AS addresses, \
    greatest(a.first_seen, b.first_seen) AS since, least(a.last_seen, b.last_seen) AS until \
    FROM shippers AS a JOIN shippers AS b USING (log_id) \
    WHERE (a.instance, a.node) < (b.instance, b.node) \
    AND a.first_seen < b.last_seen AND b.first_seen < a.last_seen \
    AND least(a.last_seen, b.last_seen) > now() - interval '30 days' ORDER BY until DESC LIMIT 100";

/// A centre of an older release has no rings.
const BOXES: &str = "SELECT node, site, to_jsonb(boxes) ->> 'ring' AS ring, version, pack, pack_version, calibration_id, provider, last_seen, \
    extract(epoch FROM box_time - last_seen)::double precision AS clock_ahead_seconds, unshipped, oldest, quarantined \
    FROM boxes ORDER BY node";

const DAYS: &str = "SELECT node, (hour AT TIME ZONE 'UTC')::date, sum(rows)::bigint, sum(scored)::bigint, sum(low)::bigint, \
    sum(accepted + reviewed + rejected)::bigint, sum(rejected)::bigint, sum(errors)::bigint \
    FROM hourly WHERE hour >= $1 AND hour < $2 GROUP BY 1, 2";

type DayCounts = (String, NaiveDate, i64, i64, i64, i64, i64, i64);

/// Reads what the centre knows, with the counts of whole hours from `since` until `until`.
///
/// # Errors
/// What the centre says.
pub async fn fleet_state(
    address: &CentreAddress,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<FleetState, FleetError> {
    let mut link = Link::open(address, None, Purpose::Operator).await?;
    schema::expect_tables(&mut link).await?;
    let (mut state, days) = link
        .step("reading what it knows of the boxes", async |connection| {
            let mut state = FleetState {
                boxes: sqlx::query_as(BOXES).fetch_all(&mut *connection).await?,
                clones: sqlx::query_as(CLONES).fetch_all(&mut *connection).await?,
                ..FleetState::default()
            };
            let counts: (DateTime<Utc>, i64, i64) = sqlx::query_as(
                "SELECT now(), (SELECT count(*) FROM late_feedback WHERE joined_node IS NULL), \
                 (SELECT count(*) FROM inferences_default)",
            )
            .fetch_one(&mut *connection)
            .await?;
            state.now = counts.0;
            state.feedback_waiting = counts.1.unsigned_abs();
            state.rows_without_month = counts.2.unsigned_abs();
            let days: Vec<DayCounts> = sqlx::query_as(DAYS)
                .bind(since)
                .bind(until)
                .fetch_all(connection)
                .await?;
            Ok((state, days))
        })
        .await?;
    link.close().await;
    let mut days_of: BTreeMap<String, BTreeMap<NaiveDate, BoxDay>> = BTreeMap::new();
    for (node, day, rows, scored, low, decided, rejected, errors) in days {
        let day_of = BoxDay {
            rows: rows.unsigned_abs(),
            scored: scored.unsigned_abs(),
            low: low.unsigned_abs(),
            decided: decided.unsigned_abs(),
            rejected: rejected.unsigned_abs(),
            errors: errors.unsigned_abs(),
        };
        days_of.entry(node).or_default().insert(day, day_of);
    }
    for one in &mut state.boxes {
        one.days = days_of.remove(&one.node).unwrap_or_default();
    }
    Ok(state)
}
