//! Why TLS cannot be spoken, each with what to do.

use std::io;
use std::path::PathBuf;

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A setting that another one needs.
    #[error("{0} is empty, but {1} needs it; set both, or neither")]
    Missing(&'static str, &'static str),
    /// A file cannot be read.
    #[error(
        "{path} cannot be read: {source}; give the path of a file that the daemon's user may read"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("{path} cannot be written: {source}; the daemon's user needs a data folder of its own")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{path} cannot be used: {what}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// Certificate and key do not belong together.
    #[error(
        "the key {key} does not belong to the certificate {certificate}; put both in place again, from one order"
    )]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The new certificate has ended, the old one ends later.
    #[error(
        "the certificate {0} has ended, and the one in force ends later; put a new one in place, or set the clock"
    )]
    Ended(PathBuf),
    /// The authority of the box cannot sign.
    #[error(
        "the authority of this box cannot sign a certificate: {0}; see `faceood-admin tls show`"
    )]
    Sign(#[from] rcgen::Error),
    /// The library refuses.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}
