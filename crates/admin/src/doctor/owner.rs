//! Checks owners and permissions: the daemon's user must be able to use its files, and nobody
//! else needs to.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Check, Finding, failed, ok, warning};
use crate::users;
use faceood::config::Config;

/// Bits of a mode, as its owner, its group and others each have them.
const READ: u32 = 4;
const WRITE: u32 = 2;
const ENTER: u32 = 1;

/// Bits of a mode that others than the owner have.
const OTHERS: u32 = 0o077;

/// What SQLite and the daemon keep beside the database.
const SIDE_FILES: [&str; 4] = ["", "-wal", "-shm", ".lock"];

/// The user as whom the daemon runs; `None` where nothing says so yet. `service_user` is the unit's
/// user where these are the unit's folders; otherwise whoever owns the data folder is taken for it.
pub(super) fn account(config: &Config, service_user: Option<&str>) -> Option<Account> {
    let folder = Item::look(&config.data_dir);
    // By the unit's own name: two accounts may share a number.
    let named = service_user.and_then(|name| Some((name.to_owned(), users::number_of(name)?)));
    let (name, uid) = named.or_else(|| {
        let owner = folder?.uid;
        Some((users::name_of(owner), owner))
    })?;
    let gids = users::groups_of(&name);
    Some(Account { name, uid, gids })
}

/// Looks at the folders of the daemon and at `config_file`.
pub(super) fn checks(config: &Config, config_file: Option<&Path>, account: &Account) -> Vec<Check> {
    if Item::look(&config.data_dir).is_none() {
        return Vec::new(); // whether it can be made is another check's
    }
    let database = config.database();
    let database_files = SIDE_FILES.map(|suffix| {
        let mut name = database.clone().into_os_string();
        name.push(suffix);
        name.into()
    });
    let folders = [config.data_dir.clone(), config.text_log_dir()];
    let read = [
        config_file.map(Path::to_owned),
        config.site_calibration(),
        Some(config.pack_dir()),
    ];
    let facts = Facts {
        folders: look_at(folders),
        written: look_at(database_files.into_iter().chain([config.address_file()])),
        read: look_at(read.into_iter().flatten()),
        config: config_file.and_then(Item::look),
        database: Item::look(&database),
    };
    vec![
        usable(&facts, account).named("owner"),
        private(&facts).named("access"),
    ]
}

/// What was found; files that are not there are left out.
struct Facts {
    folders: Vec<Item>,
    written: Vec<Item>,
    read: Vec<Item>,
    config: Option<Item>,
    database: Option<Item>,
}

fn usable(facts: &Facts, account: &Account) -> Finding {
    let cannot = |items: &[Item], bits: u32, what: &str| -> Vec<String> {
        let refused = items.iter().filter(|item| !account.may(item, bits));
        let says = |item: &Item| {
            let (user, path) = (&account.name, item.path.display());
            let (owner, mode) = (users::name_of(item.uid), item.mode & 0o7777);
            format!("{user} cannot {what} {path} ({owner}'s, mode {mode:o})")
        };
        refused.map(says).collect()
    };
    let mut written = cannot(&facts.folders, WRITE | ENTER, "write in");
    written.extend(cannot(&facts.written, READ | WRITE, "write"));
    let read = cannot(&facts.read, READ, "read");
    let mut advice = Vec::new();
    if !written.is_empty() {
        let (user, folders) = (&account.name, joined(&facts.folders));
        advice.push(format!(
            "give them to the daemon's user, and use faceood-admin as that user (sudo -u {user}): sudo chown -R {user}: {folders}"
        ));
    }
    if !read.is_empty() {
        let refused = facts.read.iter().filter(|item| !account.may(item, READ));
        advice.push(format!("sudo chmod -R a+rX {}", joined(refused)));
    }
    let wrong = [written, read].concat();
    if wrong.is_empty() {
        return ok(format!("{} can use all that it needs", account.name));
    }
    failed(wrong.join("; "), advice.join("; "))
}

/// Whether others can look into the log or change the settings.
fn private(facts: &Facts) -> Finding {
    let is_open = |item: &Item, bits: u32| item.mode & bits == bits;
    let mut found = Vec::new();
    let mut advice = Vec::new();
    if let Some(folder) = facts.folders.first()
        && is_open(folder, ENTER)
        && facts.database.as_ref().is_some_and(|db| is_open(db, READ))
    {
        found.push("every user of this machine can read the log".to_owned());
        advice.push(format!("sudo chmod -R o-rwx {}", folder.path.display()));
    }
    let folders = facts.folders.iter();
    let items = folders.chain(&facts.database).chain(&facts.config);
    for item in items.filter(|item| is_open(item, WRITE)) {
        let path = item.path.display();
        found.push(format!("every user of this machine can change {path}"));
        advice.push(format!("sudo chmod o-w {path}"));
    }
    if found.is_empty() {
        return ok("no other user can read the log or change the settings");
    }
    warning(found.join("; "), advice.join("; "))
}

/// What is wrong with the owner or the mode of a secret, which is for the daemon's user alone.
/// `account` is that user, where it has to read the file.
pub(super) fn secret(item: &Item, account: Option<&Account>) -> Option<Finding> {
    let (path, mode) = (item.path.display(), item.mode & 0o7777);
    if let Some(account) = account.filter(|account| !account.may(item, READ)) {
        let (user, owner) = (&account.name, users::name_of(item.uid));
        return Some(failed(
            format!("{user} cannot read {path} ({owner}'s, mode {mode:o})"),
            format!("give it to the daemon's user: sudo chown {user}: {path}"),
        ));
    }
    (mode & OTHERS != 0).then(|| {
        warning(
            format!("others than its owner may use {path} (mode {mode:o})"),
            format!("sudo chmod 600 {path}"),
        )
    })
}

/// A file or folder, and who may do what with it.
pub(super) struct Item {
    pub(super) path: PathBuf,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

impl Item {
    pub(super) fn look(path: &Path) -> Option<Self> {
        let facts = fs::metadata(path).ok()?;
        Some(Self {
            path: path.to_owned(),
            uid: facts.uid(),
            gid: facts.gid(),
            mode: facts.mode(),
        })
    }
}

fn look_at(paths: impl IntoIterator<Item = PathBuf>) -> Vec<Item> {
    let paths = paths.into_iter();
    paths.filter_map(|path| Item::look(&path)).collect()
}

/// Their paths, for a shell.
fn joined<'a>(items: impl IntoIterator<Item = &'a Item>) -> String {
    let paths = items.into_iter().map(|item| item.path.to_string_lossy());
    paths.collect::<Vec<_>>().join(" ")
}

/// The user as whom the daemon runs.
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gids: Vec<u32>,
}

impl Account {
    pub(super) fn may(&self, item: &Item, bits: u32) -> bool {
        let granted = if item.uid == self.uid {
            item.mode >> 6
        } else if self.gids.contains(&item.gid) {
            item.mode >> 3
        } else {
            item.mode
        };
        self.uid == 0 || granted & bits == bits
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    fn item(path: &str, uid: u32, mode: u32) -> Item {
        Item {
            path: path.into(),
            uid,
            gid: uid,
            mode,
        }
    }

    fn as_installed() -> Facts {
        Facts {
            folders: vec![item("/data", 500, 0o750), item("/log", 500, 0o750)],
            written: vec![item("/data/faceood.db", 500, 0o600)],
            read: vec![item("/etc/config.toml", 0, 0o644)],
            config: Some(item("/etc/config.toml", 0, 0o644)),
            database: Some(item("/data/faceood.db", 500, 0o600)),
        }
    }

    fn account() -> Account {
        Account {
            name: "faceood".into(),
            uid: 500,
            gids: vec![500],
        }
    }

    #[test]
    fn an_installation_is_in_order() {
        assert_eq!(usable(&as_installed(), &account()).status, CheckStatus::Ok);
        assert_eq!(private(&as_installed()).status, CheckStatus::Ok);
    }

    #[test]
    fn files_that_somebody_else_made_are_named_with_the_command_that_mends_it() {
        let mut facts = as_installed();
        facts.written.push(item("/data/faceood.db-wal", 0, 0o600));
        let check = usable(&facts, &account());
        assert_eq!(check.status, CheckStatus::Failed);
        assert!(
            check
                .found
                .contains("faceood cannot write /data/faceood.db-wal (root's, mode 600)"),
            "{check:?}"
        );
        let advice = check.advice.unwrap();
        assert!(
            advice.contains("sudo chown -R faceood: /data /log"),
            "{advice}"
        );
        let root = Account {
            uid: 0,
            ..account()
        };
        assert_eq!(usable(&facts, &root).status, CheckStatus::Ok);

        let mut facts = as_installed();
        facts.read[0].mode = 0o600;
        let check = usable(&facts, &account());
        assert_eq!(check.status, CheckStatus::Failed);
        assert_eq!(check.advice.unwrap(), "sudo chmod -R a+rX /etc/config.toml");
    }

    #[test]
    fn a_group_counts_where_the_owner_is_another() {
        let mut facts = as_installed();
        facts.folders[0] = Item {
            gid: 500,
            ..item("/data", 0, 0o770)
        };
        assert_eq!(usable(&facts, &account()).status, CheckStatus::Ok);
        facts.folders[0].mode = 0o757;
        assert_eq!(usable(&facts, &account()).status, CheckStatus::Failed);
    }

    #[test]
    fn what_every_user_can_read_or_change_is_a_warning() {
        let mut facts = as_installed();
        facts.database = Some(item("/data/faceood.db", 500, 0o644));
        assert_eq!(
            private(&facts).status,
            CheckStatus::Ok,
            "its folder is closed"
        );
        facts.folders[0].mode = 0o755;
        let check = private(&facts);
        assert_eq!(check.status, CheckStatus::Warning);
        assert_eq!(check.advice.unwrap(), "sudo chmod -R o-rwx /data");
        facts.config = Some(item("/etc/config.toml", 0, 0o666));
        let check = private(&facts);
        assert!(
            check.found.contains("can change /etc/config.toml"),
            "{check:?}"
        );
    }
}
