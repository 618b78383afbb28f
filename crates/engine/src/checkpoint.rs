//! Cancels long work.
//!
//! Each stage calls a [`Checkpoint`] before it starts, and so does each pass over the picture and
//! each face. After a cancellation at most one step is wasted. This holds for all work that is done
//! for one caller and takes longer than a few milliseconds.

pub use crate::problem::texts::Interruption;

/// Asked between two steps.
pub struct Checkpoint<'a>(Option<&'a dyn Fn() -> Result<(), Interruption>>);

impl<'a> Checkpoint<'a> {
    /// Lets everything pass: for work that nobody waits for.
    pub const OPEN: Self = Self(None);

    /// Asks `is_wanted` each time.
    pub fn new(is_wanted: &'a dyn Fn() -> Result<(), Interruption>) -> Self {
        Self(Some(is_wanted))
    }

    /// Says whether to go on, and if not, why.
    pub fn pass(&self) -> Result<(), Interruption> {
        self.0.map_or(Ok(()), |is_wanted| is_wanted())
    }
}
