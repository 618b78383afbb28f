//! Every way in which an analysis can fail.

use crate::capture::CaptureError;
use crate::checkpoint::Interruption;
use crate::embed::EmbedError;
use crate::face::FaceError;
use crate::problem::texts::ServiceFault;
use crate::problem::{Explain, ProblemCode};

/// Why a picture got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    /// The bytes make no picture, or one that is too large.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// No face, or the search for one failed.
    #[error(transparent)]
    Face(#[from] FaceError),
    /// The embedder failed.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// It was not begun, or given up half way.
    #[error(transparent)]
    Interrupted(#[from] Interruption),
    /// A stage panicked with these words; the worker has rebuilt itself.
    #[error("a stage of the analysis panicked: {0}")]
    Panicked(String),
    /// A worker lost its models and could not open them again for this reason.
    #[error("the models could not be opened again: {0}")]
    Broken(String),
}

impl AnalyzeError {
    /// What a caller may know. Of a failure of ours that is only that it happened.
    pub fn told(&self) -> &dyn Explain {
        let told: &dyn Explain = match self {
            Self::Capture(error) | Self::Face(FaceError::Capture(error)) => error,
            Self::Face(FaceError::NoFace(no_face)) => no_face,
            Self::Interrupted(why)
            | Self::Face(FaceError::Interrupted(why))
            | Self::Embed(EmbedError::Interrupted(why)) => why,
            Self::Face(_) | Self::Embed(_) | Self::Panicked(_) | Self::Broken(_) => {
                &ServiceFault::Analysis
            }
        };
        match told.problem() {
            ProblemCode::Internal => &ServiceFault::Analysis,
            _ => told,
        }
    }

    /// The code that the caller sees.
    pub fn problem(&self) -> ProblemCode {
        self.told().problem()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_failure_of_ours_no_more_is_told() {
        let secret = || "secret".to_owned();
        let outside = || CaptureError::OutsidePicture {
            width: 7,
            height: 7,
        };
        let errors: [AnalyzeError; 6] = [
            AnalyzeError::Panicked(secret()),
            AnalyzeError::Broken(secret()),
            outside().into(),
            FaceError::Capture(outside()).into(),
            FaceError::Degenerate(crate::geometry::Point::new(7.0, 7.0)).into(),
            EmbedError::Lost.into(),
        ];
        for error in errors {
            assert_eq!(error.problem(), ProblemCode::Internal, "{error}");
            let told = error.told();
            assert_eq!(told.to_string(), ServiceFault::Analysis.to_string());
            assert!(told.chinese().contains("查阅服务日志"), "{error}");
        }
    }
}
