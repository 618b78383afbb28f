//! Why requests failed, by problem code.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::survey::FAILURES;
use faceood_engine::problem::ProblemCode;

/// Requests that failed with one code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailureCount {
    /// A problem code; `other` stands for those that this release does not know.
    pub(crate) code: String,
    pub(crate) count: u64,
}

impl FailureCount {
    /// The codes that occurred.
    pub(crate) fn list(counts: [u64; FAILURES]) -> Vec<Self> {
        let codes = ProblemCode::ALL.map(ProblemCode::code);
        let counted = codes.into_iter().chain(["other"]).zip(counts);
        let mut list: Vec<Self> = counted
            .filter(|(_, count)| *count > 0)
            .map(|(code, count)| Self {
                code: code.to_owned(),
                count,
            })
            .collect();
        list.sort_by_key(|failure| Reverse(failure.count));
        list
    }
}
