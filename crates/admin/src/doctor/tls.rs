//! Checks what the daemon speaks TLS with: end, key, and the clock against both.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Finding, failed, ok, skipped, warning};
use faceood::config::Config;
use faceood::server::tls::{self, CertificateFacts, OwnAuthority, Settings};

/// As the alert FaceoodCertificateEnds.
const SOON_DAYS: i64 = 21;

/// Every terminal must be given a new authority, which takes time.
const AUTHORITY_SOON_DAYS: i64 = 365;

pub(super) fn check(config: &Config) -> Finding {
    let mut addresses = config.listen.addresses().iter();
    if !addresses.any(|address| config.server.speaks_tls(*address)) {
        return skipped("no address speaks TLS");
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
    open_key(&files.key).unwrap_or_else(|| judge(&certificate, authority.as_ref(), Utc::now()))
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
