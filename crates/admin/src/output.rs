//! The only module that prints: results to standard output, progress and errors to standard
//! error.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::sinks;
use faceood::process::said_once;

/// Prints a result that is text already. What a terminal would act on is shown and not sent:
/// callers' words may be in it.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    coloured(&sinks::terminal(text))
}

/// Prints text that has colours of its own, and in which whoever made it has made callers' words
/// harmless.
pub(crate) fn coloured(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Prints one line of JSON, for results that come one after the other.
pub(crate) fn json_line(value: &impl Serialize) -> anyhow::Result<()> {
    text(&serde_json::to_string(value)?)
}

/// Standard output for a result too large to build first. On a terminal, what it would act on is
/// shown as [`text`] shows it.
pub(crate) fn stream() -> Box<dyn Write + Send> {
    if is_terminal() {
        Box::new(EscapingWriter(io::stdout()))
    } else {
        Box::new(BufWriter::with_capacity(1 << 16, io::stdout()))
    }
}

/// Writes to a terminal what it can do nothing but show.
struct EscapingWriter<W>(W);

impl<W: Write> Write for EscapingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A character may lie across two pieces: its end comes with the next one.
        let Some(whole) = bytes.utf8_chunks().next() else {
            return Ok(0);
        };
        if whole.valid().is_empty() {
            self.0.write_all(b"?")?;
            return Ok(1);
        }
        self.0
            .write_all(sinks::terminal(whole.valid()).as_bytes())?;
        Ok(whole.valid().len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Columns and lines of the terminal that standard output is, if it is one.
pub(crate) fn terminal_size() -> Option<(usize, usize)> {
    let size = || ratatui::crossterm::terminal::size().ok();
    let (columns, lines) = is_terminal().then(size).flatten()?;
    Some((columns.into(), lines.into()))
}

/// Columns of the terminal, or those that the variable `COLUMNS` says. `None` where there is neither:
/// then lines are as long as they are.
pub(crate) fn columns() -> Option<usize> {
    let said = || std::env::var("COLUMNS").ok()?.parse().ok();
    let of_terminal = terminal_size().map(|(columns, _)| columns);
    let columns = of_terminal.or_else(said);
    columns.filter(|columns| *columns > 0)
}

/// Columns between two of a table's.
const GAP: u16 = 2;

/// A table without frames: rows that `awk` can read, cells wrapped only on a terminal.
pub(crate) fn table<'a>(
    head: &[&str],
    rows: impl IntoIterator<Item = Vec<Cow<'a, str>>>,
) -> String {
    table_within(columns(), head, rows.into_iter().collect())
}

/// No word is broken where all columns have room for their longest ones.
fn table_within(columns: Option<usize>, head: &[&str], rows: Vec<Vec<Cow<'_, str>>>) -> String {
    let longest_word = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| &**cell);
        let words = cells
            .chain(head.get(column).copied())
            .flat_map(str::split_whitespace);
        words.map(|word| word.chars().count()).max().unwrap_or(0)
    };
    let count = rows.iter().map(Vec::len).max().unwrap_or(0).max(head.len());
    let least: Vec<usize> = (0..count)
        .map(|column| longest_word(column) + usize::from(GAP))
        .collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(columns) = columns {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(columns).unwrap_or(u16::MAX));
    }
    if !head.is_empty() {
        table.set_header(head);
    }
    table.add_rows(rows);
    let has_room = columns.is_some_and(|columns| least.iter().sum::<usize>() <= columns);
    for (column, least) in table.column_iter_mut().zip(least) {
        column.set_padding((0, GAP));
        if has_room {
            let least = Width::Fixed(u16::try_from(least).unwrap_or(u16::MAX));
            column.set_constraint(ColumnConstraint::LowerBoundary(least));
        }
    }
    table.trim_fmt()
}

/// The head of a column, and what it shows of a row.
type Column<T> = (&'static str, fn(&T) -> String);

pub(crate) struct Rows<'a, T>(pub(crate) &'a [T]);

impl<T> Rows<'_, T> {
    /// A [`table`] with a line for each row.
    pub(crate) fn table(&self, columns: &[Column<T>]) -> String {
        let head: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
        let cells = |row| columns.iter().map(|(_, show)| show(row).into()).collect();
        table(&head, self.0.iter().map(cells))
    }
}

#[expect(clippy::print_stderr, reason = "this is the place that prints")]
pub(crate) fn note(text: &str) {
    eprintln!("{}", sinks::terminal(text));
}

/// Says why a subcommand failed: the error and what lies behind it.
#[expect(clippy::print_stderr, reason = "this is the place that prints")]
pub(crate) fn error(error: &anyhow::Error) {
    for (place, said) in said_once(error).iter().enumerate() {
        let lead = if place == 0 { "error:" } else { "  because" };
        eprintln!("{lead} {}", sinks::terminal(said));
    }
}

/// A bar on standard error, seen only on a terminal.
pub(crate) fn progress(total: u64, of_what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {eta}");
    ProgressBar::new(total)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(of_what)
}

/// What is being done, on standard error, for work whose end cannot be foretold; seen only on a
/// terminal, gone when done.
pub(crate) fn doing(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    let spinner = ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        .with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_streams_to_a_terminal_is_only_shown() {
        let mut shown = EscapingWriter(Vec::new());
        shown.write_all("é\x1b[31m门\n".as_bytes()).unwrap();
        assert_eq!(shown.0, "é\\u001b[31m门\n".as_bytes());
    }

    #[test]
    fn tables_are_aligned_and_have_no_frames() {
        let rows = [("a", "1"), ("long", "22")].map(|(one, two)| vec![one.into(), two.into()]);
        let shown = table(&["name", "n"], rows);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 3, "{shown}");
        let column = lines[0]
            .find('n')
            .and_then(|first| lines[0][first + 1..].find('n').map(|n| n + first + 1));
        assert_eq!(lines[2].find("22"), column, "{shown}");
        assert!(!shown.contains(['|', '+', '─']), "{shown}");
    }

    #[test]
    fn a_narrow_terminal_breaks_lines_between_words() {
        let sentence = "a sentence that is far too long for what is left of the line";
        let rows = || vec![vec!["openvino".into(), "bfloat16".into(), sentence.into()]];
        let shown = table_within(Some(40), &["provider", "precision", "note"], rows());
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("provider  precision  note"), "{shown}");
        assert!(lines[1].starts_with("openvino  bfloat16   a "), "{shown}");
        assert!(
            lines.iter().all(|line| line.chars().count() <= 40),
            "{shown}"
        );
        // No room for all words: they are broken.
        let shown = table_within(Some(20), &["provider", "precision", "note"], rows());
        assert!(
            shown.lines().all(|line| line.chars().count() <= 20),
            "{shown}"
        );
    }
}
