//! From files to what rustls serves with.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use super::error::TlsError;
use super::facts::{CertificateFacts, bytes, certificates};
use super::settings::{ClientAuth, Files};

/// Reads `files`; gives what to serve with, and the facts of the certificate.
pub(super) fn load(
    files: &Files,
    client_auth: ClientAuth,
) -> Result<(Arc<ServerConfig>, CertificateFacts), TlsError> {
    let facts = CertificateFacts::read(&files.certificate)?;
    let chain = certificates(&files.certificate)?;
    let key =
        PrivateKeyDer::from_pem_slice(&bytes(&files.key)?).map_err(|_| TlsError::Content {
            path: files.key.clone(),
            what: "it holds no private key in PEM without a password".to_owned(),
        })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier(files, client_auth, provider)?)
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::Pair {
                certificate: files.certificate.clone(),
                key: files.key.clone(),
            },
            other => TlsError::Library(other),
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((Arc::new(config), facts))
}

fn verifier(
    files: &Files,
    client_auth: ClientAuth,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(path) = &files.client_ca else {
        return Ok(Arc::new(NoClientAuth));
    };
    let unusable = |what: String| TlsError::Content {
        path: path.clone(),
        what,
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates(path)? {
        let added = roots.add(authority);
        added.map_err(|error| {
            unusable(format!(
                "a certificate in it is none of an authority: {error}"
            ))
        })?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match client_auth {
        ClientAuth::Required => builder,
        _ => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| unusable(error.to_string()))
}
