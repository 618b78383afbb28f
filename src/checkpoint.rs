//! Long work asks here, between two steps, whether anybody still wants it.
//!
//! Everything that takes longer than a few milliseconds and is done for one caller passes a
//! [`Checkpoint`] between its stages, its passes over the picture and its faces. So one step is the
//! most that is done in vain.

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
