//! What the writer is asked to do, and who waits for it.

use chrono::{DateTime, Utc};
use tokio::sync::oneshot;

use crate::LogError;
use crate::clock_keeper::Look;
use crate::feedback::Feedback;
use crate::record::InferenceRecord;
use crate::retention::{Limits, PruneStep};

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    Append(Entry),
    /// Note how a request turned out; the answer says since when that stands there.
    Feedback(Feedback, FeedbackReply),
    /// Write refusals and uses of tokens that wait.
    Access(oneshot::Sender<()>),
    /// Find out whether rows could be written.
    Check(oneshot::Sender<()>),
    /// Write the box's name.
    Identify(oneshot::Sender<Result<(), LogError>>),
    /// Look at the clock, and write what was seen.
    Tend(oneshot::Sender<Result<Look, LogError>>),
    /// Delete a few rows that exceed the limits.
    Prune(Limits, oneshot::Sender<Result<PruneStep, LogError>>),
    /// Run a statement on the write connection, to bring about what tests need.
    #[cfg(test)]
    Execute(String, oneshot::Sender<()>),
    /// Write what came before, then end.
    Close(oneshot::Sender<()>),
}

/// Who waits for feedback to be written.
type FeedbackReply = oneshot::Sender<Result<Option<DateTime<Utc>>, LogError>>;

/// Rows that are written together, and who waits for them.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) records: Vec<InferenceRecord>,
    pub(crate) committed: oneshot::Sender<Result<(), LogError>>,
}
