//! `prune`: deletes old rows of the log, in steps so small that a live daemon does not notice.

use anyhow::bail;
use chrono::{TimeDelta, Utc};
use serde::Serialize;

use super::report_out::ReportFlags;
use super::{Context, output, when};
use faceood::telemetry::host::Bytes;
use faceood_log::{Doubtful, Filter, Limits, LogReader};
use faceood_report::plural;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without a limit those of the settings apply (log.retention_days, log.max_bytes), which the daemon \
keeps by itself. After a jump of the clock nothing is deleted by age, by the daemon or by this \
command, until the clock has been steady for a day or --trust-clock says that it is right. Look \
at it first: date -u; timedatectl
Rows that are shipped to a centre are kept until it has them, whatever the limits say.
A backup first does no harm: faceood-admin backup FILE.

Examples:
  faceood-admin prune --older-than 30d --dry-run
  faceood-admin prune --older-than 30d
  faceood-admin prune --max-size 500MB
  faceood-admin prune --older-than 30d --even-unshipped
  faceood-admin prune --trust-clock     the clock is right: the daemon deletes by it again")]
pub(crate) struct Args {
    /// Delete rows older than this: 12h, 30d, 26w
    #[arg(long, value_name = "SPAN", value_parser = when::span)]
    older_than: Option<TimeDelta>,
    /// Delete the oldest rows while the database is larger than this: 500MB, 2GB
    #[arg(long, value_name = "SIZE", value_parser = when::size)]
    max_size: Option<u64>,
    /// Say that the clock is right: to this command, and to the daemon, which then deletes by age
    /// again
    #[arg(long)]
    trust_clock: bool,
    /// Delete by age also rows that were written while the clock could not be trusted, by the time
    /// that they bear
    #[arg(long)]
    include_doubtful: bool,
    /// Delete also rows that a centre which they are shipped to has not got yet: it never gets them
    #[arg(long)]
    even_unshipped: bool,
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    report: ReportFlags,
}

#[derive(Debug, Serialize)]
struct PruneReport {
    database: String,
    is_dry_run: bool,
    rows_before: u64,
    rows_deleted: u64,
    /// Rows beyond the age that are kept, since the clock could not be trusted when they were
    /// written.
    rows_doubtful: u64,
    /// Rows beyond the limits that are kept, since a centre that they are shipped to has not got
    /// them.
    rows_unshipped: u64,
    /// Refused requests, which `access` shows.
    refusals_deleted: u64,
    /// Of the database file, given back to the disk; not known of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    freed_bytes: Option<u64>,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    args.report.check()?;
    let path = context.database()?;
    let limits = limits(args, context)?;
    let report = context.block_on(async {
        let reader = LogReader::open(&path).await?;
        let rows_before = reader.count(&Filter::default()).await?.rows;
        let doubtful = match limits.oldest {
            Some(oldest) => reader.doubtful_before(oldest).await?,
            None => 0,
        };
        let rows_doubtful = if args.include_doubtful { 0 } else { doubtful };
        let now = Utc::now();
        if args.trust_clock {
            if !args.dry_run {
                faceood_log::accept_clock(&path, now).await?;
                output::note(
                    "the clock is taken to be right from now on; a daemon that runs goes by it within a minute",
                );
            }
        } else if limits.oldest.is_some()
            && let Some(objection) = reader.clock().await?.objection(now)
        {
            bail!(
                "nothing is deleted by age, because {objection}: look at the clock (date -u; timedatectl), set it where it is \
                 wrong, and if it is right, say so with --trust-clock"
            );
        }
        let mut report = PruneReport {
            database: path.display().to_string(),
            is_dry_run: args.dry_run,
            rows_before,
            rows_deleted: 0,
            rows_doubtful,
            rows_unshipped: 0,
            refusals_deleted: 0,
            freed_bytes: None,
        };
        if args.dry_run {
            let file = std::fs::metadata(&path)?.len();
            let by_age = match limits.oldest {
                Some(oldest) => {
                    let old = Filter {
                        until: Some(oldest),
                        ..Filter::default()
                    };
                    reader.count(&old).await?.rows - rows_doubtful
                }
                None => 0,
            };
            let by_size = limits.max_bytes.map(|most| over_size(file, rows_before, most));
            let beyond = by_age.max(by_size.unwrap_or(0));
            if !args.even_unshipped {
                let aged = match limits.oldest {
                    Some(oldest) => reader.unshipped(Some(oldest), args.include_doubtful).await?,
                    None => 0,
                };
                let shipped = rows_before - reader.unshipped(None, true).await?;
                let by_size = by_size.map_or(0, |rows| rows.saturating_sub(shipped));
                report.rows_unshipped = aged.max(by_size).min(beyond);
            }
            report.rows_deleted = beyond - report.rows_unshipped;
            if let Some(oldest) = limits.oldest {
                report.refusals_deleted =
                    reader.accesses_before(oldest, args.include_doubtful).await?;
            }
        } else {
            let bar = output::progress(rows_before, "rows deleted");
            let hear = |so_far: &faceood_log::Pruned| bar.set_position(so_far.rows);
            let pruned = faceood_log::prune(&path, &limits, hear).await?;
            bar.finish_and_clear();
            report.rows_deleted = pruned.rows;
            report.rows_unshipped = pruned.kept_unshipped;
            report.refusals_deleted = pruned.refusals;
            report.freed_bytes = Some(pruned.freed_bytes);
        }
        Ok(report)
    })?;
    args.report
        .show_text("What was deleted from the log", &report, || text(&report))
}

fn limits(args: &Args, context: &Context) -> anyhow::Result<Limits> {
    let now = Utc::now();
    let mut limits = match (args.older_than, args.max_size) {
        (None, None) => Limits::of(&context.config()?.log, now),
        (older_than, max_bytes) => Limits {
            oldest: older_than.and_then(|span| now.checked_sub_signed(span)),
            max_bytes,
            ..Limits::default()
        },
    };
    limits.even_unshipped = args.even_unshipped;
    if args.include_doubtful {
        limits.doubtful = Doubtful::AsStamped;
    }
    Ok(limits)
}

/// About how many of `rows` in a file of `bytes` must go until it has `most` bytes.
fn over_size(bytes: u64, rows: u64, most: u64) -> u64 {
    let excess = bytes.saturating_sub(most);
    let share = u128::from(rows) * u128::from(excess) / u128::from(bytes.max(1));
    u64::try_from(share).unwrap_or(rows)
}

fn text(report: &PruneReport) -> String {
    let (database, before, deleted) = (&report.database, report.rows_before, report.rows_deleted);
    let done = match report.freed_bytes {
        None => format!(
            "{database}: about {deleted} of {} would be deleted",
            plural(before, "row", "rows")
        ),
        Some(freed) => format!(
            "{database}: {deleted} of {} deleted, {} given back to the disk",
            plural(before, "row", "rows"),
            Bytes(freed)
        ),
    };
    let done = match (report.refusals_deleted, report.is_dry_run) {
        (0, _) => done,
        (refusals, true) => format!(
            "{done}, and {}",
            plural(refusals, "refused request", "refused requests")
        ),
        (refusals, false) => format!(
            "{done}; {} deleted",
            plural(refusals, "refused request", "refused requests")
        ),
    };
    let done = match report.rows_unshipped {
        0 => done,
        rows => format!(
            "{done}\n{} beyond the limits because a centre has not got all of that yet: faceood-admin doctor says what \
             waits for which centre; --even-unshipped deletes it all the same",
            plural(rows, "row is kept", "rows are kept")
        ),
    };
    match report.rows_doubtful {
        0 => done,
        rows => format!(
            "{done}\n{} beyond that age, written while the clock could not be trusted: the daemon goes by its own \
             running time there; --include-doubtful goes by the written time",
            plural(rows, "row is kept", "rows are kept")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_over_the_size_is_estimated() {
        assert_eq!(over_size(1_000, 100, 250), 75);
        assert_eq!(over_size(1_000, 100, 2_000), 0);
        assert_eq!(over_size(0, 0, 0), 0);
    }
}
