//! Reports as self-contained HTML files without scripts. Pictures of faces are in those alone that
//! are about how pictures look.

use faceood_report::html::plot::{Mark, Series};
use maud::Markup;

pub mod folder;
pub mod map;
pub mod sweep;

use super::error_rates::Rate;
use super::sweep::ShotSpread;

fn page(title: &str, body: &Markup) -> String {
    faceood_report::html::page(title, "en", "", body)
}

fn series(label: &str, mark: Mark, points: Vec<[f64; 2]>) -> Series {
    Series {
        label: label.to_owned(),
        mark,
        points,
    }
}

/// A share in per cent, with as many digits as it needs; a dash if there is none.
pub fn percent(share: Option<f64>) -> String {
    match share {
        None => "–".to_owned(),
        Some(share) if share != 0.0 && share.abs() < 0.001 => format!("{:.3} %", 100.0 * share),
        Some(share) if share != 0.0 && share.abs() < 0.1 => format!("{:.2} %", 100.0 * share),
        Some(share) => format!("{:.1} %", 100.0 * share),
    }
}

/// A rate with its counts.
pub fn counted(rate: &Rate) -> String {
    match rate.rate {
        None => "–".to_owned(),
        some => format!("{} ({} of {})", percent(some), rate.errors, rate.of),
    }
}

/// A number with three decimals, a dash if there is none.
pub fn number(value: Option<f64>) -> String {
    decimals(value, 3)
}

fn decimals(value: Option<f64>, decimals: usize) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.decimals$}"))
}

/// A number with its interval.
pub fn with_interval(value: Option<f64>, interval: Option<[f64; 2]>) -> String {
    match (value, interval) {
        (Some(_), Some([low, high])) => format!("{} ({low:.3}–{high:.3})", number(value)),
        _ => number(value),
    }
}

/// The mean of shots with two decimals, a dash if there is none.
pub fn mean(spread: Option<ShotSpread>) -> String {
    decimals(spread.map(|spread| spread.mean), 2)
}

/// The lowest and the highest of shots, a dash if there is none.
pub fn range(spread: Option<ShotSpread>) -> String {
    spread.map_or("–".to_owned(), |spread| {
        format!("{:.2}–{:.2}", spread.low, spread.high)
    })
}

/// The standard deviation of shots with three decimals, a dash if there is none.
pub fn deviation(spread: Option<ShotSpread>) -> String {
    number(spread.and_then(|spread| spread.deviation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_they_need() {
        let shown = [None, Some(0.0), Some(0.00012), Some(0.0345), Some(0.5)].map(percent);
        assert_eq!(shown, ["–", "0.0 %", "0.012 %", "3.45 %", "50.0 %"]);
        assert_eq!(counted(&Rate::new(1, 8)), "12.5 % (1 of 8)");
        assert_eq!(counted(&Rate::new(0, 0)), "–");
        assert_eq!(
            with_interval(Some(0.9), Some([0.85, 0.951])),
            "0.900 (0.850–0.951)"
        );
        assert_eq!(with_interval(None, Some([0.0, 1.0])), "–");
    }
}
