//! The rows with a score by source, as an index into the rows of the survey, so that nothing is
//! copied.

use super::survey::StreamRow;

/// Rows grouped by source, each source's in the order of time.
pub(super) struct Streams<'a> {
    pieces: &'a [Vec<StreamRow>],
    order: Vec<u32>,
    /// Where each source's part of `order` begins; one more for the end.
    begins: Vec<usize>,
}

impl<'a> Streams<'a> {
    /// Groups `pieces`, all of the same length but the last.
    pub(super) fn new(pieces: &'a [Vec<StreamRow>], sources: usize) -> Self {
        let mut begins = vec![0; sources + 1];
        for row in pieces.iter().flatten() {
            begins[row.source as usize + 1] += 1;
        }
        for source in 0..sources {
            begins[source + 1] += begins[source];
        }
        let mut next = begins.clone();
        let mut order = vec![0; pieces.iter().map(Vec::len).sum()];
        for (at, row) in (0..).zip(pieces.iter().flatten()) {
            let place = &mut next[row.source as usize];
            order[*place] = at;
            *place += 1;
        }
        let mut streams = Self {
            pieces,
            order,
            begins,
        };
        streams.sort();
        streams
    }

    /// A log is read in the order of time; a file may stand in any.
    fn sort(&mut self) {
        let mut order = std::mem::take(&mut self.order);
        for source in self.begins.windows(2) {
            let part = &mut order[source[0]..source[1]];
            if !part.is_sorted_by_key(|&at| self.row(at).seconds) {
                part.sort_by_key(|&at| self.row(at).seconds);
            }
        }
        self.order = order;
    }

    /// Handles of the rows of a source.
    pub(super) fn of(&self, source: usize) -> impl Iterator<Item = u32> {
        self.order[self.begins[source]..self.begins[source + 1]]
            .iter()
            .copied()
    }

    pub(super) fn row(&self, at: u32) -> StreamRow {
        let length = self.pieces[0].len();
        self.pieces[at as usize / length][at as usize % length]
    }
}
