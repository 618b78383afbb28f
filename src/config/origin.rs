//! What settings are read from, and one value as it stands there.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Value;

use super::flags::Overrides;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The place of the installed program.
    Installed,
    /// A variable that systemd sets from the unit.
    Systemd(&'static str),
    /// A line of the config file, counted from 1.
    File(PathBuf, usize),
    /// A `FACEOOD_` variable.
    Environment(String),
    /// The command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Installed => f.write_str("installed layout"),
            Self::Systemd(variable) => write!(f, "systemd, {variable}"),
            Self::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// One value of one layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: Vec<String>,
    /// Not yet checked.
    pub(super) value: Value,
    pub(super) origin: Origin,
}

impl Entry {
    /// A folder under a dotted key.
    pub(super) fn path(key: &str, path: &Path, origin: Origin) -> Self {
        Self {
            key: key.split('.').map(ToOwned::to_owned).collect(),
            value: Value::String(path.to_string_lossy().into_owned()),
            origin,
        }
    }
}

/// All that settings are read from; a value, so that tests need no process of their own.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file given by `--config`, else [`DEFAULT_FILE`](super::DEFAULT_FILE) if it exists.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// The flags.
    pub flags: Overrides,
    /// Where the running program lies.
    pub executable: Option<PathBuf>,
}

impl Sources {
    /// What this process was given.
    pub fn of_process(file: Option<PathBuf>, flags: Overrides) -> Self {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        Self {
            file,
            environment: variables.collect(),
            flags,
            executable: std::env::current_exe().ok(),
        }
    }
}
