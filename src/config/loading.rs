//! Reads, checks and merges all layers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::error::{ConfigError, Problem};
use super::origin::{Origin, Sources};
use super::{Config, check, layers, layout, schema};

/// A [`Config`] and where each of its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file that was read, if one was.
    pub file: Option<PathBuf>,
    /// Dotted key → value and origin, in the order of the keys.
    pub(super) values: BTreeMap<String, (toml::Value, Origin)>,
}

impl Loaded {
    /// Where the value of the dotted `key` came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.values.get(key).map(|(_, origin)| origin)
    }

    /// Dotted keys that were set, by file, variable or flag, to what would hold anyway.
    #[must_use]
    pub fn idle_keys(&self) -> Vec<String> {
        let Ok(defaults) = toml::Table::try_from(Config::default()) else {
            return Vec::new();
        };
        let default_of = |key: &str| {
            let mut parts = key.split('.');
            let first = defaults.get(parts.next()?)?;
            parts.try_fold(first, |value, part| value.get(part))
        };
        let is_idle = |(key, (value, origin)): (&String, &(toml::Value, Origin))| {
            let is_built_in = matches!(origin, Origin::Default | Origin::Installed);
            (!is_built_in && default_of(key) == Some(value)).then(|| key.clone())
        };
        self.values.iter().filter_map(is_idle).collect()
    }

    /// Dotted keys whose values differ from `other`'s.
    #[must_use]
    pub fn changed_keys(&self, other: &Self) -> Vec<String> {
        let keys = self.values.keys().chain(other.values.keys());
        let value = |loaded: &Self, key: &String| loaded.values.get(key).map(|(v, _)| v.clone());
        let mut changed: Vec<String> = keys
            .filter(|key| value(self, key) != value(other, key))
            .cloned()
            .collect();
        changed.sort_unstable();
        changed.dedup();
        changed
    }
}

/// What `--print-config` shows: each value and where it came from. Without the comments it is a valid config file.
impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<(String, &Origin)> = self
            .values
            .iter()
            .map(|(key, (value, origin))| (format!("{key} = {value}"), origin))
            .collect();
        let width = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
        for (line, origin) in lines {
            writeln!(f, "{line:width$}  # {origin}")?;
        }
        Ok(())
    }
}

/// Reads, checks and merges all layers.
///
/// # Errors
/// Every problem that was found, each with the key, the place it stands in, and what was expected.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let defaults = schema::defaults();
    let mut problems = Vec::new();
    let mut entries = layout::entries(sources);
    let file = match layers::file_path(sources) {
        Some(path) => {
            entries.extend(layers::file_entries(&path, &defaults, &mut problems));
            Some(path)
        }
        None => None,
    };
    entries.extend(layers::environment_entries(
        sources,
        &defaults,
        &mut problems,
    ));
    entries.extend(layers::flag_entries(&sources.flags));
    entries.retain_mut(|entry| match check::entry(entry, &defaults) {
        Ok(()) => true,
        Err(problem) => {
            problems.push(problem);
            false
        }
    });
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }

    let mut table = defaults;
    let mut origins = BTreeMap::new();
    for entry in entries {
        schema::set(&mut table, &entry.key, entry.value);
        origins.insert(entry.key.join("."), entry.origin);
    }
    let config: Config = table.clone().try_into().map_err(|error: toml::de::Error| {
        ConfigError::one(Problem::Merged {
            message: error.message().to_owned(),
        })
    })?;
    check::whole(&config, &origins).map_err(ConfigError::one)?;
    let values = schema::leaves(&table)
        .into_iter()
        .map(|(key, value)| {
            let key = key.join(".");
            let origin = origins.remove(&key).unwrap_or(Origin::Default);
            (key, (value, origin))
        })
        .collect();
    Ok(Loaded {
        config,
        file,
        values,
    })
}
