//! What can go wrong with the log.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use crate::problem::texts::{LogFault, Trouble};

/// A failure of the log. Cheap to clone: everyone who waits for a batch gets the same one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// SQLite's locks and shared memory are not safe there.
    #[error(
        "{path} is on a network file system ({kind}), where SQLite cannot keep its promises: \
         set data_dir to a folder on a local disk"
    )]
    NetworkFilesystem {
        /// The folder.
        path: PathBuf,
        /// The file system's name.
        kind: String,
    },
    /// Another daemon works there.
    #[error(
        "{path} is in use by another faceoodd{}: stop it, or give this one its own data_dir",
        holder.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    LockedByAnother {
        /// The database.
        path: PathBuf,
        /// The other's process id as it wrote it down.
        holder: Option<String>,
    },
    /// Written by a newer release; nothing was changed.
    #[error(
        "{path} has schema version {found}, this release knows up to {known}: \
         install the newer release again, or move the file away (nothing was changed)"
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this release knows.
        known: i64,
    },
    /// Written by an older release, and opened for reading only.
    #[error(
        "{path} has schema version {found}, this release reads {known}: \
         start faceoodd of this release once, it brings the file up to date"
    )]
    OlderSchema {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this release knows.
        known: i64,
    },
    /// A database of something else.
    #[error(
        "{path} is a SQLite database, but not a faceood log: move it away, or set data_dir to another folder (nothing was changed)"
    )]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// There is no log where one is to be read.
    #[error(
        "{path} does not exist: give the database with --db, or the daemon's folder with --data-dir"
    )]
    Missing {
        /// The database.
        path: PathBuf,
    },
    /// A migration did not go through.
    #[error("the schema of {path} cannot be brought up to date: {source}")]
    Migrate {
        /// The database.
        path: PathBuf,
        /// What the migrator says.
        source: Arc<sqlx::migrate::MigrateError>,
    },
    /// SQLite offers no write-ahead log there. Durability rests on it.
    #[error(
        "{path} cannot use a write-ahead log (SQLite chose {mode:?}): set data_dir to a folder on a local disk"
    )]
    NoWriteAheadLog {
        /// The database.
        path: PathBuf,
        /// What SQLite offers instead.
        mode: String,
    },
    /// SQLite reports an error.
    #[error("{path}: {trouble}: {source}")]
    Database {
        /// The database.
        path: PathBuf,
        /// The kind of error, as far as an operator can act on it.
        trouble: Trouble,
        /// What SQLite says.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The file system reports an error.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, as an infinitive.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// A column does not hold what it should.
    #[error("column {column} of table inferences: {found}")]
    BadColumn {
        /// Which column.
        column: &'static str,
        /// What is wrong with its value.
        found: String,
    },
    /// A file stands where one is to be written.
    #[error("{0} exists and is not overwritten: choose another name")]
    Exists(PathBuf),
    /// The file is not the one that was opened.
    #[error(
        "{0} is deleted or replaced again and again while it is in use: find out which program does that, and stop it"
    )]
    Replaced(PathBuf),
    /// What a caller may know in full: the log is closed, the disk did not confirm a row in time (it may or may not be
    /// written), or a cursor is not ours.
    #[error(transparent)]
    Told(#[from] LogFault),
}

impl Trouble {
    /// Reads the result code of SQLite, if the error has one.
    #[must_use]
    pub fn of(error: &sqlx::Error) -> Self {
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .and_then(|code| code.parse().ok());
        match (code, error) {
            (Some(code), _) => Self::of_code(code),
            (None, sqlx::Error::Io(_)) => Self::Disk,
            _ => Self::Other,
        }
    }

    fn of_code(code: i32) -> Self {
        // The low byte is the primary result code: https://www.sqlite.org/rescode.html
        match code & 0xff {
            13 => Self::Full,
            // SQLite cannot open a file, and does not say why.
            14 if are_descriptors_exhausted() => Self::Descriptors,
            3 | 8 | 14 => Self::ReadOnly,
            5 | 6 => Self::Busy,
            11 | 26 => Self::Corrupt,
            10 => Self::Disk,
            18 | 19 | 20 | 25 => Self::Row,
            _ => Self::Other,
        }
    }
}

/// Whether this process, or the machine, can open no more files.
fn are_descriptors_exhausted() -> bool {
    let errors = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
    std::fs::File::open("/dev/null").is_err_and(|error| {
        errors
            .iter()
            .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
    })
}

impl LogError {
    /// Wraps what the database said about `path`.
    pub(super) fn database(path: &Path, source: sqlx::Error) -> Self {
        Self::Database {
            path: path.to_owned(),
            trouble: Trouble::of(&source),
            source: Arc::new(source),
        }
    }

    /// Wraps what the database said about `path` to a scan.
    pub(super) fn scan(path: &Path, source: rusqlite::Error) -> Self {
        let code = source.sqlite_error().map(|error| error.extended_code);
        Self::Database {
            path: path.to_owned(),
            trouble: code.map_or(Trouble::Other, Trouble::of_code),
            source: Arc::new(source),
        }
    }

    /// Wraps what the file system said.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    /// What kind of refusal it is, where the database refused.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Database { trouble, .. } => Some(*trouble),
            _ => None,
        }
    }

    /// Whether waiting may help: the disk, not the set-up, is at fault.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Database { trouble, .. } => *trouble != Trouble::Row,
            Self::Io { .. }
            | Self::Told(LogFault::TooSlow { .. })
            | Self::NoWriteAheadLog { .. }
            | Self::Replaced(_) => true,
            _ => false,
        }
    }

    /// What a caller may know of it.
    #[must_use]
    pub fn told(&self) -> LogFault {
        match self {
            Self::NetworkFilesystem { kind, .. } => {
                LogFault::NetworkFilesystem { kind: kind.clone() }
            }
            Self::LockedByAnother { .. } => LogFault::LockedByAnother,
            Self::NewerSchema { .. } => LogFault::NewerSchema,
            Self::OlderSchema { .. } => LogFault::OlderSchema,
            Self::Foreign { .. } => LogFault::Foreign,
            Self::Missing { .. } => LogFault::Missing,
            Self::Migrate { .. } => LogFault::Migrate,
            Self::NoWriteAheadLog { .. } => LogFault::NoWriteAheadLog,
            Self::Database { trouble, .. } => LogFault::Database { trouble: *trouble },
            Self::Io { action, source, .. } => LogFault::File {
                action,
                kind: source.kind(),
            },
            Self::BadColumn { column, .. } => LogFault::BadColumn { column },
            Self::Exists(_) => LogFault::Exists,
            Self::Replaced(_) => LogFault::Replaced,
            Self::Told(fault) => fault.clone(),
        }
    }
}
