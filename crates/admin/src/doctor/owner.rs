//! Checks owners and permissions: the daemon's user must be able to use its files, and nobody
//! else needs to.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Check;
use crate::users;
use faceood::config::Config;

/// Bits of a mode, as its owner, its group and others each have them.
const READ: u32 = 4;
const WRITE: u32 = 2;
const ENTER: u32 = 1;

/// What SQLite and the daemon keep beside the database.
const SIDE_FILES: [&str; 4] = ["", "-wal", "-shm", ".lock"];

/// Looks at the folders of the daemon and at `config_file`. `service_user` is the unit's user where these are the unit's
/// folders; else whoever owns the data folder is taken for the daemon's user.
pub(super) fn checks(
    config: &Config,
    config_file: Option<&Path>,
    service_user: Option<&str>,
) -> Vec<Check> {
    let Some(folder) = Item::look(&config.data_dir) else {
        return Vec::new(); // whether it can be made is another check's
    };
    let account = service_user
        .and_then(Account::named)
        .unwrap_or_else(|| Account::numbered(folder.uid));
    let database = config.database();
    let database_files = SIDE_FILES.map(|suffix| with_suffix(&database, suffix));
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
    vec![usable(&facts, &account), private(&facts)]
}

/// What was found; files that are not there are left out.
struct Facts {
    folders: Vec<Item>,
    written: Vec<Item>,
    read: Vec<Item>,
    config: Option<Item>,
    database: Option<Item>,
}

/// Whether the daemon's user can use what it needs.
fn usable(facts: &Facts, account: &Account) -> Check {
    const NAME: &str = "owner";
    let cannot = |items: &[Item], bits: u32, what: &str| -> Vec<String> {
        let refused = items.iter().filter(|item| !account.may(item, bits));
        refused
            .map(|item| {
                let (path, owner) = (item.path.display(), users::name_of(item.uid));
                let mode = item.mode & 0o7777;
                format!(
                    "{} cannot {what} {path} ({owner}'s, mode {mode:o})",
                    account.name
                )
            })
            .collect()
    };
    let written = [
        cannot(&facts.folders, WRITE | ENTER, "write in"),
        cannot(&facts.written, READ | WRITE, "write"),
    ]
    .concat();
    let read = cannot(&facts.read, READ, "read");
    let mut advice = Vec::new();
    if !written.is_empty() {
        let folders: Vec<String> = facts.folders.iter().map(Item::shown).collect();
        advice.push(format!(
            "give them to the daemon's user, and use faceood-admin as that user (sudo -u {0}): sudo chown -R {0}: {1}",
            account.name,
            folders.join(" ")
        ));
    }
    if !read.is_empty() {
        let refused = facts.read.iter().filter(|item| !account.may(item, READ));
        let paths: Vec<String> = refused.map(Item::shown).collect();
        advice.push(format!("sudo chmod -R a+rX {}", paths.join(" ")));
    }
    let wrong = [written, read].concat();
    if wrong.is_empty() {
        return Check::ok(NAME, format!("{} can use all that it needs", account.name));
    }
    Check::failed(NAME, wrong.join("; "), advice.join("; "))
}

/// Whether others can look into the log or change the settings.
fn private(facts: &Facts) -> Check {
    const NAME: &str = "access";
    let is_open = |item: &Item, bits: u32| item.mode & bits == bits;
    let mut found = Vec::new();
    let mut advice = Vec::new();
    if let Some(folder) = facts.folders.first()
        && is_open(folder, ENTER)
        && facts.database.as_ref().is_some_and(|db| is_open(db, READ))
    {
        found.push("every user of this machine can read the log".to_owned());
        advice.push(format!("sudo chmod -R o-rwx {}", folder.shown()));
    }
    let others_write = facts
        .folders
        .iter()
        .chain(&facts.database)
        .chain(&facts.config);
    for item in others_write.filter(|item| is_open(item, WRITE)) {
        found.push(format!(
            "every user of this machine can change {}",
            item.shown()
        ));
        advice.push(format!("sudo chmod o-w {}", item.shown()));
    }
    if found.is_empty() {
        return Check::ok(
            NAME,
            "no other user can read the log or change the settings",
        );
    }
    Check::warning(NAME, found.join("; "), advice.join("; "))
}

/// A file or folder, and who may do what with it.
#[derive(Clone, Debug)]
struct Item {
    path: PathBuf,
    uid: u32,
    gid: u32,
    mode: u32,
}

impl Item {
    fn look(path: &Path) -> Option<Self> {
        let facts = fs::metadata(path).ok()?;
        Some(Self {
            path: path.to_owned(),
            uid: facts.uid(),
            gid: facts.gid(),
            mode: facts.mode(),
        })
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }
}

fn look_at(paths: impl IntoIterator<Item = PathBuf>) -> Vec<Item> {
    paths
        .into_iter()
        .filter_map(|path| Item::look(&path))
        .collect()
}

/// The user as whom the daemon runs.
#[derive(Clone, Debug)]
struct Account {
    name: String,
    uid: u32,
    gids: Vec<u32>,
}

impl Account {
    fn named(name: &str) -> Option<Self> {
        Some(Self {
            name: name.to_owned(),
            uid: users::number_of(name)?,
            gids: users::groups_of(name),
        })
    }

    fn numbered(uid: u32) -> Self {
        let name = users::name_of(uid);
        let gids = users::groups_of(&name);
        Self { name, uid, gids }
    }

    fn may(&self, item: &Item, bits: u32) -> bool {
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

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
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
