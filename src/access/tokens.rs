//! The file of tokens: names, roles and hashes. The tokens themselves are shown once and kept
//! nowhere.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use faceood_engine::whole_file::{WholeFile, open_lock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Role;
use crate::plain_name::name_fault;

/// Every token begins with it, so that scanners for leaked secrets find one.
pub const PREFIX: &str = "fod_";

/// Most tokens, revoked ones included.
const MOST_TOKENS: usize = 1000;

/// Most sources of one token.
const MOST_SOURCES: usize = 100;

/// Most bytes of the file: 1000 tokens with a few sources each.
const MOST_BYTES: usize = 1 << 20;

/// Room for the hashes and times of one token, which are under 400 bytes in the file.
const TOKEN_BYTES: usize = 512;

/// Room for the quotation marks, the comma and the space around one source.
const SOURCE_BYTES: usize = 4;

/// How long a change waits for another one to end. A change takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

const HEAD: &str = "# Written by `faceood-admin token` or by the daemon. Holds hashes of the tokens, never the tokens themselves.\n\n";

/// What is wrong with the file of tokens, or with a change to it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error("{0}: {1}; give the file to the daemon's user, with mode 0600")]
    Io(PathBuf, #[source] io::Error),
    /// It is no list of tokens.
    #[error(
        "{0} is no file of tokens: {1}; restore it from a backup, or move it away and add the tokens again with `faceood-admin token add`"
    )]
    Malformed(PathBuf, String),
    /// The name is taken.
    #[error(
        "there is a token {0:?} already; choose another name, or replace its secret with `faceood-admin token rotate {0}`"
    )]
    Exists(String),
    /// No such token.
    #[error("there is no token {0:?}; `faceood-admin token list` shows all names")]
    Missing(String),
    /// The token was revoked before.
    #[error(
        "the token {0:?} was revoked already; add it again with `faceood-admin token add {0}`, or take it off the list with \
         `faceood-admin token revoke --forget {0}` (over the Unix socket: ?forget=true)"
    )]
    Revoked(String),
    /// The token has expired, so that it cannot get a new secret.
    #[error(
        "the token {0:?} has expired, and a new secret would not open anything; revoke it with `faceood-admin token revoke \
         {0}`, then add it again"
    )]
    Expired(String),
    /// A new token would have expired already.
    #[error(
        "the token would end at {}, which is not in the future; give a later end, or none",
        .0.to_rfc3339_opts(SecondsFormat::Secs, true)
    )]
    Past(DateTime<Utc>),
    /// A name or a source cannot be used. Says why without the text, which may be a secret.
    #[error("{0}; use 1 to 64 of A-Z a-z 0-9 . _ : -")]
    Name(String),
    /// Too many sources for one token.
    #[error(
        "{0} sources are given, and a token takes at most {MOST_SOURCES}; divide them among several tokens"
    )]
    ManySources(usize),
    /// Sources are given for a role that is not bound to any.
    #[error("sources bind terminals only; leave them out for the role {}", .0.name())]
    Sources(Role),
    /// The list is full.
    #[error(
        "the file holds {MOST_TOKENS} tokens, which is the limit; remove those that are not used with `faceood-admin token revoke --forget NAME`"
    )]
    Full,
    /// The file would be larger than what can be read again.
    #[error(
        "the file of tokens would have over {MOST_BYTES} bytes, which is the limit; give the token fewer sources, or remove \
         tokens that are not used with `faceood-admin token revoke --forget NAME`"
    )]
    TooLarge,
}

/// A token as it is told to its holder, once.
pub struct Secret(String);

impl Secret {
    pub(super) fn new() -> Result<Self, io::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The text to hand over.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The hash of a token that a caller presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Presented([u8; 32]);

impl Presented {
    /// Hashes `text`.
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Takes the same time wherever the two differ.
    fn is(&self, hash: &str) -> bool {
        let mut known = [0; 32];
        hex::decode_to_slice(hash, &mut known).is_ok() && bool::from(self.0.ct_eq(&known))
    }
}

/// One token, as the file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Stands in rows, log lines and metrics: 1–64 of `[A-Za-z0-9._:-]`.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The only sources for which it may ask; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// SHA-256 of the token, in hexadecimal.
    pub(super) sha256: String,
    /// When it was added.
    pub created: DateTime<Utc>,
    /// When it stops being valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<DateTime<Utc>>,
    /// When it was revoked. Kept, so that a refused caller can be told apart from a guess.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<DateTime<Utc>>,
    /// Hash of the token before the last rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_sha256: Option<String>,
    /// Until when that one is valid too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<DateTime<Utc>>,
}

/// Whether a token opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It does.
    Valid,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl Token {
    /// How it stands at the time `now`.
    pub fn state(&self, now: DateTime<Utc>) -> TokenState {
        if self.revoked.is_some() {
            TokenState::Revoked
        } else if self.expires.is_some_and(|end| end <= now) {
            TokenState::Expired
        } else {
            TokenState::Valid
        }
    }

    /// Most bytes that it takes in the file, also after it is rotated and revoked.
    fn most_bytes(&self) -> usize {
        let sources = self.sources.iter();
        let sources = sources.map(|source| source.len() + SOURCE_BYTES);
        TOKEN_BYTES + self.name.len() + sources.sum::<usize>()
    }

    /// Hash of the token before the last rotation, while that one is valid too.
    fn previous(&self, now: DateTime<Utc>) -> Option<&str> {
        let is_valid = self.previous_until.is_some_and(|end| now < end);
        self.previous_sha256.as_deref().filter(|_| is_valid)
    }

    /// Whether `presented` is this token, or the one that it replaced not long ago.
    fn is(&self, presented: &Presented, now: DateTime<Utc>) -> bool {
        let previous = self.previous(now);
        presented.is(&self.sha256) | previous.is_some_and(|hash| presented.is(hash))
    }
}

/// All tokens, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// One table `[[token]]` each.
    #[serde(default, rename = "token")]
    pub all: Vec<Token>,
}

impl Tokens {
    /// Reads the file at `path`; no tokens where there is no file.
    ///
    /// # Errors
    /// Where it cannot be read, is too large or is not what `faceood-admin token` writes.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let malformed = |what: String| TokenError::Malformed(path.to_owned(), what);
        match std::fs::metadata(path) {
            Ok(file) if file.len() > MOST_BYTES as u64 => {
                return Err(malformed(format!("it has over {MOST_BYTES} bytes")));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            _ => {}
        }
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => malformed("it is not UTF-8 text".to_owned()),
            io::ErrorKind::IsADirectory => malformed("it is a folder".to_owned()),
            _ => TokenError::Io(path.to_owned(), error),
        })?;
        let read: Self =
            toml::from_str(&text).map_err(|error| malformed(error.message().to_owned()))?;
        for (index, token) in read.all.iter().enumerate() {
            if let Some(fault) = name_fault(&token.name) {
                return Err(malformed(format!("a name {fault}")));
            }
            if read.all[..index]
                .iter()
                .any(|other| other.name == token.name)
            {
                return Err(malformed(format!("{:?} is there twice", token.name)));
            }
            if Presented::new("").is(&token.sha256)
                || hex::decode(&token.sha256).map_or(0, |hash| hash.len()) != 32
            {
                return Err(malformed(format!(
                    "sha256 of {:?} is no hash of a token",
                    token.name
                )));
            }
            if let Some(fault) = token.sources.iter().find_map(|source| name_fault(source)) {
                return Err(malformed(format!("a source of {:?} {fault}", token.name)));
            }
        }
        if read.all.len() > MOST_TOKENS {
            return Err(malformed(format!("it holds over {MOST_TOKENS} tokens")));
        }
        Ok(read)
    }

    /// Changes the file at `path` while nobody else does, and gives what `change` gives. The file
    /// keeps its owner; a new one gets `owner_of_new`, or whoever writes it.
    ///
    /// # Errors
    /// Where the file cannot be read or written, another process holds it for seconds, `change`
    /// fails, or the file would be too large to read again. Then the file is as it was.
    pub fn change<T>(
        path: &Path,
        owner_of_new: Option<(u32, u32)>,
        change: impl FnOnce(&mut Self) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let failed = |path: &Path, error| TokenError::Io(path.to_owned(), error);
        fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        // Only root can give a file away, and for others it stays theirs.
        let is_root = rustix::process::geteuid().is_root();
        let present = fs::metadata(path).map(|file| (file.uid(), file.gid()));
        let owner = present.ok().or(owner_of_new).filter(|_| is_root);
        let lock = folder.join(".tokens.lock");
        let _held = hold(&lock, owner).map_err(|error| failed(&lock, error))?;
        let mut tokens = Self::read(path)?;
        let changed = change(&mut tokens)?;
        tokens.write(path, owner)?;
        Ok(changed)
    }

    /// Replaces the file at `path`, readable by its owner alone: the user and group `owner`, or
    /// whoever writes it.
    fn write(&self, path: &Path, owner: Option<(u32, u32)>) -> Result<(), TokenError> {
        let failed = |error| TokenError::Io(path.to_owned(), error);
        let text = toml::to_string(self).map_err(|error| failed(io::Error::other(error)))?;
        let text = format!("{HEAD}{text}");
        if text.len() > MOST_BYTES {
            return Err(TokenError::TooLarge);
        }
        let written = || {
            let mut file = WholeFile::private(path)?;
            file.write_all(text.as_bytes())?;
            if let Some((user, group)) = owner {
                std::os::unix::fs::fchown(file.as_file(), Some(user), Some(group))?;
            }
            file.finish()
        };
        written().map_err(failed)
    }

    /// The token that `presented` is the hash of, whether it is still valid or not.
    pub fn find(&self, presented: &Presented, now: DateTime<Utc>) -> Option<&Token> {
        // Each is compared, so that the time tells nothing of the place.
        let mut found = None;
        for token in &self.all {
            if token.is(presented, now) {
                found = Some(token);
            }
        }
        found
    }

    /// The token whose hash is `hash`, now or before its last rotation.
    pub(super) fn of_hash(&self, hash: &str, now: DateTime<Utc>) -> Option<&Token> {
        let is_it = |token: &&Token| token.sha256 == hash || token.previous(now) == Some(hash);
        self.all.iter().find(is_it)
    }

    /// The token of this name.
    pub fn named(&self, name: &str) -> Option<&Token> {
        self.all.iter().find(|token| token.name == name)
    }

    /// Whether one of them opens anything at the time `now`.
    pub fn has_valid(&self, now: DateTime<Utc>) -> bool {
        self.all
            .iter()
            .any(|token| token.state(now) == TokenState::Valid)
    }

    /// Adds a token and gives its secret. A revoked one of the same name is replaced.
    ///
    /// # Errors
    /// Where a name cannot be used or is taken, the role has no sources or there are too many,
    /// `expires` is over, or the list is full.
    pub fn add(
        &mut self,
        name: &str,
        role: Role,
        sources: Vec<String>,
        expires: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Secret, TokenError> {
        check_name("the name", name)?;
        if sources.len() > MOST_SOURCES {
            return Err(TokenError::ManySources(sources.len()));
        }
        for source in &sources {
            check_name("a source", source)?;
        }
        if role != Role::Terminal && !sources.is_empty() {
            return Err(TokenError::Sources(role));
        }
        if let Some(end) = expires.filter(|end| *end <= now) {
            return Err(TokenError::Past(end));
        }
        self.all
            .retain(|token| token.name != name || token.revoked.is_none());
        if self.named(name).is_some() {
            return Err(TokenError::Exists(name.to_owned()));
        }
        if self.all.len() >= MOST_TOKENS {
            return Err(TokenError::Full);
        }
        let secret =
            Secret::new().map_err(|error| TokenError::Io("random numbers".into(), error))?;
        let token = Token {
            name: name.to_owned(),
            role,
            sources,
            sha256: hash_of(&secret),
            created: now,
            expires,
            revoked: None,
            previous_sha256: None,
            previous_until: None,
        };
        // So much that every token can still be rotated and revoked.
        let bytes: usize = self.all.iter().chain([&token]).map(Token::most_bytes).sum();
        if HEAD.len() + bytes > MOST_BYTES {
            return Err(TokenError::TooLarge);
        }
        self.all.push(token);
        Ok(secret)
    }

    /// Gives the token `name` a new secret. The old one stays valid until `previous_until`.
    ///
    /// # Errors
    /// Where there is no such token, it was revoked, or it has expired at the time `now`.
    pub fn rotate(
        &mut self,
        name: &str,
        previous_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Secret, TokenError> {
        let token = self.in_force(name)?;
        if token.state(now) == TokenState::Expired {
            return Err(TokenError::Expired(name.to_owned()));
        }
        let secret =
            Secret::new().map_err(|error| TokenError::Io("random numbers".into(), error))?;
        let before = std::mem::replace(&mut token.sha256, hash_of(&secret));
        token.previous_sha256 = Some(before);
        token.previous_until = Some(previous_until);
        Ok(secret)
    }

    /// Ends the token `name`, and the one that it replaced.
    ///
    /// # Errors
    /// Where there is no such token, or it was revoked.
    pub fn revoke(&mut self, name: &str, now: DateTime<Utc>) -> Result<(), TokenError> {
        let token = self.in_force(name)?;
        token.revoked = Some(now);
        Ok(())
    }

    /// Takes the token `name` off the list, whether it was revoked or not.
    ///
    /// # Errors
    /// Where there is no such token.
    pub fn forget(&mut self, name: &str) -> Result<(), TokenError> {
        check_name("the name", name)?;
        let before = self.all.len();
        self.all.retain(|token| token.name != name);
        if self.all.len() == before {
            return Err(TokenError::Missing(name.to_owned()));
        }
        Ok(())
    }

    fn in_force(&mut self, name: &str) -> Result<&mut Token, TokenError> {
        check_name("the name", name)?;
        match self.all.iter_mut().find(|token| token.name == name) {
            Some(token) if token.revoked.is_some() => Err(TokenError::Revoked(name.to_owned())),
            Some(token) => Ok(token),
            None => Err(TokenError::Missing(name.to_owned())),
        }
    }
}

/// Locks a file of its own at `path`: anybody who may open the folder could hold a lock on that for
/// ever. The daemon's user must be able to take it too.
fn hold(path: &Path, owner: Option<(u32, u32)>) -> io::Result<File> {
    let file = open_lock(path, owner)?;
    let end = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                let held = "another process holds this lock for seconds";
                return Err(io::Error::new(io::ErrorKind::TimedOut, held));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn hash_of(secret: &Secret) -> String {
    hex::encode(Presented::new(secret.as_str()).0)
}

fn check_name(what: &str, name: &str) -> Result<(), TokenError> {
    let fault = name_fault(name).map(|fault| TokenError::Name(format!("{what} {fault}")));
    fault.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
