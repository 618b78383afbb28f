//! Checks memory, disk and permissions for the daemon's state.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use super::{Check, Finding, failed, ok, skipped, warning};
use faceood::config::Config;
use faceood::telemetry::host::{Bytes, Concern, Host};
use faceood_log::LogError;

pub(super) fn of_machine(config: &Config) -> Vec<Check> {
    let host = Host::look(&config.data_dir);
    let network = faceood_log::refuse_network(&config.data_dir);
    vec![
        memory(&host).named("memory"),
        disk(&host, network).named("disk"),
    ]
}

pub(super) fn of_folders(config: &Config) -> Vec<Check> {
    vec![
        permissions(&config.data_dir).named("data folder"),
        permissions(&config.text_log_dir()).named("text log"),
    ]
}

fn memory(host: &Host) -> Finding {
    let limit = host.memory_limit_bytes.map(Bytes);
    let limit = limit.map_or_else(String::new, |limit| format!(", limited to {limit}"));
    let (free, total) = (Bytes(host.memory_available_bytes), Bytes(host.memory_bytes));
    let found = format!(
        "{free} of {total} available{limit}; {} cores; {} ({})",
        host.cores, host.system, host.kernel,
    );
    match concern(host, |concern| matches!(concern, Concern::Memory { .. })) {
        None => ok(found),
        Some(concern) => warning(found, concern.to_string()),
    }
}

fn concern(host: &Host, is_it: fn(&Concern) -> bool) -> Option<Concern> {
    host.concerns().into_iter().find(is_it)
}

/// Less than this, and SQLite cannot commit a row.
const DISK_FULL: u64 = 1024 * 1024;

/// `network` is what the log says of the folder's file system.
fn disk(host: &Host, network: Result<(), LogError>) -> Finding {
    let Some(disk) = &host.disk else {
        return skipped("the data folder's disk cannot be told");
    };
    let (free, total) = (Bytes(disk.available_bytes), Bytes(disk.total_bytes));
    let (mount, kind) = (disk.mount.display(), &disk.file_system);
    let found = format!("{free} of {total} free on {mount} ({kind})");
    if let Err(error @ LogError::NetworkFilesystem { .. }) = network {
        let advice = "set data_dir to a folder on a disk of this machine";
        return failed(format!("{found}: {error}"), advice);
    }
    match concern(host, |concern| matches!(concern, Concern::Disk { .. })) {
        None => ok(found),
        Some(concern) if disk.available_bytes < DISK_FULL => {
            failed(format!("{found}: full"), concern.to_string())
        }
        Some(concern) => warning(found, concern.to_string()),
    }
}

/// Whether files can be made in `folder`, or the folder itself where it is not there yet.
fn permissions(folder: &Path) -> Finding {
    let shown = folder.display();
    if folder.is_dir() {
        let Err(error) = try_writing(folder) else {
            return ok(format!("{shown} can be written"));
        };
        let advice = if is_full(&error) {
            "make room on that disk, or move data_dir to another (du -xh --max-depth=2 shows what takes it)".to_owned()
        } else {
            format!(
                "chown it to the daemon's user (as installed: sudo chown -R faceood: {shown}), or look as root: sudo faceood-admin doctor"
            )
        };
        return failed(format!("{shown} cannot be written: {error}"), advice);
    }
    let absolute = std::path::absolute(folder).unwrap_or_default();
    let existing = absolute.ancestors().skip(1).find(|above| above.is_dir());
    match try_writing(existing.unwrap_or(Path::new("."))) {
        Ok(()) => ok(format!("{shown} is not there yet; the daemon makes it")),
        Err(error) => failed(
            format!("{shown} is not there and cannot be made: {error}"),
            "make it for the daemon's user, or choose another with data_dir",
        ),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}

/// Writes a page, since an empty file can be made on a full disk.
fn try_writing(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!(".faceood-doctor-{}", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)
        .and_then(|mut file| file.write_all(&[0; 4096]));
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        written => written.and(fs::remove_file(probe)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn a_full_disk_fails_and_one_that_fills_warns() {
        let mut host = Host::look(Path::new("/"));
        let mut status = |available_bytes, network| {
            if let Some(disk) = &mut host.disk {
                disk.available_bytes = available_bytes;
            }
            disk(&host, network).status
        };
        assert_eq!(status(1 << 40, Ok(())), CheckStatus::Ok);
        assert_eq!(status(1 << 26, Ok(())), CheckStatus::Warning);
        assert_eq!(status(4096, Ok(())), CheckStatus::Failed);
        let network = LogError::NetworkFilesystem("/data".into(), "nfs".into());
        assert_eq!(status(1 << 40, Err(network)), CheckStatus::Failed);
    }

    #[test]
    fn a_page_that_cannot_be_written_shows_a_full_disk() {
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let error = full.unwrap().write_all(&[0; 4096]).unwrap_err();
        assert!(is_full(&error), "{error:?}");
    }

    #[test]
    fn a_folder_is_tried_and_left_as_it_was() {
        let dir = TempDir::new().unwrap();
        assert_eq!(permissions(dir.path()).status, CheckStatus::Ok);
        assert_eq!(permissions(&dir.path().join("a/b")).status, CheckStatus::Ok);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_below_a_file_cannot_be_made() {
        // Not even root can write into this one.
        let check = permissions(Path::new("/proc/faceood/data"));
        assert_eq!(check.status, CheckStatus::Failed);
        assert!(check.advice.unwrap().contains("data_dir"));
    }
}
