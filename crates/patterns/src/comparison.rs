//! What a comparison with an earlier report says.

use serde::{Deserialize, Serialize};

/// This report against an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EarlierComparison {
    /// Patterns that the earlier one does not have.
    pub(crate) new: Vec<u32>,
    /// Summaries of patterns of the earlier report that are gone.
    pub(crate) gone: Vec<String>,
    /// Patterns whose share of all captures rose significantly.
    pub(crate) grown: Vec<Growth>,
}

/// A pattern that grew since the earlier report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Growth {
    /// Its number here.
    pub(crate) id: u32,
    /// Its number there.
    pub(crate) earlier_id: u32,
    /// Its share of all captures here ÷ there.
    pub(crate) factor: f64,
    pub(crate) p_value: f64,
}
