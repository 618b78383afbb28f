//! No circles among the modules of a member, and no long files. Cargo keeps the members apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::support::repository;

#[test]
fn files_of_one_folder_do_not_use_each_other_in_a_circle() {
    let members = fs::read_dir(repository().join("crates")).expect("crates/ can be read");
    let members = members.map(|member| member.expect("a member").path().join("src"));
    for root in members.chain([repository().join("src")]) {
        let folders: BTreeSet<PathBuf> = rust_files(&root)
            .into_iter()
            .filter_map(|file| Some(file.parent()?.to_path_buf()))
            .filter(|folder| !folder.ends_with("bin"))
            .filter(|folder| {
                let inside = folder.strip_prefix(&root).expect("it lies in src/");
                !inside.iter().any(|part| part == "tests")
            })
            .collect();
        assert!(!folders.is_empty(), "{} has no folders", root.display());
        for folder in folders {
            let inside = folder.strip_prefix(&root).expect("it lies in src/");
            let modules = inside.iter().map(|part| part.to_string_lossy());
            let path: String = modules.map(|module| format!("{module}::")).collect();
            let mut uses = uses_in(&folder, &format!("crate::{path}"));
            // Whoever uses none of the others is in no circle, and is taken out until nobody goes.
            loop {
                let left: BTreeSet<String> = uses.keys().cloned().collect();
                uses.retain(|_, used| !used.is_disjoint(&left));
                if uses.len() == left.len() {
                    break;
                }
            }
            assert!(uses.is_empty(), "{}: {uses:?}", folder.display());
        }
    }
}

/// For each module in `folder`, whose path is `path`, the modules there that it uses outside tests.
fn uses_in(folder: &Path, path: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in rust_files(folder) {
        let inside = file.strip_prefix(folder).expect("it lies there");
        let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
        let module = parts[0].trim_end_matches(".rs").to_owned();
        let is_test = |part: &str| ["tests", "tests.rs", "fixture.rs"].contains(&part);
        if ["mod", "lib", "main"].contains(&&*module) || parts.iter().any(|part| is_test(part)) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file is UTF-8");
        let text = text
            .split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or_default();
        let code: String = text.lines().map(without_comment).collect();
        let mut used = taken_from(&code, path);
        let above = code.replace("super::super::", "");
        if parts.len() == 1 || parts[1..] == ["mod.rs"] {
            used.extend(taken_from(&above, "super::"));
        }
        let used = used.into_iter().filter(|used| *used != module);
        let used = used.map(str::to_owned);
        uses.entry(module.clone()).or_default().extend(used);
    }
    uses
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

fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// What `code` takes from the module `path`: `path::NAME` or `path::{NAME, NAME::…}`.
fn taken_from<'c>(code: &'c str, path: &str) -> Vec<&'c str> {
    let is_end = |character: char| !character.is_alphanumeric() && character != '_';
    let names = |rest: &'c str| {
        let Some(group) = rest.strip_prefix('{') else {
            return vec![rest];
        };
        let step = |c: char| i32::from(c == '{') - i32::from(c == '}');
        let mut depth = 0;
        let end = group.find(|c| {
            depth += step(c);
            depth < 0
        });
        let group = &group[..end.unwrap_or(group.len())];
        let mut depth = 0;
        let parts = group.split(|c| {
            depth += step(c);
            depth == 0 && c == ','
        });
        parts.map(str::trim_start).collect()
    };
    let taken = code.split(path).skip(1).flat_map(names);
    taken.filter_map(|path| path.split(is_end).next()).collect()
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
