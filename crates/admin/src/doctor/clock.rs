//! Checks the clock: rows are found by their time, and patterns by the hour of day.

use chrono::{DateTime, Datelike, Utc};

use super::{Finding, failed, ok, warning};
use faceood_log::is_synchronised;

/// No row can be older than the program: a clock before this year has lost its battery.
const FIRST_YEAR: i32 = 2026;

pub(super) fn check() -> Finding {
    judge(Utc::now(), is_synchronised())
}

fn judge(now: DateTime<Utc>, is_synchronised: Option<bool>) -> Finding {
    let shown = now.format("%Y-%m-%d %H:%M:%S UTC");
    if now.year() < FIRST_YEAR {
        return failed(
            format!("{shown} lies before faceood was made"),
            "set the clock (timedatectl set-time) and start a time service, such as systemd-timesyncd or chrony",
        );
    }
    match is_synchronised {
        Some(true) => ok(format!("{shown}, synchronised")),
        Some(false) => warning(
            format!("{shown}, not synchronised"),
            "start a time service (timedatectl set-ntp true): rows of several machines can only be compared on one time",
        ),
        None => ok(format!(
            "{shown}; whether it is synchronised cannot be told here"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    #[test]
    fn a_clock_without_battery_fails_and_a_free_running_one_warns() {
        let status = |time: &str, synchronised| judge(time.parse().unwrap(), synchronised).status;
        assert_eq!(
            status("1970-01-01T00:01:00Z", Some(true)),
            CheckStatus::Failed
        );
        assert_eq!(
            status("2027-01-01T00:01:00Z", Some(false)),
            CheckStatus::Warning
        );
        assert_eq!(status("2027-01-01T00:01:00Z", Some(true)), CheckStatus::Ok);
        assert_eq!(status("2027-01-01T00:01:00Z", None), CheckStatus::Ok);
    }
}
