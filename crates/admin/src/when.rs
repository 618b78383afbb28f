//! Times, spans and sizes as an operator types them: `7d`, `2026-11-24`, `500MB`.

use std::ops::RangeInclusive;
use std::path::Path;

use bytesize::ByteSize;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use faceood_log::{Filter, parse_span};

/// The part of the log that a subcommand reads. A subcommand may reword the help by `mut_arg`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct Window {
    /// From this time on: 7d, 2026-11-24 or 2026-11-24T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<DateTime<Utc>>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<DateTime<Utc>>,
}

/// The window, and optionally one source in it.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Selection {
    #[command(flatten)]
    pub(crate) window: Window,
    /// Only of this terminal or camera
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,
}

/// A span of time that ends before it begins: wrong usage.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "--since ({since}) is not before --until ({until}): give an earlier --since or a later --until"
)]
pub(crate) struct EmptyWindow {
    since: DateTime<Utc>,
    until: DateTime<Utc>,
}

/// Refuses a span that ends before it begins.
pub(crate) fn in_order(since: DateTime<Utc>, until: DateTime<Utc>) -> Result<(), EmptyWindow> {
    match since < until {
        true => Ok(()),
        false => Err(EmptyWindow { since, until }),
    }
}

impl Window {
    /// Refuses a window that ends before it begins.
    pub(crate) fn check(self) -> Result<(), EmptyWindow> {
        match (self.since, self.until) {
            (Some(since), Some(until)) => in_order(since, until),
            _ => Ok(()),
        }
    }

    pub(crate) fn filter(self) -> Filter {
        Filter {
            since: self.since,
            until: self.until,
            ..Filter::default()
        }
    }
}

/// A moment: a span before now (`7d`), a day in UTC (`2026-11-24`), or RFC 3339
/// (`2026-11-24T08:00:00Z`).
pub(crate) fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(span) = span(text) {
        let moment = Utc::now().checked_sub_signed(span);
        return moment.ok_or_else(|| format!("{text:?} ago is before all calendars"));
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(chrono::NaiveTime::MIN).and_utc());
    }
    let moment = DateTime::parse_from_rfc3339(text);
    moment.map(|moment| moment.to_utc()).map_err(|_| {
        format!("{text:?} is no time; give a span back from now (90m, 24h, 7d, 2w), a day (2026-11-24) or RFC 3339 (2026-11-24T08:00:00Z)")
    })
}

/// A span of time: a whole number and `m`, `h`, `d` or `w`.
pub(crate) fn span(text: &str) -> Result<TimeDelta, String> {
    // Neither seconds nor a sign: `prune --older-than 30s` is a slip for 30d.
    let is_coarse = !text.starts_with('+') && !text.ends_with('s');
    parse_span(text).filter(|_| is_coarse).ok_or_else(|| {
        format!("{text:?} is no span of time; give a whole number and a unit: 90m, 24h, 30d, 2w")
    })
}

/// A quality score, from 0 to 1.
pub(crate) fn score(text: &str) -> Result<f32, String> {
    number(text, 0.0..=1.0, "quality score")
}

/// A number of this range; `what` says of what it is.
pub(crate) fn number(text: &str, range: RangeInclusive<f32>, what: &str) -> Result<f32, String> {
    let number = text.parse::<f32>().ok();
    let number = number.filter(|number| range.contains(number));
    let (least, most) = range.into_inner();
    number.ok_or_else(|| format!("{text:?} is no {what}; expected {least} to {most}"))
}

/// A size in bytes: a number and `kB`, `MB`, `GB`, `TB` (powers of 1000), `KiB`, `MiB`, `GiB`,
/// `TiB` (of 1024) or nothing.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let text_with_unit = match text.trim_end() {
        text if text.ends_with(|end: char| end.is_ascii_alphabetic()) => text.to_owned(),
        text => format!("{text}B"),
    };
    let size = text_with_unit.parse::<ByteSize>().ok();
    // A size beyond 2^64 is given as the largest number.
    let size = size.filter(|size| *size <= ByteSize::eb(1));
    size.map(|size| size.0)
        .ok_or_else(|| format!("{text:?} is no size; give a number and a unit: 800MB, 2GB, 1.5GiB"))
}

/// What `TZ` names, where the system knows no such zone: times are silently shown in UTC then.
pub(crate) fn unknown_time_zone() -> Option<String> {
    let zone = std::env::var("TZ").ok()?;
    let folder = std::env::var_os("TZDIR").unwrap_or_else(|| "/usr/share/zoneinfo".into());
    (!is_time_zone(&zone, Path::new(&folder))).then_some(zone)
}

/// Whether `zone` is empty (UTC), a file, or a rule in the manner of POSIX: `CST-8`, `<+03>-3`,
/// `CET-1CEST,M3.5.0,M10.5.0/3`.
fn is_time_zone(zone: &str, folder: &Path) -> bool {
    let zone = zone.strip_prefix(':').unwrap_or(zone);
    let after_name = match zone.strip_prefix('<') {
        Some(rest) => rest.split_once('>').map_or("", |(_, rest)| rest),
        None => zone.trim_start_matches(|letter: char| letter.is_ascii_alphabetic()),
    };
    let is_rule = zone.len() >= after_name.len() + 3
        && after_name.starts_with(|letter: char| letter.is_ascii_digit() || "+-".contains(letter));
    zone.is_empty() || zone == "UTC" || is_rule || folder.join(zone).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zones_are_files_or_rules() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("Asia")).unwrap();
        std::fs::write(folder.path().join("Asia/Shanghai"), "TZif").unwrap();
        for known in [
            "",
            "UTC",
            "Asia/Shanghai",
            ":Asia/Shanghai",
            "CST-8",
            "<+03>-3",
            "CET-1CEST",
        ] {
            assert!(is_time_zone(known, folder.path()), "{known}");
        }
        for unknown in ["Foo/Bar", "Asia", "Shanghai", "+8", "X9"] {
            assert!(!is_time_zone(unknown, folder.path()), "{unknown}");
        }
    }

    #[test]
    fn moments_are_days_times_or_spans_before_now() {
        assert_eq!(
            moment("2026-11-24").unwrap().to_rfc3339(),
            "2026-11-24T00:00:00+00:00"
        );
        assert_eq!(
            moment("2026-11-24T09:00:00+01:00").unwrap().to_rfc3339(),
            "2026-11-24T08:00:00+00:00"
        );
        let week = Utc::now() - moment("7d").unwrap();
        assert!((week - TimeDelta::days(7)).abs() < TimeDelta::minutes(1));
        assert!(moment("yesterday").unwrap_err().contains("\"yesterday\""));
        assert!(moment("99999999999999d").is_err());
    }

    #[test]
    fn a_window_ends_after_it_begins() {
        let window = |since: &str, until: &str| Window {
            since: moment(since).ok(),
            until: moment(until).ok(),
        };
        assert!(window("3h", "2h").check().is_ok());
        assert!(window("2h", "3h").check().is_err());
        assert!(window("2h", "").check().is_ok());
    }

    #[test]
    fn scores_lie_between_0_and_1() {
        assert_eq!(score("0.4"), Ok(0.4));
        for wrong in ["7", "nan", "-0.1", "", "low"] {
            assert!(score(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_need_a_unit() {
        assert_eq!(span("90m").unwrap(), TimeDelta::minutes(90));
        assert_eq!(span("2w").unwrap(), TimeDelta::days(14));
        for wrong in ["", "d", "30", "-1d", "1.5d", "30 d", "3y", "30s", "+7d"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_know_both_kinds_of_units() {
        let sizes = ["0", "1500", "2kB", "1.5GB", "1GiB"].map(|text| size(text).unwrap());
        assert_eq!(sizes, [0, 1500, 2000, 1_500_000_000, 1 << 30]);
        for wrong in ["", "MB", "5 parsecs", "-3MB", "1.2.3", "9999999TB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
