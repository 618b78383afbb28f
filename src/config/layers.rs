//! Each layer of settings becomes a list of entries (key, value, place); later entries win.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::DEFAULT_FILE;
use super::error::Problem;
use super::flags::Overrides;
use super::origin::{Entry, Origin, Sources};
use super::schema::{known, leaves, nearest};

/// Start of the names of all variables that are settings.
const PREFIX: &str = "FACEOOD_";

/// The file to read, if any.
pub(super) fn file_path(sources: &Sources) -> Option<PathBuf> {
    let default = Path::new(DEFAULT_FILE);
    let found = || default.exists().then(|| default.to_owned());
    sources.file.clone().or_else(found)
}

/// The entries of a config file; what cannot be read, parsed or is unknown goes to `problems`.
pub(super) fn file_entries(
    path: &Path,
    defaults: &Table,
    problems: &mut Vec<Problem>,
) -> Vec<Entry> {
    let text = match read(path) {
        Ok(text) => text,
        Err(problem) => {
            problems.push(problem);
            return Vec::new();
        }
    };
    let parsed = DeTable::parse(&text).and_then(|spans| Ok((spans, toml::from_str(&text)?)));
    let (spans, table): (Spanned<DeTable<'_>>, Table) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let (line, column) = position(&text, error.span().map_or(0, |span| span.start));
            problems.push(Problem::Syntax {
                path: path.to_owned(),
                line,
                column,
                message: error.message().to_owned(),
            });
            return Vec::new();
        }
    };
    let mut walk = FileWalk {
        path,
        text: &text,
        defaults,
        entries: Vec::new(),
        problems,
    };
    walk.table(&mut Vec::new(), spans.get_ref(), &table);
    walk.entries
}

/// The text of a config file. Editors on Windows put a mark before UTF-8, or save as UTF-16.
fn read(path: &Path) -> Result<String, Problem> {
    let bytes = std::fs::read(path).map_err(|error| Problem::Unreadable(path.to_owned(), error))?;
    let encoding = match bytes[..] {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, _, ..] | [_, 0, ..] => "UTF-16",
        _ => "an encoding other than UTF-8",
    };
    let text = String::from_utf8(bytes).ok();
    let text = text.filter(|text| !text.contains('\0'));
    let text = text.ok_or_else(|| Problem::Encoding(path.to_owned(), encoding))?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// Steps through the file's values and, beside them, their places.
struct FileWalk<'a> {
    path: &'a Path,
    text: &'a str,
    defaults: &'a Table,
    entries: Vec<Entry>,
    problems: &'a mut Vec<Problem>,
}

impl FileWalk<'_> {
    fn table(&mut self, at: &mut Vec<String>, spans: &DeTable<'_>, table: &Table) {
        let mut in_order: Vec<_> = spans.iter().collect();
        in_order.sort_by_key(|(name, _)| name.span().start);
        for (name, place) in in_order {
            let Some(value) = table.get(name.get_ref().as_ref()) else {
                continue;
            };
            at.push(name.get_ref().to_string());
            let (line, _) = position(self.text, name.span().start);
            let origin = Origin::File(self.path.to_owned(), line);
            let known = known(self.defaults, at);
            match (place.get_ref(), value, &known) {
                (_, _, None) => self.problems.push(Problem::UnknownKey {
                    key: at.join("."),
                    origin,
                    nearest: nearest(self.defaults, at),
                }),
                (DeValue::Table(spans), Value::Table(table), Some(Value::Table(_))) => {
                    self.table(at, spans, table);
                }
                _ => self.entries.push(Entry {
                    key: at.clone(),
                    value: value.clone(),
                    origin,
                }),
            }
            at.pop();
        }
    }
}

/// The entries of the `FACEOOD_` variables; unknown ones go to `problems`.
pub(super) fn environment_entries(
    sources: &Sources,
    defaults: &Table,
    problems: &mut Vec<Problem>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (variable, text) in &sources.environment {
        let Some(name) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        let key: Vec<String> = name.split("__").map(str::to_lowercase).collect();
        let Some(known) = known(defaults, &key) else {
            problems.push(Problem::UnknownVariable {
                variable: variable.clone(),
                nearest: nearest(defaults, &key).map(|key| variable_name(&key)),
            });
            continue;
        };
        entries.push(Entry {
            key,
            value: value_like(&known, text),
            origin: Origin::Environment(variable.clone()),
        });
    }
    entries
}

/// The variable that sets the dotted `key`.
pub(super) fn variable_name(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// The entries of the flags.
pub(super) fn flag_entries(flags: &Overrides) -> Vec<Entry> {
    let table = Table::try_from(flags).unwrap_or_default();
    let given = leaves(&table).into_iter();
    let entry = |(key, value): (Vec<String>, Value)| {
        let origin = Origin::Flag(format!("--{}", key.join("-").replace('_', "-")));
        Entry { key, value, origin }
    };
    given.map(entry).collect()
}

/// Reads a variable's text as what its setting is: `12` is a number where a number is wanted and
/// text where text is. What does not fit stays text and fails the check with the right words.
fn value_like(known: &Value, text: &str) -> Value {
    let trimmed = text.trim();
    let read = match known {
        Value::String(_) | Value::Datetime(_) | Value::Table(_) => None,
        Value::Integer(_) => trimmed.replace('_', "").parse().ok().map(Value::Integer),
        Value::Float(_) => trimmed.parse().ok().map(Value::Float),
        Value::Boolean(_) => trimmed.parse().ok().map(Value::Boolean),
        Value::Array(_) => Some(list(trimmed)),
    };
    read.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A list in a variable: TOML's own form, or texts between commas.
fn list(text: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("list = {text}"));
    match parsed.ok().and_then(|mut table| table.remove("list")) {
        Some(Value::Array(list)) => Value::Array(list),
        _ => {
            let items = text.split(',').map(str::trim);
            let items = items.filter(|item| !item.is_empty());
            Value::Array(items.map(Value::from).collect())
        }
    }
}

/// Line and column of the byte `at`, both counted from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}
