//! TLS on the addresses off loopback: a certificate of the operator's, or one of the box's own
//! authority. Files that change are read again while connections in flight go on.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use chrono::Utc;
use rustls::ServerConfig;

mod authority;
mod error;
mod facts;
mod handshake;
mod material;
mod settings;

pub use self::authority::{OwnAuthority, names_of_box};
pub use self::error::TlsError;
pub use self::facts::CertificateFacts;
pub(super) use self::handshake::{Handshake, accept};
pub use self::settings::{ClientAuth, Files, Mode, Settings};
use crate::telemetry::metrics;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks between two of them at what the box is called, and how long its certificate still holds.
const LOOKS_BETWEEN_NAMES: u64 = 60;

/// What the addresses off loopback speak TLS with. A cheap handle.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    files: Files,
    client_auth: ClientAuth,
    own: Option<Own>,
    /// The files as they were when they were last read, well or not.
    read: Mutex<Vec<Stamp>>,
    in_force: RwLock<Arc<InForce>>,
}

/// The box's own authority, and which addresses were asked for by number.
struct Own {
    authority: OwnAuthority,
    listen: Vec<IpAddr>,
}

/// What connections are served with.
pub(super) struct InForce {
    server: Arc<ServerConfig>,
    pub(super) certificate: CertificateFacts,
    /// The certificate of the own authority, and the facts of it.
    pub(super) authority: Option<(String, CertificateFacts)>,
}

/// By what a changed file is known: time of change, size, and number on the disk.
type Stamp = Option<(SystemTime, u64, u64)>;

/// Whether settings and files are usable. Where the box makes its own there is nothing to check,
/// and nothing is made.
///
/// # Errors
/// Where they are not.
pub fn check(settings: &Settings, data_dir: &Path) -> Result<(), TlsError> {
    let files = settings.files(data_dir)?;
    if settings.is_configured() {
        material::load(&files, settings.client_auth)?;
    }
    Ok(())
}

/// Whether the key in a file belongs to the certificate in another, as `faceood-admin` asks.
///
/// # Errors
/// Where it does not, or a file cannot be used.
pub fn check_pair(certificate: &Path, key: &Path) -> Result<(), TlsError> {
    let files = Files {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        client_ca: None,
    };
    material::load(&files, ClientAuth::Off).map(drop)
}

impl Tls {
    /// Reads the certificate that is configured, or makes the box's own. `listen` are the addresses
    /// that are listened on.
    ///
    /// # Errors
    /// Where settings or files are not usable, or own files cannot be written.
    pub fn open(
        settings: &Settings,
        data_dir: &Path,
        listen: Vec<IpAddr>,
    ) -> Result<Self, TlsError> {
        let files = settings.files(data_dir)?;
        let own = (!settings.is_configured()).then(|| Own {
            authority: OwnAuthority::new(Settings::own_folder(data_dir)),
            listen,
        });
        if let Some(own) = &own {
            own.ensure()?;
        }
        let watched = watched(&files, own.as_ref());
        let stamps = stamps(&watched);
        let in_force = read(&files, settings.client_auth, own.as_ref())?;
        metrics::certificate_ends(in_force.certificate.not_after);
        if in_force.certificate.not_after < Utc::now() {
            tracing::error!(
                ended = %in_force.certificate.not_after,
                "the TLS certificate has ended: clients refuse it; put a new one in place, or set the clock"
            );
        }
        Ok(Self(Arc::new(Shared {
            files,
            client_auth: settings.client_auth,
            own,
            read: Mutex::new(stamps),
            in_force: RwLock::new(Arc::new(in_force)),
        })))
    }

    pub(super) fn in_force(&self) -> Arc<InForce> {
        let in_force = self.0.in_force.read();
        Arc::clone(&in_force.unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether clients show a certificate.
    pub fn client_auth(&self) -> ClientAuth {
        self.0.client_auth
    }

    /// Facts of the certificate that is served.
    pub fn certificate(&self) -> CertificateFacts {
        self.in_force().certificate.clone()
    }

    /// Fingerprint of the own authority; `None` where a certificate was configured.
    pub fn authority_sha256(&self) -> Option<String> {
        let in_force = self.in_force();
        Some(in_force.authority.as_ref()?.1.sha256.clone())
    }

    /// Reads the files again. Where the new ones cannot be used, the old ones stay in force.
    pub fn reload(&self) {
        let shared = &self.0;
        let watched = watched(&shared.files, shared.own.as_ref());
        *shared.read.lock().unwrap_or_else(PoisonError::into_inner) = stamps(&watched);
        let before = self.in_force();
        match read(&shared.files, shared.client_auth, shared.own.as_ref())
            .and_then(|new| new.not_worse_than(&before, &shared.files))
        {
            Ok(new) => {
                metrics::certificate_ends(new.certificate.not_after);
                tracing::info!(
                    sha256 = new.certificate.sha256,
                    ends = %new.certificate.not_after,
                    "the TLS certificate was read again"
                );
                let mut in_force = shared
                    .in_force
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                *in_force = Arc::new(new);
            }
            Err(error) => tracing::error!(
                %error,
                in_force = before.certificate.sha256,
                "the TLS certificate cannot be read again: the old one stays in force"
            ),
        }
    }

    /// Reads the files again whenever they have changed, and renews the box's own certificate
    /// before its end. Never ends.
    pub async fn watch(self) {
        let mut changed = None;
        for look in 1_u64.. {
            tokio::time::sleep(LOOK_EVERY).await;
            let (tls, before) = (self.clone(), changed.take());
            let looked = tokio::task::spawn_blocking(move || {
                if let Some(own) = &tls.0.own
                    && look.is_multiple_of(LOOKS_BETWEEN_NAMES)
                    && let Err(error) = own.ensure()
                {
                    tracing::error!(%error, "the box's own TLS certificate cannot be renewed");
                }
                tls.look(before.as_deref())
            });
            changed = looked.await.ok().flatten();
        }
    }

    /// Reads the files again if they have changed and are as they were at the look before: who
    /// copies certificate and key is done by then. Gives what has changed and was not read.
    fn look(&self, before: Option<&[Stamp]>) -> Option<Vec<Stamp>> {
        let shared = &self.0;
        let now = stamps(&watched(&shared.files, shared.own.as_ref()));
        let is_read = *shared.read.lock().unwrap_or_else(PoisonError::into_inner) == now;
        if is_read {
            return None;
        }
        if before != Some(&now[..]) {
            return Some(now);
        }
        self.reload();
        None
    }
}

impl Own {
    fn ensure(&self) -> Result<bool, TlsError> {
        self.authority
            .ensure(&names_of_box(&self.listen), Utc::now())
    }
}

impl InForce {
    /// Itself, unless it has ended while the one before goes on. Judged by both ends: the clock may
    /// be wrong, and where it says that both have ended the new one is as good.
    fn not_worse_than(self, before: &Self, files: &Files) -> Result<Self, TlsError> {
        let ends = self.certificate.not_after;
        if ends < Utc::now() && ends < before.certificate.not_after {
            return Err(TlsError::Ended(files.certificate.clone()));
        }
        Ok(self)
    }
}

fn read(files: &Files, client_auth: ClientAuth, own: Option<&Own>) -> Result<InForce, TlsError> {
    let (server, certificate) = material::load(files, client_auth)?;
    let authority = own.map(|own| {
        let path = own.authority.certificate();
        let pem = String::from_utf8_lossy(&facts::bytes(&path)?).into_owned();
        Ok::<_, TlsError>((pem, CertificateFacts::read(&path)?))
    });
    Ok(InForce {
        server,
        certificate,
        authority: authority.transpose()?,
    })
}

fn watched(files: &Files, own: Option<&Own>) -> Vec<PathBuf> {
    let mut paths = vec![files.certificate.clone(), files.key.clone()];
    paths.extend(files.client_ca.clone());
    paths.extend(own.map(|own| own.authority.certificate()));
    paths
}

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let stamp = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len(), found.ino()))
    };
    paths.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests;
