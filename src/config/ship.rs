//! The settings of `faceood-admin ship`, which carries the rows of the log to PostgreSQL. The daemon
//! takes them and does not use them.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The key whose value can have a password in it.
pub(super) const MAY_HOLD_PASSWORD: &str = "ship.to";

/// What an address of the centre looks like, in words.
pub(super) const EXPECTED: &str =
    "an address such as \"postgres://box-1@centre.example/faceood\"; empty: nothing is shipped";

/// Where rows are shipped, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShipSettings {
    /// The centre's database.
    pub to: ShipTarget,
    /// Authorities that the centre's certificate is verified by, PEM; empty: the system's.
    pub ca: PathBuf,
    /// The box's own certificate, whose common name is its node, PEM; empty: none.
    pub certificate: PathBuf,
    /// The key of that certificate, PEM; empty: none.
    pub key: PathBuf,
    /// Whether notes that people wrote to outcomes are shipped.
    pub notes: bool,
    /// Time between two visits at the centre with `--follow`, in milliseconds.
    pub interval_ms: u64,
}

impl Default for ShipSettings {
    fn default() -> Self {
        Self {
            to: ShipTarget::default(),
            ca: PathBuf::new(),
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            notes: false,
            interval_ms: 60_000,
        }
    }
}

/// The URL of the centre's database. A password in it is shown to nobody.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShipTarget(String);

impl ShipTarget {
    /// The URL as it is set, with a password if it has one; `None` where nothing is shipped.
    pub fn url(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|url| !url.is_empty())
    }
}

impl TryFrom<String> for ShipTarget {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let rest = text.strip_prefix("postgres://");
        let rest = rest.or_else(|| text.strip_prefix("postgresql://"));
        let is_one_word = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        let is_url = rest.is_some_and(|rest| !rest.is_empty()) && is_one_word;
        if text.is_empty() || is_url {
            Ok(Self(text))
        } else {
            Err(format!("expected {EXPECTED}"))
        }
    }
}

impl From<ShipTarget> for String {
    fn from(target: ShipTarget) -> Self {
        target.0
    }
}

impl fmt::Debug for ShipTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", without_password(&self.0))
    }
}

impl fmt::Display for ShipTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&without_password(&self.0))
    }
}

/// `text` with `***` in the place of what can be a password: between the first colon after `//` and
/// the last `@` of the authority, and in the query. A text that is no URL is treated alike, because
/// it may be one with a mistake in it.
pub(super) fn without_password(text: &str) -> String {
    let (before, query) = text.split_once('?').unwrap_or((text, ""));
    let start = before.find("//").map_or(0, |at| at + 2);
    // A password with an unescaped slash still ends at the last `@`.
    let end = before.rfind('@').filter(|&end| end >= start);
    let masked = end.and_then(|end| {
        let colon = start + before[start..end].find(':')?;
        Some(format!("{}:***{}", &before[..colon], &before[end..]))
    });
    let mut shown = masked.unwrap_or_else(|| before.to_owned());
    for (place, parameter) in query.split('&').filter(|one| !one.is_empty()).enumerate() {
        let name = parameter.split('=').next().unwrap_or_default();
        let is_secret = name.to_ascii_lowercase().contains("password") || name.contains('%');
        shown.push(if place == 0 { '?' } else { '&' });
        shown.push_str(name);
        shown.push_str(if is_secret {
            "=***"
        } else {
            &parameter[name.len()..]
        });
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_shown_to_nobody() {
        for (url, shown) in [
            (
                "postgres://box-1@centre/faceood",
                "postgres://box-1@centre/faceood",
            ),
            (
                "postgres://box-1:secret@centre:5432/f",
                "postgres://box-1:***@centre:5432/f",
            ),
            (
                "postgres://box-1:se/c@ret@centre/f",
                "postgres://box-1:***@centre/f",
            ),
            (
                "postgres://centre/f?user=b&password=secret",
                "postgres://centre/f?user=b&password=***",
            ),
            (
                "postgres://centre/f?%70assword=secret&a=1",
                "postgres://centre/f?%70assword=***&a=1",
            ),
            ("http://box:secret@centre", "http://box:***@centre"),
            ("box:secret@centre", "box:***@centre"),
            ("", ""),
        ] {
            assert_eq!(without_password(url), shown);
        }
        let target = ShipTarget::try_from("postgres://b:secret@c/f".to_owned()).unwrap();
        assert!(!format!("{target} {target:?}").contains("secret"));
        assert_eq!(target.url(), Some("postgres://b:secret@c/f"));
    }

    #[test]
    fn only_postgresql_is_shipped_to() {
        for url in [
            "",
            "postgres://c/f",
            "postgresql://b@[::1]:5432/f?sslmode=verify-full",
        ] {
            assert!(ShipTarget::try_from(url.to_owned()).is_ok(), "{url}");
        }
        for url in [
            "mysql://c/f",
            "centre",
            "postgres://",
            "postgres://c/f g",
            "postgres://c\n",
        ] {
            let refusal = ShipTarget::try_from(url.to_owned()).unwrap_err();
            assert!(
                refusal.contains("postgres://box-1@centre"),
                "{url}: {refusal}"
            );
        }
    }
}
