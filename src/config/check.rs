//! Checks one value at a time against the defaults, which double as the schema: is the key known, does the type fit, is the
//! value in its range, and does the module that owns it take it.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Config;
use super::error::Problem;
use super::expectations;
use super::layers::{Entry, Origin, leaves, set};

/// The table whose names are the operator's own; each holds what the [`TEMPLATE`] holds.
const OPEN_TABLE: &str = "policies";

/// The built-in policy that shows which keys a policy has.
const TEMPLATE: &str = "access";

/// Keys without which a new policy is none.
const NEEDED: [&str; 2] = ["accept", "review"];

/// Longest name of a scenario; it stands in queries, columns and metric labels.
const MAX_SCENARIO_LENGTH: usize = 32;

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
    if let [OPEN_TABLE, name, ..] = entry.key.iter().map(String::as_str).collect::<Vec<_>>()[..]
        && !is_scenario_name(name)
    {
        return Err(bad(format!(
            "a scenario's name to be 1–{MAX_SCENARIO_LENGTH} of a–z, 0–9, _ and -, not `{name}`"
        )));
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
    match table.try_into::<Config>() {
        Ok(_) => Ok(()),
        Err(error) => Err(bad(in_words(error.message().to_owned()))),
    }
}

/// Checks what only shows once all layers are merged.
pub(super) fn whole(table: &Table, origins: &BTreeMap<String, Origin>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let policies = table.get(OPEN_TABLE).and_then(Value::as_table);
    for (name, policy) in policies.into_iter().flatten() {
        let prefix = format!("{OPEN_TABLE}.{name}.");
        let set_here = |key: &str| origins.get(&format!("{prefix}{key}")).cloned();
        let place = || {
            let mut own = origins.iter().filter(|(key, _)| key.starts_with(&prefix));
            own.next().map_or(Origin::Default, |(_, o)| o.clone())
        };
        let cuts = NEEDED.map(|key| policy.get(key).and_then(number));
        for (key, cut) in NEEDED.iter().zip(cuts) {
            if cut.is_none() {
                problems.push(Problem::Missing {
                    key: format!("{prefix}{key}"),
                    origin: place(),
                });
            }
        }
        if let [Some(accept), Some(review)] = cuts
            && review > accept
        {
            problems.push(Problem::BadValue {
                key: format!("{prefix}review"),
                origin: set_here("review")
                    .or_else(|| set_here("accept"))
                    .unwrap_or_else(place),
                got: review.to_string(),
                expected: format!("at most the scenario's accept cut, {accept}"),
            });
        }
    }
    problems
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

fn is_scenario_name(name: &str) -> bool {
    (1..=MAX_SCENARIO_LENGTH).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}
