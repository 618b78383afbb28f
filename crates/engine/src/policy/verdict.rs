//! Two faces and their similarity: same, review, different, or not to be believed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Action, Verdict};

/// Cuts on the similarity; at a cut counts as above.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Thresholds {
    /// From here on `same`, unless a side's action is review.
    #[schema(example = 0.45)]
    pub same: f32,
    /// Below this `different`; between the two `review`.
    #[schema(example = 0.35)]
    pub different: f32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            same: 0.45,
            different: 0.35,
        }
    }
}

/// Thresholds that would make a verdict unreachable or meaningless.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "similarity thresholds are different = {different} and same = {same}: they must satisfy -1 <= different <= same <= 1"
)]
pub struct ThresholdsError {
    same: f32,
    different: f32,
}

impl Thresholds {
    /// The thresholds, if they are in order and on the cosine's scale.
    pub fn new(same: f32, different: f32) -> Result<Self, ThresholdsError> {
        // Written so that a NaN fails too.
        if -1.0 <= different && different <= same && same <= 1.0 {
            Ok(Self { same, different })
        } else {
            Err(ThresholdsError { same, different })
        }
    }
}

/// The verdict on a pair, by the first rule that applies: `untrusted` where either side is rejected
/// (a bad picture's similarity means nothing, however high), `different` below
/// [`Thresholds::different`], `review` below [`Thresholds::same`] or where a person should look at
/// either side, else `same`.
///
/// A similarity that is no number is never `same`: it counts as below both cuts.
pub fn verdict(
    similarity: f32,
    thresholds: Thresholds,
    probe: Action,
    reference: Action,
) -> Verdict {
    let either = |action| probe == action || reference == action;
    if either(Action::Reject) {
        Verdict::Untrusted
    } else if similarity >= thresholds.different {
        if similarity < thresholds.same || either(Action::Review) {
            Verdict::Review
        } else {
            Verdict::Same
        }
    } else {
        Verdict::Different
    }
}
