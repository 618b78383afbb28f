//! One table of the values that settings may have: a range for each number, words for each text
//! whose form matters.

use std::fmt;

use toml::Value;

use Expectation::{Range, Words};

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Expectation {
    /// A number from the first to the second, both allowed; the words say of what.
    Range(f64, f64, &'static str),
    /// What the owner of the setting checks itself, in words.
    Words(&'static str),
}

const MS: &str = "milliseconds";

/// Dotted keys, `*` standing for any scenario's name.
const TABLE: &[(&str, Expectation)] = &[
    (
        "listen",
        Words(
            "ADDRESS:PORT in numbers, such as 127.0.0.1:7860, 0.0.0.0:7860 or [::1]:7860 (port 0 takes any free one), or a list of up to \
             16 different ones",
        ),
    ),
    ("node", Words(crate::node::EXPECTED)),
    ("ship.to", Words(super::ship::EXPECTED)),
    ("ship.interval_ms", Range(1_000.0, 86_400_000.0, MS)),
    (
        "server.workers",
        Range(0.0, 256.0, "threads; 0 chooses by the cores"),
    ),
    ("server.max_connections", Range(1.0, 65536.0, "connections")),
    ("server.head_timeout_ms", Range(100.0, 600_000.0, MS)),
    ("server.body_idle_timeout_ms", Range(100.0, 600_000.0, MS)),
    ("server.body_timeout_ms", Range(100.0, 3_600_000.0, MS)),
    ("server.keep_alive_ms", Range(0.0, 3_600_000.0, MS)),
    ("server.upload_memory_bytes", Range(1e6, 1e11, "bytes")),
    (
        "server.drain_ms",
        Range(0.0, 9_000.0, "milliseconds; systemd waits no longer"),
    ),
    (
        "server.unready_ms",
        Range(0.0, 10_000.0, "milliseconds; systemd waits no longer"),
    ),
    ("access.rate_requests", Range(1.0, 1e6, "requests a second")),
    ("access.rate_bytes", Range(1e6, 4e9, "bytes a second")),
    ("access.pictures_at_once", Range(1.0, 10_000.0, "pictures")),
    (
        "access.processor_share",
        Range(0.01, 1.0, "share of all worker threads"),
    ),
    (
        "server.hosts",
        Words("a list of names, such as [\"faceood.example\"]"),
    ),
    (
        "server.origins",
        Words("a list of sites, such as [\"https://gate.example\"]"),
    ),
    (
        "pipeline.workers",
        Range(0.0, 256.0, "threads; 0 is one for each core"),
    ),
    ("pipeline.queue", Range(1.0, 10_000.0, "pictures")),
    ("pipeline.deadline_ms", Range(1.0, 600_000.0, MS)),
    ("pipeline.max_faces", Range(1.0, 10_000.0, "faces")),
    (
        "server.max_connections_per_address",
        Range(0.0, 100_000.0, "connections; 0 sets no limit"),
    ),
    ("server.write_idle_timeout_ms", Range(100.0, 600_000.0, MS)),
    (
        "runtime.cuda_device",
        Range(0.0, 63.0, "number of a GPU, from 0"),
    ),
    ("runtime.cuda_memory_limit_bytes", Range(5e7, 1e12, "bytes")),
    ("capture.max_bytes", Range(1e3, 1e9, "bytes")),
    ("capture.max_pixels", Range(1e4, 1e9, "pixels")),
    (
        "capture.max_memory_bytes",
        Range(0.0, 1e12, "bytes; 0: by workers"),
    ),
    ("policies.*.accept", Range(0.0, 1.0, "quality score")),
    ("policies.*.review", Range(0.0, 1.0, "quality score")),
    ("policies.*.min_face_px", Range(0.0, 1e4, "pixels")),
    (
        "log.retention_days",
        Range(0.0, 36_500.0, "days; 0 keeps rows for ever"),
    ),
    ("log.max_bytes", Range(0.0, 1e15, "bytes; 0 sets no limit")),
    ("log.busy_timeout_ms", Range(0.0, 60_000.0, MS)),
    ("telemetry.keep_days", Range(1.0, 3650.0, "days")),
    (
        "telemetry.sources",
        Words("a list of sources, such as [\"gate-1\", \"gate-2\"]"),
    ),
    (
        "telemetry.level",
        Words(
            "error, warn, info, debug or trace, for single modules after a comma: \"info,faceood_engine::pipeline=debug\"",
        ),
    ),
];

/// A value as a number, whole or not.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(whole) => Some(*whole as f64),
        Value::Float(float) => Some(*float),
        _ => None,
    }
}

/// What is expected at `key`, if the table says.
pub(super) fn of(key: &[String]) -> Option<&'static Expectation> {
    let matches = |pattern: &str| {
        let parts: Vec<&str> = pattern.split('.').collect();
        parts.len() == key.len() && parts.iter().zip(key).all(|(p, k)| *p == "*" || p == k)
    };
    let mut rows = TABLE.iter();
    let row = rows.find(|(pattern, _)| matches(pattern));
    row.map(|(_, expectation)| expectation)
}

impl Expectation {
    /// Whether `value` is in the range; always true for what is only words.
    pub(super) fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Range(least, most, _) => {
                number(value).is_some_and(|number| (*least..=*most).contains(&number))
            }
            Self::Words(_) => true,
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(least, most, unit) => write!(f, "{least} to {most} ({unit})"),
            Self::Words(words) => f.write_str(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::{defaults, leaves};
    use super::*;

    #[test]
    fn every_number_has_a_range_and_its_default_lies_in_it() {
        for (key, value) in leaves(&defaults()) {
            if number(&value).is_none() {
                continue;
            }
            let range = of(&key).filter(|found| matches!(found, Expectation::Range(..)));
            let range = range.unwrap_or_else(|| panic!("{} has no range", key.join(".")));
            assert!(range.holds(&value), "{} = {value}: {range}", key.join("."));
        }
    }

    #[test]
    fn every_row_belongs_to_a_setting() {
        let keys: Vec<Vec<String>> = leaves(&defaults())
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        for (pattern, expectation) in TABLE {
            assert!(
                keys.iter().any(|key| of(key) == Some(expectation)),
                "{pattern} names no setting"
            );
        }
    }
}
