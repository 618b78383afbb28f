//! Users of the machine, and the message for one who may not see the daemon's files.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// The user's name, or its number where it has none.
pub(crate) fn name_of(uid: u32) -> String {
    id(&["-un", &uid.to_string()]).unwrap_or_else(|| uid.to_string())
}

pub(crate) fn number_of(name: &str) -> Option<u32> {
    id(&["-u", name])?.parse().ok()
}

pub(crate) fn groups_of(name: &str) -> Vec<u32> {
    let printed = id(&["-G", name]).unwrap_or_default();
    printed.split(' ').flat_map(str::parse).collect()
}

/// Who we are not, and must be to look into `folder`; `None` where we may.
pub(crate) fn kept_from(folder: &Path) -> Option<String> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Some(name_of(fs::metadata(folder).ok()?.uid()))
        }
        _ => None,
    }
}

/// The command line that was typed, to be run as `user`.
pub(crate) fn sudo_as(user: &str) -> String {
    let mut words = vec!["sudo".to_owned()];
    if user != "root" {
        words.extend(["-u".to_owned(), user.to_owned()]);
    }
    words.extend(std::env::args_os().map(|word| quoted(&word.to_string_lossy())));
    words.join(" ")
}

/// `word` for a shell: in quotes where the shell would change it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:=,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What id(1) says, which knows of users from other places than /etc/passwd, too.
fn id(arguments: &[&str]) -> Option<String> {
    let output = Command::new("id").args(arguments).output().ok()?;
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(printed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_and_a_stranger_keeps_his_number() {
        assert_eq!(name_of(0), "root");
        assert_eq!(number_of("root"), Some(0));
        assert!(groups_of("root").contains(&0));
        assert_eq!(name_of(4_000_000_000), "4000000000");
        assert_eq!(number_of("nobody-has-this-name"), None);
    }

    #[test]
    fn a_command_line_can_be_typed_again() {
        assert_eq!(quoted("--since=7d"), "--since=7d");
        assert_eq!(quoted("a?host=/run"), "'a?host=/run'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert!(sudo_as("faceood").starts_with("sudo -u faceood "));
    }

    #[test]
    fn nobody_is_kept_from_his_own_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(kept_from(folder.path()), None);
        assert_eq!(kept_from(&folder.path().join("missing")), None);
    }
}
