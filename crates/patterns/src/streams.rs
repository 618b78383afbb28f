//! The rows with a score by source, as an index into the rows of the survey: only the rows of the
//! sources in work are copied, 16 bytes each.

use super::survey::{StreamRow, Survey};

/// Rows grouped by source, each source's in the order of time.
pub(super) struct Streams<'a> {
    pub(super) survey: &'a Survey,
    order: Vec<u32>,
    /// Where each source's part of `order` begins; one more for the end.
    begins: Vec<usize>,
}

impl<'a> Streams<'a> {
    pub(super) fn new(survey: &'a Survey) -> Self {
        let sources = survey.sources.len();
        let mut begins = vec![0; sources + 1];
        for row in survey.stream.iter().flatten() {
            begins[row.source as usize + 1] += 1;
        }
        for source in 0..sources {
            begins[source + 1] += begins[source];
        }
        let mut next = begins.clone();
        let mut order = vec![0; survey.stream_rows as usize];
        for (at, row) in (0..).zip(survey.stream.iter().flatten()) {
            let place = &mut next[row.source as usize];
            order[*place] = at;
            *place += 1;
        }
        // A log is read in the order of time; a file may stand in any.
        for source in begins.windows(2) {
            let part = &mut order[source[0]..source[1]];
            if !part.is_sorted_by_key(|&at| survey.row(at).seconds) {
                part.sort_by_key(|&at| survey.row(at).seconds);
            }
            let seconds = |a: &u32, b: &u32| survey.row(*a).seconds == survey.row(*b).seconds;
            for second in part.chunk_by_mut(seconds) {
                second.sort_unstable_by_key(|&at| survey.row(at).tie());
            }
        }
        Self {
            survey,
            order,
            begins,
        }
    }

    pub(super) fn of(&self, source: usize) -> impl Iterator<Item = StreamRow> {
        let part = &self.order[self.begins[source]..self.begins[source + 1]];
        part.iter().map(move |&at| self.survey.row(at))
    }
}
