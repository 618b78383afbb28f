//! How far a figure would move with other people: intervals by drawing whole persons again (bootstrap over clusters; Efron
//! and Tibshirani 1993). Captures of one person resemble each other, so drawing captures one by one would promise too much.

use crate::stats::resampled;

/// How often the persons are drawn.
pub const REPLICATES: usize = 300;
/// Fixed, so that the same photos give the same interval.
const SEED: u64 = 29794;

/// Where `statistic` lies 95 times in 100 when persons are drawn with replacement, as many as there are.
///
/// `groups` holds the items (captures, comparisons) of each person, of whom those without any do not count. The statistic
/// is given the items of the persons drawn, with repeats. `None` with fewer than two persons, or where it is `None` for most draws.
#[must_use]
pub fn by_person<T: Clone>(
    groups: &[Vec<T>],
    statistic: impl Fn(&[T]) -> Option<f64>,
) -> Option<[f64; 2]> {
    if groups.iter().filter(|group| !group.is_empty()).count() < 2 {
        return None;
    }
    let one = |items: &[T]| statistic(items).map(|value| [value]);
    resampled(groups, REPLICATES, SEED, one).map(|[interval]| interval)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::mean;

    #[test]
    fn one_person_alone_tells_nothing_of_others() {
        assert_eq!(
            by_person(&[vec![1.0, 2.0], Vec::new()], |items| Some(mean(items))),
            None
        );
        assert_eq!(by_person(&[vec![1.0], vec![2.0]], |_| None), None);
    }
}
