//! Confidence intervals by drawing whole persons again (bootstrap over clusters; Efron and
//! Tibshirani 1993). Captures of one person resemble each other, so drawing single captures
//! would make the intervals too narrow.

use super::error_rates::Rate;
use faceood_engine::stats::{middle_95, redraw};

/// Probability beyond either end of an interval.
const TAIL: f64 = 0.025;
/// How often the persons are drawn.
const REPLICATES: usize = 300;
/// Fixed, so that the same photos give the same interval.
const SEED: u64 = 29794;

/// The items of each person, from items with the index of their person.
pub(super) fn grouped<T>(items: impl Iterator<Item = (usize, T)>) -> Vec<Vec<T>> {
    let mut groups = Vec::new();
    for (person, item) in items {
        if groups.len() <= person {
            groups.resize_with(person + 1, Vec::new);
        }
        groups[person].push(item);
    }
    groups
}

/// The 95 % interval of `statistic` when persons are drawn with replacement, as many as there are.
///
/// `groups` holds the items (captures, comparisons) of each person; persons without items do not
/// count. The statistic gets the items of the persons drawn, with repeats. `None` with fewer than
/// two persons, or if the statistic is `None` for most draws.
pub(super) fn by_person<T: Clone>(
    groups: &[Vec<T>],
    statistic: impl Fn(&[T]) -> Option<f64>,
) -> Option<[f64; 2]> {
    if persons(groups) < 2 {
        return None;
    }
    let mut found = Vec::with_capacity(REPLICATES);
    redraw(groups, REPLICATES, SEED, |items| {
        found.extend(statistic(items));
    });
    if 2 * found.len() <= REPLICATES {
        return None;
    }
    middle_95(found)
}

/// The 95 % interval of a rate of errors; `groups` says of each person's items whether they are
/// errors.
///
/// Where no item is an error, or every one, all draws are alike and promise certainty. The interval
/// is then the exact one for none, or all, of as many trials as there are persons (Clopper and
/// Pearson 1934, Biometrika 26, 404–413). `None` with fewer than two persons.
pub(super) fn of_rate(groups: &[Vec<bool>]) -> Option<[f64; 2]> {
    let persons = persons(groups);
    if persons < 2 {
        return None;
    }
    let furthest = TAIL.powf(1.0 / persons as f64);
    let mut items = groups.iter().flatten();
    let errors = items.clone().filter(|is_error| **is_error).count();
    if errors == 0 {
        Some([0.0, 1.0 - furthest])
    } else if items.all(|is_error| *is_error) {
        Some([furthest, 1.0])
    } else {
        by_person(groups, share)
    }
}

/// How many persons have items.
fn persons<T>(groups: &[Vec<T>]) -> usize {
    groups.iter().filter(|group| !group.is_empty()).count()
}

fn share(errors: &[bool]) -> Option<f64> {
    let count = errors.iter().filter(|is_error| **is_error).count();
    Rate::new(count, errors.len()).rate
}

#[cfg(test)]
mod tests {
    use super::*;
    use faceood_engine::stats::mean;

    fn mean_of(items: &[f64]) -> Option<f64> {
        Some(mean(items))
    }

    #[test]
    fn the_interval_of_a_mean_is_as_wide_as_theory_says() {
        // 100 persons with one number each, 0 to 99: the mean's standard error is 28.87 / √100.
        let groups: Vec<Vec<f64>> = (0..100).map(|value| vec![f64::from(value)]).collect();
        let [low, high] = by_person(&groups, mean_of).unwrap();
        let expected = 2.0 * 1.96 * 28.87 / 10.0;
        assert!(low < 49.5 && 49.5 < high);
        assert!(
            (high - low - expected).abs() < 0.2 * expected,
            "{low} {high}"
        );
    }

    #[test]
    fn more_captures_of_the_same_persons_promise_nothing_more() {
        let one: Vec<Vec<f64>> = (0..20).map(|value| vec![f64::from(value)]).collect();
        let many: Vec<Vec<f64>> = (0..20).map(|value| vec![f64::from(value); 50]).collect();
        assert_eq!(by_person(&one, mean_of), by_person(&many, mean_of));
    }

    #[test]
    fn one_person_alone_tells_nothing_of_others() {
        assert_eq!(by_person(&[vec![1.0, 2.0], Vec::new()], mean_of), None);
        assert_eq!(by_person(&[vec![1.0], vec![2.0]], |_| None), None);
        assert_eq!(of_rate(&[vec![false, false], Vec::new()]), None);
    }

    #[test]
    fn a_rate_without_errors_or_of_errors_alone_is_as_sure_as_the_persons_are_many() {
        for (persons, upper) in [(2, 0.8419), (30, 0.1157), (1000, 0.0037)] {
            // Many comparisons of each person promise nothing more.
            let [low, high] = of_rate(&vec![vec![false; 9]; persons]).unwrap();
            assert!(low == 0.0 && (high - upper).abs() < 5e-5, "{low} {high}");
            let [low, high] = of_rate(&vec![vec![true; 9]; persons]).unwrap();
            assert!(
                high == 1.0 && (low - (1.0 - upper)).abs() < 5e-5,
                "{low} {high}"
            );
        }
    }

    #[test]
    fn a_rate_with_some_errors_has_the_interval_of_its_draws() {
        // One error in ten: the standard error over 100 persons is √(.1 · .9 / 100).
        let groups: Vec<Vec<bool>> = (0..100).map(|person| vec![person % 10 == 0]).collect();
        let [low, high] = of_rate(&groups).unwrap();
        assert!(low < 0.1 && 0.1 < high);
        let expected = 2.0 * 1.96 * 0.03;
        assert!(
            (high - low - expected).abs() < 0.25 * expected,
            "{low} {high}"
        );
    }
}
