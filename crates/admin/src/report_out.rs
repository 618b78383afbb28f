//! The options of a command that reports: as what, and where to.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use faceood_report::html;
use serde::Serialize;

use super::out_file::{self, OutFile};
use super::{output, sinks};

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
    pub(crate) format: ReportFormat,
    /// File to write the report to, in place of standard output; an existing one is replaced
    #[arg(long, short, value_name = "FILE", value_parser = out_file::named())]
    pub(crate) out: Option<PathBuf>,
}

/// The same for a command that had `--json` before it had kinds of report.
#[derive(clap::Args, Debug)]
pub(crate) struct ReportFlags {
    #[command(flatten)]
    pub(crate) report: ReportOut,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// The same for a command whose `--out` is what it makes: the report goes to standard output.
#[derive(clap::Args, Debug)]
pub(crate) struct FormatFlags {
    /// Kind of report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ReportFormat::Text)]
    format: ReportFormat,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl ReportFormat {
    /// JSON where the older flag asks for it.
    pub(crate) const fn or_json(self, is_json: bool) -> Self {
        if is_json { Self::Json } else { self }
    }
}

impl ReportFlags {
    pub(crate) fn format(&self) -> ReportFormat {
        self.report.format.or_json(self.json)
    }

    /// Whether the report goes into a file.
    pub(crate) fn is_in_file(&self) -> bool {
        self.report.out.is_some()
    }

    /// As [`ReportOut::check`].
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.report.check()
    }

    /// As [`ReportOut::show`].
    pub(crate) fn show(
        &self,
        report: &impl Serialize,
        text: impl FnOnce() -> String,
        html: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        show(
            self.format(),
            self.report.out.as_deref(),
            report,
            text,
            html,
        )
    }

    /// Shows `report`, whose page has the same words as the text.
    pub(crate) fn show_text(
        &self,
        title: &str,
        report: &impl Serialize,
        text: impl Fn() -> String,
    ) -> anyhow::Result<()> {
        self.show(report, &text, || html::text_page(title, &text()))
    }
}

impl FormatFlags {
    /// As [`ReportFlags::show_text`].
    pub(crate) fn show_text(
        &self,
        title: &str,
        report: &impl Serialize,
        text: impl Fn() -> String,
    ) -> anyhow::Result<()> {
        let format = self.format.or_json(self.json);
        show(format, None, report, &text, || {
            html::text_page(title, &text())
        })
    }
}

impl ReportOut {
    /// Fails where the file cannot be written, so that it is told before the work and not after it.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.out.as_deref().map(OutFile::beside).transpose()?;
        Ok(())
    }

    /// Shows `report` as it is asked for: as JSON, or as what `text` or `html` makes of it.
    pub(crate) fn show(
        &self,
        report: &impl Serialize,
        text: impl FnOnce() -> String,
        html: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        show(self.format, self.out.as_deref(), report, text, html)
    }
}

fn show(
    format: ReportFormat,
    out: Option<&Path>,
    report: &impl Serialize,
    text: impl FnOnce() -> String,
    html: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let columns = output::columns().filter(|_| out.is_none());
    let shown = match format {
        ReportFormat::Text => match columns {
            Some(columns) => wrapped(&text(), columns),
            None => text(),
        },
        ReportFormat::Json => serde_json::to_string_pretty(report)?,
        ReportFormat::Html => html(),
    };
    write(out, &shown)
}

/// Text with no line longer than `columns`, but for words that are: a command or an id is copied
/// whole. What was wrapped is indented.
fn wrapped(text: &str, columns: usize) -> String {
    let line = |line: &str| {
        let words = line.trim_start_matches(' ');
        let indent = " ".repeat(line.len() - words.len());
        let rest = format!("{indent}  ");
        let options = textwrap::Options::new(columns)
            .initial_indent(&indent)
            .subsequent_indent(&rest)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        if textwrap::core::display_width(line) > columns {
            textwrap::fill(words, options)
        } else {
            line.to_owned()
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Writes what is shown to the file, or to standard output.
pub(crate) fn write(out: Option<&Path>, shown: &str) -> anyhow::Result<()> {
    match out {
        // Text in a file is looked at on a terminal too.
        Some(path) => {
            let shown = sinks::terminal(shown.trim_end_matches('\n'));
            out_file::write(path, format!("{shown}\n").as_bytes())
        }
        None => output::text(shown),
    }
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn sentences_are_wrapped_and_tables_and_commands_are_not() {
        let text = "a  table\n  one two three four five\n\n/var/lib/faceood/a-long-name";
        assert_eq!(
            wrapped(text, 14),
            "a  table\n  one two\n    three four\n    five\n\n/var/lib/faceood/a-long-name"
        );
        assert_eq!(wrapped(text, 80), text);
    }
}
