//! Checks one value at a time: whether its key is known, its type fits, it lies in its range, and
//! the module that owns it takes it. The defaults serve as the schema.

use std::collections::BTreeMap;

use faceood_engine::policy::{Policies, PolicyError};
use toml::{Table, Value};

use super::Config;
use super::error::Problem;
use super::expectations;
use super::origin::{Entry, Origin};
use super::schema::{self, OPEN_TABLE, TEMPLATE, nearest, set};
use super::ship;
use super::units::Unit;
use crate::telemetry::logging;

/// The key whose value is one text or a list of them.
const ONE_OR_MORE: &str = "listen";

/// Checks one value by itself. A text with a unit becomes the number that it stands for.
pub(super) fn entry(entry: &mut Entry, defaults: &Table) -> Result<(), Problem> {
    let may_be_list = entry.key == [ONE_OR_MORE];
    if may_be_list {
        entry.value = one_or_more(&entry.value);
    }
    let unit = entry.key.last().and_then(|key| Unit::of(key));
    let mut got = match entry.value.as_str() {
        Some(url) if entry.key.join(".") == ship::MAY_HOLD_PASSWORD => {
            shown(&ship::without_password(url).into())
        }
        _ => shown(&entry.value),
    };
    let text = entry.value.as_str();
    if let Some(count) = unit.zip(text).and_then(|(unit, text)| unit.count(text)) {
        got = format!("{got}, which makes {count}");
        entry.value = Value::Integer(count);
    }
    let bad = |expected: String| Problem::BadValue {
        key: entry.key.join("."),
        origin: entry.origin.clone(),
        got: got.clone(),
        expected,
    };
    let known = schema::known(defaults, &entry.key).ok_or_else(|| Problem::UnknownKey {
        key: entry.key.join("."),
        origin: entry.origin.clone(),
        nearest: nearest(defaults, &entry.key),
    })?;
    let expectation = expectations::of(&entry.key);
    let in_words = |fallback: String| {
        let words = expectation.map_or(fallback, ToString::to_string);
        match unit {
            Some(unit) => format!("{words}, or a text such as {}", unit.examples()),
            None => words,
        }
    };
    let is_list = may_be_list && entry.value.is_array();
    if !is_list && !fits(&known, &entry.value) {
        return Err(bad(in_words(kind(&known).to_owned())));
    }
    if expectation.is_some_and(|expectation| !expectation.holds(&entry.value)) {
        return Err(bad(in_words(String::new())));
    }
    // Alone among defaults: whatever fails now fails by this value.
    let mut table = defaults.clone();
    if let [first, name, ..] = &entry.key[..]
        && first == OPEN_TABLE
        && let Some(template) = defaults
            .get(OPEN_TABLE)
            .and_then(|table| table.get(TEMPLATE))
    {
        set(&mut table, &[first.clone(), name.clone()], template.clone());
    }
    set(&mut table, &entry.key, entry.value.clone());
    let config: Config = table
        .try_into()
        .map_err(|error: toml::de::Error| bad(in_words(expected_in(error.message()).to_owned())))?;
    if logging::check_level(&config.telemetry.level).is_err() {
        return Err(bad(in_words(String::new())));
    }
    match Policies::new(&config.policies) {
        Err(PolicyError::Name(name)) => Err(bad(format!(
            "the scenario's name {name:?} to be 1 to 32 of a-z, 0-9, _ and -"
        ))),
        // Whether cuts fit together is seen in `whole`.
        _ => Ok(()),
    }
}

/// Checks what only shows once all layers are merged: whether a policy's cuts fit together.
pub(super) fn whole(config: &Config, origins: &BTreeMap<String, Origin>) -> Result<(), Problem> {
    let place = |name: &str, keys: &[&str]| {
        let prefix = format!("{OPEN_TABLE}.{name}.");
        let named = keys
            .iter()
            .filter_map(|key| origins.get(&format!("{prefix}{key}")));
        let others = origins.iter().filter(|(key, _)| key.starts_with(&prefix));
        let mut found = named.chain(others.map(|(_, origin)| origin));
        found.next().cloned().unwrap_or(Origin::Default)
    };
    match Policies::new(&config.policies) {
        Ok(_) => Ok(()),
        Err(PolicyError::MissingCut(name, key)) => {
            let place = place(&name, &[]);
            Err(Problem::Missing(
                format!("{OPEN_TABLE}.{name}.{key}"),
                place,
            ))
        }
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
        Err(error @ PolicyError::Name(_)) => Err(Problem::Merged(error.to_string())),
    }
}

/// What a message of `toml` says that it expected: the value and its key are told already.
fn expected_in(message: &str) -> &str {
    let expected = message.rsplit_once("expected ");
    expected.map_or(message, |(_, expected)| expected)
}

/// Whether `value` may stand where `known` stands; a whole number may stand for any number.
fn fits(known: &Value, value: &Value) -> bool {
    known.same_type(value) || (known.is_float() && value.is_integer())
}

/// Texts between commas become a list, and a list of one its only text.
fn one_or_more(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains(',') => {
            let texts = text.split(',').map(str::trim);
            Value::Array(texts.map(Value::from).collect())
        }
        Value::Array(values) if values.len() == 1 => values[0].clone(),
        other => other.clone(),
    }
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
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
