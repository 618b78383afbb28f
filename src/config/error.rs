//! What can be wrong with the settings, each with its place.

use std::io;
use std::path::PathBuf;

use super::origin::Origin;

/// All that is wrong with the settings; one line a problem.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct ConfigError(pub(super) Vec<Problem>);

/// One thing that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error(
        "cannot read the config file {0}: {1}; give another with --config, or fix its permissions"
    )]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("the config file {0} is in {1}; save it as UTF-8")]
    Encoding(PathBuf, &'static str),
    #[error("{path}, line {line}, column {column}: {message}")]
    Syntax {
        path: PathBuf,
        line: usize,
        column: usize,
        message: String,
    },
    #[error("unknown key `{key}` ({origin}){}", hint(.nearest.as_deref()))]
    UnknownKey {
        key: String,
        origin: Origin,
        nearest: Option<String>,
    },
    /// A `FACEOOD_` variable that names no setting.
    #[error("unknown environment variable {variable}{}", hint(.nearest.as_deref()))]
    UnknownVariable {
        variable: String,
        nearest: Option<String>,
    },
    #[error("`{key}` is {got} ({origin}); expected {expected}")]
    BadValue {
        key: String,
        origin: Origin,
        got: String,
        expected: String,
    },
    /// A scenario of the operator's own lacks a key that has no default.
    #[error("`{0}` is missing ({1}); a new scenario needs both `accept` and `review`")]
    Missing(String, Origin),
    /// The layers are right by themselves but not together; not known to happen.
    #[error("the settings do not fit together: {0}")]
    Merged(String),
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || "; --print-config lists the known ones".to_owned(),
        |nearest| format!("; did you mean `{nearest}`?"),
    )
}
