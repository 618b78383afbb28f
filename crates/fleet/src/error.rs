//! What can go wrong between a box and its centre.

use std::sync::Arc;

use faceood_log::LogError;

/// A failure of shipping, or of reading at the centre.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FleetError {
    /// The address of the centre cannot be used. The text says why and what to do.
    #[error("{0}")]
    Address(String),
    /// A step took too long. Whether it was done is not known.
    #[error(
        "{target} did not answer within {seconds} s while {doing}: check the network and that server"
    )]
    TimedOut {
        /// Host and database.
        target: String,
        /// What was being done.
        doing: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// The centre, or the way to it, failed.
    #[error("{target} failed while {doing}: {source}")]
    Centre {
        /// Host and database.
        target: String,
        /// What was being done.
        doing: &'static str,
        /// What the driver or the server said.
        source: Arc<sqlx::Error>,
    },
    /// What is there cannot serve as a centre. The text says why and what to do.
    #[error("{0}")]
    Unfit(String),
    /// The box's own log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl FleetError {
    /// Whether trying again may help without anybody's doing.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Address(_) => false,
            Self::TimedOut { .. } | Self::Centre { .. } | Self::Unfit(_) => true,
            Self::Log(error) => error.is_passing(),
        }
    }

    /// Whether the server gave up waiting for a lock, or for the statement to end: SQLSTATE 55P03 or
    /// 57014.
    pub(crate) fn is_wait_over(&self) -> bool {
        let Self::Centre { source, .. } = self else {
            return false;
        };
        let code = source
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        code.is_some_and(|code| ["55P03", "57014"].contains(&&*code))
    }

    /// What the server has against a value that was sent: SQLSTATE class 22 (data), 23
    /// (constraints) or 54 (limits). `None` where no row is to blame.
    pub fn row_fault(&self) -> Option<String> {
        let Self::Centre { source, .. } = self else {
            return None;
        };
        let error = source.as_database_error()?;
        let class = error.code()?.get(..2)?.to_owned();
        ["22", "23", "54"]
            .contains(&&*class)
            .then(|| error.message().to_owned())
    }
}
