//! The daemon's upkeep of its log: each minute it looks at the clock and deletes rows beyond the
//! limits, both through the writer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Settings;
use super::retention::{Limits, Pruned};
use super::shared::Shared;
use super::writer::Command;

/// How often the daemon looks, and how long it lets its start pass first.
const EVERY: Duration = Duration::from_secs(60);

/// How often refusals and uses of tokens are written: rarely enough for the disk, and soon enough
/// for whoever looks.
const ACCESS_EVERY: Duration = Duration::from_secs(1);

/// Has refusals and uses of tokens written until the log is closed.
pub(super) async fn keep_access(commands: mpsc::WeakSender<Command>, shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(ACCESS_EVERY).await;
        let Some(commands) = commands.upgrade().filter(|it| !it.is_closed()) else {
            return;
        };
        if !shared.access.is_empty() {
            write_access(&commands).await;
        }
    }
}

/// Writes some of what waits; a closed log has written it.
pub(super) async fn write_access(commands: &mpsc::Sender<Command>) {
    let (reply, answer) = oneshot::channel();
    if commands.send(Command::Access(reply)).await.is_ok() {
        let _ = answer.await;
    }
}

/// Watches the clock and keeps the log within the settings until the log is closed.
pub(super) async fn keep(commands: mpsc::WeakSender<Command>, settings: Settings) {
    loop {
        tokio::time::sleep(EVERY).await;
        match commands.upgrade() {
            Some(commands) if round(&commands, &settings).await.is_some() => {}
            _ => return,
        }
    }
}

/// One look at the clock, and what is to be deleted by it; `None` once the log is closed. While the
/// clock is not known, since the database cannot be used, nothing is.
pub(super) async fn round(commands: &mpsc::Sender<Command>, settings: &Settings) -> Option<Pruned> {
    let (reply, answer) = oneshot::channel();
    commands.send(Command::Tend(reply)).await.ok()?;
    let Ok(look) = answer.await.ok()? else {
        return Some(Pruned::default());
    };
    let limits = Limits::at(settings, &look);
    if limits == Limits::default() {
        return Some(Pruned::default());
    }
    prune(commands, limits).await
}

/// Prunes through the writer; `None` once it is closed. The writer reports a failure, and the next
/// round tries again.
pub(super) async fn prune(commands: &mpsc::Sender<Command>, limits: Limits) -> Option<Pruned> {
    let mut total = Pruned::default();
    loop {
        let (reply, answer) = oneshot::channel();
        commands.send(Command::Prune(limits, reply)).await.ok()?;
        let Ok(step) = answer.await.ok()? else {
            return Some(total);
        };
        total.add(&step);
        if step.is_last {
            metrics::gauge!("faceood_log_kept_unshipped_rows").set(total.kept_unshipped as f64);
            if total.rows + total.refusals > 0 {
                tracing::info!(
                    rows = total.rows,
                    refusals = total.refusals,
                    freed_bytes = total.freed_bytes,
                    kept_unshipped = total.kept_unshipped,
                    "pruned the inference log"
                );
            }
            return Some(total);
        }
        tokio::time::sleep(step.rest).await;
    }
}
