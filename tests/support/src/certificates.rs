//! Certificates of a test's own, as an operator's authority would make them.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// Signs certificates for a test.
pub struct TestAuthority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
pub struct TestCertificate {
    pub certificate: String,
    pub key: String,
}

/// When a certificate ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    Past,
    Future,
}

impl TestAuthority {
    /// An authority called `name`.
    pub fn new(name: &str) -> Self {
        let mut params = params(name, Ends::Future);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key is made");
        Self(CertifiedIssuer::self_signed(params, key).expect("the authority signs itself"))
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this machine.
    pub fn server(&self, ends: Ends) -> TestCertificate {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = params("the box", ends);
        params.subject_alt_names = CertificateParams::new(names)
            .expect("names of a certificate")
            .subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    /// A certificate for the client called `name`.
    pub fn client(&self, name: &str, ends: Ends) -> TestCertificate {
        let mut params = params(name, ends);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> TestCertificate {
        let key = KeyPair::generate().expect("a key is made");
        let certificate = params.signed_by(&key, &self.0);
        TestCertificate {
            certificate: certificate.expect("the authority signs").pem(),
            key: key.serialize_pem(),
        }
    }
}

impl TestCertificate {
    /// Writes both to `folder` as `NAME.pem` and `NAME.key`; gives their paths.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let paths = (
            folder.join(format!("{name}.pem")),
            folder.join(format!("{name}.key")),
        );
        std::fs::write(&paths.0, &self.certificate).expect("the certificate is written");
        std::fs::write(&paths.1, &self.key).expect("the key is written");
        paths
    }
}

fn params(name: &str, ends: Ends) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = match ends {
        Ends::Past => date_time_ymd(2021, 1, 1),
        Ends::Future => date_time_ymd(2099, 1, 1),
    };
    params.use_authority_key_identifier_extension = true;
    params
}
