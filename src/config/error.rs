//! What can be wrong with the settings, each with its place: nobody should have to search for the line.

use std::io;
use std::path::PathBuf;

use super::origin::Origin;

/// All that is wrong with the settings; one line a problem.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines(.problems))]
pub struct ConfigError {
    /// In the order of the layers; never empty.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// Just this problem.
    #[must_use]
    pub fn one(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot read the config file {}: {source}; give another with --config, or fix its permissions", path.display())]
    Unreadable {
        /// Path of the config file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is text of another encoding.
    #[error("the config file {} is in {encoding}; save it as UTF-8", path.display())]
    Encoding {
        /// Path of the config file.
        path: PathBuf,
        /// What it seems to be in.
        encoding: &'static str,
    },
    /// The file is no TOML.
    #[error("{}, line {line}, column {column}: {message}", path.display())]
    Syntax {
        /// Path of the config file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// No setting has this name.
    #[error("unknown key `{key}` ({origin}){}", hint(.nearest.as_deref()))]
    UnknownKey {
        /// Dotted name.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// The known name that looks most like it.
        nearest: Option<String>,
    },
    /// A `FACEOOD_` variable that names no setting.
    #[error("unknown environment variable {variable}{}", hint(.nearest.as_deref()))]
    UnknownVariable {
        /// Name of the variable.
        variable: String,
        /// The known name that looks most like it.
        nearest: Option<String>,
    },
    /// The value cannot be used.
    #[error("`{key}` is {got} ({origin}); expected {expected}")]
    BadValue {
        /// Dotted name.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// The value, as written.
        got: String,
        /// What would do.
        expected: String,
    },
    /// A scenario of the operator's own lacks a key that has no default.
    #[error("`{key}` is missing ({origin}); a new scenario needs both `accept` and `review`")]
    Missing {
        /// Dotted name.
        key: String,
        /// Where the scenario stands.
        origin: Origin,
    },
    /// The layers are right by themselves but not together; not known to happen.
    #[error("the settings do not fit together: {message}")]
    Merged {
        /// What the deserializer says.
        message: String,
    },
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
