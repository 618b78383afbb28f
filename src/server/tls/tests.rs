use std::os::unix::fs::PermissionsExt as _;

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// An own authority in a folder of its own, with a certificate for one name, made at that time.
fn made(now: &str) -> (TempDir, OwnAuthority) {
    let folder = TempDir::new().unwrap();
    let own = OwnAuthority::new(folder.path().join("tls"));
    assert!(own.ensure(&names(&["box"]), at(now)).unwrap());
    (folder, own)
}

fn server(own: &OwnAuthority) -> CertificateFacts {
    CertificateFacts::read(&own.server().certificate).unwrap()
}

#[test]
fn a_box_makes_an_authority_and_a_certificate_that_nobody_else_can_read() {
    let (_folder, own) = made("2027-03-01T00:00:00Z");
    let authority = CertificateFacts::read(&own.certificate()).unwrap();
    let certificate = server(&own);
    assert_eq!(certificate.issuer, authority.subject);
    assert_eq!(certificate.names, ["box"]);
    for facts in [&authority, &certificate] {
        // Also for a terminal whose clock is years behind.
        assert_eq!(facts.not_before, at("2020-01-01T00:00:00Z"));
        assert_eq!(facts.sha256.len(), 32 * 3 - 1);
    }
    assert_eq!(
        certificate.not_after,
        at("2028-04-01T00:00:00Z"),
        "397 days"
    );
    assert_eq!(
        (authority.not_after - at("2027-03-01T00:00:00Z")).num_days(),
        3650
    );
    for file in [own.key(), own.server().key] {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        check_pair(
            &if file == own.key() {
                own.certificate()
            } else {
                own.server().certificate
            },
            &file,
        )
        .unwrap();
    }
    check_pair(&own.certificate(), &own.server().key).unwrap_err();
}

#[test]
fn a_certificate_is_renewed_before_its_end_or_for_a_new_name_and_the_authority_stays() {
    let (_folder, own) = made("2027-03-01T00:00:00Z");
    let authority = fs::read(own.certificate()).unwrap();
    let first = server(&own);
    let kept = |names: &[String], now| !own.ensure(names, at(now)).unwrap();
    let one = names(&["box"]);
    assert!(kept(&one, "2028-03-01T00:00:00Z"));
    assert!(
        !kept(&one, "2028-03-03T00:00:00Z"),
        "30 days before its end"
    );
    let second = server(&own);
    assert_ne!(second.sha256, first.sha256);
    assert!(kept(&one, "2028-03-03T00:00:00Z"));

    let both = names(&["box", "192.168.1.5"]);
    assert!(!kept(&both, "2028-03-03T00:00:00Z"));
    assert_eq!(server(&own).names, both);
    // A cable that is pulled takes an address away, and brings it back.
    assert!(kept(&one, "2028-03-03T00:00:00Z"));

    // A crash between the two files.
    fs::remove_file(own.server().key).unwrap();
    assert!(!kept(&one, "2028-03-03T00:00:00Z"));
    assert_eq!(fs::read(own.certificate()).unwrap(), authority);
}

#[test]
fn a_clock_without_battery_makes_certificates_that_hold_when_it_is_set() {
    let (_folder, own) = made("1970-01-01T00:00:10Z");
    assert_eq!(server(&own).not_after, at("2027-02-02T00:00:00Z"));
    let one = names(&["box"]);
    assert!(!own.ensure(&one, at("1970-01-01T00:00:20Z")).unwrap());
    assert!(own.ensure(&one, at("2028-05-01T00:00:00Z")).unwrap());
    assert_eq!(
        server(&own).not_after,
        at("2028-05-01T00:00:00Z") + TimeDelta::days(397)
    );
}

#[test]
fn no_certificate_outlives_the_authority_nor_is_it_made_again_and_again() {
    let (_folder, own) = made("2027-03-01T00:00:00Z");
    let one = names(&["box"]);
    let end = CertificateFacts::read(&own.certificate())
        .unwrap()
        .not_after;
    // Also by a clock that is far ahead, once.
    assert!(own.ensure(&one, end - TimeDelta::days(10)).unwrap());
    assert_eq!(server(&own).not_after, end);
    for days in [-10, 1, 9000] {
        assert!(!own.ensure(&one, end + TimeDelta::days(days)).unwrap());
    }
}

#[test]
fn the_old_authority_stays_whole_where_the_new_one_cannot_be_written() {
    let (folder, own) = made("2027-03-01T00:00:00Z");
    let (one, now) = (names(&["box"]), at("2027-03-02T00:00:00Z"));
    // A link is read, and refused where a file is to be written: the second of the two fails.
    let elsewhere = folder.path().join("authority.pem");
    fs::rename(own.certificate(), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, own.certificate()).unwrap();
    let before = CertificateFacts::read(&own.certificate()).unwrap();

    let refused = own.renew_authority(now).unwrap_err().to_string();
    assert!(
        refused.contains("authority.pem cannot be written"),
        "{refused}"
    );
    check_pair(&own.certificate(), &own.key()).unwrap();
    own.renew(&one, now).unwrap();
    assert_eq!(server(&own).issuer, before.subject);
    let left = fs::read_dir(own.key().parent().unwrap()).unwrap().count();
    assert_eq!(left, 4, "no draft is left behind");
}

#[test]
fn an_authority_without_its_key_is_not_replaced_silently() {
    let (_folder, own) = made("2027-03-01T00:00:00Z");
    let authority = fs::read(own.certificate()).unwrap();
    let (_other_folder, other) = made("2027-03-01T00:00:00Z");
    fs::copy(other.key(), own.key()).unwrap();
    let one = names(&["box"]);
    assert!(
        !own.ensure(&one, at("2027-03-02T00:00:00Z")).unwrap(),
        "nothing to sign yet"
    );
    let refused = own
        .ensure(&names(&["new"]), at("2027-03-02T00:00:00Z"))
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("does not belong to authority.pem"),
        "{refused}"
    );
    fs::remove_file(own.key()).unwrap();
    own.renew(&one, at("2027-03-02T00:00:00Z")).unwrap_err();
    assert_eq!(fs::read(own.certificate()).unwrap(), authority);

    own.renew_authority(at("2027-03-02T00:00:00Z")).unwrap();
    assert!(
        own.ensure(&one, at("2027-03-02T00:00:00Z")).unwrap(),
        "the old one is not its own"
    );
}

#[test]
fn a_box_is_known_by_its_names_and_addresses() {
    let names = names_of_box(&["192.0.2.7".parse().unwrap(), "0.0.0.0".parse().unwrap()]);
    for name in ["localhost", "127.0.0.1", "::1", "192.0.2.7"] {
        assert!(
            names.iter().any(|found| found == name),
            "{name} is not in {names:?}"
        );
    }
    assert!(
        names.iter().any(|name| name.ends_with(".local")),
        "{names:?}"
    );
    assert!(!names.iter().any(|name| name == "0.0.0.0"));
    let mut once = names.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), names.len());
}

/// Files of a certificate that was configured, and what is made of them.
fn configured(own: &OwnAuthority, folder: &Path) -> Tls {
    let files = own.server();
    let settings = Settings {
        certificate: files.certificate,
        key: files.key,
        ..Settings::default()
    };
    check(&settings, folder).unwrap();
    Tls::open(&settings, folder, Vec::new()).unwrap()
}

#[test]
fn changed_files_are_read_once_they_rest_and_bad_ones_change_nothing() {
    let (folder, own) = made("2027-03-01T00:00:00Z");
    let tls = configured(&own, folder.path());
    assert_eq!(tls.authority_sha256(), None);
    let first = tls.certificate();
    assert_eq!(tls.look(None), None, "nothing has changed");

    own.renew(&names(&["other"]), at("2027-03-01T00:00:00Z"))
        .unwrap();
    let seen = tls.look(None);
    assert!(seen.is_some());
    assert_eq!(tls.certificate(), first, "it may still be copied");
    assert_eq!(tls.look(seen.as_deref()), None);
    assert_eq!(tls.certificate().names, ["other"]);

    let good = tls.certificate();
    let files = own.server();
    let certificate = fs::read(&files.certificate).unwrap();
    for bad in [
        "",
        "no certificate",
        &fs::read_to_string(own.certificate()).unwrap(),
    ] {
        fs::write(&files.certificate, bad).unwrap();
        let seen = tls.look(None);
        assert_eq!(tls.look(seen.as_deref()), None);
        assert_eq!(tls.certificate(), good);
        assert_eq!(tls.look(None), None, "it is not read again and again");
    }
    fs::remove_file(&files.key).unwrap();
    tls.reload();
    assert_eq!(tls.certificate(), good);

    // One that has ended is no good while the old one goes on.
    fs::write(&files.certificate, certificate).unwrap();
    own.renew(&names(&["other"]), at("2029-03-01T00:00:00Z"))
        .unwrap();
    tls.reload();
    let latest = tls.certificate();
    assert_ne!(latest, good);
    let mut ended = tls.in_force().certificate.clone();
    ended.not_after = at("2020-06-01T00:00:00Z");
    let ended = InForce {
        server: Arc::clone(&tls.in_force().server),
        certificate: ended,
        authority: None,
    };
    let refused = ended.not_worse_than(&tls.in_force(), &files).err().unwrap();
    assert!(matches!(refused, TlsError::Ended(_)), "{refused}");
}

#[test]
fn files_that_are_not_what_they_should_be_are_named() {
    let (folder, own) = made("2027-03-01T00:00:00Z");
    let files = own.server();
    let refusal = |settings: Settings| check(&settings, folder.path()).unwrap_err().to_string();
    let good = Settings {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        ..Settings::default()
    };
    let missing = refusal(Settings {
        key: "gone.key".into(),
        ..good.clone()
    });
    assert!(missing.contains("gone.key cannot be read"), "{missing}");
    let swapped = refusal(Settings {
        key: files.certificate.clone(),
        ..good.clone()
    });
    assert!(
        swapped.contains("server.pem cannot be used: it holds no private key"),
        "{swapped}"
    );
    let other = refusal(Settings {
        key: own.key(),
        ..good.clone()
    });
    assert!(
        other.contains("does not belong to the certificate"),
        "{other}"
    );
    let no_authority = refusal(Settings {
        client_auth: ClientAuth::Required,
        client_ca: files.key.clone(),
        ..good.clone()
    });
    assert!(
        no_authority.contains("server.key cannot be used: it holds no certificate"),
        "{no_authority}"
    );
    let huge = folder.path().join("huge.pem");
    fs::write(&huge, vec![b'\n'; (1 << 20) + 1]).unwrap();
    let huge = refusal(Settings {
        certificate: huge,
        ..good
    });
    assert!(huge.contains("has 1048577 bytes"), "{huge}");
}
