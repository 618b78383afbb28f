//! `doctor`: checks all that the daemon needs and gives advice on what is missing. It changes
//! nothing.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{CommandOutcome, Context, output, users};
use faceood::config::{Config, DEFAULT_FILE, Origin};
use faceood::pipeline::tuning;

mod clock;
mod daemon;
mod database;
mod gpu;
mod library;
mod models;
mod owner;
mod processor;
mod provider;
mod storage;
mod unit;
mod upkeep;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Exit code 1 if any check failed; warnings alone are 0.

Examples:
  faceood-admin doctor
  sudo faceood-admin doctor                     an installed one, whose files and journal others may not see
  faceood-admin doctor --json | jq '.checks[] | select(.status != \"ok\")'")]
pub(crate) struct Args {
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckStatus {
    /// Does not apply here.
    Skipped,
    /// As it should be.
    Ok,
    /// It works now, but needs attention.
    Warning,
    /// The daemon cannot run.
    Failed,
}

impl CheckStatus {
    const fn word(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) status: CheckStatus,
    pub(crate) found: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::Ok, found, None)
    }

    fn skipped(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::Skipped, found, None)
    }

    fn warning(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::Warning, found, Some(advice.into()))
    }

    fn failed(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::Failed, found, Some(advice.into()))
    }

    fn new(
        name: &'static str,
        status: CheckStatus,
        found: impl Into<String>,
        advice: Option<String>,
    ) -> Self {
        Self {
            name,
            status,
            found: found.into(),
            advice,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct DoctorReport {
    pub(crate) status: CheckStatus,
    /// In the order in which the daemon needs them.
    pub(crate) checks: Vec<Check>,
}

impl DoctorReport {
    fn new(checks: Vec<Check>) -> Self {
        let worst = checks.iter().map(|check| check.status).max();
        Self {
            status: worst.unwrap_or(CheckStatus::Ok).max(CheckStatus::Ok),
            checks,
        }
    }

    fn text(&self) -> String {
        let rows = self.checks.iter().map(|check| {
            vec![
                check.status.word().into(),
                check.name.into(),
                Cow::from(check.found.as_str()),
            ]
        });
        let mut text = output::table(&[], rows);
        let to_do: Vec<String> = self
            .checks
            .iter()
            .filter_map(|check| Some(format!("  {}: {}", check.name, check.advice.as_ref()?)))
            .collect();
        if !to_do.is_empty() {
            text.push_str("\n\nWhat to do:\n");
            text.push_str(&to_do.join("\n"));
        }
        text
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<CommandOutcome> {
    let doing = output::doing("looking at everything");
    let Found {
        check,
        config,
        file,
        is_the_services,
    } = settings(context);
    let mut checks = vec![check];
    checks.push(processor::check());
    checks.push(provider::check(&config));
    let chosen = tuning::choose_without_measuring(&config.tuning_site(), &config.data_dir);
    checks.extend(gpu::checks(&config.runtime));
    let (library, runtime) = library::checks(&config.runtime, chosen);
    checks.extend(library);
    checks.extend(models::checks(context, &config, runtime));
    checks.extend(storage::of_machine(&config));
    if let Some(owner) = users::kept_from(&config.data_dir) {
        checks.push(kept_out(&config.data_dir, &owner));
        checks.extend([clock::check(), unit::check()]);
    } else {
        let user = is_the_services.then(unit::user).flatten();
        checks.extend(storage::of_folders(&config));
        checks.extend(owner::checks(&config, file.as_deref(), user.as_deref()));
        checks.extend(database::checks(context, &config));
        checks.extend(upkeep::checks(context, &config));
        checks.extend([clock::check(), unit::check()]);
        checks.push(daemon::port(config.listen, &config.address_file()));
        checks.push(daemon::check(&config.address_file()));
    }
    doing.finish_and_clear();
    let report = DoctorReport::new(checks);
    if args.json {
        output::json(&report)?;
    } else {
        output::text(&report.text())?;
    }
    Ok(match report.status {
        CheckStatus::Failed => CommandOutcome::Bad,
        _ => CommandOutcome::Done,
    })
}

/// What is in the data folder, and all that is found by it, is not for this user to see.
fn kept_out(folder: &Path, owner: &str) -> Check {
    Check::failed(
        "data folder",
        format!(
            "{} is {owner}'s, and this user may not look into it: database, room, drift, owners and daemon were not looked at",
            folder.display()
        ),
        "look as root: sudo faceood-admin doctor",
    )
}

struct Found {
    check: Check,
    config: Config,
    file: Option<PathBuf>,
    /// Whether the installed service has the same, as far as they say where its files are.
    is_the_services: bool,
}

/// The settings, and where they come from; wrong ones are a failed check, and the rest is looked at with the defaults.
fn settings(context: &Context) -> Found {
    const NAME: &str = "settings";
    match context.loaded() {
        Ok(loaded) => {
            let file = loaded.file.as_ref().map_or_else(
                || format!("defaults; no {DEFAULT_FILE}"),
                |path| path.display().to_string(),
            );
            let idle = loaded.idle_keys();
            let found = match idle.as_slice() {
                [] => file,
                keys => format!("{file}; set to what holds anyway: {}", keys.join(", ")),
            };
            let is_its_file = loaded
                .file
                .as_deref()
                .is_none_or(|file| file == DEFAULT_FILE);
            let is_its_folder = matches!(
                loaded.origin("data_dir"),
                Some(Origin::Installed | Origin::Systemd(_) | Origin::File { .. })
            );
            Found {
                check: Check::ok(NAME, found),
                config: loaded.config,
                file: loaded.file,
                is_the_services: is_its_file && is_its_folder,
            }
        }
        Err(error) => {
            let advice = "correct that; the checks below use the defaults";
            Found {
                check: Check::failed(NAME, error.to_string(), advice),
                config: Config::default(),
                file: None,
                is_the_services: false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_decides_and_advice_is_listed() {
        let mut checks = vec![
            Check::skipped("driver", "no GPU"),
            Check::ok("disk", "9 GB free"),
        ];
        assert_eq!(DoctorReport::new(checks.clone()).status, CheckStatus::Ok);
        checks.push(Check::warning(
            "clock",
            "not synchronised",
            "start a time service",
        ));
        assert_eq!(
            DoctorReport::new(checks.clone()).status,
            CheckStatus::Warning
        );
        checks.push(Check::failed("models", "gone", "run ./scripts/setup"));
        let report = DoctorReport::new(checks);
        assert_eq!(report.status, CheckStatus::Failed);
        let text = report.text();
        assert!(
            text.contains("What to do:\n  clock: start a time service\n  models: run"),
            "{text}"
        );
        assert!(!text.contains("driver:"), "{text}");
    }
}
