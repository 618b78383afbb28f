//! The folder a log lives in: which file systems will do, who owns it, and where damaged files go.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::LogError;

mod ownership;

pub(super) use ownership::Ownership;

/// File name of the database in the data folder.
pub const FILE_NAME: &str = "faceood.db";

/// What stands between a damaged database's name and the time at which it was set aside.
const SET_ASIDE: &str = ".corrupt-";

/// The same for what a database left behind that was deleted or replaced.
const REPLACED: &str = ".replaced-";

/// Kernel file systems whose other end is another machine, by statfs(2)'s number (linux/magic.h;
/// Lustre's own header).
const NETWORK_MAGIC: [(u64, &str); 10] = [
    (0x6969, "nfs"),
    (0x517B, "smb"),
    (0xFE53_4D42, "smb2"),
    (0xFF53_4D42, "cifs"),
    (0x0102_1997, "9p"),
    (0x5346_414F, "afs"),
    (0x6B41_4653, "afs"),
    (0x00C3_6400, "ceph"),
    (0x7375_7245, "coda"),
    (0x0BD0_0BD0, "lustre"),
];

/// statfs(2)'s number for every file system in user space, near or far.
const FUSE_MAGIC: u64 = 0x6573_5546;

/// Network file systems in user space, as mountinfo names them after `fuse.`.
const NETWORK_FUSE: [&str; 12] = [
    "sshfs",
    "rclone",
    "s3fs",
    "goofys",
    "gcsfuse",
    "glusterfs",
    "davfs",
    "ceph",
    "ceph-fuse",
    "juicefs",
    "curlftpfs",
    "mount-s3",
];

/// Refuses a folder on a network file system: SQLite's locks and its shared memory are not safe
/// there (<https://www.sqlite.org/wal.html>, "all processes must be on the same host"). That is
/// [`LogError::NetworkFilesystem`]; a folder that cannot be looked at is [`LogError::Io`].
pub fn refuse_network(folder: &Path) -> Result<(), LogError> {
    let look = |error| LogError::io("look at", folder, error);
    let facts = rustix::fs::statfs(folder).map_err(|error| look(error.into()))?;
    // Signed on some targets, which spreads the highest bit: all numbers fit into the low 32.
    let magic = facts.f_type as u64 & 0xFFFF_FFFF;
    let device = fs::metadata(folder).map_err(look)?.dev();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    match network_kind(magic, device, &mounts) {
        Some(kind) => Err(LogError::NetworkFilesystem(folder.to_owned(), kind)),
        None => Ok(()),
    }
}

/// The network file system's name, or `None` for a local one. `device` is what stat(2) says,
/// `mounts` /proc/self/mountinfo.
fn network_kind(magic: u64, device: u64, mounts: &str) -> Option<String> {
    if magic == FUSE_MAGIC {
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let device = format!("{major}:{minor}");
        let subtype = mounts
            .lines()
            .filter(|line| line.split_ascii_whitespace().nth(2) == Some(&device))
            .find_map(|line| {
                let (kind, _) = line.split_once(" - ")?.1.split_once(' ')?;
                kind.strip_prefix("fuse.")
            })?;
        return NETWORK_FUSE.contains(&subtype).then(|| subtype.to_owned());
    }
    let mut networks = NETWORK_MAGIC.into_iter();
    let (_, name) = networks.find(|(network, _)| *network == magic)?;
    Some(name.to_owned())
}

/// Renames a damaged database and what belongs to it, so that a fresh one can be begun and the old
/// one still be examined: `faceood.db` → `faceood.db.corrupt-20261124T101500Z`, with its `-wal` and
/// `-shm` under the names SQLite looks for.
pub(super) fn set_aside(database: &Path, now: DateTime<Utc>) -> Result<PathBuf, LogError> {
    let target = free_name(database, SET_ASIDE, now);
    // The side files first: should the process die in between, a database without them is still
    // found damaged, while side files left beside a fresh database would be applied to it.
    rename_sides(database, &target)?;
    fs::rename(database, &target).map_err(|error| LogError::io("rename", database, error))?;
    Ok(target)
}

/// Renames the side files of a database that is not there any more: `faceood.db-wal` →
/// `faceood.db.replaced-TIME-wal`.
pub(super) fn set_sides_aside(database: &Path, now: DateTime<Utc>) -> Result<(), LogError> {
    rename_sides(database, &free_name(database, REPLACED, now))
}

/// `database` with `what` and the time behind it, and a number where that is taken.
fn free_name(database: &Path, what: &str, now: DateTime<Utc>) -> PathBuf {
    let stamp = now.format("%Y%m%dT%H%M%SZ");
    (0..)
        .map(|again| match again {
            0 => with_suffix(database, &format!("{what}{stamp}")),
            again => with_suffix(database, &format!("{what}{stamp}.{again}")),
        })
        .find(|candidate| !candidate.exists() && !with_suffix(candidate, "-wal").exists())
        .unwrap_or_else(|| with_suffix(database, what))
}

fn rename_sides(database: &Path, target: &Path) -> Result<(), LogError> {
    for side in ["-wal", "-shm"] {
        let from = with_suffix(database, side);
        match fs::rename(&from, with_suffix(target, side)) {
            // Never there, or removed just now by a connection that closed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed.map_err(|error| LogError::io("rename", &from, error))?,
        }
    }
    Ok(())
}

/// Whether a daemon left a write-ahead log behind: it was killed, or the machine was.
pub(super) fn has_write_ahead_log(database: &Path) -> bool {
    fs::metadata(with_suffix(database, "-wal")).is_ok_and(|facts| facts.len() > 0)
}

/// Device and inode: which file a name stands for.
pub(super) type FileId = (u64, u64);

pub(super) async fn file_id(path: &Path) -> Option<FileId> {
    let facts = tokio::fs::metadata(path).await.ok()?;
    Some((facts.dev(), facts.ino()))
}

/// The files that an open database consists of. A file that is deleted or renamed stays open, and
/// what is written to it is lost for everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Files {
    database: FileId,
    write_ahead_log: FileId,
}

impl Files {
    /// Those that stand there now; `None` where one is missing.
    pub(super) async fn of(database: &Path) -> Option<Self> {
        Some(Self {
            database: file_id(database).await?,
            write_ahead_log: file_id(&with_suffix(database, "-wal")).await?,
        })
    }

    /// Whether the database itself is still the same.
    pub(super) async fn has_same_database(&self, database: &Path) -> bool {
        file_id(database).await == Some(self.database)
    }
}

/// Damaged databases that were set aside in `folder` and are still there, oldest first.
pub fn set_aside_files(folder: &Path) -> Vec<PathBuf> {
    let prefix = format!("{FILE_NAME}{SET_ASIDE}");
    let is_aside = |name: &str| {
        name.starts_with(&prefix) && !name.ends_with("-wal") && !name.ends_with("-shm")
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(is_aside))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// `path` with `suffix` after its last character.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:45 / /mnt/photos rw,nosuid shared:2 - fuse.sshfs me@there:/photos rw,user_id=0
41 22 0:46 / /mnt/disk rw,nosuid shared:3 - fuseblk /dev/sdb1 rw,user_id=0
42 22 0:47 / /mnt/pool rw - fuse.mergerfs a:b rw
";

    #[test]
    fn network_file_systems_are_told_from_local_ones() {
        for (magic, name) in NETWORK_MAGIC {
            assert_eq!(network_kind(magic, 0, MOUNTS).as_deref(), Some(name));
        }
        for local in [0xEF53, 0x0102_1994, 0x9123_683E, 0x794C_7630, 0x5846_5342] {
            assert_eq!(network_kind(local, 0, MOUNTS), None);
        }
    }

    #[test]
    fn user_space_file_systems_are_judged_by_their_mount() {
        let device = |minor| rustix::fs::makedev(0, minor);
        let kind = |minor| network_kind(FUSE_MAGIC, device(minor), MOUNTS);
        assert_eq!(kind(45).as_deref(), Some("sshfs"));
        assert_eq!(kind(46), None);
        assert_eq!(kind(47), None);
        assert_eq!(kind(99), None);
    }

    #[test]
    fn a_local_folder_is_accepted_and_a_missing_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        refuse_network(folder.path()).unwrap();
        let missing = folder.path().join("missing");
        assert!(matches!(refuse_network(&missing), Err(LogError::Io { .. })));
    }

    #[test]
    fn setting_aside_keeps_every_byte_and_never_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join(FILE_NAME);
        let now = Utc::now();
        let mut targets = Vec::new();
        for content in ["one", "two"] {
            fs::write(&database, content).unwrap();
            fs::write(with_suffix(&database, "-wal"), "wal").unwrap();
            let target = set_aside(&database, now).unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), content);
            assert!(with_suffix(&target, "-wal").exists());
            assert!(!database.exists());
            targets.push(target);
        }
        assert_eq!(set_aside_files(folder.path()), targets);
    }
}
