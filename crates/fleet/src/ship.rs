//! One visit of a box at the centre: all that waits in its log is shipped.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::NaiveDate;
use faceood_engine::whole_file::open_lock;
use faceood_log::{
    Column, DayLedger, Filter, LateFeedback, LogReader, Outbox, OutboxBatch, shipped_columns,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::stop::Stop;
use crate::{BoxFacts, Centre, CentreAddress, CentreDay, FleetError, ShippedRow};

/// Rows of one transaction.
const BATCH_ROWS: u32 = 1000;

/// Words of feedback of one transaction.
const FEEDBACK_LINES: u32 = 200;

/// How long a visit waits for another one with the same log.
const TURN: Duration = Duration::from_secs(120);

/// What is shipped, and where to.
#[derive(Clone, Debug)]
pub struct ShipPlan {
    /// The box's log.
    pub database: PathBuf,
    /// The centre.
    pub address: CentreAddress,
    /// The box's name, where its log does not say it.
    pub node: Option<String>,
    /// Whether the notes of feedback leave the box.
    pub with_notes: bool,
}

/// What a visit did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Shipped {
    /// Host and database of the centre.
    pub target: String,
    /// The box's name there.
    pub node: String,
    /// Rows that were sent.
    pub rows_sent: u64,
    /// Rows that were new to the centre.
    pub rows_stored: u64,
    /// Rows that it had, and whose outcome is newer now.
    pub outcomes: u64,
    /// Rows that it cannot take. They are kept here and named in the log.
    pub rows_quarantined: u64,
    /// Words about requests of other boxes.
    pub late_feedback: u64,
    /// How long the visit took.
    pub seconds: f64,
    /// Whether nothing waits any more.
    pub is_complete: bool,
    /// How the days compared, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
}

/// How a box and the centre compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Days compared.
    pub days: u64,
    /// Those that differed, oldest first.
    pub differing: Vec<DayDifference>,
}

/// A day on which both sides differed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DayDifference {
    /// Which day, UTC.
    pub day: NaiveDate,
    /// Rows that the box has shipped of it.
    pub box_rows: u64,
    /// Rows that the centre had.
    pub centre_rows: u64,
    /// Rows that it lacked and has now.
    pub rows_stored: u64,
    /// How it ended.
    pub outcome: DayOutcome,
}

/// What became of a day that differed, after its rows were sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DayOutcome {
    /// Both sides are the same now.
    Mended,
    /// The centre has all rows that are here, and more: this log was restored from an older
    /// backup, or another box ships as this one.
    CentreHasMore,
    /// Rows or outcomes that were deleted here are missing there: the centre was restored from an
    /// older backup.
    Lost,
}

impl Verified {
    /// Whether rows are missing at the centre that the box cannot send again.
    pub fn has_losses(&self) -> bool {
        self.differing
            .iter()
            .any(|day| day.outcome == DayOutcome::Lost)
    }
}

/// Ships all that waits, then says what the box is and disconnects. Where `verify` asks for it,
/// both sides are compared day by day, and days that differ are sent again. `stop` ends it between
/// two batches. `progress` hears of each batch.
///
/// # Errors
/// What the log or the centre says. What was confirmed before stays so.
pub async fn ship(
    plan: &ShipPlan,
    verify: bool,
    stop: &Stop,
    mut progress: impl FnMut(&Shipped),
) -> Result<Shipped, FleetError> {
    let begin = Instant::now();
    let _turn = turn(&plan.database, stop).await?;
    let target = plan.address.target();
    let mut outbox = Outbox::open(&plan.database, target, plan.with_notes).await?;
    let node = outbox.identity().node.clone().or_else(|| plan.node.clone());
    let mut facts = facts(plan, &mut outbox).await?;
    let mut centre = Centre::connect(&plan.address, node.as_deref()).await?;
    centre.introduce(&facts).await?;
    let mut visit = Visit {
        log_id: outbox.identity().log_id,
        columns: shipped_columns(plan.with_notes),
        shipped: Shipped {
            target: target.to_owned(),
            node: centre.node().to_owned(),
            ..Shipped::default()
        },
    };
    while !stop.is_asked() {
        let batch = outbox.next(BATCH_ROWS).await?;
        visit.send(&mut outbox, &mut centre, &batch).await?;
        if batch.is_empty() {
            visit.shipped.is_complete = true;
            break;
        }
        progress(&visit.shipped);
    }
    while visit.shipped.is_complete && !stop.is_asked() {
        let lines = outbox.late_feedback(FEEDBACK_LINES).await?;
        let Some(last) = lines.last() else {
            break;
        };
        centre.tell(&lines).await?;
        outbox.late_feedback_done(last.id).await?;
        visit.shipped.late_feedback += lines.len() as u64;
    }
    if verify && visit.shipped.is_complete {
        visit.verify(&mut outbox, &mut centre, stop).await?;
    }
    waiting(&mut facts, &mut outbox).await?;
    centre.introduce(&facts).await?;
    centre.close().await;
    visit.shipped.seconds = begin.elapsed().as_secs_f64();
    Ok(visit.shipped)
}

struct Visit {
    log_id: Uuid,
    columns: Vec<Column>,
    shipped: Shipped,
}

impl Visit {
    /// Stores a batch at the centre, and then moves the cursor.
    async fn send(
        &mut self,
        outbox: &mut Outbox,
        centre: &mut Centre,
        batch: &OutboxBatch,
    ) -> Result<u64, FleetError> {
        let rows: Vec<_> = batch
            .rows
            .iter()
            .map(|row| ShippedRow {
                seq: row.seq,
                id: row.id,
                time: row.time,
                values: &row.values,
            })
            .collect();
        let stored = centre.write(self.log_id, &self.columns, &rows).await?;
        for (id, why) in &stored.refused {
            tracing::warn!(row = %id, target = centre.target(), why, "the centre cannot take a row: it is passed over");
        }
        outbox.done(batch, &stored.refused).await?;
        self.shipped.rows_sent += rows.len() as u64;
        self.shipped.rows_stored += stored.rows;
        self.shipped.outcomes += stored.outcomes;
        self.shipped.rows_quarantined += stored.refused.len() as u64;
        Ok(stored.rows)
    }

    async fn verify(
        &mut self,
        outbox: &mut Outbox,
        centre: &mut Centre,
        stop: &Stop,
    ) -> Result<(), FleetError> {
        let mut verified = Verified::default();
        for ledger in outbox.days().await? {
            if stop.is_asked() {
                self.shipped.is_complete = false;
                break;
            }
            verified.days += 1;
            let before = centre.day(self.log_id, ledger.day).await?;
            if is_same(&ledger, &before) {
                continue;
            }
            let mut rows_stored = 0;
            let mut after = None;
            loop {
                let batch = outbox.of_day(ledger.day, after, BATCH_ROWS).await?;
                let Some(last) = batch.rows.last() else {
                    break;
                };
                after = Some((last.time, last.id));
                rows_stored += self.send(outbox, centre, &batch).await?;
            }
            let now = centre.day(self.log_id, ledger.day).await?;
            let outcome = if is_same(&ledger, &now) {
                DayOutcome::Mended
            } else if now.rows < ledger.rows || now.outcomes < ledger.outcomes {
                DayOutcome::Lost
            } else {
                DayOutcome::CentreHasMore
            };
            verified.differing.push(DayDifference {
                day: ledger.day,
                box_rows: ledger.rows,
                centre_rows: before.rows,
                rows_stored,
                outcome,
            });
        }
        self.shipped.verified = Some(verified);
        Ok(())
    }
}

fn is_same(ledger: &DayLedger, centre: &CentreDay) -> bool {
    let here = CentreDay {
        rows: ledger.rows,
        id_high: ledger.id_high,
        id_low: ledger.id_low,
        outcomes: ledger.outcomes,
    };
    here == *centre
}

/// What the box says of itself.
async fn facts(plan: &ShipPlan, outbox: &mut Outbox) -> Result<BoxFacts, FleetError> {
    let newest = Filter {
        limit: Some(1),
        ..Filter::default()
    };
    let reader = LogReader::open(&plan.database).await?;
    // A row that cannot be read is passed over when it is shipped, and is no reason to stop here.
    let newest = reader.query(&newest, None).await;
    let newest = newest.ok().and_then(|mut page| page.records.pop());
    let mut facts = BoxFacts {
        log_id: outbox.identity().log_id,
        instance: instance(&plan.database)?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..BoxFacts::default()
    };
    if let Some(newest) = newest {
        facts.pack = newest.pack;
        facts.pack_version = newest.pack_version;
        facts.pack_sha256 = newest.pack_sha256;
        facts.calibration_id = newest.calibration_id;
        facts.provider = newest.provider;
    }
    waiting(&mut facts, outbox).await?;
    Ok(facts)
}

async fn waiting(facts: &mut BoxFacts, outbox: &mut Outbox) -> Result<(), FleetError> {
    let backlog = outbox.backlog().await?;
    facts.unshipped = backlog.rows;
    facts.oldest = backlog.oldest;
    facts.quarantined = backlog.quarantined;
    Ok(())
}

/// Names this start of this machine, with this file: the same for every visit, and another one for
/// a clone of the machine or a copy of the log.
fn instance(database: &Path) -> Result<Uuid, FleetError> {
    let told = |file: &str| {
        let why = |error| faceood_log::LogError::io("read", Path::new(file), error);
        fs::read_to_string(file).map_err(why)
    };
    let mut hash = Sha256::new();
    for part in [
        "/proc/sys/kernel/random/boot_id",
        "/proc/sys/kernel/hostname",
    ] {
        hash.update(told(part)?);
        hash.update([0]);
    }
    if let Ok(file) = fs::metadata(database) {
        hash.update(file.dev().to_le_bytes());
        hash.update(file.ino().to_le_bytes());
    }
    let digest = hash.finalize();
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    Ok(Uuid::from_bytes(first))
}

/// Waits until no other visit works with this log: one batch is in flight at a time.
async fn turn(database: &Path, stop: &Stop) -> Result<File, FleetError> {
    let mut path = database.as_os_str().to_owned();
    path.push(".ship.lock");
    let path = PathBuf::from(path);
    let failed = |error: std::io::Error| faceood_log::LogError::io("lock", &path, error);
    // Made by root, it must not keep the daemon's user out.
    let owner = fs::metadata(database).map(|file| (file.uid(), file.gid()));
    let file = open_lock(&path, owner.ok()).map_err(failed)?;
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error).into()),
            Err(TryLockError::WouldBlock) if begin.elapsed() < TURN && !stop.is_asked() => {
                stop.wait(Duration::from_millis(200)).await;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(FleetError::Unfit(format!(
                    "another faceood-admin ship works with {}: wait until it has ended, or end it",
                    database.display()
                )));
            }
        }
    }
}

/// Sets the target back to the beginning of the log: the next visit sends everything again, and the
/// centre stores what it lacks.
///
/// # Errors
/// What the log says.
pub async fn rewind(plan: &ShipPlan) -> Result<(), FleetError> {
    let target = plan.address.target();
    let mut outbox = Outbox::open(&plan.database, target, plan.with_notes).await?;
    Ok(outbox.rewind().await?)
}

/// Forgets the target: what it has not got may be deleted by retention.
///
/// # Errors
/// What the log says.
pub async fn forget(plan: &ShipPlan) -> Result<(), FleetError> {
    let target = plan.address.target();
    let outbox = Outbox::open(&plan.database, target, plan.with_notes).await?;
    Ok(outbox.forget().await?)
}

impl Centre {
    /// Tells the centre of feedback about requests that other boxes answered. What it has already
    /// is not told twice.
    async fn tell(&mut self, lines: &[LateFeedback]) -> Result<(), FleetError> {
        match self.tell_at_once(lines).await {
            Err(error) => match (error.row_fault(), lines) {
                (None, _) => Err(error),
                (Some(why), [line]) => {
                    tracing::warn!(
                        request_id = line.request_id,
                        why,
                        "the centre cannot take a word of feedback"
                    );
                    Ok(())
                }
                (Some(_), lines) => {
                    for line in lines {
                        Box::pin(self.tell(std::slice::from_ref(line))).await?;
                    }
                    Ok(())
                }
            },
            told => told,
        }
    }
}
