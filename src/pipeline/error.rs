//! Every way in which an analysis can fail, and the code under which the caller sees it.

use super::chinese;
use crate::capture::CaptureError;
use crate::checkpoint::Interruption;
use crate::embed::EmbedError;
use crate::face::FaceError;
use crate::problem::ProblemCode;

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
    /// As many pictures wait as may wait.
    #[error("{capacity} pictures are waiting already; try again in a moment")]
    Overloaded {
        /// How many may wait.
        capacity: usize,
    },
    /// It was given up half way.
    #[error(transparent)]
    Interrupted(#[from] Interruption),
    /// A stage panicked; the worker has rebuilt itself.
    #[error("a stage of the analysis panicked: {message}")]
    Panicked {
        /// The panic's words: for our log only.
        message: String,
    },
    /// A worker lost its models and could not open them again.
    #[error("the models could not be opened again: {reason}")]
    Broken {
        /// Why: for our log only.
        reason: String,
    },
}

impl AnalyzeError {
    /// The code that the caller sees.
    #[must_use]
    pub fn problem(&self) -> ProblemCode {
        match self {
            Self::Capture(error) => error.problem(),
            Self::Face(error) => error.problem(),
            Self::Embed(error) => error.problem(),
            Self::Overloaded { .. } => ProblemCode::Overloaded,
            Self::Interrupted(why) => why.problem(),
            Self::Panicked { .. } | Self::Broken { .. } => ProblemCode::Internal,
        }
    }

    /// What happened, in words that a caller may read: a failure of ours says no more than that it is one.
    #[must_use]
    pub fn detail(&self) -> String {
        match self.problem() {
            ProblemCode::Internal => {
                "The analysis failed on our side; the service's log has the reason under this request id.".to_owned()
            }
            _ => self.to_string(),
        }
    }

    /// The same in Chinese.
    #[must_use]
    pub fn detail_in_chinese(&self) -> String {
        chinese::detail(self)
    }
}
