//! Shared parts of the reports: page and charts of an HTML report, text in columns, and counts in
//! words.

use std::fmt::Display;

pub mod columns;
pub mod html;
pub mod sparkline;

/// `count` of something in English, where one is not several.
pub fn plural<N>(count: N, one: &str, several: &str) -> String
where
    N: Copy + Display + From<u8> + PartialEq,
{
    let words = if count == N::from(1) { one } else { several };
    format!("{count} {words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_several() {
        assert_eq!(plural(1_u64, "pattern", "patterns"), "1 pattern");
        assert_eq!(plural(0_usize, "pattern", "patterns"), "0 patterns");
        assert_eq!(plural(2.0_f64, "row waits", "rows wait"), "2 rows wait");
    }
}
