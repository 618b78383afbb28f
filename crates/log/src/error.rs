//! What can go wrong with the log.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use sqlx::error::DatabaseError;

pub use faceood_engine::problem::texts::{LogFault, Trouble};

/// A failure of the log. Cheap to clone: everyone who waits for a batch gets the same one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// The folder is on such a file system, where SQLite's locks and shared memory are not safe.
    #[error(
        "{0} is on a network file system ({1}), where SQLite cannot keep its promises: \
         set data_dir to a folder on a local disk"
    )]
    NetworkFilesystem(PathBuf, String),
    /// Another daemon works on this database, with the process id that it wrote down.
    #[error(
        "{0} is in use by another faceoodd{holder}: stop it, or give this one its own data_dir",
        holder = .1.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    LockedByAnother(PathBuf, Option<String>),
    /// Written by a newer release.
    #[error(
        "{path} has schema version {found}, this release knows up to {known}: \
         install the newer release again, or move the file away (nothing was changed)"
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// Written by an older release.
    #[error(
        "{path} has schema version {found}, this release reads {known}: \
         start faceoodd of this release once, it brings the file up to date"
    )]
    OlderSchema {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The one that is read.
        known: i64,
    },
    /// A database of something else.
    #[error(
        "{0} is a SQLite database, but not a faceood log: move it away, or set data_dir to another folder (nothing was changed)"
    )]
    Foreign(PathBuf),
    /// There is no log where one is to be read.
    #[error(
        "{0} does not exist: give the database with --db, or the daemon's folder with --data-dir"
    )]
    Missing(PathBuf),
    /// A migration did not go through.
    #[error("the schema of {0} cannot be brought up to date: {1}")]
    Migrate(PathBuf, #[source] Arc<sqlx::migrate::MigrateError>),
    /// SQLite offers another mode there than a write-ahead log, on which durability rests.
    #[error(
        "{0} cannot use a write-ahead log (SQLite chose {1:?}): set data_dir to a folder on a local disk"
    )]
    NoWriteAheadLog(PathBuf, String),
    /// SQLite reports an error on this database.
    #[error("{0}: {1}: {2}")]
    Database(PathBuf, Trouble, #[source] Arc<dyn Error + Send + Sync>),
    /// The file system reports an error. What was tried stands there as an infinitive.
    #[error("cannot {0} {1}: {2}")]
    Io(&'static str, PathBuf, #[source] Arc<io::Error>),
    /// A column does not hold what it should.
    #[error("column {column} of the log: {found}")]
    BadColumn {
        /// Name of the column.
        column: &'static str,
        /// What is wrong with its value.
        found: String,
    },
    /// A file stands where one is to be written.
    #[error("{0} exists and is not overwritten: choose another name")]
    Exists(PathBuf),
    /// The file is not the one that was opened.
    #[error(
        "{0} was deleted or replaced while it was in use: find out which program does that, and stop it"
    )]
    Replaced(PathBuf),
    /// Nothing is known of this target any more.
    #[error(
        "{0} has no place of {1} any more, because another command has dropped that target: \
         begin again, which ships every row anew"
    )]
    NoTarget(PathBuf, String),
    /// What a caller may know in full: the log is closed, the disk did not confirm a row in time
    /// (it may or may not be written), or a cursor is not ours.
    #[error(transparent)]
    Told(#[from] LogFault),
}

/// Reads the result code of SQLite, if the error has one.
pub(crate) fn trouble_of(error: &sqlx::Error) -> Trouble {
    let code = error.as_database_error().and_then(DatabaseError::code);
    match (code.and_then(|code| code.parse().ok()), error) {
        (Some(code), _) => trouble_of_code(code),
        (None, sqlx::Error::Io(_)) => Trouble::Disk,
        _ => Trouble::Other,
    }
}

fn trouble_of_code(code: i32) -> Trouble {
    // The low byte is the primary result code: https://www.sqlite.org/rescode.html
    match code & 0xff {
        13 => Trouble::Full,
        // SQLite cannot open a file, and does not say why.
        14 if are_descriptors_exhausted() => Trouble::Descriptors,
        3 | 8 | 14 => Trouble::ReadOnly,
        5 | 6 => Trouble::Busy,
        11 | 26 => Trouble::Corrupt,
        10 => Trouble::Disk,
        18 | 19 | 20 | 25 => Trouble::Row,
        _ => Trouble::Other,
    }
}

/// Whether this process, or the machine, can open no more files.
fn are_descriptors_exhausted() -> bool {
    let errors = [Errno::MFILE, Errno::NFILE];
    let opened = std::fs::File::open("/dev/null");
    opened.is_err_and(|error| {
        Errno::from_io_error(&error).is_some_and(|errno| errors.contains(&errno))
    })
}

/// Says which database an error is of.
pub(super) trait At<T> {
    fn at(self, path: &Path) -> Result<T, LogError>;
}

impl<T> At<T> for Result<T, sqlx::Error> {
    fn at(self, path: &Path) -> Result<T, LogError> {
        self.map_err(|error| LogError::database(path, error))
    }
}

impl LogError {
    /// What the database said about `path`.
    pub(super) fn database(path: &Path, source: sqlx::Error) -> Self {
        Self::Database(path.to_owned(), trouble_of(&source), Arc::new(source))
    }

    /// What the database said about `path` to a scan.
    pub(super) fn scan(path: &Path, source: &rusqlite::Error) -> Self {
        let code = source.sqlite_error().map(|error| error.extended_code);
        let trouble = code.map_or(Trouble::Other, trouble_of_code);
        // As text: behind it stands the code, which says the same again.
        let said = Box::<dyn Error + Send + Sync>::from(source.to_string());
        Self::Database(path.to_owned(), trouble, Arc::from(said))
    }

    /// What the file system said when it was asked to `action` the file.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io(action, path.to_owned(), Arc::new(source))
    }

    /// Makes an error of what was found in `column`.
    pub(super) fn in_column(column: &'static str) -> impl Fn(String) -> Self {
        move |found| Self::BadColumn { column, found }
    }

    /// What kind of refusal it is, where the database refused.
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Database(_, trouble, _) => Some(*trouble),
            _ => None,
        }
    }

    /// Whether waiting may help: the disk, not the set-up, is at fault.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Database(_, trouble, _) => *trouble != Trouble::Row,
            Self::Io(..)
            | Self::Told(LogFault::TooSlow { .. })
            | Self::NoWriteAheadLog(..)
            | Self::Replaced(_) => true,
            _ => false,
        }
    }

    /// What a caller may know of it.
    pub fn told(&self) -> LogFault {
        match self {
            Self::NetworkFilesystem(_, kind) => LogFault::NetworkFilesystem { kind: kind.clone() },
            Self::LockedByAnother(..) => LogFault::LockedByAnother,
            Self::NewerSchema { .. } => LogFault::NewerSchema,
            Self::OlderSchema { .. } => LogFault::OlderSchema,
            Self::Foreign(_) => LogFault::Foreign,
            Self::Missing(_) | Self::NoTarget(..) => LogFault::Missing,
            Self::Migrate(..) => LogFault::Migrate,
            Self::NoWriteAheadLog(..) => LogFault::NoWriteAheadLog,
            Self::Database(_, trouble, _) => LogFault::Database { trouble: *trouble },
            Self::Io(action, _, source) => LogFault::File {
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
