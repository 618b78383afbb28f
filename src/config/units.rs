//! Texts with a unit, such as `"10s"` or `"64MiB"`, in place of plain numbers.

use std::time::Duration;

use bytesize::ByteSize;

/// What the number of a setting counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Milliseconds,
    Days,
    Bytes,
}

impl Unit {
    /// The unit that the end of a key names: `deadline_ms`, `retention_days`, `max_bytes`.
    pub(super) fn of(key: &str) -> Option<Self> {
        match key.rsplit_once('_')?.1 {
            "ms" => Some(Self::Milliseconds),
            "days" => Some(Self::Days),
            "bytes" => Some(Self::Bytes),
            _ => None,
        }
    }

    /// The number that `text` stands for; `None` where it has no unit, another one, a sign, or
    /// gives no whole number.
    pub(super) fn count(self, text: &str) -> Option<i64> {
        let of_time = |unit: Duration| {
            let time = humantime::parse_duration(text).ok()?.as_nanos();
            let is_whole = time.is_multiple_of(unit.as_nanos());
            is_whole.then(|| i64::try_from(time / unit.as_nanos()).ok())?
        };
        match self {
            Self::Milliseconds => of_time(Duration::from_millis(1)),
            Self::Days => of_time(Duration::from_secs(24 * 60 * 60)),
            Self::Bytes if text.trim_end().ends_with(|end: char| end.is_ascii_digit()) => None,
            // A size beyond 2^64 is given as the largest number, which no setting takes.
            Self::Bytes => i64::try_from(text.parse::<ByteSize>().ok()?.0).ok(),
        }
    }

    /// Texts that would do.
    pub(super) const fn examples(self) -> &'static str {
        match self {
            Self::Milliseconds => r#""500ms", "10s" or "2m""#,
            Self::Days => r#""14d" or "2w""#,
            Self::Bytes => r#""20MB" or "64MiB""#,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_counted() {
        for (unit, text, count) in [
            (Unit::Milliseconds, "500ms", 500),
            (Unit::Milliseconds, "10s", 10_000),
            (Unit::Milliseconds, "1.5s", 1500),
            (Unit::Milliseconds, "2m", 120_000),
            (Unit::Milliseconds, "1min 30sec", 90_000),
            (Unit::Milliseconds, " 1h ", 3_600_000),
            (Unit::Milliseconds, "0s", 0),
            (Unit::Days, "180d", 180),
            (Unit::Days, "2w", 14),
            (Unit::Days, "48h", 2),
            (Unit::Bytes, "0B", 0),
            (Unit::Bytes, "12kB", 12_000),
            (Unit::Bytes, "20MB", 20_000_000),
            (Unit::Bytes, "1.5 GB", 1_500_000_000),
            (Unit::Bytes, "2TB", 2_000_000_000_000),
            (Unit::Bytes, "8KiB", 8192),
            (Unit::Bytes, "64MiB", 67_108_864),
            (Unit::Bytes, "4gib", 4_294_967_296),
            (Unit::Bytes, "1TiB", 1_099_511_627_776),
        ] {
            assert_eq!(unit.count(text), Some(count), "{text}");
        }
    }

    #[test]
    fn what_has_no_unit_another_one_a_sign_or_a_fraction_is_no_number() {
        for text in ["", "10", "s", "10 parsecs", "20MB", "-5s", "+5s", "1500us"] {
            assert_eq!(Unit::Milliseconds.count(text), None, "{text}");
        }
        for text in ["", "7", "36h", "1month", "1y", "-1d", "4GiB"] {
            assert_eq!(Unit::Days.count(text), None, "{text}");
        }
        for text in ["", "12345", "MB", "5XB", "-5MB", "1e3kB", "NaN MB", "10s"] {
            assert_eq!(Unit::Bytes.count(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_too_large_is_no_number() {
        let long = format!("{}s", u64::MAX);
        for text in [long.as_str(), "99999999999999999999s", "9999999999999y"] {
            assert_eq!(Unit::Milliseconds.count(text), None, "{text}");
        }
        for text in ["20000000EB", "10EiB", "99999999999999999999999999TB"] {
            assert_eq!(Unit::Bytes.count(text), None, "{text}");
        }
    }

    #[test]
    fn keys_name_their_unit() {
        for (key, unit) in [
            ("deadline_ms", Some(Unit::Milliseconds)),
            ("retention_days", Some(Unit::Days)),
            ("max_bytes", Some(Unit::Bytes)),
            ("max_pixels", None),
            ("workers", None),
            ("ms", None),
        ] {
            assert_eq!(Unit::of(key), unit, "{key}");
        }
    }
}
