//! Sums that follow from the set of their terms.

/// A sum that does not depend on the order of its terms: they are counted in 2^-40ths. Terms beyond
/// 2^54 count as that much, so that four billion of them do not overflow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ExactSum(i128);

impl ExactSum {
    const ONE: f64 = (1_u64 << 40) as f64;
    const MOST: f64 = (1_u64 << 54) as f64;

    pub(super) fn add(&mut self, term: f64) {
        self.0 += (term.clamp(-Self::MOST, Self::MOST) * Self::ONE).round() as i128;
    }

    pub(super) fn join(&mut self, other: Self) {
        self.0 += other.0;
    }

    pub(super) fn value(self) -> f64 {
        self.0 as f64 / Self::ONE
    }
}
