//! What is counted of a source.

use faceood_engine::policy::{Action, Reason};
use faceood_fleet::HourCounts;
use faceood_log::Observation;

use super::CAUSES;

#[derive(Clone, Debug, Default)]
pub(crate) struct SourceCounts {
    pub(crate) rows: u64,
    pub(crate) scored: u64,
    pub(crate) low: u64,
    pub(crate) errors: u64,
    /// By action, in the order of `Action::ALL`.
    pub(crate) actions: [u64; Action::ALL.len()],
    /// Its low rows by reason, in the order of `Reason::ALL`; a row may have several.
    pub(crate) reasons: [u64; Reason::ALL.len()],
    /// First causes of its low rows.
    pub(crate) causes: [u32; CAUSES],
}

impl SourceCounts {
    /// Counts a row, but for what makes it low.
    pub(super) fn count(&mut self, row: &Observation<'_>) {
        self.rows += 1;
        self.scored += u64::from(row.quality_score.is_some());
        self.errors += u64::from(row.error_code.is_some());
        if let Some(action) = row.action.and_then(Action::from_name) {
            self.actions[action as usize] += 1;
        }
    }

    /// Counts the rows of an hour in the same way.
    pub(super) fn count_hour(&mut self, hour: &HourCounts<'_>) {
        self.rows += hour.rows;
        self.scored += hour.scored;
        self.errors += hour.errors;
        let actions = [hour.accepted, hour.reviewed, hour.rejected];
        add_each(&mut self.actions, actions);
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.scored += other.scored;
        self.low += other.low;
        self.errors += other.errors;
        add_each(&mut self.actions, other.actions);
        add_each(&mut self.reasons, other.reasons);
        for (sum, count) in self.causes.iter_mut().zip(other.causes) {
            *sum += count;
        }
    }
}

pub(super) fn add_each<const N: usize>(sums: &mut [u64; N], counts: [u64; N]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count;
    }
}
