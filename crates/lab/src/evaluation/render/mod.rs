//! Reports as self-contained HTML files, without scripts and without pictures of persons.

use maud::Markup;

pub mod folder;
pub mod map;
pub mod sweep;

use super::error_rates::Rate;
use super::sweep::ShotSpread;

fn page(title: &str, body: &Markup) -> String {
    faceood_report::html::page(title, "en", "", body)
}

/// A share in per cent, with as many digits as it needs; a dash where there is none.
#[must_use]
pub fn percent(share: Option<f64>) -> String {
    match share {
        None => "–".to_owned(),
        Some(share) if share != 0.0 && share.abs() < 0.001 => format!("{:.3} %", 100.0 * share),
        Some(share) if share != 0.0 && share.abs() < 0.1 => format!("{:.2} %", 100.0 * share),
        Some(share) => format!("{:.1} %", 100.0 * share),
    }
}

/// A rate with its counts.
#[must_use]
pub fn counted(rate: &Rate) -> String {
    match rate.rate {
        None => "–".to_owned(),
        some => format!("{} ({} of {})", percent(some), rate.errors, rate.of),
    }
}

/// A number with three decimals, a dash where there is none.
#[must_use]
pub fn number(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.3}"))
}

/// A number with its interval.
#[must_use]
pub fn with_interval(value: Option<f64>, interval: Option<[f64; 2]>) -> String {
    match (value, interval) {
        (Some(_), Some([low, high])) => format!("{} ({low:.3}–{high:.3})", number(value)),
        _ => number(value),
    }
}

/// The mean of shots with two decimals, a dash where there is none.
#[must_use]
pub fn mean(spread: Option<ShotSpread>) -> String {
    spread.map_or("–".to_owned(), |spread| format!("{:.2}", spread.mean))
}

/// The lowest and the highest of shots, a dash where there is none.
#[must_use]
pub fn range(spread: Option<ShotSpread>) -> String {
    spread.map_or("–".to_owned(), |spread| {
        format!("{:.2}–{:.2}", spread.low, spread.high)
    })
}

/// The standard deviation of shots with three decimals, a dash where there is none.
#[must_use]
pub fn deviation(spread: Option<ShotSpread>) -> String {
    let deviation = spread.and_then(|spread| spread.deviation);
    deviation.map_or("–".to_owned(), |deviation| format!("{deviation:.3}"))
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
