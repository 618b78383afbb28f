//! Who may use whom under `src/`: the direction that a workspace of crates would enforce, in one table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::support::repository;

/// A module, and what it may use besides itself, `std` and libraries. What stands in [`FREE`] is permitted
/// to all.
const LAYERS: &[(&str, &[&str])] = &[
    ("geometry", &[]),
    ("stats", &[]),
    ("problem", &[]),
    ("cause", &[]),
    ("checkpoint", &[]),
    ("html", &[]),
    ("columns", &[]),
    ("sinks", &[]),
    ("runtime", &[]),
    ("telemetry", &[]),
    ("capture", &["geometry"]),
    ("pack", &["runtime"]),
    // What a manifest states reaches face and embed as settings: they know no pack.
    ("face", &["geometry", "capture", "runtime"]),
    ("embed", &["face", "runtime"]),
    (
        "quality",
        &["geometry", "stats", "capture", "face", "embed"],
    ),
    ("policy", &["quality", "embed"]),
    (
        "pipeline",
        &[
            "geometry", "stats", "runtime", "capture", "pack", "face", "embed", "quality", "policy",
        ],
    ),
    ("inference_log", &["pipeline", "policy", "quality", "sinks"]),
    (
        "analysis",
        &["inference_log", "quality", "stats", "html", "columns"],
    ),
    ("degrade", &["capture", "geometry"]),
    (
        "evaluation",
        &[
            "geometry", "runtime", "face", "pipeline", "policy", "quality", "embed", "capture",
            "degrade", "stats", "html",
        ],
    ),
    (
        "training",
        &[
            "geometry", "pipeline", "face", "embed", "quality", "capture", "runtime", "pack",
            "degrade", "stats",
        ],
    ),
    (
        "server",
        &[
            "pipeline",
            "policy",
            "inference_log",
            "telemetry",
            "face",
            "embed",
            "quality",
            "geometry",
        ],
    ),
    (
        "config",
        &[
            "capture",
            "runtime",
            "pack",
            "face",
            "embed",
            "quality",
            "policy",
            "pipeline",
            "inference_log",
            "server",
            "telemetry",
        ],
    ),
    (
        "admin",
        &[
            "geometry",
            "stats",
            "runtime",
            "telemetry",
            "capture",
            "pack",
            "face",
            "embed",
            "quality",
            "policy",
            "pipeline",
            "inference_log",
            "analysis",
            "degrade",
            "evaluation",
            "training",
            "config",
            "columns",
            "html",
            "sinks",
        ],
    ),
    (
        "bin",
        &[
            "config",
            "server",
            "admin",
            "pipeline",
            "policy",
            "inference_log",
            "runtime",
            "telemetry",
        ],
    ),
];

/// Values without behaviour that every layer may name: the codes of what callers can see go wrong.
const FREE: &[&str] = &["problem", "checkpoint", "cause"];

#[test]
fn every_module_uses_only_what_its_layer_may() {
    let allowed: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, module, text) in sources() {
        let Some(allowed) = allowed.get(module.as_str()) else {
            wrong.push(format!("{file}: module `{module}` stands in no layer"));
            continue;
        };
        for (line, path) in uses(&text) {
            let top = path.split("::").next().unwrap_or_default();
            let permitted = top == module || FREE.contains(&top) || allowed.contains(&top);
            if !permitted {
                wrong.push(format!("{file}:{line}: `{module}` may not use `{path}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_module_that_is_gone() {
    let found: BTreeSet<_> = sources().into_iter().map(|(_, module, _)| module).collect();
    for (module, _) in LAYERS {
        assert!(
            found.contains(*module),
            "`{module}` stands in the table, not under src/"
        );
    }
}

#[test]
fn no_source_file_is_over_500_lines() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|(file, _, text)| (text.lines().count(), file))
        .filter(|(lines, _)| *lines > 500)
        .collect();
    assert!(long.is_empty(), "two purposes in one file? {long:?}");
}

#[test]
fn uses_are_found_in_every_spelling() {
    let text = "\
//! crate::not_this
use crate::alpha::Thing;
use crate::{beta, gamma::{self, part}, delta::Deep};
/// [`crate::nor_this`]
fn f() -> crate::epsilon::Value { g(\"crate::text \\\" // \", faceood::zeta::h()) } // crate::nor_that
#[cfg(test)]
mod tests { use crate::only_a_test; }
";
    let found: Vec<_> = uses(text)
        .into_iter()
        .map(|(line, path)| format!("{line} {path}"))
        .collect();
    assert_eq!(
        found,
        [
            "2 alpha::Thing",
            "3 beta",
            "3 gamma::self",
            "3 gamma::part",
            "3 delta::Deep",
            "5 epsilon::Value",
            "5 zeta::h"
        ]
    );
}

/// Every Rust file under `src/` but the crate's map and tests in files of their own: name, top module, text.
fn sources() -> Vec<(String, String, String)> {
    fn visit(folder: &Path, found: &mut Vec<(String, String, String)>) {
        for entry in fs::read_dir(folder).expect("src/ can be read") {
            let path = entry.expect("src/ can be read").path();
            if path.is_dir() {
                visit(&path, found);
                continue;
            }
            let name = path
                .strip_prefix(repository().join("src"))
                .expect("it lies under src/")
                .to_string_lossy()
                .into_owned();
            let is_test = name.ends_with("tests.rs") || name.contains("/tests/");
            if path.extension().is_some_and(|extension| extension == "rs")
                && name != "lib.rs"
                && !is_test
            {
                let module = name
                    .split('/')
                    .next()
                    .unwrap_or_default()
                    .trim_end_matches(".rs")
                    .to_owned();
                found.push((
                    name,
                    module,
                    fs::read_to_string(&path).expect("a source file is UTF-8"),
                ));
            }
        }
    }
    let mut found = Vec::new();
    visit(&repository().join("src"), &mut found);
    found.sort();
    assert!(!found.is_empty());
    found
}

/// The paths into our own crate that a file's code names (its unit tests, comments and texts apart), with their lines. A path
/// is cut after its second name.
fn uses(text: &str) -> Vec<(usize, String)> {
    let code = code(
        text.split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or_default(),
    );
    let mut found = Vec::new();
    for root in ["crate::", "faceood::"] {
        for (place, _) in code.match_indices(root) {
            // `not_crate::` is no root.
            if code[..place].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
                continue;
            }
            let line = code[..place].matches('\n').count() + 1;
            found.extend(
                tree(&code[place + root.len()..])
                    .into_iter()
                    .map(|path| (line, path)),
            );
        }
    }
    found.sort_by_key(|(line, _)| *line);
    found
}

/// The text without comments and without what stands in string literals; lines stay lines.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (kept, skipped) = if rest.starts_with("//") {
            (0, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("r#\"") {
            (0, rest.find("\"#").map_or(rest.len(), |end| end + 2))
        } else if rest.starts_with("'\"'") {
            (3, 3)
        } else if next == '"' {
            (0, string_literal(rest))
        } else {
            (next.len_utf8(), next.len_utf8())
        };
        code.push_str(&rest[..kept]);
        code.extend(
            rest[kept..skipped]
                .chars()
                .filter(|skipped| *skipped == '\n'),
        );
        rest = &rest[skipped..];
    }
    code
}

/// The length of the string literal that begins here, with both quotes.
fn string_literal(text: &str) -> usize {
    let mut escaped = true; // as the first quote does not end it
    for (place, character) in text.char_indices() {
        if !escaped && character == '"' {
            return place + 1;
        }
        escaped = !escaped && character == '\\';
    }
    text.len()
}

/// The paths, two names deep, of a use tree that begins here: `a::b`, or `{a, b::c, d::{e, f}}`.
fn tree(text: &str) -> Vec<String> {
    let Some(inside) = group(text) else {
        let name = name(text);
        let Some(rest) = text[name.len()..].strip_prefix("::") else {
            return vec![name.to_owned()];
        };
        let parts: Vec<_> = match group(rest) {
            Some(inside) => split(inside).iter().map(|part| self::name(part)).collect(),
            None => vec![self::name(rest)],
        };
        return parts
            .into_iter()
            .map(|part| format!("{name}::{part}"))
            .collect();
    };
    split(inside).into_iter().flat_map(tree).collect()
}

/// The text between the brace that opens here and the one that closes it.
fn group(text: &str) -> Option<&str> {
    let text = text.strip_prefix('{')?;
    let mut depth = 1;
    for (place, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&text[..place]);
        }
    }
    None
}

/// The parts between the commas that stand in no inner group.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        depth == 0 && character == ','
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
    .collect()
}

/// The name at the beginning.
fn name(text: &str) -> &str {
    let end = text
        .find(|character: char| !character.is_alphanumeric() && character != '_')
        .unwrap_or(text.len());
    &text[..end]
}
