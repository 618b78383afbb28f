//! Checks one value at a time against the defaults, which double as the schema: is the key known, does the type fit, is the
//! value in its range, and does the module that owns it take it.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Config;
use super::error::Problem;
use super::expectations;
use super::layers::{Entry, Origin, leaves, set};
use crate::policy::{Policies, PolicyError};
use crate::telemetry::logging;

/// The table whose names are the operator's own; each holds what the [`TEMPLATE`] holds.
const OPEN_TABLE: &str = "policies";

/// The built-in policy that shows which keys a policy has.
const TEMPLATE: &str = "access";

/// How alike two names must be to be suggested, 0…1 (1 − edit distance ÷ length).
const LIKENESS: f64 = 0.6;

/// What the defaults hold at `key`, of whatever value: the type is what counts. `None` if there is no such setting.
pub(super) fn known(defaults: &Table, key: &[String]) -> Option<Value> {
    let (first, rest) = key.split_first()?;
    let mut value = defaults.get(first)?;
    let mut is_name = first == OPEN_TABLE;
    for part in rest {
        let table = value.as_table()?;
        value = match table.get(part) {
            None if is_name => table.get(TEMPLATE)?,
            found => found?,
        };
        is_name = false;
    }
    Some(value.clone())
}

/// The known dotted key that looks most like `key`.
pub(super) fn nearest(defaults: &Table, key: &[String]) -> Option<String> {
    let wanted = key.join(".");
    let last = key.last()?;
    let mut names: Vec<String> = leaves(defaults)
        .into_iter()
        .map(|(path, _)| path.join("."))
        .collect();
    names.extend(
        defaults
            .iter()
            .filter(|(_, v)| v.is_table())
            .map(|(k, _)| k.clone()),
    );
    if let [OPEN_TABLE, name, _] = key.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        let prefix = format!("{OPEN_TABLE}.{TEMPLATE}.");
        let own = names.iter().filter_map(|n| n.strip_prefix(&prefix));
        names = own
            .map(|key| format!("{OPEN_TABLE}.{name}.{key}"))
            .collect();
    }
    let misplaced = |name: &String| name.rsplit('.').next() == Some(last);
    let likeness = |name: &String| {
        let whole = strsim::normalized_damerau_levenshtein(name, &wanted);
        if misplaced(name) {
            whole.max(LIKENESS)
        } else {
            whole
        }
    };
    names
        .into_iter()
        .map(|name| (likeness(&name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}

/// Checks one value by itself.
///
/// # Errors
/// The problem, with the value's place and what would do.
pub(super) fn entry(entry: &Entry, defaults: &Table) -> Result<(), Problem> {
    let bad = |expected: String| Problem::BadValue {
        key: entry.key.join("."),
        origin: entry.origin.clone(),
        got: shown(&entry.value),
        expected,
    };
    let Some(known) = known(defaults, &entry.key) else {
        return Err(Problem::UnknownKey {
            key: entry.key.join("."),
            origin: entry.origin.clone(),
            nearest: nearest(defaults, &entry.key),
        });
    };
    let expectation = expectations::of(&entry.key);
    let in_words = |fallback: String| expectation.map_or(fallback, ToString::to_string);
    if !fits(&known, &entry.value) {
        return Err(bad(in_words(kind(&known).to_owned())));
    }
    if expectation.is_some_and(|expectation| !expectation.holds(&entry.value)) {
        return Err(bad(in_words(String::new())));
    }
    // Alone among defaults: whatever fails now fails by this value.
    let mut table = defaults.clone();
    if let Some((OPEN_TABLE, name)) = entry.key.first().map(String::as_str).zip(entry.key.get(1)) {
        let template = vec![OPEN_TABLE.to_owned(), TEMPLATE.to_owned()];
        let name = [OPEN_TABLE.to_owned(), name.clone()];
        if let Some(template) = self::known(defaults, &template) {
            set(&mut table, &name, template);
        }
    }
    set(&mut table, &entry.key, entry.value.clone());
    let config: Config = table
        .try_into()
        .map_err(|error: toml::de::Error| bad(in_words(error.message().to_owned())))?;
    if logging::check_level(&config.telemetry.level).is_err() {
        return Err(bad(in_words(String::new())));
    }
    match Policies::new(&config.policies) {
        Err(PolicyError::Name { name }) => Err(bad(format!(
            "the scenario's name {name:?} to be 1 to 32 of a-z, 0-9, _ and -"
        ))),
        // Whether cuts fit together is seen in `whole`.
        _ => Ok(()),
    }
}

/// Checks what only shows once all layers are merged.
///
/// # Errors
/// A policy whose cuts do not fit together, with the place of one that was set.
pub(super) fn whole(config: &Config, origins: &BTreeMap<String, Origin>) -> Result<(), Problem> {
    let place = |name: &str, keys: &[&str]| {
        let prefix = format!("{OPEN_TABLE}.{name}.");
        let named = keys.iter().map(|key| format!("{prefix}{key}"));
        let found = named.filter_map(|key| origins.get(&key)).next();
        let any = || origins.iter().find(|(key, _)| key.starts_with(&prefix));
        found
            .or_else(|| any().map(|(_, origin)| origin))
            .cloned()
            .unwrap_or(Origin::Default)
    };
    match Policies::new(&config.policies) {
        Ok(_) => Ok(()),
        Err(PolicyError::MissingCut { name, key }) => Err(Problem::Missing {
            key: format!("{OPEN_TABLE}.{name}.{key}"),
            origin: place(&name, &[]),
        }),
        Err(PolicyError::Cuts {
            name,
            accept,
            review,
        }) => Err(Problem::BadValue {
            key: format!("{OPEN_TABLE}.{name}.review"),
            origin: place(&name, &["review", "accept"]),
            got: review.to_string(),
            expected: format!("at most the scenario's accept cut, {accept}"),
        }),
        Err(error @ PolicyError::Name { .. }) => Err(Problem::Merged {
            message: error.to_string(),
        }),
    }
}

/// A value as a number, whole or not.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        #[expect(
            clippy::cast_precision_loss,
            reason = "compared with bounds far below 2^53"
        )]
        Value::Integer(whole) => Some(*whole as f64),
        Value::Float(float) => Some(*float),
        _ => None,
    }
}

/// Whether `value` may stand where `known` stands; a whole number may stand for any number.
fn fits(known: &Value, value: &Value) -> bool {
    known.same_type(value) || (known.is_float() && value.is_integer())
}

fn kind(known: &Value) -> &'static str {
    match known {
        Value::String(_) => "a text in quotes",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date and time",
        Value::Array(_) => "a list",
        Value::Table(_) => "a section with keys of its own",
    }
}

/// A value as it is written, cut where it is long.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = match value {
        Value::Table(_) => "a section".to_owned(),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{start}…")
}
