//! Checks what the daemon speaks TLS with: end, key, and the clock against both.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::owner::{Account, Item, secret};
use super::{Finding, failed, ok, skipped, warning};
use faceood::config::Config;
use faceood::server::is_loopback;
use faceood::server::tls::{self, CertificateFacts, OwnAuthority, Settings};

/// As the alert FaceoodCertificateEnds.
const SOON_DAYS: i64 = 21;

/// Every terminal must be given a new authority, which takes time.
const AUTHORITY_SOON_DAYS: i64 = 365;

/// `account` is the daemon's user, as far as it is known.
pub(super) fn check(config: &Config, account: Option<&Account>) -> Finding {
    let addresses = config.listen.addresses().iter().copied();
    if !addresses.clone().any(|it| config.server.speaks_tls(it)) {
        let mut remote = addresses.filter(|it| !is_loopback(it.ip()));
        return match remote.next() {
            Some(address) if !config.server.open => plain_tokens(address),
            _ => skipped("no address speaks TLS"),
        };
    }
    let settings = &config.server.tls;
    let files = match settings.files(&config.data_dir) {
        Ok(files) => files,
        Err(error) => return failed(error.to_string(), "correct server.tls"),
    };
    if !settings.is_configured() && matches!(files.certificate.try_exists(), Ok(false)) {
        return skipped(
            "the daemon makes an authority and a certificate of its own when it starts",
        );
    }
    let (certificate, pair) = match CertificateFacts::read(&files.certificate) {
        Ok(facts) => (facts, tls::check_pair(&files.certificate, &files.key)),
        Err(error) => {
            return failed(
                error.to_string(),
                "put a good one in place, or set server.tls",
            );
        }
    };
    if let Err(error) = pair.and_then(|()| tls::check(settings, &config.data_dir)) {
        return failed(
            error.to_string(),
            "put certificate and key in place again; where only root may read them, look as root",
        );
    }
    let own = OwnAuthority::new(Settings::own_folder(&config.data_dir));
    let authority = (!settings.is_configured()).then(|| CertificateFacts::read(&own.certificate()));
    let authority = match authority.transpose() {
        Ok(authority) => authority,
        Err(error) => return failed(error.to_string(), "restore it from a backup"),
    };
    let wrong_key = match authority {
        Some(_) => [own.key(), files.key]
            .iter()
            .find_map(|key| secret(&Item::look(key)?, account)),
        None => open_key(&files.key),
    };
    wrong_key.unwrap_or_else(|| judge(&certificate, authority.as_ref(), Utc::now()))
}

/// Whoever listens on the network can read the tokens, and call with them.
fn plain_tokens(address: SocketAddr) -> Finding {
    warning(
        format!(
            "{address} asks for tokens over plain HTTP, where whoever is on the network can read them (server.tls.mode = \"off\")"
        ),
        "take `mode = \"off\"` out of [server.tls] and give the terminals https:// and /ca.pem; where a proxy speaks TLS for the box, let \
         no one but the proxy reach this address",
    )
}

/// A key that every user of this machine can read.
fn open_key(key: &Path) -> Option<Finding> {
    let mode = fs::metadata(key).ok()?.permissions().mode();
    let key = key.display();
    (mode & 0o007 != 0).then(|| {
        warning(
            format!(
                "every user of this machine can use the key {key} (mode {:o})",
                mode & 0o7777
            ),
            format!("sudo chmod o-rwx {key}; renew the certificate if somebody may have read it"),
        )
    })
}

fn judge(
    certificate: &CertificateFacts,
    authority: Option<&CertificateFacts>,
    now: DateTime<Utc>,
) -> Finding {
    let ends = certificate.not_after.format("%Y-%m-%d");
    let renew = match authority {
        Some(_) => "faceood-admin tls renew",
        None => "put a new certificate in place; the daemon reads it by itself",
    };
    if now < certificate.not_before {
        return failed(
            format!(
                "the certificate is valid from {}, and the clock says {now:.0}",
                certificate.not_before
            ),
            "set the clock (timedatectl), or put a certificate in place that is valid now",
        );
    }
    if certificate.not_after < now {
        return failed(
            format!("the certificate has ended on {ends}: clients refuse it"),
            format!("if the clock is right ({now:.0}): {renew}"),
        );
    }
    if certificate.not_after < now + TimeDelta::days(SOON_DAYS) {
        return warning(format!("the certificate ends on {ends}"), renew);
    }
    match authority {
        Some(authority) if authority.not_after < now + TimeDelta::days(AUTHORITY_SOON_DAYS) => {
            warning(
                format!(
                    "the authority of this box ends on {}",
                    authority.not_after.format("%Y-%m-%d")
                ),
                "faceood-admin tls renew --authority, and give every terminal the new /ca.pem",
            )
        }
        Some(authority) => ok(format!(
            "ends on {ends}; own authority, SHA-256 {}",
            authority.sha256
        )),
        None => ok(format!("ends on {ends}; signed by {}", certificate.issuer)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    fn facts(until: &str) -> CertificateFacts {
        CertificateFacts {
            subject: "CN=box".into(),
            issuer: "CN=authority".into(),
            names: Vec::new(),
            not_before: "2020-01-01T00:00:00Z".parse().unwrap(),
            not_after: until.parse().unwrap(),
            sha256: "AB".into(),
        }
    }

    #[test]
    fn ends_and_clock_are_judged() {
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        let judged = |until| judge(&facts(until), None, now).status;
        assert_eq!(judged("2027-06-01T00:00:00Z"), CheckStatus::Ok);
        assert_eq!(judged("2027-01-20T00:00:00Z"), CheckStatus::Warning);
        assert_eq!(judged("2026-12-31T00:00:00Z"), CheckStatus::Failed);
        let at_start = "1970-01-01T00:01:00Z".parse().unwrap();
        let early = judge(&facts("2027-06-01T00:00:00Z"), None, at_start);
        assert_eq!(early.status, CheckStatus::Failed);
        assert!(early.advice.unwrap().contains("set the clock"));
        let certificate = facts("2027-06-01T00:00:00Z");
        let old = facts("2027-12-01T00:00:00Z");
        let found = judge(&certificate, Some(&old), now);
        assert_eq!(found.status, CheckStatus::Warning);
        assert!(found.advice.unwrap().contains("--authority"));
        let young = facts("2036-12-01T00:00:00Z");
        let found = judge(&certificate, Some(&young), now);
        assert_eq!(found.status, CheckStatus::Ok, "{found:?}");
    }

    #[test]
    fn tokens_over_plain_http_are_a_warning_where_they_are_asked_for() {
        for (listen, server, status) in [
            ("0.0.0.0:7861", "", CheckStatus::Warning),
            ("127.0.0.1:7861", "", CheckStatus::Skipped),
            ("[::ffff:127.0.0.1]:7861", "", CheckStatus::Skipped),
            ("0.0.0.0:7861", "open = true", CheckStatus::Skipped),
        ] {
            let text =
                format!("listen = {listen:?}\n[server]\n{server}\n[server.tls]\nmode = \"off\"\n");
            let config: Config = toml::from_str(&text).unwrap();
            let found = check(&config, None);
            assert_eq!(found.status, status, "{listen} {server}: {found:?}");
            let is_told = found
                .advice
                .is_some_and(|advice| advice.contains("https://"));
            assert_eq!(is_told, status == CheckStatus::Warning);
        }
    }

    #[test]
    fn the_keys_of_the_own_authority_are_the_daemons_alone() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: folder.path().to_owned(),
            listen: "0.0.0.0:7861".parse::<SocketAddr>().unwrap().into(),
            ..Config::default()
        };
        let own = OwnAuthority::new(Settings::own_folder(folder.path()));
        own.ensure(&["box".to_owned()], Utc::now()).unwrap();
        assert_eq!(check(&config, None).status, CheckStatus::Ok);
        let stranger = Account {
            name: "nobody".into(),
            uid: 65_534,
            gids: vec![65_534],
        };
        let foreign = check(&config, Some(&stranger));
        assert_eq!(foreign.status, CheckStatus::Failed, "{foreign:?}");
        assert!(foreign.found.contains("nobody cannot read"), "{foreign:?}");
        for key in [own.key(), own.server().key] {
            fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
            let open = check(&config, None);
            assert_eq!(open.status, CheckStatus::Warning, "{open:?}");
            let advice = format!("sudo chmod 600 {}", key.display());
            assert_eq!(open.advice.as_deref(), Some(advice.as_str()));
            fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    #[test]
    fn a_key_for_everybody_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("server.key");
        fs::write(&key, "").unwrap();
        for (mode, is_open) in [(0o600, false), (0o640, false), (0o644, true)] {
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(open_key(&key).is_some(), is_open, "{mode:o}");
        }
    }
}
