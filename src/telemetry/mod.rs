//! What the daemon says of itself: the text log, metrics, facts of the host, and its word to the
//! service manager. Knows nothing of the other modules; what it reports is handed in.

pub mod host;
mod log_files;
pub mod logging;
pub mod metrics;
pub mod notify;

pub use logging::Settings;
