//! Checks for future trouble: a disk too small for the rows to be kept, no free inodes, pass
//! probabilities that no longer come true.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Check, Context, Finding, ok, skipped, warning};
use crate::offline;
use faceood::config::Config;
use faceood::telemetry::host::{Bytes, Host};
use faceood_engine::quality::calibration::PASS_SIMILARITY;
use faceood_log::{Filter, InferenceRecord, LogReader, ReportedOutcome, Role};

/// The days whose rows foretell the next ones.
const WEEK: TimeDelta = TimeDelta::days(7);

/// Rows of a shorter time foretell nothing: a night is not like a day.
const LEAST_SEEN: TimeDelta = TimeDelta::days(1);

/// How far back outcomes are believed to tell of today.
const SEASON: TimeDelta = TimeDelta::days(90);

/// Fewer outcomes than this say nothing.
const LEAST_OUTCOMES: usize = 50;

/// Pass probabilities may be this far off what came true.
const DRIFT: f64 = 0.10;

/// Fewer free inodes than this and no file can soon be made.
const LEAST_INODES: u64 = 1_000;

pub(super) fn checks(context: &Context, config: &Config) -> Vec<Check> {
    let mut checks = vec![inodes(&config.data_dir).named("inodes")];
    let path = context.database_path(config);
    // Whether it can be read at all is another check's.
    let facts = context.block_on(async {
        let reader = LogReader::open(&path).await?;
        let all = reader.count(&Filter::default()).await?.rows;
        let of_week = Filter {
            since: Some(Utc::now() - WEEK),
            ..Filter::default()
        };
        let week = reader.count(&of_week).await?;
        Ok((all, week, outcomes(&reader).await?))
    });
    if let Ok((all, week, outcomes)) = facts {
        let disk = Host::look(&config.data_dir).disk;
        let free = disk.map(|disk| disk.available_bytes);
        let size = std::fs::metadata(&path).map_or(0, |file| file.len());
        let growth = Growth {
            all,
            week: week.rows,
            first: week.oldest.unwrap_or_else(Utc::now),
            size,
        };
        checks.push(room(&growth, config, free, Utc::now()).named("room"));
        // A pass probability is of the cut that the calibration was learnt for.
        let least = offline::calibration(config)
            .map_or(PASS_SIMILARITY, |calibration| calibration.pass_similarity());
        checks.push(drift(&outcomes, least as f32).named("drift"));
    }
    checks
}

fn inodes(folder: &Path) -> Finding {
    // The daemon may yet have to make it.
    let existing = folder.ancestors().find(|above| above.is_dir());
    match rustix::fs::statvfs(existing.unwrap_or(Path::new("."))) {
        Ok(facts) => judge_inodes(facts.f_favail, facts.f_files),
        Err(error) => skipped(format!("cannot be told: {error}")),
    }
}

fn judge_inodes(free: u64, total: u64) -> Finding {
    let found = format!("{free} of {total} free");
    match (free, total) {
        // Some file systems (btrfs) have as many as they need, and say 0 of 0.
        (_, 0) => ok("as many as are needed"),
        (LEAST_INODES.., _) => ok(found),
        _ => warning(
            found,
            "delete small files on this disk: a file system without inodes is full, whatever room it has",
        ),
    }
}

struct Growth {
    all: u64,
    /// Rows of the last week, and the time of their first.
    week: u64,
    first: DateTime<Utc>,
    size: u64,
}

/// Whether the rows that are to be kept will fit.
fn room(growth: &Growth, config: &Config, free: Option<u64>, now: DateTime<Utc>) -> Finding {
    let (Some(free), true) = (free, growth.all > 0 && growth.week > 0) else {
        return skipped("no rows of the last week, so nothing to foretell");
    };
    // A log with older rows was there for all of the week.
    let seen = if growth.all > growth.week {
        WEEK
    } else {
        (now - growth.first).min(WEEK)
    };
    if seen < LEAST_SEEN {
        let first = growth.first.format("%F %T UTC");
        let free = Bytes(free);
        return skipped(format!(
            "too early to foretell: the first row of the last week is of {first}; {free} are free"
        ));
    }
    let days = seen.num_seconds() as f64 / 86_400.0;
    let (size, day) = (growth.size as f64, growth.week as f64 / days);
    let row = size / growth.all as f64;
    let by_days = match config.log.retention_days {
        0 => f64::INFINITY,
        days => row * day * f64::from(days),
    };
    let by_bytes = match config.log.max_bytes {
        0 => f64::INFINITY,
        bytes => bytes as f64,
    };
    let wanted = by_days.min(by_bytes);
    let there = size + free as f64;
    let pace = format!("{day:.0} rows a day of {row:.0} bytes");
    if wanted.is_infinite() {
        let days = (there - size) / (row * day);
        let found = format!("{pace}, kept for ever: full in {days:.0} days");
        return if days < 365.0 {
            warning(found, "set log.retention_days or log.max_bytes")
        } else {
            ok(found)
        };
    }
    let found = format!("{pace} will come to {}", Bytes(wanted as u64));
    if wanted > there {
        return warning(
            format!("{found}, for which there is no room"),
            "shorten log.retention_days, lower log.max_bytes, or move data_dir to a larger disk",
        );
    }
    ok(found)
}

async fn outcomes(reader: &LogReader) -> anyhow::Result<Vec<InferenceRecord>> {
    let filter = Filter {
        since: Some(Utc::now() - SEASON),
        has_outcome: true,
        limit: Some(1000),
        ..Filter::default()
    };
    Ok(reader.query(&filter, None).await?.records)
}

/// Whether as many genuine captures pass as their probabilities said.
fn drift(rows: &[InferenceRecord], least: f32) -> Finding {
    let genuine = rows
        .iter()
        .filter(|row| row.outcome == Some(ReportedOutcome::Genuine) && row.role == Role::Probe);
    let pairs: Vec<(f64, bool)> = genuine
        .filter_map(|row| Some((f64::from(row.pass_probability?), row.similarity? >= least)))
        .collect();
    let count = pairs.len();
    if count < LEAST_OUTCOMES {
        return skipped(format!(
            "{count} outcomes of genuine pairs were reported (POST /v1/feedback); {LEAST_OUTCOMES} are needed"
        ));
    }
    let mean = |of: fn(&(f64, bool)) -> f64| pairs.iter().map(of).sum::<f64>() / count as f64;
    let foretold = mean(|pair| pair.0);
    let passed = mean(|pair| f64::from(u8::from(pair.1)));
    let found = format!(
        "{:.0} % of {count} genuine pairs were foretold to pass, {:.0} % did",
        foretold * 100.0,
        passed * 100.0
    );
    if (foretold - passed).abs() > DRIFT {
        return warning(
            found,
            "calibrate on site: faceood-admin calibrate --from-log --out FILE",
        );
    }
    ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;
    use faceood_log::fixture::full_record;

    fn told(passed: usize, failed: usize, probability: f32) -> Vec<InferenceRecord> {
        let row = |similarity| InferenceRecord {
            role: Role::Probe,
            outcome: Some(ReportedOutcome::Genuine),
            pass_probability: Some(probability),
            similarity: Some(similarity),
            ..full_record("r", 1)
        };
        let passed = std::iter::repeat_with(|| row(0.45)).take(passed);
        passed
            .chain(std::iter::repeat_with(|| row(0.44)).take(failed))
            .collect()
    }

    #[test]
    fn probabilities_are_held_against_what_came_true() {
        let status =
            |passed, failed, probability| drift(&told(passed, failed, probability), 0.45).status;
        assert_eq!(status(20, 20, 0.5), CheckStatus::Skipped);
        assert_eq!(status(90, 10, 0.92), CheckStatus::Ok);
        assert_eq!(status(70, 30, 0.92), CheckStatus::Warning);
        assert_eq!(status(100, 0, 0.7), CheckStatus::Warning);
    }

    #[test]
    fn rows_that_are_to_be_kept_must_fit() {
        let mut config = Config::default();
        let now: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().unwrap();
        let growth = Growth {
            all: 7_000_000,
            week: 700_000,
            first: now - TimeDelta::days(7),
            size: 7_000_000_000,
        };
        let judge = |config: &Config, free| room(&growth, config, Some(free), now);
        // 100 000 rows a day of 1 kB, for 180 days: 18 GB, and max_bytes stops it at 4 GiB.
        assert_eq!(judge(&config, 1 << 30).status, CheckStatus::Ok);
        config.log.max_bytes = 0;
        assert_eq!(judge(&config, 1 << 30).status, CheckStatus::Warning);
        assert_eq!(judge(&config, 20_000_000_000).status, CheckStatus::Ok);
        config.log.retention_days = 0;
        let endless = judge(&config, 20_000_000_000);
        assert_eq!(endless.status, CheckStatus::Warning);
        assert!(endless.found.contains("full in 200 days"), "{endless:?}");
        let empty = Growth {
            all: 0,
            week: 0,
            first: now,
            size: 0,
        };
        assert_eq!(
            room(&empty, &config, Some(1), now).status,
            CheckStatus::Skipped
        );
    }

    #[test]
    fn a_new_log_is_not_judged_by_a_whole_week() {
        let now: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().unwrap();
        let found = |age| {
            let growth = Growth {
                all: 2_000,
                week: 2_000,
                first: now - age,
                size: 2_000_000,
            };
            room(&growth, &Config::default(), Some(1 << 40), now)
        };
        let young = found(TimeDelta::seconds(40));
        assert_eq!(young.status, CheckStatus::Skipped);
        assert!(young.found.contains("2026-11-24 11:59:20 UTC"), "{young:?}");
        let older = found(TimeDelta::days(2));
        assert!(older.found.contains("1000 rows a day"), "{older:?}");
    }

    #[test]
    fn inodes_of_this_disk_can_be_told() {
        assert_ne!(inodes(Path::new("/")).status, CheckStatus::Failed);
        assert_ne!(
            inodes(Path::new("/not/there/yet")).status,
            CheckStatus::Skipped
        );
        assert_eq!(judge_inodes(999, 100_000).status, CheckStatus::Warning);
        assert_eq!(judge_inodes(1_000, 100_000).status, CheckStatus::Ok);
        assert_eq!(judge_inodes(0, 0).status, CheckStatus::Ok);
    }
}
