//! Reads the rows of all boxes at the centre, in the binary form of COPY: a connection for each
//! partition, nothing held but the row at hand.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use faceood_log::{InferenceRecord, LogError, Observation, Value, columns};
use uuid::Uuid;

use crate::copied::CopyError;
use crate::{CentreAddress, FleetError};

mod fields;
mod filter;
mod hours;
mod session;

pub use filter::CentreFilter;
pub use hours::HourCounts;

use fields::{DRAW, Look, fields, observation, observed, value};
use filter::{NODES, in_hours};
use session::{RowError, Session};

/// Rows that are asked for by name in one statement.
const NAMED_ROWS: usize = 1000;

/// A row's place at the centre.
#[derive(Clone, Debug, PartialEq)]
pub struct CentreKey {
    /// Which box.
    pub node: String,
    /// The row's time.
    pub time: DateTime<Utc>,
    /// The row's id.
    pub id: Uuid,
}

/// Reads the centre.
#[derive(Clone, Debug)]
pub struct CentreReader {
    address: CentreAddress,
}

/// The centre at one moment: what is read through it fits together, whatever boxes ship meanwhile.
#[derive(Debug)]
pub struct CentreSnapshot {
    session: Session,
    id: String,
    address: CentreAddress,
    columns: Arc<HashSet<String>>,
}

/// What another connection needs to read the same moment, on any thread.
#[derive(Clone, Debug)]
pub struct CentreMoment {
    snapshot: String,
    address: CentreAddress,
    columns: Arc<HashSet<String>>,
}

/// A partition, or a piece of one.
#[derive(Clone, Debug)]
pub struct CentrePart {
    table: String,
    /// The first block, and the one after the last; `None` is all.
    blocks: Option<[i64; 2]>,
}

/// A connection that reads parts, one after the other.
#[derive(Debug)]
pub struct CentreConnection {
    session: Session,
    columns: Arc<HashSet<String>>,
}

impl CentreReader {
    /// Nothing is asked before the first reading.
    pub fn new(address: CentreAddress) -> Self {
        Self { address }
    }

    /// Host and database, without credentials.
    pub fn target(&self) -> &str {
        self.address.target()
    }

    /// Connects, and holds the centre's rows as they are now.
    ///
    /// # Errors
    /// [`FleetError`], also where the database is no centre.
    pub async fn snapshot(&self) -> Result<CentreSnapshot, FleetError> {
        let mut session = Session::open(&self.address, None).await?;
        let link = &mut session.link;
        let id = link.step("beginning to read", async |connection| {
            sqlx::query_scalar("SELECT pg_export_snapshot()")
                .fetch_one(connection)
                .await
        });
        let id = id.await?;
        let columns: Vec<String> = link
            .step("asking for its columns", async |connection| {
                sqlx::query_scalar(
                    "SELECT attname::text FROM pg_attribute \
                     WHERE attrelid = to_regclass('inferences') AND attnum > 0 AND NOT attisdropped",
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let columns: HashSet<String> = columns.into_iter().collect();
        if !["node", "time", "id", "draw"]
            .iter()
            .all(|name| columns.contains(*name))
        {
            return Err(FleetError::Unfit(format!(
                "{} is no centre of a fleet, or this role may not see its tables: check the address, \
                 and run faceood-admin fleet migrate there once",
                self.target()
            )));
        }
        let may_read: Option<bool> = link
            .step("asking for its rights", async |connection| {
                sqlx::query_scalar("SELECT has_table_privilege(to_regclass('hourly'), 'SELECT')")
                    .fetch_one(connection)
                    .await
            })
            .await?;
        if may_read != Some(true) {
            return Err(FleetError::Unfit(format!(
                "{} does not let this role read the rows of all boxes: log in with the certificate \
                 of a reader, which faceood-admin fleet enrol makes",
                self.target()
            )));
        }
        Ok(CentreSnapshot {
            session,
            id,
            address: self.address.clone(),
            columns: Arc::new(columns),
        })
    }

    /// The rows of the requests with this id, at any box, each with its box, oldest first.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn by_request(
        &self,
        request: &str,
    ) -> Result<Vec<(String, InferenceRecord)>, FleetError> {
        let mut snapshot = self.snapshot().await?;
        snapshot.session.set("faceood.request", request).await?;
        let condition = "request_id = current_setting('faceood.request')";
        let found = snapshot.records(condition).await?;
        snapshot.close().await;
        Ok(found)
    }

    /// The row with this id, and its box.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn by_id(&self, id: Uuid) -> Result<Option<(String, InferenceRecord)>, FleetError> {
        let mut snapshot = self.snapshot().await?;
        // Without the time every partition is looked through. The ids of the log have it.
        let about = id.get_timestamp().and_then(|time| {
            let (seconds, nanos) = time.to_unix();
            DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
        });
        let near = about.map(|time| {
            let time = faceood_log::time_text(time);
            format!(
                " AND time BETWEEN '{time}'::timestamptz - interval '1 day' AND '{time}'::timestamptz + interval '1 day'"
            )
        });
        let exact = format!("id = '{id}'::uuid");
        let mut found = None;
        let conditions = [near.map(|near| exact.clone() + &near), Some(exact)];
        for condition in conditions.into_iter().flatten() {
            found = snapshot.records(&condition).await?.pop();
            if found.is_some() {
                break;
            }
        }
        snapshot.close().await;
        Ok(found)
    }
}

impl CentreSnapshot {
    /// The boxes of a ring, in the order of their names.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn nodes_of_ring(&mut self, ring: &str) -> Result<Vec<String>, FleetError> {
        let link = &mut self.session.link;
        link.step("asking for boxes", async |connection| {
            // A centre of an older release has no rings.
            sqlx::query_scalar(
                "SELECT node FROM boxes WHERE to_jsonb(boxes) ->> 'ring' = $1 ORDER BY node",
            )
            .bind(ring)
            .fetch_all(connection)
            .await
        })
        .await
    }

    /// How many rows the centre has counted in the hours of the window, whatever their scores.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn rows(&mut self, filter: &CentreFilter) -> Result<u64, FleetError> {
        self.session.take(filter).await?;
        let query = format!(
            "SELECT coalesce(sum(rows), 0)::bigint FROM hourly WHERE {}",
            in_hours(filter)
        );
        let rows: i64 = self
            .session
            .link
            .step("counting rows", async |connection| {
                sqlx::query_scalar(sqlx::AssertSqlSafe(query))
                    .fetch_one(connection)
                    .await
            })
            .await?;
        Ok(rows.unsigned_abs())
    }

    /// Shows the counts of every hour of the window to `visit`.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn hours(
        &mut self,
        filter: &CentreFilter,
        mut visit: impl FnMut(&HourCounts<'_>),
    ) -> Result<(), FleetError> {
        self.session.take(filter).await?;
        let query = format!(
            "SELECT {} FROM hourly WHERE {}",
            hours::COLUMNS,
            in_hours(filter)
        );
        self.session
            .copy(&query, hours::FIELDS, |row| {
                visit(&hours::counts(row)?);
                Ok(())
            })
            .await
    }

    /// Lets go of the moment, and says goodbye.
    pub async fn close(self) {
        self.session.link.close().await;
    }

    /// What other connections need to read the same moment.
    pub fn moment(&self) -> CentreMoment {
        CentreMoment {
            snapshot: self.id.clone(),
            address: self.address.clone(),
            columns: self.columns.clone(),
        }
    }

    /// The partitions, largest first; larger ones in pieces of so many blocks, if that is given.
    /// Pieces serve filters that find most rows: each is looked through from end to end.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn parts(&mut self, piece: Option<u32>) -> Result<Vec<CentrePart>, FleetError> {
        let piece = piece.map_or(i64::MAX, |blocks| blocks.max(1).into());
        let found: Vec<(String, i64)> = self
            .session
            .link
            .step("listing partitions", async |connection| {
                sqlx::query_as(
                    "SELECT relid::regclass::text, CASE relkind WHEN 'r' THEN \
                     pg_relation_size(relid) / current_setting('block_size')::bigint ELSE 0 END AS blocks \
                     FROM pg_partition_tree('inferences') JOIN pg_class ON oid = relid \
                     WHERE isleaf ORDER BY blocks DESC, relid",
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let pieces = |(table, blocks): (String, i64)| -> Vec<CentrePart> {
            if blocks <= piece {
                return vec![CentrePart {
                    table,
                    blocks: None,
                }];
            }
            let firsts = (0..blocks).step_by(piece as usize);
            let part = |first| CentrePart {
                table: table.clone(),
                blocks: Some([first, first + piece]),
            };
            firsts.map(part).collect()
        };
        Ok(found.into_iter().flat_map(pieces).collect())
    }

    /// Shows the rows at these places to `visit`, with sizes and components; one that is gone is
    /// left out.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn scan_keys(
        &mut self,
        keys: &[CentreKey],
        mut visit: impl FnMut(&str, &Observation<'_>),
    ) -> Result<(), FleetError> {
        for keys in keys.chunks(NAMED_ROWS) {
            let nodes: Vec<&str> = keys.iter().map(|key| key.node.as_str()).collect();
            let times: Vec<DateTime<Utc>> = keys.iter().map(|key| key.time).collect();
            let ids: Vec<Uuid> = keys.iter().map(|key| key.id).collect();
            self.session
                .link
                .step("asking for rows", async |connection| {
                    sqlx::query(
                        "SELECT set_config('faceood.nodes', $1::text[]::text, true), set_config('faceood.times', $2::timestamptz[]::text, true), \
                         set_config('faceood.ids', $3::uuid[]::text, true)",
                    )
                    .bind(nodes)
                    .bind(times)
                    .bind(ids)
                    .execute(connection)
                    .await
                })
                .await?;
            let query = format!(
                "SELECT {} FROM unnest({NODES}, current_setting('faceood.times')::timestamptz[], \
                 current_setting('faceood.ids')::uuid[]) AS wanted (node, time, id) \
                 JOIN inferences USING (node, time, id)",
                observed(&self.columns, Look::Complete)
            );
            self.session
                .copy(&query, fields(Look::Complete), |row| {
                    let (node, observation) = observation(row, Look::Complete)?;
                    visit(node, &observation);
                    Ok(())
                })
                .await?;
        }
        Ok(())
    }

    /// Shows whole rows with their boxes to `visit`, oldest first, until that has had enough. The
    /// centre sorts them. Values of newer boxes that this release does not know are left out, and
    /// how many that were is returned.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn export(
        &mut self,
        filter: &CentreFilter,
        visit: impl FnMut(&str, InferenceRecord) -> ControlFlow<()>,
    ) -> Result<u64, FleetError> {
        self.session.take(filter).await?;
        self.each_record(&filter.conditions(), visit).await
    }

    async fn records(
        &mut self,
        condition: &str,
    ) -> Result<Vec<(String, InferenceRecord)>, FleetError> {
        let mut found = Vec::new();
        let unknown = self
            .each_record(condition, |node, record| {
                found.push((node.to_owned(), record));
                ControlFlow::Continue(())
            })
            .await?;
        if unknown > 0 {
            tracing::warn!(values = unknown, "values of a newer release are left out");
        }
        Ok(found)
    }

    async fn each_record(
        &mut self,
        condition: &str,
        mut visit: impl FnMut(&str, InferenceRecord) -> ControlFlow<()>,
    ) -> Result<u64, FleetError> {
        let mut unknown = 0;
        let present = self.columns.clone();
        let selected = columns().iter().map(|column| match column.name {
            "id" => "id::text".to_owned(),
            name if present.contains(name) => name.to_owned(),
            _ => "NULL".to_owned(),
        });
        let selected: Vec<String> = selected.collect();
        let query = format!(
            "SELECT node, {} FROM inferences WHERE {condition} ORDER BY inferences.time, inferences.id, inferences.node",
            selected.join(", ")
        );
        self.session
            .copy(&query, columns().len() + 1, |row| {
                let node = row.text(0)?.unwrap_or_default();
                let values = (1..)
                    .zip(columns())
                    .map(|(field, column)| value(row, field, *column));
                let values = values.collect::<Result<Vec<Value>, CopyError>>()?;
                let (record, left_out) = faceood_log::from_newer(values)?;
                unknown += left_out;
                match visit(node, record) {
                    ControlFlow::Continue(()) => Ok(()),
                    ControlFlow::Break(()) => Err(RowError::Enough),
                }
            })
            .await?;
        Ok(unknown)
    }
}

impl CentreMoment {
    /// Connects.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn connect(&self) -> Result<CentreConnection, FleetError> {
        Ok(CentreConnection {
            session: Session::open(&self.address, Some(&self.snapshot)).await?,
            columns: self.columns.clone(),
        })
    }
}

impl CentreConnection {
    /// Shows every row of `part` that `filter` finds to `visit`, with its box and its `draw`, in any
    /// order and without sizes and components.
    ///
    /// # Errors
    /// [`FleetError`], or what `visit` says.
    pub async fn scan(
        &mut self,
        part: &CentrePart,
        filter: &CentreFilter,
        mut visit: impl FnMut(&str, f32, &Observation<'_>) -> Result<(), LogError>,
    ) -> Result<(), FleetError> {
        self.session.take(filter).await?;
        let blocks = part.blocks.map(|[first, end]| {
            format!(" AND ctid >= '({first},0)'::tid AND ctid < '({end},0)'::tid")
        });
        let query = format!(
            "SELECT {} FROM {} WHERE {}{}",
            observed(&self.columns, Look::Brief),
            part.table,
            filter.conditions(),
            blocks.unwrap_or_default()
        );
        let copied = self.session.copy(&query, fields(Look::Brief), |row| {
            let (node, observation) = observation(row, Look::Brief)?;
            let draw = row.real(DRAW)?.unwrap_or_default();
            visit(node, draw, &observation).map_err(RowError::Log)
        });
        copied.await
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.session.link.close().await;
    }
}
