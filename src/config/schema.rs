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
#[must_use]
pub(super) fn defaults() -> Table {
    let mut table = Table::try_from(Config::default()).unwrap_or_default();
    shorten_floats(&mut table);
    table
}

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

/// Puts `value` at `key`, making the tables on the way.
pub(super) fn set(table: &mut Table, key: &[String], value: Value) {
    let Some((first, rest)) = key.split_first() else {
        return;
    };
    if rest.is_empty() {
        table.insert(first.clone(), value);
        return;
    }
    let inner = table
        .entry(first.clone())
        .or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(inner) = inner {
        set(inner, rest, value);
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
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "whether it fits is what is asked"
                )]
                let short = *float as f32;
                if f64::from(short).to_bits() == float.to_bits() {
                    *float = short.to_string().parse().unwrap_or(*float);
                }
            }
            _ => {}
        }
    }
}
