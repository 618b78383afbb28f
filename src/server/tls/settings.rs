//! What the operator says about TLS.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::TlsError;

/// Folder of what the box makes itself, in the data folder.
const OWN_FOLDER: &str = "tls";

/// Whether and how addresses off loopback speak TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether they do.
    pub mode: Mode,
    /// The certificate and those of the authorities between it and the root, PEM; in the data
    /// folder unless absolute. Empty: the box makes one.
    pub certificate: PathBuf,
    /// The key of the certificate, PEM; in the data folder unless absolute.
    pub key: PathBuf,
    /// Authorities of client certificates, PEM; in the data folder unless absolute.
    pub client_ca: PathBuf,
    /// Whether clients show a certificate.
    pub client_auth: ClientAuth,
}

/// When TLS is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// On every address off loopback, unless the service is open to everybody and no certificate
    /// was configured.
    #[default]
    Auto,
    /// Nowhere.
    Off,
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    Off,
    /// They may. One that is shown must be good.
    Optional,
    /// They must.
    Required,
}

impl ClientAuth {
    /// As the setting has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

impl Settings {
    /// Whether the operator has given a certificate, or a part of one.
    pub fn is_configured(&self) -> bool {
        !self.certificate.as_os_str().is_empty() || !self.key.as_os_str().is_empty()
    }

    /// The folder of what the box makes itself.
    pub fn own_folder(data_dir: &Path) -> PathBuf {
        data_dir.join(OWN_FOLDER)
    }

    /// The files that are in force.
    ///
    /// # Errors
    /// Where one setting needs another that is not given.
    pub fn files(&self, data_dir: &Path) -> Result<Files, TlsError> {
        let given = |path: &Path| (!path.as_os_str().is_empty()).then(|| data_dir.join(path));
        let (certificate, key) = match (given(&self.certificate), given(&self.key)) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) => {
                let own = Self::own_folder(data_dir);
                (own.join("server.pem"), own.join("server.key"))
            }
            (Some(_), None) => {
                return Err(TlsError::Missing(
                    "server.tls.key",
                    "server.tls.certificate",
                ));
            }
            (None, Some(_)) => {
                return Err(TlsError::Missing(
                    "server.tls.certificate",
                    "server.tls.key",
                ));
            }
        };
        let client_ca = match self.client_auth {
            ClientAuth::Off => None,
            _ => Some(given(&self.client_ca).ok_or(TlsError::Missing(
                "server.tls.client_ca",
                "server.tls.client_auth",
            ))?),
        };
        Ok(Files {
            certificate,
            key,
            client_ca,
        })
    }
}

/// Where certificate, key and authorities stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate, with those of the authorities between it and the root.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authorities of client certificates, where clients are asked for one.
    pub client_ca: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_need_each_other_are_told_so() {
        let data = Path::new("/data");
        let own = Settings::default().files(data).unwrap();
        assert_eq!(own.certificate, Path::new("/data/tls/server.pem"));
        assert_eq!(own.client_ca, None);
        let refused = |settings: Settings| settings.files(data).unwrap_err().to_string();
        let half = Settings {
            certificate: "a.pem".into(),
            ..Settings::default()
        };
        assert!(half.is_configured());
        assert!(refused(half).starts_with("server.tls.key is empty"));
        let unsure = Settings {
            client_auth: ClientAuth::Optional,
            ..Settings::default()
        };
        assert!(refused(unsure).starts_with("server.tls.client_ca is empty"));
        let whole = Settings {
            certificate: "a.pem".into(),
            key: "/etc/b.key".into(),
            ..Settings::default()
        };
        let files = whole.files(data).unwrap();
        assert_eq!(files.certificate, Path::new("/data/a.pem"));
        assert_eq!(files.key, Path::new("/etc/b.key"));
    }
}
