//! The box's own authority and the certificate that it signs, for a network without any other.
//!
//! Terminals are given the authority's certificate once. It stays the same for ten years, while
//! the box renews its own certificate by itself.

use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use faceood_engine::whole_file::WholeFile;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use sysinfo::Networks;
use uuid::Uuid;

use super::error::TlsError;
use super::facts::{CertificateFacts, bytes};
use super::material;
use super::settings::{ClientAuth, Files};

/// Valid from here, whatever the clock says: clocks of terminals, and of the box, begin somewhere
/// in the past when their battery is empty, and what is not valid yet is refused.
const NOT_BEFORE: (i32, u8, u8) = (2020, 1, 1);

/// No certificate can have been made before this day: a clock that says so has lost its time, and
/// the end of a certificate is not to be counted from there. Unix time of 2026-01-01.
const EARLIEST: i64 = 1_767_225_600;

/// Ten years, of 365 days.
const AUTHORITY_DAYS: i64 = 3650;

/// What browsers and public authorities took for a year and a bit.
const CERTIFICATE_DAYS: i64 = 397;

/// Days before its end at which a certificate is renewed.
const RENEWAL_DAYS: i64 = 30;

/// A box that runs containers may have many addresses; a certificate must fit into a handshake.
const MOST_NAMES: usize = 100;

/// The authority's files and the certificate's, in one folder.
#[derive(Clone, Debug)]
pub struct OwnAuthority {
    folder: PathBuf,
}

impl OwnAuthority {
    /// What lies, or will lie, in `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The authority's certificate, which terminals are given.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// The authority's key, which leaves the box never.
    pub fn key(&self) -> PathBuf {
        self.folder.join("authority.key")
    }

    /// The box's certificate and key.
    pub fn server(&self) -> Files {
        Files {
            certificate: self.folder.join("server.pem"),
            key: self.folder.join("server.key"),
            client_ca: None,
        }
    }

    /// Makes what is missing, and renews the certificate that ends soon, or lacks one of `names`.
    /// Says whether anything was made.
    ///
    /// # Errors
    /// Where files cannot be read or written. An authority without its key is an error, too: no
    /// new one is made in its place, because terminals trust the old one.
    pub fn ensure(&self, names: &[String], now: DateTime<Utc>) -> Result<bool, TlsError> {
        if !self.certificate().exists() {
            self.renew_authority(now)?;
        } else if self.is_fresh(names, now)? {
            return Ok(false);
        }
        self.renew(names, now)?;
        Ok(true)
    }

    /// Whether the certificate is the authority's, whole, valid for long enough and for all names.
    fn is_fresh(&self, names: &[String], now: DateTime<Utc>) -> Result<bool, TlsError> {
        let authority = CertificateFacts::read(&self.certificate())?;
        let Ok((_, facts)) = material::load(&self.server(), ClientAuth::Off) else {
            return Ok(false);
        };
        let is_the_authoritys = facts.issuer == authority.subject;
        let has_all = names.iter().all(|name| facts.names.contains(name));
        let is_far = believable(now) < facts.not_after - TimeDelta::days(RENEWAL_DAYS);
        // No certificate outlives the authority: near its end a new one would end no later.
        let is_last = facts.not_after >= authority.not_after;
        Ok(is_the_authoritys && has_all && (is_far || is_last))
    }

    /// Signs a new certificate for `names`, with a new key.
    ///
    /// # Errors
    /// Where the authority is missing or damaged, or files cannot be written.
    pub fn renew(&self, names: &[String], now: DateTime<Utc>) -> Result<(), TlsError> {
        let authority = CertificateFacts::read(&self.certificate())?;
        let unusable = |what: &str| TlsError::Content {
            path: self.key(),
            what: format!(
                "{what}; restore it from a backup, or make a new authority with `faceood-admin tls renew --authority`, which every \
                 terminal must then be given"
            ),
        };
        let pair = Files {
            certificate: self.certificate(),
            key: self.key(),
            client_ca: None,
        };
        let key = text(&self.key())?;
        let key = KeyPair::from_pem(&key).map_err(|_| unusable("it holds no key"))?;
        material::load(&pair, ClientAuth::Off)
            .map_err(|_| unusable("it does not belong to authority.pem"))?;
        let issuer = Issuer::from_ca_cert_pem(&text(&self.certificate())?, key)?;

        let mut params = params(names.first().map_or("localhost", String::as_str));
        let end = believable(now) + TimeDelta::days(CERTIFICATE_DAYS);
        end_at(&mut params, end.min(authority.not_after));
        params.subject_alt_names = names.iter().filter_map(|name| alternative(name)).collect();
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        let files = self.server();
        self.write(
            [&files.key, &files.certificate],
            [&key.serialize_pem(), &certificate.pem()],
        )
    }

    /// Makes a new authority. Whoever trusted the old one must be given the new one.
    ///
    /// # Errors
    /// Where files cannot be written.
    pub fn renew_authority(&self, now: DateTime<Utc>) -> Result<(), TlsError> {
        // A name of its own: a terminal may trust several boxes, or an old and a new authority.
        let unique = Uuid::now_v7().simple().to_string();
        let (_, unique) = unique.split_at(24);
        let mut params = params(&format!("faceood {} {unique}", host_name()));
        end_at(
            &mut params,
            believable(now) + TimeDelta::days(AUTHORITY_DAYS),
        );
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        self.make_folder()?;
        // The key first: a certificate without its key would look like a damaged authority.
        self.write(
            [&self.key(), &self.certificate()],
            [&key.serialize_pem(), &certificate.pem()],
        )
    }

    fn make_folder(&self) -> Result<(), TlsError> {
        let failed = |source| TlsError::Write {
            path: self.folder.clone(),
            source,
        };
        // The daemon's user could lead root elsewhere by a link.
        if fs::symlink_metadata(&self.folder).is_ok_and(|found| found.is_symlink()) {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        }
        if self.folder.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder).map_err(failed)?;
        // Made by root's `faceood-admin`, it must still be the daemon's.
        if let Some(Ok(above)) = self.folder.parent().map(fs::metadata) {
            give(&self.folder, above.uid(), above.gid()).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes two files that only the owner of the folder may read. The old ones stay until the disk
    /// has both new ones: a key without its certificate, or the other way round, would be of no use.
    fn write(&self, paths: [&Path; 2], texts: [&str; 2]) -> Result<(), TlsError> {
        let failed = |path: &Path, source| TlsError::Write {
            path: path.to_owned(),
            source,
        };
        let mut drafts = Vec::new();
        for (path, text) in paths.into_iter().zip(texts) {
            let draft = self.draft(path, text);
            drafts.push((path, draft.map_err(|source| failed(path, source))?));
        }
        for (path, draft) in drafts {
            draft.finish().map_err(|source| failed(path, source))?;
        }
        Ok(())
    }

    /// The file that will stand at `path`, on the disk as a whole.
    fn draft(&self, path: &Path, text: &str) -> io::Result<WholeFile> {
        let owner = fs::metadata(&self.folder)?;
        let mut file = WholeFile::private(path)?;
        file.write_all(text.as_bytes())?;
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::fchown(file.as_file(), Some(owner.uid()), Some(owner.gid()))?;
        }
        file.as_file().sync_all()?;
        Ok(file)
    }
}

fn give(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, TlsError> {
    Ok(String::from_utf8_lossy(&bytes(path)?).into_owned())
}

/// `now`, unless the clock has lost its time.
fn believable(now: DateTime<Utc>) -> DateTime<Utc> {
    now.max(DateTime::from_timestamp(EARLIEST, 0).unwrap_or(now))
}

fn params(common_name: &str) -> CertificateParams {
    // A common name has at most 64 characters.
    let common_name: String = common_name.chars().take(64).collect();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let (year, month, day) = NOT_BEFORE;
    params.not_before = date_time_ymd(year, month, day);
    params
}

fn end_at(params: &mut CertificateParams, end: DateTime<Utc>) {
    let seconds = u64::try_from(end.timestamp()).unwrap_or(0);
    params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
}

fn alternative(name: &str) -> Option<SanType> {
    match name.parse::<IpAddr>() {
        Ok(address) => Some(SanType::IpAddress(address)),
        Err(_) => name.try_into().ok().map(SanType::DnsName),
    }
}

fn host_name() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if is_plain && !name.is_empty() {
        name.to_lowercase()
    } else {
        "localhost".to_owned()
    }
}

/// What the box is called, in names and addresses: its own, and those in `listen`.
pub fn names_of_box(listen: &[IpAddr]) -> Vec<String> {
    let host = host_name();
    let short = host.split('.').next().unwrap_or(&host).to_owned();
    let mut names = vec![
        host,
        short.clone(),
        format!("{short}.local"),
        "localhost".to_owned(),
    ];
    let networks = Networks::new_with_refreshed_list();
    let networks = networks
        .as_ref()
        .map(|networks| networks.values())
        .into_iter()
        .flatten();
    let own = networks.flat_map(|network| network.ip_networks().iter().map(|ip| ip.addr));
    let loopback = ["127.0.0.1", "::1"]
        .into_iter()
        .filter_map(|text| text.parse().ok());
    let mut addresses: Vec<IpAddr> = own
        .chain(listen.iter().copied())
        .filter(|address| !address.is_unspecified() && !is_link_local(*address))
        .chain(loopback)
        .map(|address| address.to_canonical())
        .collect();
    addresses.sort();
    names.extend(addresses.iter().map(ToString::to_string));
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names.truncate(MOST_NAMES);
    names
}

/// Addresses that only one cable knows: nobody can ask for them without naming an interface.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
