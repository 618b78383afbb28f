//! Which rows are low, which pass, and what made a low one low.

use faceood_engine::policy::{Action, Reason};
use faceood_engine::quality::CauseName;
use faceood_log::{LogError, Observation};

use super::CAUSES;
use crate::Settings;

/// Low by the action that was logged, or by a cut on the score.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    /// Rows up to this score are low; `None` is by the action.
    max_score: Option<f32>,
    /// From this score on a row passes that is not judged by its action.
    accept: f32,
}

impl Rules {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            max_score: settings.max_score,
            accept: settings.accept,
        }
    }

    pub(super) fn is_low(&self, row: &Observation<'_>) -> bool {
        match self.max_score {
            None => row.is_refused(),
            Some(most) => row.quality_score.is_some_and(|score| score <= most),
        }
    }

    pub(super) fn passes(&self, row: &Observation<'_>) -> bool {
        match (self.max_score, row.action) {
            (None, Some(action)) => action == Action::Accept.name(),
            _ => row.quality_score.is_some_and(|score| score >= self.accept),
        }
    }

    /// What pulled the score of a row down. A face that was rejected for its size has too few
    /// pixels, whatever its score. `None` where nothing is wrong with the face: other people were in
    /// the picture. Also says how many causes have names that this release does not know.
    ///
    /// # Errors
    /// [`LogError::BadColumn`].
    pub(super) fn causes(
        &self,
        row: &Observation<'_>,
        reasons: &[Reason],
    ) -> Result<(Option<[f32; CAUSES]>, u64), LogError> {
        let mut causes = [0.0; CAUSES];
        let mut unknown = 0;
        for cause in row.causes()? {
            match cause {
                Some(cause) => causes[cause.name as usize] = cause.weight.clamp(0.0, 1.0),
                None => unknown += 1,
            }
        }
        if self.max_score.is_none() {
            if reasons == [Reason::SeveralFaces] {
                return Ok((None, unknown));
            }
            if reasons.contains(&Reason::FaceTooSmall) {
                causes[CauseName::LowResolution as usize] = 1.0;
            }
        }
        Ok((Some(causes), unknown))
    }
}
