//! Facts of the machine, and what about them would trouble the daemon.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sysinfo::{Disks, MemoryRefreshKind, RefreshKind, System};

/// What a running daemon needs at least; under 8 clients it stays below this with the CPU provider.
const MEMORY_NEEDED: u64 = 400 * 1024 * 1024;

/// Less free space than this and the log may soon be refused its rows.
const DISK_NEEDED: u64 = 200 * 1024 * 1024;

/// What the host offers to this process.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Host {
    /// Name and version of the operating system.
    pub system: String,
    /// Version of the kernel.
    pub kernel: String,
    /// Cores that this process may use (affinity and CPU quota counted).
    pub cores: usize,
    /// Memory of the machine.
    pub memory_bytes: u64,
    /// Memory that is free, or could be made free.
    pub memory_available_bytes: u64,
    /// Limit of the container or service, where one is set below the machine's memory.
    pub memory_limit_bytes: Option<u64>,
    /// Whether this seems to be a container.
    pub is_container: bool,
    /// The disk that holds the folder asked about.
    pub disk: Option<Disk>,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Disk {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Its type, as the kernel names it.
    pub file_system: String,
    /// Its size.
    pub total_bytes: u64,
    /// What is free for us.
    pub available_bytes: u64,
}

/// Something about the host that will hurt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Concern {
    /// So many bytes of memory can be used, which is less than the daemon needs under load.
    #[error("{} of memory usable, {} needed under load; raise MemoryMax= or the container's limit, or stop other programs", Bytes(*.0), Bytes(MEMORY_NEEDED))]
    Memory(u64),
    /// The disk of the data folder is nearly full: bytes that are free, and where it is mounted.
    #[error("{} free on {}, {} wanted; delete something, or move data_dir, or shorten the log with `faceood-admin prune`", Bytes(*.0), .1.display(), Bytes(DISK_NEEDED))]
    Disk(u64, PathBuf),
}

impl Host {
    /// Looks at the machine, and at the disk that holds `folder` (which need not exist yet).
    pub fn look(folder: &Path) -> Self {
        let memory = MemoryRefreshKind::nothing().with_ram();
        let system = System::new_with_specifics(RefreshKind::nothing().with_memory(memory));
        let system = system.as_ref().ok();
        let total = system.map_or(0, System::total_memory);
        let limits = system.and_then(System::cgroup_limits);
        let limit = limits.map(|limits| limits.total_memory);
        Self {
            system: System::long_os_version().unwrap_or_else(|_| "unknown".to_owned()),
            kernel: System::kernel_version().unwrap_or_else(|_| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: total,
            memory_available_bytes: system.map_or(0, System::available_memory),
            memory_limit_bytes: limit.filter(|&limit| limit > 0 && limit < total),
            is_container: is_container(),
            disk: disk_of(folder),
        }
    }

    /// Memory that this process can count on: what is available, within the limit.
    pub fn usable_memory_bytes(&self) -> u64 {
        let limit = self.memory_limit_bytes.unwrap_or(u64::MAX);
        self.memory_available_bytes.min(limit)
    }

    /// What will hurt; empty on a healthy machine.
    pub fn concerns(&self) -> Vec<Concern> {
        let mut concerns = Vec::new();
        let usable = self.usable_memory_bytes();
        if usable < MEMORY_NEEDED {
            concerns.push(Concern::Memory(usable));
        }
        if let Some(disk) = &self.disk
            && disk.available_bytes < DISK_NEEDED
        {
            concerns.push(Concern::Disk(disk.available_bytes, disk.mount.clone()));
        }
        concerns
    }
}

/// A size for eyes: `1.5 GB`, in powers of 1000 like `df -H` and disk makers.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
        let mut size = self.0 as f64;
        let mut unit = 0;
        while size >= 999.5 && unit + 1 < UNITS.len() {
            size /= 1000.0;
            unit += 1;
        }
        let decimals = usize::from(unit > 0 && size < 99.95);
        write!(f, "{size:.decimals$} {}", UNITS[unit])
    }
}

/// The file system that holds the folder, or would. Lists of disks leave some out (tmpfs,
/// overlays), so its room is asked of the folder: a name may be missing, but no figure is
/// another's.
fn disk_of(folder: &Path) -> Option<Disk> {
    let folder = Path::new(".").join(folder);
    let existing = folder
        .ancestors()
        .find_map(|part| part.canonicalize().ok())?;
    let facts = rustix::fs::statvfs(&existing).ok()?;
    let device = |path: &Path| Some(std::fs::metadata(path).ok()?.dev());
    let disks = Disks::new_with_refreshed_list();
    let holding = disks.as_ref().ok().and_then(|disks| {
        disks
            .iter()
            .filter(|disk| existing.starts_with(disk.mount_point()))
            .max_by_key(|disk| disk.mount_point().components().count())
            .filter(|disk| device(disk.mount_point()) == device(&existing))
    });
    let file_system = holding.map(|disk| disk.file_system().to_string_lossy().into_owned());
    Some(Disk {
        mount: holding.map_or(existing, |disk| disk.mount_point().to_owned()),
        file_system: file_system.unwrap_or_else(|| "of a kind that is not listed".to_owned()),
        total_bytes: facts.f_blocks.saturating_mul(facts.f_frsize),
        available_bytes: facts.f_bavail.saturating_mul(facts.f_frsize),
    })
}

fn is_container() -> bool {
    let marks = ["/.dockerenv", "/run/.containerenv"];
    marks.iter().any(|mark| Path::new(mark).exists()) || std::env::var_os("container").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> Host {
        Host {
            system: "Linux".into(),
            kernel: "6.1".into(),
            cores: 2,
            memory_bytes: 8 << 30,
            memory_available_bytes: 4 << 30,
            memory_limit_bytes: None,
            is_container: false,
            disk: Some(Disk {
                mount: "/srv".into(),
                file_system: "ext4".into(),
                total_bytes: 1 << 40,
                available_bytes: 1 << 39,
            }),
        }
    }

    #[test]
    fn a_healthy_host_concerns_nobody() {
        assert_eq!(healthy().concerns(), []);
    }

    #[test]
    fn a_tight_limit_and_a_full_disk_are_named_with_a_way_out() {
        let mut host = healthy();
        host.memory_limit_bytes = Some(100 << 20);
        host.disk.as_mut().unwrap().available_bytes = 5 << 20;
        let said: Vec<String> = host.concerns().iter().map(ToString::to_string).collect();
        assert!(
            said[0].starts_with("105 MB of memory usable, 419 MB needed"),
            "{said:?}"
        );
        assert!(said[1].starts_with("5.2 MB free on /srv"), "{said:?}");
    }

    #[test]
    fn this_host_is_seen() {
        let host = Host::look(Path::new("does/not/exist/yet"));
        assert!(host.cores >= 1 && host.memory_bytes > 0);
        assert_ne!(host.kernel, "unknown");
        let disk = host.disk.unwrap();
        assert!(disk.total_bytes >= disk.available_bytes && disk.total_bytes > 0);
    }

    #[test]
    fn room_is_that_of_the_file_system_itself_also_where_it_is_no_disk() {
        let shm = Path::new("/dev/shm");
        let (Ok(facts), Some(disk)) = (rustix::fs::statvfs(shm), disk_of(shm)) else {
            return; // not everywhere
        };
        assert_eq!(disk.total_bytes, facts.f_blocks * facts.f_frsize);
    }

    #[test]
    fn sizes_are_short() {
        let shown =
            [0, 999, 1_500, 99_960, 20_000_000, 3_210_000_000].map(|n| Bytes(n).to_string());
        assert_eq!(
            shown,
            ["0 B", "999 B", "1.5 kB", "100 kB", "20.0 MB", "3.2 GB"]
        );
    }
}
