//! What stands in a certificate.

use std::net::IpAddr;
use std::path::Path;

use chrono::{DateTime, Utc};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::error::TlsError;

/// Certificates and keys are a few kilobytes; a list of all public authorities is about 200.
const LARGEST: u64 = 1 << 20;

/// What stands in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateFacts {
    /// Whose it is.
    pub subject: String,
    /// Who has signed it.
    pub issuer: String,
    /// Host names and addresses that it is for.
    pub names: Vec<String>,
    /// From when it is valid.
    pub not_before: DateTime<Utc>,
    /// Until when it is valid.
    pub not_after: DateTime<Utc>,
    /// Its SHA-256 fingerprint, as `openssl x509 -fingerprint -sha256` and browsers write it.
    pub sha256: String,
}

impl CertificateFacts {
    /// The facts of a certificate in DER; `None` where it is none.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let time = |seconds| DateTime::from_timestamp(seconds, 0);
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map(|found| found.value.general_names.iter().filter_map(name));
        Some(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            names: names.into_iter().flatten().collect(),
            not_before: time(validity.not_before.timestamp())?,
            not_after: time(validity.not_after.timestamp())?,
            sha256: fingerprint(der),
        })
    }

    /// The facts of the first certificate in a PEM file.
    ///
    /// # Errors
    /// Where the file cannot be read or holds no certificate.
    pub fn read(path: &Path) -> Result<Self, TlsError> {
        let first = certificates(path)?.into_iter().next();
        let facts = first.and_then(|certificate| Self::of(&certificate));
        facts.ok_or_else(|| no_certificate(path))
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

fn fingerprint(der: &[u8]) -> String {
    let pairs = Sha256::digest(der)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect::<Vec<_>>();
    pairs.join(":")
}

/// The common name of the subject of a certificate in DER.
pub(super) fn common_name(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let name = certificate.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_owned)
}

/// The bytes of a file of certificates or keys.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > LARGEST {
        return Err(TlsError::Content {
            path: path.to_owned(),
            what: format!("it has {size} bytes, certificates and keys at most {LARGEST}"),
        });
    }
    std::fs::read(path).map_err(failed)
}

/// All certificates in a PEM file, one at least.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = bytes(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|_| no_certificate(path))?;
    if found.is_empty() {
        return Err(no_certificate(path));
    }
    Ok(found)
}

fn no_certificate(path: &Path) -> TlsError {
    TlsError::Content {
        path: path.to_owned(),
        what:
            "it holds no certificate in PEM, the form that begins with -----BEGIN CERTIFICATE-----"
                .to_owned(),
    }
}
