//! The operator's command, `faceood-admin`. Each subcommand has a module with its `Args` and
//! `run(args, &Context)`.
//!
//! A subcommand first builds a value, then shows it. JSON is the contract, text a view of it.
//! Results go to standard output, progress and logs to standard error ([`output`]). Everything
//! works beside a live daemon: the database is read through read-only connections, and rows are
//! deleted in small steps.

use std::ffi::OsString;
use std::io;

use clap::{Parser, Subcommand};

use faceood::telemetry::logging;
use faceood_fleet::FleetError;
use faceood_log::{LogError, Trouble};
use faceood_patterns::AnalysisError;

mod access;
mod analyze_logs;
mod backup;
mod calibrate;
mod centre;
mod choice;
mod compare;
mod completions;
mod context;
mod doctor;
mod evaluate;
mod explain;
mod export;
mod extract;
mod fleet;
mod http;
mod lan;
mod man;
mod map;
mod models;
mod offline;
mod out_file;
mod output;
mod prune;
mod report_out;
mod service;
mod ship;
mod sinks;
mod tls;
mod token;
mod users;
mod watch;
mod when;

use context::Context;
pub use models::tune::text as tuning_table;

/// How a subcommand ended. The numbers are the exit codes, which are part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CommandOutcome {
    /// All that was asked for.
    Done = 0,
    /// It failed, or it ran to its end and found something bad, which it has shown.
    Bad = 1,
    Usage = 2,
    /// It ran to its end and found something new or growing, about which it was asked.
    Drift = 3,
}

/// Looks after faceood: checks, backs up, exports, explains
#[derive(Parser, Debug)]
#[command(name = "faceood-admin", version, after_help = HELP, arg_required_else_help = true)]
struct Command {
    #[command(flatten)]
    context: Context,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Check driver, library, models, disk, permissions, callers, clock, unit and database; say what
    /// to do
    Doctor(doctor::Args),
    /// Show what the daemon would answer on pictures, without a daemon
    Extract(extract::Args),
    /// Compare two pictures, without a daemon
    Compare(compare::Args),
    /// Say why a decision came out as it did, from the log
    Explain(explain::Args),
    /// Measure recognition and score on photos of your own
    Evaluate(evaluate::Args),
    /// Draw embeddings of clean and noisy photos as a map
    Map(map::Args),
    /// Learn on site how the OOD signal becomes score and pass probability
    Calibrate(calibrate::Args),
    /// Show, check, build and train model packs
    Models(models::Args),
    /// Say which degradations keep coming, where, since when, and what to do
    AnalyzeLogs(analyze_logs::Args),
    /// Show which requests were refused, and how tokens are used
    Access(access::Args),
    /// Write the log as CSV, JSON lines or Parquet
    Export(export::Args),
    /// Delete old rows of the log
    Prune(prune::Args),
    /// Copy the log while the daemon goes on
    Backup(backup::Args),
    /// Carry the log's rows to the centre of a fleet
    Ship(ship::Args),
    /// Show all boxes of a fleet, and look after its centre
    Fleet(fleet::Args),
    /// Say who may call the daemon off this machine: add, list, rotate, revoke
    Token(token::Args),
    /// Let terminals of a network through the service's firewall, and say what else it takes
    Lan(lan::Args),
    /// Show or renew the TLS certificate
    Tls(tls::Args),
    /// Watch the live box in this terminal
    Watch(watch::Args),
    /// Show or write the manual pages
    Man(man::Args),
    /// Print the completions of a shell
    Completions(completions::Args),
}

const HELP: &str = "\
Settings are found as the daemon finds them (config file, FACEOOD_* variables, flags), so that on the daemon's machine no \
option is needed. Exit codes: 0 done, 1 failed, 2 wrong usage; analyze-logs --fail-on-drift: 3 something is new or growing.

Examples:
  faceood-admin doctor                             is this machine fit, and what is to be done?
  faceood-admin extract photo.jpg                  what would the daemon say of this picture?
  faceood-admin explain REQUEST_ID                 why was it decided like that?
  faceood-admin analyze-logs --since 7d            what keeps going wrong, where, since when?
  faceood-admin export --format csv --since 7d > week.csv";

/// Runs the command line `arguments` and says with which code to exit.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let outcome = match Command::try_parse_from(arguments) {
        Ok(command) => run(&command),
        Err(error) => {
            // Nobody is left to tell where this fails.
            let _ = error.print();
            if error.use_stderr() {
                CommandOutcome::Usage
            } else {
                CommandOutcome::Done
            }
        }
    };
    outcome as u8
}

fn run(command: &Command) -> CommandOutcome {
    let level = match command.context.verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    // Already running in a test: its own log serves as well.
    let _ = logging::start_for_command(level);
    match run_task(&command.task, &command.context) {
        Ok(outcome) => outcome,
        Err(error) if is_broken_pipe(&error) => CommandOutcome::Done,
        Err(error) => {
            output::error(&error);
            if is_of_damage(&error) {
                output::note(&format!("  what to do: {}", doctor::DAMAGED));
            }
            let is_wrong_address = matches!(error.downcast_ref(), Some(FleetError::Address(_)));
            if is_wrong_address || error.is::<when::EmptyWindow>() {
                CommandOutcome::Usage
            } else {
                CommandOutcome::Bad
            }
        }
    }
}

fn run_task(task: &Task, context: &Context) -> anyhow::Result<CommandOutcome> {
    if !matches!(
        task,
        Task::AnalyzeLogs(_)
            | Task::Calibrate(_)
            | Task::Export(_)
            | Task::Explain(_)
            | Task::Fleet(_)
    ) {
        centre::refuse(context)?;
    }
    if writes_of_faces(task) {
        keep_private();
    }
    match task {
        Task::Doctor(args) => return doctor::run(args, context),
        Task::Extract(args) => return extract::run(args, context),
        Task::Compare(args) => return compare::run(args, context),
        Task::AnalyzeLogs(args) => return analyze_logs::run(args, context),
        Task::Ship(args) => return ship::run(args, context),
        Task::Explain(args) => explain::run(args, context)?,
        Task::Evaluate(args) => evaluate::run(args, context)?,
        Task::Map(args) => map::run(args, context)?,
        Task::Calibrate(args) => calibrate::run(args, context)?,
        Task::Models(args) => models::run(args, context)?,
        Task::Access(args) => access::run(args, context)?,
        Task::Export(args) => export::run(args, context)?,
        Task::Prune(args) => prune::run(args, context)?,
        Task::Backup(args) => backup::run(args, context)?,
        Task::Fleet(args) => fleet::run(args, context)?,
        Task::Token(args) => token::run(args, context)?,
        Task::Lan(args) => lan::run(args, context)?,
        Task::Tls(args) => tls::run(args, context)?,
        Task::Watch(args) => watch::run(args, context)?,
        Task::Man(args) => man::run(args)?,
        Task::Completions(args) => completions::run(args)?,
    }
    Ok(CommandOutcome::Done)
}

/// Whether the files that `task` writes tell of faces. What the other tasks write may be for others:
/// manual pages, model packs, certificates.
const fn writes_of_faces(task: &Task) -> bool {
    matches!(
        task,
        Task::Access(_)
            | Task::AnalyzeLogs(_)
            | Task::Backup(_)
            | Task::Compare(_)
            | Task::Evaluate(_)
            | Task::Explain(_)
            | Task::Export(_)
            | Task::Extract(_)
            | Task::Map(_)
    )
}

/// Only the user who calls may read what is written, as only the daemon's user may read the log.
fn keep_private() {
    use rustix::fs::Mode;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Whether a damaged log is why a subcommand failed.
fn is_of_damage(error: &anyhow::Error) -> bool {
    let log = if let Some(AnalysisError::Log(log)) = error.downcast_ref() {
        Some(log)
    } else if let Some(export::ExportError::Log(log)) = error.downcast_ref() {
        Some(log)
    } else {
        error.downcast_ref::<LogError>()
    };
    log.and_then(LogError::trouble) == Some(Trouble::Corrupt)
}

/// Whether whoever read our output has had enough, as `head` does; that is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Command::command().debug_assert();
    }

    #[test]
    fn every_subcommand_shows_examples() {
        fn visit(command: &clap::Command, path: &str) {
            let mut inner = command
                .get_subcommands()
                .filter(|c| c.get_name() != "help" && !c.is_hide_set())
                .peekable();
            if inner.peek().is_none() {
                let help = command
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(help.contains("Example"), "{path} shows no example");
                assert!(help.contains("faceood-admin "), "{path} shows no example");
                assert!(
                    command.get_about().is_some(),
                    "{path} does not say what it does"
                );
            }
            for command in inner {
                visit(command, &format!("{path} {}", command.get_name()));
            }
        }
        visit(&Command::command(), "faceood-admin");
    }

    #[test]
    fn formats_are_asked_for_in_one_way() {
        fn visit(command: &clap::Command, path: &str, found: &mut usize) {
            let argument = |name: &str| {
                let mut all = command.get_arguments();
                all.find(|argument| argument.get_long() == Some(name))
                    .cloned()
            };
            let values = argument("format").map(|format| {
                let values = format.get_possible_values().into_iter();
                values
                    .map(|value| value.get_name().to_owned())
                    .collect::<Vec<_>>()
            });
            // What is exported is no report.
            let is_report = |values: &Vec<String>| values.iter().any(|value| value == "text");
            let values = values.filter(is_report);
            if argument("json").is_some() || values.is_some() {
                assert_eq!(
                    values.unwrap_or_default(),
                    ["text", "json", "html"],
                    "{path}"
                );
                assert!(argument("out").is_some(), "{path} has no --out");
                *found += 1;
            }
            for inner in command.get_subcommands() {
                if inner.get_name() != "help" {
                    visit(inner, &format!("{path} {}", inner.get_name()), found);
                }
            }
        }
        let mut found = 0;
        visit(&Command::command(), "faceood-admin", &mut found);
        assert!(found >= 16, "{found}");
    }

    #[test]
    fn a_reader_that_has_had_enough_is_no_failure() {
        let pipe = Err::<(), _>(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing");
        assert!(is_broken_pipe(&pipe.unwrap_err()));
        let full = Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull)).context("writing");
        assert!(!is_broken_pipe(&full.unwrap_err()));
    }
}
