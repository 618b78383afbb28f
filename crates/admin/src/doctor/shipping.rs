//! Checks whether the centres get the log's rows.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Check, Context, Finding, ok, warning};
use faceood::config::Config;
use faceood_log::{LogReader, ShippingTarget};
use faceood_report::plural;

/// Rows may wait for so long: a box ships each minute, and a network may be away for a while.
const PATIENCE: TimeDelta = TimeDelta::hours(1);

/// A check for each centre; none where nothing is shipped. Whether the log can be read at all is
/// another check's.
pub(super) fn checks(context: &Context, config: &Config) -> Vec<Check> {
    let path = context.database_path(config);
    let targets = context.block_on(async {
        let reader = LogReader::open(&path).await?;
        Ok(reader.targets().await?)
    });
    let targets = targets.unwrap_or_default();
    let check = |target: &ShippingTarget| judge(target, Utc::now()).named("shipping");
    targets.iter().map(check).collect()
}

fn judge(target: &ShippingTarget, now: DateTime<Utc>) -> Finding {
    let ShippingTarget { name, backlog, .. } = target;
    let last = match backlog.last_success {
        Some(time) => format!("last reached {}", time.format("%F %T UTC")),
        None => "never reached".to_owned(),
    };
    let found = format!(
        "{name}: {}, {last}",
        plural(backlog.rows, "row waits", "rows wait")
    );
    if let Some(oldest) = backlog.oldest.filter(|oldest| now - *oldest > PATIENCE) {
        return warning(
            format!(
                "{found}; the first has waited since {}",
                oldest.format("%F %T UTC")
            ),
            format!(
                "see why: journalctl -u faceood-ship -n 50. Nothing is lost, but retention keeps these rows; if that centre is \
                 gone for good, drop it with faceood-admin ship --to postgres://{name} --forget"
            ),
        );
    }
    match backlog.quarantined {
        0 => ok(found),
        rows => warning(
            format!(
                "{found}; {} not taken and passed over",
                plural(rows, "row was", "rows were")
            ),
            "table shipping_quarantine has their ids and the reasons; after the repair, faceood-admin ship --from-start tries them \
             again",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;
    use faceood_log::Backlog;

    #[test]
    fn rows_that_wait_long_or_are_not_taken_are_told() {
        let now: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().unwrap();
        let judged = |minutes: Option<i64>, quarantined| {
            let backlog = Backlog {
                rows: u64::from(minutes.is_some()),
                oldest: minutes.map(|minutes| now - TimeDelta::minutes(minutes)),
                quarantined,
                last_success: Some(now),
            };
            let name = "centre.example/fleet".to_owned();
            let target = ShippingTarget {
                name,
                shipped_rows: 7,
                backlog,
            };
            judge(&target, now)
        };
        assert_eq!(judged(None, 0).status, CheckStatus::Ok);
        assert_eq!(judged(Some(59), 0).status, CheckStatus::Ok);
        let late = judged(Some(61), 0);
        assert_eq!(late.status, CheckStatus::Warning);
        assert!(late.found.contains("2026-11-24 10:59:00 UTC"), "{late:?}");
        let refused = judged(None, 2);
        assert_eq!(refused.status, CheckStatus::Warning);
        assert!(
            refused.found.contains("2 rows were not taken"),
            "{refused:?}"
        );
    }
}
