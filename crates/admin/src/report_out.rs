//! The options of a command that reports: as what, and where to.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use super::{out_file, output, sinks};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For a terminal
    Text,
    /// For programs
    Json,
    /// One self-contained page
    Html,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ReportOut {
    /// Kind of report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ReportFormat::Text)]
    format: ReportFormat,
    /// File to write the report to, in place of standard output; an existing one is replaced
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl ReportOut {
    /// Shows `report` as it is asked for: as JSON, or as what `text` or `html` makes of it.
    pub(crate) fn show(
        &self,
        report: &impl Serialize,
        text: impl FnOnce() -> String,
        html: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let shown = match self.format {
            ReportFormat::Text => text(),
            ReportFormat::Json => serde_json::to_string_pretty(report)?,
            ReportFormat::Html => html(),
        };
        match &self.out {
            // Text in a file is looked at on a terminal too.
            Some(path) => {
                out_file::write(path, format!("{}\n", sinks::terminal(&shown)).as_bytes())
            }
            None => output::text(&shown),
        }
    }
}
