//! Checks the log's database: whether it can be read, ends in the past, has sound pages, and
//! whether a damaged one was set aside.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::{Check, CheckStatus, Context, Finding, failed, ok, skipped, warning};
use faceood::config::Config;
use faceood::telemetry::host::Bytes;
use faceood_log::{ClockFacts, Counts, Filter, LogReader, Unwritten, set_aside_files};
use faceood_report::plural;

/// Longest look at the pages. On a disk that reads 200 MB a second it is enough for three times the
/// default `log.max_bytes`.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to do about a damaged database.
pub(crate) const DAMAGED: &str = "the daemon sets a damaged database aside when it meets the damage and begins a fresh one; restore a backup if rows are missed";

/// Looks at the database that the daemon uses, or at `--db`, and for damaged ones beside it.
pub(super) fn checks(context: &Context, config: &Config) -> Vec<Check> {
    let path = context.database_path(config);
    let readable = readable(context, &path);
    let is_readable = matches!(readable.status, CheckStatus::Ok | CheckStatus::Warning);
    let mut checks = vec![readable.named("database")];
    if is_readable {
        checks.push(pages(context, &path).named("database pages"));
        checks.extend(clock_and_gaps(context, &path));
    }
    let set_aside = set_aside(path.parent().unwrap_or(Path::new(".")));
    checks.extend(set_aside.map(|finding| finding.named("damaged database")));
    checks
}

fn readable(context: &Context, path: &Path) -> Finding {
    if !path.exists() {
        let path = path.display();
        return skipped(format!("{path} is not there yet; the daemon makes it"));
    }
    let counts = context.block_on(async {
        let reader = LogReader::open(path).await?;
        Ok(reader.count(&Filter::default()).await?)
    });
    match counts {
        Ok(counts) => judge(path, &counts, Utc::now()),
        Err(error) => failed(error.to_string(), DAMAGED),
    }
}

/// Damage where no query has led yet is found only by reading all of it.
fn pages(context: &Context, path: &Path) -> Finding {
    let started = Instant::now();
    let outcome = context.block_on(async {
        let reader = LogReader::open(path).await?;
        let checked = tokio::time::timeout(PATIENCE, reader.check_pages()).await;
        Ok(checked.ok().transpose()?)
    });
    let (seconds, path) = (started.elapsed().as_secs_f32(), path.display());
    match outcome {
        Ok(Some(())) => ok(format!("all read in {seconds:.1} s, none damaged")),
        Ok(None) => warning(
            format!("no end after {seconds:.0} s"),
            format!("let it take its time: sqlite3 -readonly {path} 'PRAGMA quick_check'"),
        ),
        Err(error) => failed(error.to_string(), DAMAGED),
    }
}

fn judge(path: &Path, counts: &Counts, now: DateTime<Utc>) -> Finding {
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    let found = format!(
        "{}: {}, {}",
        path.display(),
        plural(counts.rows, "row", "rows"),
        Bytes(size)
    );
    let Some(newest) = counts.newest else {
        return ok(found);
    };
    let found = format!("{found}, the newest of {}", newest.format("%F %T UTC"));
    // A row is written within a request; a minute is far more than two clocks on one machine can
    // differ.
    if newest > now + chrono::TimeDelta::minutes(1) {
        return warning(
            format!("{found}, which is in the future"),
            "the clock is behind now, or was ahead when that row was written: look at it (timedatectl); reports and watch show such rows under the time that they were given",
        );
    }
    ok(found)
}

/// What the log itself knows of the clock, and of rows that it could not take.
fn clock_and_gaps(context: &Context, path: &Path) -> Vec<Check> {
    let facts = context.block_on(async {
        let reader = LogReader::open(path).await?;
        Ok((reader.clock().await?, reader.unwritten().await?))
    });
    match facts {
        Ok((clock, unwritten)) => vec![
            judge_clock(&clock, Utc::now()).named("clock of the log"),
            judge_gaps(unwritten.as_ref()).named("missing rows"),
        ],
        // Whether it can be read at all is another check's.
        Err(_) => Vec::new(),
    }
}

fn judge_clock(clock: &ClockFacts, now: DateTime<Utc>) -> Finding {
    let rows = match clock.doubtful_rows {
        0 => "every row's time can be trusted".to_owned(),
        rows => format!(
            "{} while the clock could not be trusted (column clock); the daemon's running time counts",
            plural(rows, "row was written", "rows were written")
        ),
    };
    match clock.objection(now) {
        Some(objection) => warning(
            format!("{objection}; {rows}"),
            "look at the clock (date -u; timedatectl) and set it where it is wrong. Until it has been steady for a day no row is deleted by age; \
             if it is right, faceood-admin prune --trust-clock says so",
        ),
        None => ok(rows),
    }
}

fn judge_gaps(unwritten: Option<&Unwritten>) -> Finding {
    match unwritten {
        None => ok("none: every row could be written"),
        Some(Unwritten { rows, since, until }) => warning(
            format!(
                "{} not be written between {} and {} (table unwritten counts by endpoint)",
                plural(*rows, "row could", "rows could"),
                since.format("%F %T"),
                until.format("%F %T UTC")
            ),
            "the text log of that time says why; mostly a full disk, see room",
        ),
    }
}

fn set_aside(folder: &Path) -> Option<Finding> {
    let files = set_aside_files(folder);
    if files.is_empty() {
        return None;
    }
    let names: Vec<_> = files.iter().map(|path| path.to_string_lossy()).collect();
    Some(warning(
        format!("set aside, with its rows: {}", names.join(", ")),
        "look for the disk's fault (dmesg, smartctl); rescue rows with `sqlite3 FILE .recover`, then move the file away",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn a_row_from_the_future_shows_that_the_clock_was_set_back() {
        let now: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().unwrap();
        let status = |newest: &str| {
            let counts = Counts {
                rows: 1,
                newest: Some(newest.parse().unwrap()),
                ..Counts::default()
            };
            judge(Path::new("x.db"), &counts, now).status
        };
        assert_eq!(status("2026-11-24T11:59:59Z"), CheckStatus::Ok);
        assert_eq!(status("2026-11-24T13:00:00Z"), CheckStatus::Warning);
    }

    #[test]
    fn a_clock_in_doubt_is_a_warning_until_somebody_has_looked() {
        let now: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().unwrap();
        let seen = |time: &str| ClockFacts {
            seen: Some(time.parse().unwrap()),
            ..ClockFacts::default()
        };
        let status = |facts: &ClockFacts| judge_clock(facts, now).status;
        assert_eq!(status(&seen("2026-11-24T11:55:00Z")), CheckStatus::Ok);
        assert_eq!(status(&seen("2036-11-24T11:55:00Z")), CheckStatus::Warning);
        assert_eq!(status(&seen("1970-01-01T00:00:00Z")), CheckStatus::Warning);
        let mut facts = seen("2026-11-24T11:55:00Z");
        facts.newest = Some("2026-12-24T12:00:00Z".parse().unwrap());
        assert_eq!(status(&facts), CheckStatus::Warning);
        facts.newest = Some("2026-11-20T12:00:00Z".parse().unwrap());
        facts.doubtful_rows = 3;
        let check = judge_clock(&facts, now);
        assert_eq!(check.status, CheckStatus::Ok);
        assert!(check.found.contains("3 rows"), "{check:?}");
    }

    #[test]
    fn rows_that_could_not_be_written_are_told() {
        assert_eq!(judge_gaps(None).status, CheckStatus::Ok);
        let gap = Unwritten {
            rows: 1406,
            since: "2026-11-24T12:00:00Z".parse().unwrap(),
            until: "2026-11-24T12:30:00Z".parse().unwrap(),
        };
        let check = judge_gaps(Some(&gap));
        assert_eq!(check.status, CheckStatus::Warning);
        assert!(check.found.contains("1406 rows"), "{check:?}");
    }

    #[test]
    fn a_damaged_database_that_was_set_aside_is_named() {
        let dir = TempDir::new().unwrap();
        assert_eq!(set_aside(dir.path()), None);
        std::fs::write(dir.path().join("faceood.db.corrupt-20261124T120000Z"), "x").unwrap();
        let check = set_aside(dir.path()).unwrap();
        assert!(
            check.found.contains("corrupt-20261124T120000Z"),
            "{check:?}"
        );
    }
}
