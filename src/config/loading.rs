//! Reads, checks and merges all layers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Problem};
use super::origin::{Entry, Origin, Sources};
use super::{Config, check, layers, layout, schema, ship};

/// Holds the tokens where no setting names another file.
const TOKENS_FILE: &str = "tokens.toml";

/// A [`Config`] and where each of its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file that was read, if one was.
    pub file: Option<PathBuf>,
    /// Systemd's folder of credentials, if this process has one.
    pub(super) credentials: Option<PathBuf>,
    /// Dotted key → value and origin, in the order of the keys.
    pub(super) values: BTreeMap<String, (toml::Value, Origin)>,
}

impl Loaded {
    /// The file of tokens: as the settings say, else among the credentials, else beside the config
    /// file, else in the data folder.
    pub fn tokens_file(&self) -> PathBuf {
        let beside = self.file.as_deref().and_then(Path::parent);
        let folder = beside.unwrap_or(&self.config.data_dir);
        let given = &self.config.access.tokens_file;
        if !given.as_os_str().is_empty() {
            return folder.join(given);
        }
        let credential = self
            .credentials
            .as_ref()
            .map(|folder| folder.join(TOKENS_FILE));
        let credential = credential.filter(|file| file.exists());
        credential.unwrap_or_else(|| folder.join(TOKENS_FILE))
    }

    /// Where the value of the dotted `key` came from.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.values.get(key).map(|(_, origin)| origin)
    }

    /// Dotted keys that were set, by file, variable or flag, to what would hold anyway.
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
    pub fn changed_keys(&self, other: &Self) -> Vec<String> {
        let keys: BTreeSet<_> = self.values.keys().chain(other.values.keys()).collect();
        let value =
            |loaded: &Self, key: &String| loaded.values.get(key).map(|(value, _)| value.clone());
        let changed = keys
            .into_iter()
            .filter(|&key| value(self, key) != value(other, key));
        changed.cloned().collect()
    }
}

/// What `--print-config` shows: each value and its origin, without a password. It is a valid config
/// file.
impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.values.iter();
        let lines = settings.map(|(key, (value, _))| format!("{key} = {}", shown(key, value)));
        let width = lines.clone().map(|line| line.len()).max().unwrap_or(0);
        for (line, (_, origin)) in lines.zip(self.values.values()) {
            writeln!(f, "{line:width$}  # {origin}")?;
        }
        Ok(())
    }
}

/// The value of the dotted `key` as anybody may see it.
fn shown(key: &str, value: &toml::Value) -> toml::Value {
    match value.as_str() {
        Some(text) if key == ship::MAY_HOLD_PASSWORD => ship::without_password(text).into(),
        _ => value.clone(),
    }
}

/// Reads, checks and merges all layers.
///
/// # Errors
/// Every problem that was found, each with the key, the place it stands in, and what was expected.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let (entries, problems) = checked(sources);
    if !problems.is_empty() {
        return Err(ConfigError(problems));
    }
    merged(sources, entries)
}

/// As [`load`], without the values that are wrong: the default of the layout stands in their place.
/// For programs that look at a box whose settings [`load`] refuses.
///
/// # Errors
/// Where not even the layout and the flags make settings.
pub fn load_usable(sources: &Sources) -> Result<Loaded, ConfigError> {
    let (entries, _) = checked(sources);
    merged(sources, entries).or_else(|_| {
        // Values that are right by themselves and do not fit together.
        let mut entries = layout::entries(sources);
        entries.extend(layers::flag_entries(&sources.flags));
        merged(sources, entries)
    })
}

/// The entries of all layers that are right by themselves, and what is wrong with the others.
fn checked(sources: &Sources) -> (Vec<Entry>, Vec<Problem>) {
    let defaults = schema::defaults();
    let mut problems = Vec::new();
    let mut entries = layout::entries(sources);
    if let Some(path) = layers::file_path(sources) {
        entries.extend(layers::file_entries(&path, &defaults, &mut problems));
    }
    let variables = layers::environment_entries(sources, &defaults, &mut problems);
    entries.extend(variables);
    entries.extend(layers::flag_entries(&sources.flags));
    entries.retain_mut(|entry| match check::entry(entry, &defaults) {
        Ok(()) => true,
        Err(problem) => {
            problems.push(problem);
            false
        }
    });
    (entries, problems)
}

/// The settings that `entries` make; later ones win.
fn merged(sources: &Sources, entries: Vec<Entry>) -> Result<Loaded, ConfigError> {
    let mut table = schema::defaults();
    let mut origins = BTreeMap::new();
    for entry in entries {
        schema::set(&mut table, &entry.key, entry.value);
        origins.insert(entry.key.join("."), entry.origin);
    }
    let alone = |problem| ConfigError(vec![problem]);
    let config: Config = table
        .clone()
        .try_into()
        .map_err(|error: toml::de::Error| alone(Problem::Merged(error.message().to_owned())))?;
    check::whole(&config, &origins).map_err(alone)?;
    let values = schema::leaves(&table).into_iter().map(|(key, value)| {
        let key = key.join(".");
        let origin = origins.remove(&key).unwrap_or(Origin::Default);
        (key, (value, origin))
    });
    Ok(Loaded {
        config,
        file: layers::file_path(sources),
        credentials: sources
            .environment
            .get("CREDENTIALS_DIRECTORY")
            .map(PathBuf::from),
        values: values.collect(),
    })
}
