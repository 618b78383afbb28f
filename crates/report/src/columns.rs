//! Text in a terminal's columns. A Chinese character takes two of them.

use unicode_truncate::{Alignment, UnicodeTruncateStr};
use unicode_width::UnicodeWidthStr;

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
}
