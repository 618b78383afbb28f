//! `doctor`: checks all that the daemon needs and gives advice on what is missing. It changes
//! nothing.

use std::borrow::Cow;
use std::process::Command;

use serde::Serialize;

use super::report_out::ReportFlags;
use super::{CommandOutcome, Context, output, users};
use faceood::config::{DEFAULT_FILE, Loaded, Origin};
use faceood_engine::pipeline::tuning;
use faceood_report::html;

mod callers;
mod clock;
mod daemon;
mod database;
mod gpu;
mod library;
mod models;
mod owner;
mod processor;
mod provider;
mod shipping;
mod storage;
mod tls;
mod unit;
mod upkeep;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Exit code 1 if any check failed; warnings alone are 0.

Examples:
  faceood-admin doctor
  sudo faceood-admin doctor   an installed one, whose files and journal others may not see
  faceood-admin doctor --json | jq '.checks[] | select(.status != \"ok\")'")]
pub(crate) struct Args {
    #[command(flatten)]
    report: ReportFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum CheckStatus {
    /// Does not apply here.
    Skipped,
    Ok,
    /// It works now, but needs attention.
    Warning,
    /// The daemon cannot run.
    Failed,
}

impl CheckStatus {
    fn word(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    status: CheckStatus,
    found: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

fn ok(found: impl Into<String>) -> Finding {
    Finding::new(CheckStatus::Ok, found, None)
}

fn skipped(found: impl Into<String>) -> Finding {
    Finding::new(CheckStatus::Skipped, found, None)
}

fn warning(found: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding::new(CheckStatus::Warning, found, Some(advice.into()))
}

fn failed(found: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding::new(CheckStatus::Failed, found, Some(advice.into()))
}

impl Finding {
    fn new(status: CheckStatus, found: impl Into<String>, advice: Option<String>) -> Self {
        let found = found.into();
        Self {
            status,
            found,
            advice,
        }
    }

    fn named(self, name: &'static str) -> Check {
        let finding = self;
        Check { name, finding }
    }
}

pub(crate) use database::DAMAGED;

/// What a program printed; nothing where it cannot be run.
fn said(command: &mut Command) -> String {
    let printed = command.output().map(|output| output.stdout);
    String::from_utf8_lossy(&printed.unwrap_or_default()).into_owned()
}

#[derive(Clone, Debug, Serialize)]
struct Check {
    name: &'static str,
    #[serde(flatten)]
    finding: Finding,
}

#[derive(Serialize)]
struct DoctorReport {
    status: CheckStatus,
    /// In the order in which the daemon needs them.
    checks: Vec<Check>,
}

impl DoctorReport {
    fn new(checks: Vec<Check>) -> Self {
        let worst = checks.iter().map(|check| check.finding.status).max();
        Self {
            status: worst.unwrap_or(CheckStatus::Ok).max(CheckStatus::Ok),
            checks,
        }
    }

    fn page(&self) -> String {
        let row = |Check { name, finding }: &Check| {
            let advice = finding.advice.as_deref().unwrap_or_default();
            let cells = [name, finding.status.word(), &finding.found, advice];
            cells.map(str::to_owned).to_vec()
        };
        let checks = html::table(
            &["check", "state", "what was found", "what to do"],
            self.checks.iter().map(row),
        );
        html::page("Is this machine fit?", "en", "", &checks)
    }

    fn text(&self) -> String {
        let rows = self.checks.iter().map(|Check { name, finding }| {
            let word = finding.status.word();
            [word, name, &finding.found].map(Cow::from).to_vec()
        });
        let mut text = output::table(&[], rows);
        let to_do = self.checks.iter().filter_map(|Check { name, finding }| {
            Some(format!("\n  {name}: {}", finding.advice.as_ref()?))
        });
        let to_do: String = to_do.collect();
        if !to_do.is_empty() {
            text += &format!("\n\nWhat to do:{to_do}");
        }
        text
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<CommandOutcome> {
    let doing = output::doing("looking at everything");
    let (settings, loaded) = settings(context);
    let is_the_services = loaded.as_ref().is_some_and(is_of_the_service);
    let tokens_file = loaded.as_ref().map(Loaded::tokens_file);
    let (config, file) = loaded
        .map(|loaded| (loaded.config, loaded.file))
        .unwrap_or_default();
    let chosen = tuning::choose_without_measuring(&config.tuning_site(), &config.data_dir);
    let mut checks = vec![
        settings.named("settings"),
        processor::check().named("processor"),
        provider::check(&config).named("provider"),
    ];
    checks.extend(gpu::checks(&config.runtime));
    let (library, runtime) = library::checks(&config.runtime, chosen);
    checks.extend(library);
    checks.extend(models::checks(context, &config, runtime));
    checks.extend(storage::of_machine(&config));
    // What is in the data folder, and all that is found by it, may not be for this user to see.
    let owner = users::kept_from(&config.data_dir);
    let user = is_the_services.then(unit::user).flatten();
    let account = owner::account(&config, user.as_deref());
    if let Some(owner) = &owner {
        let folder = config.data_dir.display();
        let kept_out = failed(
            format!(
                "{folder} is {owner}'s, and this user may not look into it: database, room, drift, owners and daemon were not looked at"
            ),
            "look as root: sudo faceood-admin doctor",
        );
        checks.push(kept_out.named("data folder"));
    } else {
        checks.extend(storage::of_folders(&config));
        if let Some(account) = &account {
            checks.extend(owner::checks(&config, file.as_deref(), account));
        }
        checks.extend(database::checks(context, &config));
        checks.extend(shipping::checks(context, &config));
        checks.extend(upkeep::checks(context, &config));
        checks.push(tls::check(&config, account.as_ref()).named("tls"));
    }
    if let Some(file) = &tokens_file {
        let site = callers::Site::new(&config, file, is_the_services);
        checks.extend(callers::checks(&site, account.as_ref()));
    }
    checks.push(clock::check().named("clock"));
    checks.push(unit::check().named("unit"));
    if owner.is_none() {
        let ours = daemon::own_address(&config);
        let ports = daemon::ports(config.listen.addresses(), ours);
        checks.extend(ports.into_iter().map(|port| port.named("address")));
        checks.push(daemon::check(&config).named("daemon"));
    }
    doing.finish_and_clear();
    let report = DoctorReport::new(checks);
    let text = || report.text();
    args.report.show(&report, text, || report.page())?;
    Ok(match report.status {
        CheckStatus::Failed => CommandOutcome::Bad,
        _ => CommandOutcome::Done,
    })
}

/// The settings, and where they come from. In place of what is wrong, the rest is looked at with
/// the defaults of this layout: those of a checkout would blame an installed box.
fn settings(context: &Context) -> (Finding, Option<Loaded>) {
    let loaded = match context.loaded() {
        Ok(loaded) => loaded,
        Err(error) => {
            let advice = "correct that; the checks below use the defaults in its place";
            return (failed(error.to_string(), advice), context.usable().ok());
        }
    };
    let file = match &loaded.file {
        Some(path) => path.display().to_string(),
        None => format!("defaults; no {DEFAULT_FILE}"),
    };
    let found = match loaded.idle_keys().as_slice() {
        [] => file,
        keys => format!("{file}; set to what holds anyway: {}", keys.join(", ")),
    };
    (ok(found), Some(loaded))
}

/// Whether the installed service has the same settings, as far as they say where its files are.
fn is_of_the_service(loaded: &Loaded) -> bool {
    let (origin, file) = (loaded.origin("data_dir"), loaded.file.as_deref());
    let is_its_folder = matches!(
        origin,
        Some(Origin::Installed | Origin::Systemd(_) | Origin::File { .. })
    );
    is_its_folder && file.is_none_or(|file| file == DEFAULT_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_decides_and_advice_is_listed() {
        let mut checks = vec![
            skipped("no GPU").named("driver"),
            ok("9 GB free").named("disk"),
        ];
        assert_eq!(DoctorReport::new(checks.clone()).status, CheckStatus::Ok);
        checks.push(warning("not synchronised", "start a time service").named("clock"));
        assert_eq!(
            DoctorReport::new(checks.clone()).status,
            CheckStatus::Warning
        );
        checks.push(failed("gone", "run ./scripts/setup").named("models"));
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
