//! Memory, disk and permissions: what the daemon needs of its machine to keep state.

use std::fs;
use std::io;
use std::path::Path;

use super::Check;
use crate::config::Config;
use crate::telemetry::host::{Bytes, Concern, Host};

/// Looks at the machine and at the data folder.
pub(super) fn checks(config: &Config) -> Vec<Check> {
    let host = Host::look(&config.data_dir);
    vec![
        memory(&host),
        disk(&host),
        permissions(&config.data_dir, "data folder"),
        permissions(&config.text_log_dir(), "text log"),
    ]
}

fn memory(host: &Host) -> Check {
    const NAME: &str = "memory";
    let concern = host
        .concerns()
        .into_iter()
        .find(|c| matches!(c, Concern::Memory { .. }));
    let limit = host.memory_limit_bytes.map_or_else(String::new, |limit| {
        format!(", limited to {}", Bytes(limit))
    });
    let found = format!(
        "{} of {} available{limit}; {} cores; {} ({})",
        Bytes(host.memory_available_bytes),
        Bytes(host.memory_bytes),
        host.cores,
        host.system,
        host.kernel,
    );
    match concern {
        None => Check::ok(NAME, found),
        Some(concern) => Check::warning(NAME, found, concern.to_string()),
    }
}

fn disk(host: &Host) -> Check {
    const NAME: &str = "disk";
    let Some(disk) = &host.disk else {
        return Check::skipped(NAME, "the data folder's disk cannot be told");
    };
    let found = format!(
        "{} of {} free on {} ({})",
        Bytes(disk.available_bytes),
        Bytes(disk.total_bytes),
        disk.mount.display(),
        disk.file_system,
    );
    let concern = host
        .concerns()
        .into_iter()
        .find(|c| matches!(c, Concern::Disk { .. }));
    match concern {
        None => Check::ok(NAME, found),
        Some(concern) => Check::warning(NAME, found, concern.to_string()),
    }
}

/// Whether files can be made in `folder`, or the folder itself where it is not there yet.
fn permissions(folder: &Path, name: &'static str) -> Check {
    let shown = folder.display();
    if folder.is_dir() {
        return match try_writing(folder) {
            Ok(()) => Check::ok(name, format!("{shown} can be written")),
            Err(error) => Check::failed(
                name,
                format!("{shown} cannot be written: {error}"),
                format!(
                    "chown it to the daemon's user (as installed: sudo chown -R faceood: {shown}), or run this check as that user: sudo -u faceood faceood-admin doctor"
                ),
            ),
        };
    }
    let existing = folder.ancestors().skip(1).find(|above| {
        let above = if above.as_os_str().is_empty() {
            Path::new(".")
        } else {
            above
        };
        above.is_dir()
    });
    let above = existing.filter(|above| !above.as_os_str().is_empty());
    match try_writing(above.unwrap_or(Path::new("."))) {
        Ok(()) => Check::ok(
            name,
            format!("{shown} is not there yet; the daemon makes it"),
        ),
        Err(error) => Check::failed(
            name,
            format!("{shown} is not there and cannot be made: {error}"),
            "make it for the daemon's user, or choose another with data_dir",
        ),
    }
}

fn try_writing(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!(".faceood-doctor-{}", std::process::id()));
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)?;
    fs::remove_file(probe)
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn a_folder_is_tried_and_left_as_it_was() {
        let dir = TempDir::new().unwrap();
        assert_eq!(permissions(dir.path(), "data folder").status, Status::Ok);
        assert_eq!(
            permissions(&dir.path().join("a/b"), "data folder").status,
            Status::Ok
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_below_a_file_cannot_be_made() {
        // Not even root can write into this one.
        let check = permissions(Path::new("/proc/faceood/data"), "data folder");
        assert_eq!(check.status, Status::Failed);
        assert!(check.advice.unwrap().contains("data_dir"));
    }
}
