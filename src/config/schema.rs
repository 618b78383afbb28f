//! Which settings there are: the defaults are the schema.

use toml::{Table, Value};

use super::Config;

/// The table whose names are the operator's own; each holds what the [`TEMPLATE`] holds.
pub(super) const OPEN_TABLE: &str = "policies";

/// The built-in policy that shows which keys a policy has.
pub(super) const TEMPLATE: &str = "access";

/// How alike two names must be to be suggested, 0…1 (1 − edit distance ÷ length).
const LIKENESS: f64 = 0.6;

/// The built-in layer, complete: it also says which keys exist and of what type each is.
pub(super) fn defaults() -> Table {
    let mut table = Table::try_from(Config::default()).unwrap_or_default();
    shorten_floats(&mut table);
    table
}

/// The default at `key`, whose type is what counts. `None` if there is no such setting.
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
    let settings = leaves(defaults).into_iter().map(|(path, _)| path.join("."));
    let sections = defaults.iter().filter(|(_, value)| value.is_table());
    let mut names: Vec<String> = settings
        .chain(sections.map(|(name, _)| name.clone()))
        .collect();
    if let [first, name, _] = key
        && first == OPEN_TABLE
    {
        let prefix = format!("{OPEN_TABLE}.{TEMPLATE}.");
        let own = names.iter().filter_map(|n| n.strip_prefix(&prefix));
        names = own
            .map(|key| format!("{OPEN_TABLE}.{name}.{key}"))
            .collect();
    }
    let likeness = |name: &String| {
        let whole = strsim::normalized_damerau_levenshtein(name, &wanted);
        let is_misplaced = name.rsplit('.').next() == Some(last);
        if is_misplaced {
            whole.max(LIKENESS)
        } else {
            whole
        }
    };
    let named = names.into_iter().map(|name| (likeness(&name), name));
    let alike = named.filter(|(likeness, _)| *likeness >= LIKENESS);
    let nearest = alike.max_by(|one, other| one.0.total_cmp(&other.0));
    nearest.map(|(_, name)| name)
}

/// Puts `value` at `key`, making the tables on the way.
pub(super) fn set(table: &mut Table, key: &[String], value: Value) {
    match key {
        [] => {}
        [last] => drop(table.insert(last.clone(), value)),
        [first, rest @ ..] => {
            let inner = table.entry(first).or_insert_with(|| Table::new().into());
            if let Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

/// All values of `table` that are no tables themselves, with their paths.
pub(super) fn leaves(table: &Table) -> Vec<(Vec<String>, Value)> {
    let mut found = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) => {
                for (mut key, value) in leaves(inner) {
                    key.insert(0, name.clone());
                    found.push((key, value));
                }
            }
            leaf => found.push((vec![name.clone()], leaf.clone())),
        }
    }
    found
}

/// `f32` settings come out of serde as 0.6000000238418579; write what the programmer wrote.
fn shorten_floats(table: &mut Table) {
    for (_, value) in table.iter_mut() {
        match value {
            Value::Table(inner) => shorten_floats(inner),
            Value::Float(float) => {
                let short = *float as f32;
                if f64::from(short).to_bits() == float.to_bits() {
                    *float = short.to_string().parse().unwrap_or(*float);
                }
            }
            _ => {}
        }
    }
}
