//! Text in a terminal's columns. A Chinese character takes two of them.

use unicode_truncate::{Alignment, UnicodeTruncateStr};
use unicode_width::UnicodeWidthStr;

/// Columns that `text` takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// As much of `text` as fits into so many columns, with an ellipsis if something is left out.
pub fn shortened(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let (kept, _) = text.unicode_truncate(columns.saturating_sub(1));
    format!("{kept}…")
}

/// `text` in exactly so many columns: [`shortened`], or with blanks behind it.
pub fn left(text: &str, columns: usize) -> String {
    shortened(text, columns)
        .unicode_pad(columns, Alignment::Left, false)
        .into_owned()
}

/// `text` filled up to so many columns with blanks before it. Longer text is not shortened, because
/// a number without its end is another number.
pub fn right(text: &str, columns: usize) -> String {
    text.unicode_pad(columns, Alignment::Right, false)
        .into_owned()
}

/// A column of a [`text_table`].
#[derive(Clone, Copy, Debug)]
pub struct TextColumn<'a> {
    /// Its head.
    pub head: &'a str,
    /// Numbers are aligned to the right.
    pub is_number: bool,
}

/// Fewest columns that a name of a row is shortened to.
const LEAST_NAME: usize = 12;

/// The head and the rows of a table that fits into so many columns. The first column, which names
/// the row, is shortened if it must be. If that is not enough, there is no head, and each row
/// becomes its name with the other cells below it.
pub fn text_table(
    columns: &[TextColumn<'_>],
    rows: &[Vec<String>],
    width: usize,
) -> (Option<String>, Vec<String>) {
    let cells = |at: usize| rows.iter().filter_map(move |row| row.get(at));
    let mut widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let widest = cells(at).map(|cell| cell.width()).max();
            column.head.width().max(widest.unwrap_or(0))
        })
        .collect();
    let needed = widths.iter().sum::<usize>() + 2 * columns.len().saturating_sub(1);
    let surplus = needed.saturating_sub(width);
    if let Some(first) = widths.first_mut() {
        if *first < LEAST_NAME.min(*first) + surplus {
            return (
                None,
                rows.iter().map(|row| record(columns, row, width)).collect(),
            );
        }
        *first -= surplus;
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let placed = cells
            .zip(columns)
            .zip(&widths)
            .map(|((cell, column), &width)| {
                if column.is_number {
                    right(cell, width)
                } else {
                    left(cell, width)
                }
            });
        placed.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head = line(&mut columns.iter().map(|column| column.head));
    let rows = rows
        .iter()
        .map(|row| line(&mut row.iter().map(String::as_str)));
    (Some(head), rows.collect())
}

/// A row on lines of its own: its name, and what its other cells say.
fn record(columns: &[TextColumn<'_>], row: &[String], width: usize) -> String {
    let mut cells = row.iter().zip(columns);
    let name = cells.next().map_or("", |(cell, _)| cell.as_str());
    let mut lines = vec![shortened(name, width)];
    let mut last = String::new();
    for (cell, column) in cells.filter(|(cell, _)| !cell.is_empty()) {
        let part = format!("{} {cell}", column.head);
        let joined = if last.is_empty() {
            format!("  {part}")
        } else {
            format!("{last} · {part}")
        };
        if last.is_empty() || joined.width() <= width {
            last = joined;
        } else {
            lines.push(shortened(&last, width));
            last = format!("  {part}");
        }
    }
    if !last.is_empty() {
        lines.push(shortened(&last, width));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_not_characters() {
        assert_eq!(shortened("gate-3", 6), "gate-3");
        assert_eq!(shortened("gate-31", 6), "gate-…");
        assert_eq!(shortened("东门入口", 8), "东门入口");
        assert_eq!(shortened("东门入口", 7), "东门入…");
        assert_eq!(shortened("东门入口", 6), "东门…");
        assert_eq!(left("东门入口", 6), "东门… ");
        assert_eq!(left("门", 4), "门  ");
        assert_eq!(right("门", 4), "  门");
        assert_eq!(right("10,000,000", 9), "10,000,000");
    }

    #[test]
    fn a_table_is_shortened_and_then_turned_where_the_terminal_is_narrow() {
        let column = |head, is_number| TextColumn { head, is_number };
        let columns = [
            column("source", false),
            column("captures", true),
            column("cause", false),
        ];
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["gate-with-a-long-name", "43", "motion blur"]),
            row(["门", "12345", ""]),
        ];
        let (head, lines) = text_table(&columns, &rows, 80);
        assert_eq!(head.unwrap(), "source                 captures  cause");
        assert_eq!(lines[0], "gate-with-a-long-name        43  motion blur");
        assert_eq!(lines[1], "门                        12345");
        let (head, lines) = text_table(&columns, &rows, 36);
        assert_eq!(head.unwrap(), "source         captures  cause");
        assert_eq!(lines[0], "gate-with-a-…        43  motion blur");
        let (head, lines) = text_table(&columns, &rows, 20);
        assert_eq!(head, None);
        assert_eq!(
            lines[0],
            "gate-with-a-long-na…\n  captures 43\n  cause motion blur"
        );
        assert_eq!(lines[1], "门\n  captures 12345");
        for width in [0, 1, 3] {
            let (_, lines) = text_table(&columns, &rows, width);
            let widest = lines
                .iter()
                .flat_map(|row| row.lines())
                .map(UnicodeWidthStr::width);
            assert!(widest.max().unwrap() <= width.max(1));
        }
        assert_eq!(text_table(&[], &[], 10), (Some(String::new()), Vec::new()));
    }
}
