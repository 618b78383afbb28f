//! The documents against the programs: what they name exists, what exists they name, and their
//! requests can be copied.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use faceood_engine::problem::ProblemCode;
use serde_json::Value;

use crate::support::{Admin, Daemon, repository};

/// The README in both languages.
const READMES: [&str; 2] = ["README.md", "README.zh.md"];

/// Where every document's requests go; a test's daemon listens elsewhere.
const DOCUMENTED_ADDRESS: &str = "127.0.0.1:7860";

#[test]
fn the_readmes_name_every_problem_with_its_status() {
    for readme in READMES {
        let rows = table_rows(&read(readme));
        for problem in ProblemCode::ALL {
            let (code, status) = (
                format!("`{}`", problem.code()),
                problem.status().to_string(),
            );
            assert!(
                rows.iter()
                    .any(|row| row.contains(&code) && row.contains(&status)),
                "no table of {readme} has {status} {code}"
            );
        }
    }
}

#[test]
fn the_readmes_name_every_subcommand_and_no_other() {
    let commands = subcommands();
    for readme in READMES {
        // A row's first cell names one command in full; others may share the row:
        // `faceood-admin export` · `prune`.
        let rows = table_rows(&read(readme));
        let cells = rows.iter().filter_map(|row| row.split('|').nth(1));
        let named: BTreeSet<_> = cells
            .filter(|cell| cell.contains("`faceood-admin "))
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .filter_map(|code| {
                let code = code.strip_prefix("faceood-admin ").unwrap_or(code);
                code.split_whitespace().next().map(str::to_owned)
            })
            .collect();
        assert_eq!(
            named, commands,
            "the tables of {readme} against `faceood-admin --help`"
        );
    }
}

#[test]
fn both_readmes_say_the_same_things() {
    let shape = |readme| {
        let text = read(readme);
        let headings: Vec<_> = prose(&text)
            .filter(|line| line.starts_with('#'))
            .map(|line| line.split(' ').next().map(str::to_owned))
            .collect();
        (headings, table_rows(&text).len(), blocks(&text).len())
    };
    assert_eq!(
        shape(READMES[0]),
        shape(READMES[1]),
        "headings, table rows and code blocks"
    );
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = read(&document);
        let folder = repository()
            .join(&document)
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
        for target in prose(&text)
            .flat_map(|line| line.split("](").skip(1))
            .filter_map(|rest| rest.split([')', '#', ' ']).next())
        {
            let is_outside = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !is_outside && !folder.join(target).exists() {
                broken.push(format!("{document} → {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_native_code_of_the_security_page_is_what_is_built() {
    let lock = read("Cargo.lock");
    let page = read("docs/security.md");
    let mut compared = 0;
    for mention in page.split("crate `").skip(1) {
        let (name, rest) = mention.split_once('`').expect("the name ends");
        let version = rest
            .trim_start()
            .split([',', ')', ' ', '\n'])
            .next()
            .unwrap_or_default()
            .trim_end_matches('.');
        let package = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(
            lock.contains(&package),
            "docs/security.md says {name} {version}"
        );
        compared += 1;
    }
    assert!(compared >= 3, "{compared} crates");
    let mentions = page.split("ONNX Runtime ").skip(1);
    let versions = mentions.filter_map(|rest| rest.split([',', ' ']).next());
    let versions: Vec<_> = versions
        .filter(|version| version.starts_with(char::is_numeric))
        .collect();
    assert!(versions.len() >= 2, "{versions:?}");
    for version in versions {
        assert!(
            read("scripts/setup").contains(version),
            "docs/security.md says ONNX Runtime {version}"
        );
    }
}

#[test]
fn documented_requests_can_be_copied() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: there is no curl here");
        return;
    }
    let daemon = Daemon::start();
    let mut requests = 0;
    for document in documents() {
        let blocks = blocks(&read(&document));
        for (place, block) in blocks.iter().enumerate() {
            if block.language == "sh"
                && block.text.starts_with("curl ")
                && block.text.contains(DOCUMENTED_ADDRESS)
            {
                requests += 1;
                // The quickstart shows a part of each answer, which scripts/test-docs compares.
                let is_whole = !document.contains("quickstart");
                let answer = blocks
                    .get(place + 1)
                    .filter(|next| is_whole && next.language == "json");
                copy_request(
                    &daemon,
                    &document,
                    &block.text,
                    answer.map(|block| block.text.as_str()),
                );
            }
        }
    }
    assert!(requests > 0, "no document shows a request");
}

/// Sends what a reader would paste into a shell, and compares the fields of its answer with those
/// shown below it.
fn copy_request(daemon: &Daemon, document: &str, request: &str, shown: Option<&str>) {
    let command = request.replace(DOCUMENTED_ADDRESS, &daemon.address().to_string());
    let output = Command::new("bash")
        .args(["-euc", &command])
        .current_dir(repository())
        .output()
        .expect("bash starts");
    let body = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{document}: {request}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let Some(shown) = shown else { return };
    let answer: Value = serde_json::from_str(&body)
        .unwrap_or_else(|error| panic!("{document}: {request}\n{error} in {body}"));
    // A document may cut long lists short with an ellipsis.
    let shown = shown.replace(", …", "").replace('…', "");
    let shown: Value = serde_json::from_str(&shown)
        .unwrap_or_else(|error| panic!("{document}: {error} in the answer shown:\n{shown}"));
    let mut different = Vec::new();
    compare_fields("", &shown, &answer, &mut different);
    assert!(
        different.is_empty(),
        "{document}: the answer shown below `{request}` against the real one: {different:#?}\n{answer:#}"
    );
}

/// Notes the fields that only one of the two has. Of a list the first element stands for all; an
/// empty one tells nothing.
fn compare_fields(path: &str, shown: &Value, answer: &Value, different: &mut Vec<String>) {
    match (shown, answer) {
        (Value::Object(shown), Value::Object(answer)) => {
            for (name, value) in shown {
                match answer.get(name) {
                    Some(other) => {
                        compare_fields(&format!("{path}.{name}"), value, other, different);
                    }
                    None => different.push(format!("{path}.{name} is gone")),
                }
            }
            let new = answer.keys().filter(|name| !shown.contains_key(*name));
            different.extend(new.map(|name| format!("{path}.{name} is new")));
        }
        (Value::Array(shown), Value::Array(answer)) => {
            if let (Some(shown), Some(answer)) = (shown.first(), answer.first()) {
                compare_fields(&format!("{path}[]"), shown, answer, different);
            }
        }
        (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => {
            let either_is_null = shown.is_null() || answer.is_null();
            if !either_is_null {
                different.push(format!("{path} has another type"));
            }
        }
        _ => {}
    }
}

/// The subcommands, as the operator's command lists them.
fn subcommands() -> BTreeSet<String> {
    let help = Admin::run(["--help"]).success().stdout;
    let commands = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1);
    let names = commands
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "));
    let found: BTreeSet<_> = names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect();
    assert!(!found.is_empty(), "no commands in\n{help}");
    found
}

/// A fenced block of a document.
struct Block {
    language: String,
    text: String,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let inside: Vec<_> = lines
                .by_ref()
                .take_while(|line| !line.starts_with("```"))
                .collect();
            blocks.push(Block {
                language: language.to_owned(),
                text: inside.join("\n"),
            });
        }
    }
    blocks
}

/// The lines that stand in no fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        inside ^= is_fence;
        !inside && !is_fence
    })
}

fn table_rows(text: &str) -> Vec<String> {
    prose(text)
        .filter(|line| line.starts_with('|'))
        .map(str::to_owned)
        .collect()
}

fn read(document: &str) -> String {
    fs::read_to_string(repository().join(document))
        .unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// The READMEs and what stands in `docs/`, as paths from the repository.
fn documents() -> Vec<String> {
    let entries = fs::read_dir(repository().join("docs")).expect("docs/ is there");
    let mut found: Vec<_> = entries
        .map(|entry| {
            PathBuf::from("docs")
                .join(entry.expect("docs/ can be read").file_name())
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.ends_with(".md"))
        .collect();
    found.extend(READMES.map(str::to_owned));
    found.sort();
    found
}

#[test]
fn bash_completes_what_stands_behind_a_subcommand() {
    let script = Admin::run(["completions", "bash"]).success().stdout;
    let completed = |words: &str, current: usize| -> String {
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}) COMP_CWORD={current}\n\
             function=$(complete -p faceood-admin | sed 's/.* -F \\([^ ]*\\).*/\\1/')\n\
             $function faceood-admin \"${{COMP_WORDS[{current}]}}\" \"${{COMP_WORDS[{current}-1]}}\"\n\
             echo \"${{COMPREPLY[*]}}\""
        );
        let shell = Command::new("bash").args(["-c", &ask]).output().unwrap();
        String::from_utf8(shell.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(completed("faceood-admin expl", 1), "explain");
    assert_eq!(
        completed("faceood-admin analyze-logs --form", 2),
        "--format"
    );
    assert_eq!(
        completed("faceood-admin analyze-logs --format j", 3),
        "json"
    );
    assert_eq!(completed("faceood-admin models set", 2), "set-calibration");
    assert_eq!(
        completed("faceood-admin models verify --model", 3),
        "--models-dir"
    );
}
