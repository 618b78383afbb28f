//! One visit of a box at the centre: all that waits in its log is shipped.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use faceood_engine::whole_file::open_lock;
use faceood_log::{Filter, LateFeedback, LogReader, Outbox};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::shipped::Shipped;
use crate::stop::Stop;
use crate::visit::Visit;
use crate::{BoxFacts, Centre, CentreAddress, FleetError};

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
    progress: impl FnMut(&Shipped),
) -> Result<Shipped, FleetError> {
    let begin = Instant::now();
    let _turn = turn(&plan.database, stop).await?;
    let target = plan.address.target();
    let mut outbox = Outbox::open(&plan.database, target, plan.with_notes).await?;
    let node = outbox.identity().node.clone().or_else(|| plan.node.clone());
    let mut facts = facts(plan, &mut outbox).await?;
    let mut centre = Centre::connect(&plan.address, node.as_deref()).await?;
    expect_name(&mut outbox, &mut centre).await?;
    centre.introduce(&facts).await?;
    outbox.ship_as(centre.node()).await?;
    let mut visit = Visit::new(outbox, centre, plan.with_notes);
    visit.ship_all(stop, progress).await?;
    while visit.shipped.is_complete && !stop.is_asked() {
        let lines = visit.outbox.late_feedback(FEEDBACK_LINES).await?;
        let Some(last) = lines.last() else {
            break;
        };
        visit.centre.tell(&lines).await?;
        visit.outbox.late_feedback_done(last.id).await?;
        visit.shipped.late_feedback += lines.len() as u64;
    }
    if verify && visit.shipped.is_complete {
        visit.verify(stop).await?;
    }
    waiting(&mut facts, &mut visit.outbox).await?;
    visit.centre.introduce(&facts).await?;
    visit.centre.close().await;
    visit.shipped.seconds = begin.elapsed().as_secs_f64();
    Ok(visit.shipped)
}

/// A box with a new name must not send its history a second time, under that name: the centre knows
/// each row by the box that sent it.
async fn expect_name(outbox: &mut Outbox, centre: &mut Centre) -> Result<(), FleetError> {
    let node = centre.node().to_owned();
    match outbox.shipped_as().await? {
        Some(before) if before != node && !centre.has_shipped(outbox.identity().log_id).await? => {
            Err(FleetError::Unfit(format!(
                "{target} has the rows of this log under the name {before:?}, and this box is called {node:?} now. Let the \
                 owner of the centre give the rows that name: faceood-admin fleet enrol {node} --was {before}. To send all of \
                 them once more under the new name: faceood-admin ship --forget, and then ship",
                target = centre.target()
            )))
        }
        _ => Ok(()),
    }
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
