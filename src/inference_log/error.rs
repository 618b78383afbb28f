//! What can go wrong with the log.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::problem::ProblemCode;

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
        /// Ours.
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
        /// Ours.
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
        /// Why.
        source: Arc<sqlx::migrate::MigrateError>,
    },
    /// The write-ahead log that durability rests on is not to be had.
    #[error(
        "{path} cannot use a write-ahead log (SQLite chose {mode:?}): set data_dir to a folder on a local disk"
    )]
    NoWriteAheadLog {
        /// The database.
        path: PathBuf,
        /// What SQLite offers instead.
        mode: String,
    },
    /// The database said no.
    #[error("{path}: {trouble}: {source}")]
    Database {
        /// The database.
        path: PathBuf,
        /// What kind of no.
        trouble: Trouble,
        /// Its own words.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The file system said no.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, as an infinitive.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Why not.
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
    /// A cursor that this service did not make.
    #[error("{0:?} is no cursor: pass `next_cursor` of the page before, unchanged")]
    BadCursor(String),
    /// A file stands where one is to be written.
    #[error("{0} exists and is not overwritten: choose another name")]
    Exists(PathBuf),
    /// The disk did not answer in time; the row may or may not be written.
    #[error("the log did not confirm the row within {seconds} s: the disk hardly answers")]
    TooSlow {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The file is not the one that was opened.
    #[error(
        "{0} is deleted or replaced again and again while it is in use: find out which program does that, and stop it"
    )]
    Replaced(PathBuf),
    /// The log is closed, since the service stops.
    #[error("the log is closed: the service is stopping")]
    Closed,
}

/// Why the database refuses, as far as an operator can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No room.
    #[error(
        "the disk is full, or the log's size limit of the file system is reached; free some space"
    )]
    Full,
    /// Too many open files.
    #[error(
        "no file can be opened, because too many are open; find out what holds them (ls /proc/PID/fd), or raise LimitNOFILE= of the service"
    )]
    Descriptors,
    /// No permission to write.
    #[error(
        "the file or its folder cannot be written; check its owner and permissions, and that the disk is not mounted read-only"
    )]
    ReadOnly,
    /// Somebody holds the write lock.
    #[error("another process keeps the database locked; end it")]
    Busy,
    /// Not a sound database any more.
    #[error("the file is damaged")]
    Corrupt,
    /// The disk fails.
    #[error("the disk reports an error; check the system log")]
    Disk,
    /// A row that breaks the schema's rules.
    #[error("the row is refused")]
    Row,
    /// Anything else.
    #[error("the database fails")]
    Other,
}

impl Trouble {
    const fn in_chinese(self) -> &'static str {
        match self {
            Self::Full => "磁盘已满，请腾出空间",
            Self::Descriptors => {
                "打开的文件过多，无法再打开文件；请查明占用者，或提高服务的 LimitNOFILE="
            }
            Self::ReadOnly => "文件或其目录无法写入，请检查属主、权限，以及磁盘是否以只读方式挂载",
            Self::Busy => "数据库被另一个进程锁定，请结束该进程",
            Self::Corrupt => "文件已损坏",
            Self::Disk => "磁盘报告错误，请查看系统日志",
            Self::Row => "该行被拒绝",
            Self::Other => "数据库出错",
        }
    }

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
            | Self::TooSlow { .. }
            | Self::NoWriteAheadLog { .. }
            | Self::Replaced(_) => true,
            _ => false,
        }
    }

    /// The code a caller sees.
    #[must_use]
    pub fn problem(&self) -> ProblemCode {
        match self {
            Self::BadCursor(_) => ProblemCode::InvalidParameter,
            Self::BadColumn { .. } | Self::Exists(_) => ProblemCode::Internal,
            Self::NetworkFilesystem { .. }
            | Self::LockedByAnother { .. }
            | Self::NewerSchema { .. }
            | Self::OlderSchema { .. }
            | Self::Foreign { .. }
            | Self::Missing { .. }
            | Self::Migrate { .. }
            | Self::NoWriteAheadLog { .. }
            | Self::Database { .. }
            | Self::Io { .. }
            | Self::TooSlow { .. }
            | Self::Replaced(_)
            | Self::Closed => ProblemCode::NotReady,
        }
    }

    /// A sentence without paths, safe to show to a caller.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Database { trouble, .. } => format!("the log cannot be used: {trouble}"),
            Self::Io { action, source, .. } => {
                format!(
                    "the log cannot be used: cannot {action} a file: {}",
                    source.kind()
                )
            }
            Self::BadCursor(_) | Self::TooSlow { .. } | Self::Closed => self.to_string(),
            Self::BadColumn { column, .. } => {
                format!("a row of the log is damaged in column {column}")
            }
            Self::NetworkFilesystem { kind, .. } => {
                format!("the log is on a network file system ({kind})")
            }
            Self::LockedByAnother { .. } => "the log is in use by another process".into(),
            Self::NewerSchema { .. } => "the log was written by a newer release".into(),
            Self::OlderSchema { .. } => "the log was written by an older release".into(),
            Self::Foreign { .. } => "the log's file belongs to another program".into(),
            Self::Missing { .. } => "there is no log".into(),
            Self::Migrate { .. } => "the log's schema cannot be brought up to date".into(),
            Self::NoWriteAheadLog { .. } => "the log's disk offers no write-ahead log".into(),
            Self::Exists(_) => "the file exists".into(),
            Self::Replaced(_) => "the log's file is deleted or replaced again and again".into(),
        }
    }

    /// The same in Chinese, as far as waiting callers can meet it: what is wrong with the set-up is the operator's, in English.
    #[must_use]
    pub fn detail_in_chinese(&self) -> String {
        match self {
            Self::Database { trouble, .. } => format!("日志无法使用：{}", trouble.in_chinese()),
            Self::Io { .. } => "日志无法使用：文件无法读写".into(),
            Self::Replaced(_) => "日志文件在使用中被反复删除或替换".into(),
            Self::TooSlow { seconds } => format!("日志在 {seconds} 秒内没有写完：磁盘过慢"),
            Self::Closed => "日志已关闭：服务正在停止".into(),
            _ => format!("日志无法使用：{}", self.detail()),
        }
    }
}
