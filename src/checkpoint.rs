//! Long work asks here, between two steps, whether anybody still wants it.
//!
//! Everything that takes longer than a few milliseconds and is done for one caller passes a
//! [`Checkpoint`] between its stages, its passes over the picture and its faces. So one step is the
//! most that is done in vain.

use crate::problem::ProblemCode;

/// Why work was given up half way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interruption {
    /// The request has used up its time.
    #[error(
        "the answer was not ready within {limit_ms} ms; send a smaller picture, ask for fewer faces, or try again when \
         the service is less busy"
    )]
    DeadlineExceeded {
        /// The time that a request has.
        limit_ms: u64,
    },
    /// The caller has closed the connection, or its side of it, which looks the same: nobody would
    /// read the answer.
    #[error("the caller closed the connection, or its own side of it, before the answer was ready")]
    CallerLeft,
    /// The service goes down.
    #[error("the service is stopping")]
    Stopping,
}

impl Interruption {
    /// What the caller is told, and the log's row says.
    #[must_use]
    pub fn problem(self) -> ProblemCode {
        match self {
            Self::DeadlineExceeded { .. } => ProblemCode::DeadlineExceeded,
            Self::CallerLeft => ProblemCode::CallerLeft,
            Self::Stopping => ProblemCode::NotReady,
        }
    }
}

/// Asked between two steps.
pub struct Checkpoint<'a>(Option<&'a dyn Fn() -> Result<(), Interruption>>);

impl<'a> Checkpoint<'a> {
    /// Lets everything pass: for work that nobody waits for.
    pub const OPEN: Self = Self(None);

    /// Asks `is_wanted` each time.
    #[must_use]
    pub fn new(is_wanted: &'a dyn Fn() -> Result<(), Interruption>) -> Self {
        Self(Some(is_wanted))
    }

    /// Says whether to go on.
    ///
    /// # Errors
    /// Why not.
    pub fn pass(&self) -> Result<(), Interruption> {
        self.0.map_or(Ok(()), |is_wanted| is_wanted())
    }
}
