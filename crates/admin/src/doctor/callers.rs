//! Checks who may call the daemon: the addresses that it listens on, the tokens, and the unit's
//! firewall.

use std::fmt::Display;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use faceood::access::{Role, Token, TokenError, TokenState, Tokens};
use faceood::config::Config;
use faceood::server::is_loopback;
use ipnet::IpNet;

use super::owner::{Account, Item, secret};
use super::{Check, Finding, failed, ok, skipped, warning};
use crate::service::{self, UnitFacts};

/// A token that ends within this time is named.
const SOON: TimeDelta = TimeDelta::days(14);

/// By which names systemd knows the file of tokens among its credentials.
const CREDENTIAL: &str = "tokens.toml";

/// What the settings say about callers.
pub(super) struct Site {
    /// Addresses that only this machine can reach.
    local: Vec<SocketAddr>,
    /// Addresses that the network can reach.
    remote: Vec<SocketAddr>,
    /// Whether nobody is asked for a token.
    is_open: bool,
    /// The file that `faceood-admin token` changes.
    tokens_file: PathBuf,
    /// What systemd says of the service, where these are its settings.
    unit: Option<UnitFacts>,
    /// The file of which systemd gives the daemon a copy when it starts.
    credential: Option<PathBuf>,
}

impl Site {
    pub(super) fn new(config: &Config, tokens_file: &Path, is_the_services: bool) -> Self {
        let listen = config.listen.addresses().iter().copied();
        let (local, remote) = listen.partition(is_local);
        let properties = "LoadState,IPAddressAllow,IPAddressDeny";
        let unit = is_the_services.then(|| UnitFacts::ask(properties).ok());
        let unit = unit.flatten().filter(UnitFacts::is_installed);
        Self {
            local,
            remote,
            is_open: config.server.open,
            tokens_file: tokens_file.to_owned(),
            // `systemctl show` calls it unprintable.
            credential: unit.as_ref().and_then(|_| credential(&service::text())),
            unit,
        }
    }

    /// Whether the daemon starts only with a valid token.
    fn needs_tokens(&self) -> bool {
        !self.remote.is_empty() && !self.is_open
    }
}

fn is_local(address: &SocketAddr) -> bool {
    is_loopback(address.ip())
}

/// The source of the credential [`CREDENTIAL`] in the text of a unit and its drop-ins.
fn credential(unit: &str) -> Option<PathBuf> {
    let values = unit
        .lines()
        .filter_map(|line| line.trim().strip_prefix("LoadCredential="));
    // An empty value takes back what stands before it.
    values.fold(None, |found, value| {
        let path = value
            .strip_prefix(CREDENTIAL)
            .and_then(|rest| rest.strip_prefix(':'));
        match path {
            Some(path) => Some(path.into()),
            None => found.filter(|_| !value.is_empty()),
        }
    })
}

/// `account` is the daemon's user, as far as it is known.
pub(super) fn checks(site: &Site, account: Option<&Account>) -> Vec<Check> {
    let mut checks = vec![callers(site).named("callers")];
    let file = site.credential.as_deref().unwrap_or(&site.tokens_file);
    if let Some(item) = Item::look(file) {
        checks.push(tokens_file(site, &item, account).named("tokens file"));
    }
    let read = Tokens::read(file);
    checks.push(tokens(read, file, site.needs_tokens(), Utc::now()).named("tokens"));
    if let Some(unit) = &site.unit {
        checks.push(firewall(site, unit).named("firewall"));
    }
    checks
}

/// Who needs a token, and who does not.
fn callers(site: &Site) -> Finding {
    let local = joined(&site.local);
    let remote = joined(&site.remote);
    match (site.remote.is_empty(), site.is_open) {
        (true, _) => ok(format!("{local}: this machine alone, without a token")),
        (false, true) => warning(
            format!("{remote}: whoever reaches it may ask and read the log (server.open)"),
            "unless a firewall or a proxy decides who that is, take server.open out of the settings and make tokens: \
             faceood-admin token add NAME --role terminal",
        ),
        (false, false) if site.local.is_empty() => ok(format!("{remote}: with a token")),
        (false, false) => ok(format!(
            "{local}: this machine, without a token; {remote}: the network, with a token"
        )),
    }
}

/// Whether the daemon can read the file, and nobody else.
fn tokens_file(site: &Site, item: &Item, account: Option<&Account>) -> Finding {
    let path = item.path.display();
    let is_credential = site.credential.is_some();
    // Of a credential systemd gives the daemon a copy.
    if let Some(finding) = secret(item, account.filter(|_| !is_credential)) {
        return finding;
    }
    if is_credential && item.path != site.tokens_file {
        let written = site.tokens_file.display();
        return warning(
            format!("systemd reads {path}, and faceood-admin token writes {written}"),
            format!("let the unit read that one: LoadCredential={CREDENTIAL}:{written}"),
        );
    }
    if is_credential {
        let restart = "a change holds after: systemctl restart faceoodd";
        return ok(format!("{path}, read by systemd at the start; {restart}"));
    }
    ok(format!("{path} is its owner's alone"))
}

/// Which tokens open nothing, soon nothing, or too much for too long.
fn tokens(
    read: Result<Tokens, TokenError>,
    file: &Path,
    is_needed: bool,
    now: DateTime<Utc>,
) -> Finding {
    let tokens = match read {
        Ok(tokens) => tokens,
        Err(TokenError::Io(path, error)) if error.kind() == ErrorKind::PermissionDenied => {
            return skipped(format!("this user may not read {}", path.display()));
        }
        Err(error) => {
            let advice =
                "until then the daemon keeps those that it has read, and does not start again";
            return failed(error.to_string(), advice);
        }
    };
    let add = "faceood-admin token add NAME --role terminal";
    if is_needed && !tokens.has_valid(now) {
        let file = file.display();
        return failed(
            format!(
                "the daemon does not start on the network without a valid token, and {file} has none"
            ),
            format!("make one: {add}"),
        );
    }
    if tokens.all.is_empty() {
        return skipped("none, and none are needed");
    }
    let named = |is_meant: &dyn Fn(&&Token) -> bool| {
        let names = tokens.all.iter().filter(is_meant).map(|token| &token.name);
        joined(&names.collect::<Vec<_>>())
    };
    let is_valid = |token: &Token| token.state(now) == TokenState::Valid;
    let expired = named(&|token| token.state(now) == TokenState::Expired);
    let ending =
        named(&|token| is_valid(token) && token.expires.is_some_and(|end| end <= now + SOON));
    let endless =
        named(&|token| is_valid(token) && token.role == Role::Admin && token.expires.is_none());
    let mut found = Vec::new();
    if !expired.is_empty() {
        found.push(format!("expired: {expired}"));
    }
    if !ending.is_empty() {
        found.push(format!(
            "valid for less than {} days: {ending}",
            SOON.num_days()
        ));
    }
    if !endless.is_empty() {
        found.push(format!("may do everything, without an end: {endless}"));
    }
    if found.is_empty() {
        let valid = tokens.all.iter().filter(|token| is_valid(token)).count();
        return ok(format!("{valid} of {} are valid", tokens.all.len()));
    }
    warning(
        found.join("; "),
        "for each of them: faceood-admin token revoke NAME; and where it is still used: faceood-admin token add NAME --role ROLE \
         --expires 365d, whose new secret goes to its caller",
    )
}

/// Whether the unit lets those in for whom the daemon listens.
fn firewall(site: &Site, unit: &UnitFacts) -> Finding {
    let is_closed = networks(unit.of("IPAddressDeny")).any(|network| network.prefix_len() == 0);
    let allowed: Vec<IpNet> = networks(unit.of("IPAddressAllow"))
        .filter(|network| !is_loopback(network.addr()))
        .collect();
    let is_anybody = !is_closed || allowed.iter().any(|network| network.prefix_len() == 0);
    let (remote, shown) = (joined(&site.remote), joined(&allowed));
    if site.remote.is_empty() {
        return match (is_closed, allowed.is_empty()) {
            (true, true) => ok("the unit lets this machine in alone"),
            (true, false) => warning(
                format!("the unit lets {shown} in, and the daemon listens on this machine alone"),
                format!(
                    "`faceood-admin lan {}` says what else it takes; `faceood-admin lan --undo` closes the unit again",
                    shown.replace(',', "")
                ),
            ),
            (false, _) => {
                ok("the unit closes nothing, and the daemon listens on this machine alone")
            }
        };
    }
    if is_closed && allowed.is_empty() {
        return warning(
            format!("the daemon listens on {remote}, and the unit lets nobody in but this machine"),
            "say which network may call: sudo faceood-admin lan 192.168.1.0/24",
        );
    }
    if is_anybody && site.is_open {
        return warning(
            format!(
                "the unit lets every address in to {remote}, where nobody is asked for a token"
            ),
            "say which network may call: sudo faceood-admin lan 192.168.1.0/24, and remove wider IPAddressAllow= lines (systemctl \
             cat faceoodd shows all)",
        );
    }
    let who = if is_anybody { "every address" } else { &shown };
    ok(format!("the unit lets {who} in to {remote}"))
}

/// The networks of a list as systemd prints it.
fn networks(shown: &str) -> impl Iterator<Item = IpNet> {
    shown.split_whitespace().flat_map(str::parse)
}

fn joined<T: Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    const CLOSED: &str = "IPAddressAllow=127.0.0.0/8 ::1/128\nIPAddressDeny=0.0.0.0/0 ::/0\n";
    const LAN: &str =
        "IPAddressAllow=127.0.0.0/8 ::1/128 192.168.1.0/24\nIPAddressDeny=0.0.0.0/0 ::/0\n";
    const ANYBODY: &str = "IPAddressAllow=\nIPAddressDeny=\n";

    fn site(listen: &[&str], is_open: bool, unit: &str) -> Site {
        let addresses = listen
            .iter()
            .map(|text| text.parse::<SocketAddr>().unwrap());
        let (local, remote) = addresses.partition(is_local);
        Site {
            local,
            remote,
            is_open,
            tokens_file: "/etc/faceood/tokens.toml".into(),
            unit: Some(UnitFacts::new(unit)),
            credential: None,
        }
    }

    fn local() -> Site {
        site(&["127.0.0.1:7860"], false, CLOSED)
    }

    fn both(is_open: bool, unit: &str) -> Site {
        site(&["127.0.0.1:7860", "0.0.0.0:7861"], is_open, unit)
    }

    #[test]
    fn open_and_protected_addresses_are_told_apart() {
        assert!(callers(&local()).found.contains("this machine alone"));
        let two = callers(&both(false, CLOSED));
        assert_eq!(two.status, CheckStatus::Ok);
        assert_eq!(
            two.found,
            "127.0.0.1:7860: this machine, without a token; 0.0.0.0:7861: the network, with a token"
        );
        let open = callers(&both(true, CLOSED));
        assert_eq!(open.status, CheckStatus::Warning);
        assert!(open.found.contains("0.0.0.0:7861"), "{open:?}");
        assert!(!open.found.contains("127.0.0.1"), "{open:?}");
    }

    #[test]
    fn a_mapped_loopback_address_is_this_machine() {
        let mapped = callers(&site(&["[::ffff:127.0.0.1]:7860"], false, CLOSED));
        assert!(mapped.found.contains("this machine alone"), "{mapped:?}");
    }

    #[test]
    fn the_firewall_and_the_addresses_must_agree() {
        for (site, status, part) in [
            (local(), CheckStatus::Ok, "this machine in alone"),
            (
                site(&["127.0.0.1:7860"], false, LAN),
                CheckStatus::Warning,
                "lets 192.168.1.0/24 in",
            ),
            (
                site(&["127.0.0.1:7860"], false, ANYBODY),
                CheckStatus::Ok,
                "closes nothing",
            ),
            (
                both(false, CLOSED),
                CheckStatus::Warning,
                "nobody in but this machine",
            ),
            (
                both(false, LAN),
                CheckStatus::Ok,
                "192.168.1.0/24 in to 0.0.0.0:7861",
            ),
            (both(false, ANYBODY), CheckStatus::Ok, "every address in to"),
            (both(true, ANYBODY), CheckStatus::Warning, "nobody is asked"),
        ] {
            let unit = site.unit.as_ref().unwrap();
            let finding = firewall(&site, unit);
            assert_eq!(finding.status, status, "{finding:?}");
            assert!(finding.found.contains(part), "{finding:?}");
        }
    }

    #[test]
    fn the_file_must_be_the_daemons_and_nobody_elses() {
        let account = Account {
            name: "faceood".into(),
            uid: 500,
            gids: vec![500],
        };
        let item = |uid, mode| Item {
            path: "/etc/faceood/tokens.toml".into(),
            uid,
            gid: uid,
            mode,
        };
        let judge = |site: &Site, uid, mode| tokens_file(site, &item(uid, mode), Some(&account));
        assert_eq!(judge(&local(), 500, 0o600).status, CheckStatus::Ok);
        let open = judge(&local(), 500, 0o640);
        assert_eq!(open.status, CheckStatus::Warning);
        assert_eq!(
            open.advice.unwrap(),
            "sudo chmod 600 /etc/faceood/tokens.toml"
        );
        let roots = judge(&local(), 0, 0o600);
        assert_eq!(roots.status, CheckStatus::Failed);
        assert!(
            roots
                .advice
                .unwrap()
                .ends_with("sudo chown faceood: /etc/faceood/tokens.toml")
        );

        let mut by_systemd = local();
        by_systemd.credential = Some("/etc/faceood/tokens.toml".into());
        let given = judge(&by_systemd, 0, 0o600);
        assert_eq!(given.status, CheckStatus::Ok, "systemd reads it: {given:?}");
        assert!(given.found.contains("systemctl restart"), "{given:?}");
        by_systemd.tokens_file = "/somewhere/tokens.toml".into();
        assert_eq!(judge(&by_systemd, 0, 0o600).status, CheckStatus::Warning);
    }

    #[test]
    fn the_last_word_of_the_unit_on_its_credential_counts() {
        let unit = "[Service]\n#LoadCredential=tokens.toml:/0\nLoadCredential=other:/1\n";
        assert_eq!(credential(unit), None);
        let unit = format!("{unit}LoadCredential=tokens.toml:/2\nLoadCredential=other:/3\n");
        assert_eq!(credential(&unit), Some("/2".into()));
        assert_eq!(credential(&format!("{unit}LoadCredential=\n")), None);
    }

    #[test]
    fn tokens_that_end_or_never_end_are_named() {
        let now = Utc::now();
        let path = Path::new("/etc/faceood/tokens.toml");
        let judge = |all: &Tokens, is_needed| tokens(Ok(all.clone()), path, is_needed, now);
        let add = |all: &mut Tokens, name: &str, role, days: Option<i64>| {
            let end = days.map(|days| now + TimeDelta::days(days));
            let made = now - TimeDelta::days(2);
            all.add(name, role, Vec::new(), end, made).unwrap();
        };
        let mut all = Tokens::default();
        assert_eq!(judge(&all, false).status, CheckStatus::Skipped);
        let none = judge(&all, true);
        assert_eq!(none.status, CheckStatus::Failed);
        assert!(none.advice.unwrap().contains("token add"));

        add(&mut all, "gate-1", Role::Terminal, None);
        add(&mut all, "desk", Role::Admin, Some(90));
        let good = judge(&all, true);
        assert_eq!(good.status, CheckStatus::Ok, "{good:?}");
        add(&mut all, "gate-2", Role::Terminal, Some(-1));
        add(&mut all, "gate-3", Role::Terminal, Some(13));
        add(&mut all, "root", Role::Admin, None);
        all.revoke("desk", now).unwrap();
        let finding = judge(&all, true);
        assert_eq!(finding.status, CheckStatus::Warning);
        assert_eq!(
            finding.found,
            "expired: gate-2; valid for less than 14 days: gate-3; may do everything, without an end: root"
        );
    }

    #[test]
    fn a_file_that_cannot_be_used_is_a_failure_and_a_closed_one_is_not() {
        let path = Path::new("/etc/faceood/tokens.toml");
        let judge = |error| tokens(Err(error), path, true, Utc::now()).status;
        let closed = TokenError::Io(path.into(), ErrorKind::PermissionDenied.into());
        assert_eq!(judge(closed), CheckStatus::Skipped);
        assert_eq!(
            judge(TokenError::Malformed(path.into(), "x".into())),
            CheckStatus::Failed
        );
    }
}
