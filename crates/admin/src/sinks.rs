//! Makes callers' text safe for the operator's tools: a spreadsheet must not calculate with it,
//! and a terminal must not execute it. There is one function for each kind of sink. `maud`
//! escapes HTML, serde JSON, and the exporter the labels of metrics.

use std::borrow::Cow;

/// What a spreadsheet takes for the beginning of a formula, in full width too:
/// <https://owasp.org/www-community/attacks/CSV_Injection>.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n'];

/// Text for a cell of a CSV file: with an apostrophe before what would be a formula, and without
/// what a terminal would act on, since such files are looked at there too. Numbers are written
/// without it.
pub(crate) fn csv_cell(text: &str) -> String {
    let apostrophe = if text.starts_with(FORMULA) { "'" } else { "" };
    format!("{apostrophe}{}", terminal(text))
}

/// Text of several lines for a terminal: control characters and those that change the direction of
/// writing are shown as `\u001b`. In JSON, where they stand in strings only, that means the same
/// character.
pub(crate) fn terminal(text: &str) -> Cow<'_, str> {
    shown(text, |c| is_acted_on(c) && !matches!(c, '\n' | '\t'))
}

/// Text for a terminal that must not begin a new line either.
pub(crate) fn terminal_line(text: &str) -> Cow<'_, str> {
    shown(text, is_acted_on)
}

fn is_acted_on(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

fn shown(text: &str, is_hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 5);
    for c in text.chars() {
        if is_hidden(c) {
            shown.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for formula in [
            "=HYPERLINK(\"http://x\")",
            "+1",
            "-2+3",
            "@SUM(A1)",
            "＝1",
            "\t=1",
        ] {
            assert_eq!(csv_cell(formula), format!("'{formula}"));
        }
        assert_eq!(csv_cell("\r=1"), "'\\u000d=1");
        assert_eq!(csv_cell("\x1b[31mred"), "\\u001b[31mred");
        for plain in ["", "gate-3", "seen by the guard", "a=b", "[]"] {
            assert_eq!(csv_cell(plain), plain);
        }
    }

    #[test]
    fn a_terminal_is_told_nothing_but_text() {
        assert_eq!(
            terminal("\x1b[31mred\x07\n\tnext"),
            "\\u001b[31mred\\u0007\n\tnext"
        );
        assert_eq!(terminal("\u{9b}2J\r\u{202e}"), "\\u009b2J\\u000d\\u202e");
        assert_eq!(
            terminal_line("a\nreference: accept"),
            "a\\u000areference: accept"
        );
        assert!(matches!(terminal("门 café ✓"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let text = "\u{9b}31m \u{202e} \u{7f} \x1b";
        let json = serde_json::to_string(&serde_json::json!({ "note": text })).unwrap();
        let again: serde_json::Value = serde_json::from_str(&terminal(&json)).unwrap();
        assert_eq!(again["note"], text);
    }
}
