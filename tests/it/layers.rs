//! The order of the daemon's modules. Cargo keeps the members of the workspace apart; within the daemon this test does.

use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::support::repository;

/// The modules of `src/`, lowest first. A module may use those above it in this list, so there is no circle among them.
const ORDER: &[&str] = &[
    "named",
    "geometry",
    "stats",
    "image_format",
    "problem",
    "cause",
    "checkpoint",
    "whole_file",
    "runtime",
    "capture",
    "pack",
    "face",
    "embed",
    "quality",
    "policy",
    "pipeline",
    "telemetry",
    "inference_log",
    "server",
    "config",
];

#[test]
fn every_module_uses_only_those_below_it() {
    let place = |name: &str| ORDER.iter().position(|module| *module == name);
    let root = repository().join("src");
    let mut wrong = Vec::new();
    for file in rust_files(&root) {
        let inside = file.strip_prefix(&root).expect("it lies in src/");
        let first = inside.iter().next().expect("it has a name");
        let module = first.to_string_lossy();
        let module = module.trim_end_matches(".rs");
        if ["lib", "bin"].contains(&module) {
            continue;
        }
        let Some(own) = place(module) else {
            wrong.push(format!(
                "{}: give `{module}` a place in ORDER",
                inside.display()
            ));
            continue;
        };
        let text = fs::read_to_string(&file).expect("a source file is UTF-8");
        for (number, line) in text.lines().enumerate() {
            for used in used_modules(line) {
                if place(used).is_some_and(|used| used > own) {
                    let at = inside.display();
                    wrong.push(format!(
                        "{at}:{}: `{module}` may not use `{used}`",
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_source_file_is_over_500_lines() {
    let roots = ["src", "crates"].map(|folder| repository().join(folder));
    let long: Vec<PathBuf> = roots
        .iter()
        .flat_map(|root| rust_files(root))
        .filter(|file| {
            let text = fs::read_to_string(file).expect("a source file is UTF-8");
            text.lines().count() > 500 && !file.iter().any(|part| part == "it" || part == "benches")
        })
        .collect();
    assert!(long.is_empty(), "two purposes in one file? {long:?}");
}

/// The modules that a line of code names: `crate::NAME` or `crate::{NAME, NAME::…}`. A comment names none.
fn used_modules(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or_default();
    let is_end = |character: char| !character.is_alphanumeric() && character != '_';
    code.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group.split(", ").collect(),
            None => vec![rest],
        })
        .filter_map(|path| path.split(is_end).next())
        .collect()
}

fn rust_files(root: &Path) -> Vec<PathBuf> {
    let files: Vec<PathBuf> = WalkDir::new(root)
        .into_iter()
        .map(|entry| entry.expect("the folder can be read").into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    assert!(!files.is_empty(), "{} has no source files", root.display());
    files
}
