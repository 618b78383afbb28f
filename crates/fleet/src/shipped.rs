//! What a visit of a box at the centre did.

use chrono::NaiveDate;
use serde::Serialize;

/// What a visit did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Shipped {
    /// Host and database of the centre.
    pub target: String,
    /// The box's name there.
    pub node: String,
    /// Rows that were sent.
    pub rows_sent: u64,
    /// Rows that were new to the centre.
    pub rows_stored: u64,
    /// Rows that it had, and whose outcome is newer now.
    pub outcomes: u64,
    /// Rows that it cannot take. They are kept here and named in the log.
    pub rows_quarantined: u64,
    /// Words about requests of other boxes.
    pub late_feedback: u64,
    /// How long the visit took.
    pub seconds: f64,
    /// Whether nothing waits any more.
    pub is_complete: bool,
    /// How the days compared, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
}

/// How a box and the centre compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Days compared.
    pub days: u64,
    /// Those that differed, oldest first.
    pub differing: Vec<DayDifference>,
}

/// A day on which both sides differed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DayDifference {
    /// Which day, UTC.
    pub day: NaiveDate,
    /// Rows that the box has shipped of it.
    pub box_rows: u64,
    /// Rows that the centre had.
    pub centre_rows: u64,
    /// Rows that it lacked and has now.
    pub rows_stored: u64,
    /// How it ended.
    pub outcome: DayOutcome,
}

/// What became of a day that differed, after its rows were sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DayOutcome {
    /// Both sides are the same now.
    Mended,
    /// The centre has all rows that are here, and more: this log was restored from an older
    /// backup, or another box ships as this one.
    CentreHasMore,
    /// Rows or outcomes that were deleted here are missing there: the centre was restored from an
    /// older backup.
    Lost,
}

impl Verified {
    /// Whether rows are missing at the centre that the box cannot send again.
    pub fn has_losses(&self) -> bool {
        self.differing
            .iter()
            .any(|day| day.outcome == DayOutcome::Lost)
    }
}
