//! Where the centre is, and with what it is opened.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::FleetError;

/// How an address of a centre begins.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Where PostgreSQL listens unless it is told otherwise.
const USUAL_PORT: u16 = 5432;

/// The database that an address without one means.
const DATABASE: &str = "faceood";

/// Files with which a box or an operator opens the centre. What is `None` is taken from the
/// address (`sslrootcert`, `sslcert`, `sslkey`) or from libpq's variables (`PGSSLROOTCERT`, …).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// PEM of the authorities that the centre's certificate may come from, besides the system's.
    pub ca: Option<PathBuf>,
    /// PEM of the own certificate, whose common name is the role.
    pub certificate: Option<PathBuf>,
    /// PEM of its key.
    pub key: Option<PathBuf>,
}

/// The address of a centre.
#[derive(Clone, Debug)]
pub struct CentreAddress {
    options: PgConnectOptions,
    target: String,
    has_user: bool,
}

impl CentreAddress {
    /// Whether `text` is meant as an address of a centre, and not as a file.
    pub fn is_one(text: &str) -> bool {
        SCHEMES.iter().any(|scheme| text.starts_with(scheme))
    }

    /// Reads `url`, such as `postgres://centre.example/faceood`. Off this machine TLS is a must,
    /// with the server's name checked.
    ///
    /// # Errors
    /// [`FleetError::Address`]; its text never has the password.
    pub fn new(url: &str, files: &ClientFiles) -> Result<Self, FleetError> {
        let wrong = |why: String| FleetError::Address(why);
        if !Self::is_one(url) {
            return Err(wrong(
                "the address of the centre does not begin with postgres://: give one like \
                 postgres://centre.example/faceood"
                    .to_owned(),
            ));
        }
        let mut options = PgConnectOptions::from_str(url).map_err(|error| {
            wrong(format!(
                "the address of the centre cannot be read ({error}): give one like \
                 postgres://centre.example/faceood"
            ))
        })?;
        if let Some(ca) = &files.ca {
            options = options.ssl_root_cert(ca);
        }
        if let Some(certificate) = &files.certificate {
            options = options.ssl_client_cert(certificate);
        }
        if let Some(key) = &files.key {
            options = options.ssl_client_key(key);
        }
        let host = options.get_host().to_owned();
        let is_socket = options.get_socket().is_some() || host.starts_with('/');
        let is_loopback = |host: &str| {
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        };
        let is_here = is_socket || is_loopback(&host);
        let has_files = files.ca.is_some() || files.certificate.is_some();
        if !is_socket && (!is_here || has_files) {
            if matches!(
                options.get_ssl_mode(),
                PgSslMode::Disable | PgSslMode::Allow
            ) {
                return Err(wrong(format!(
                    "the address of the centre asks for a connection to {host} without TLS, which faceood does not make: \
                     leave sslmode out, or set it to verify-full"
                )));
            }
            options = options.ssl_mode(PgSslMode::VerifyFull);
        }
        let database = options.get_database().unwrap_or(DATABASE).to_owned();
        let place = if is_socket {
            "localhost".to_owned()
        } else {
            host
        };
        // Two servers of one machine are two centres.
        let place = match options.get_port() {
            USUAL_PORT => place,
            port => format!("{place}:{port}"),
        };
        let user = url.split_once("://").map(|(_, rest)| rest);
        let authority = user.and_then(|rest| rest.split(['/', '?']).next());
        Ok(Self {
            target: format!("{place}/{database}"),
            has_user: authority.is_some_and(|authority| authority.contains('@')),
            options: options.database(&database).disable_statement_logging(),
        })
    }

    /// Host (with its port, unless that is 5432) and database, without credentials: the name of the target in the box's log and in
    /// metrics.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// How to connect, with `node` as the role unless the address names one.
    pub(crate) fn options(&self, node: Option<&str>) -> PgConnectOptions {
        match node {
            Some(node) if !self.has_user => self.options.clone().username(node),
            _ => self.options.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<CentreAddress, FleetError> {
        CentreAddress::new(url, &ClientFiles::default())
    }

    #[test]
    fn a_target_names_host_and_database_alone() {
        let found = address("postgres://me:secret@centre.example:5433/faceood?sslcert=a.pem");
        assert_eq!(found.unwrap().target(), "centre.example:5433/faceood");
        let found = address("postgresql://centre.example").unwrap();
        assert_eq!(found.target(), "centre.example/faceood");
    }

    #[test]
    fn off_this_machine_the_server_must_prove_its_name() {
        let found = address("postgres://centre.example/faceood?sslmode=require").unwrap();
        let mode = found.options(None).get_ssl_mode();
        assert!(matches!(mode, PgSslMode::VerifyFull), "{mode:?}");
        let refused = address("postgres://me:secret@centre.example/faceood?sslmode=disable");
        let text = refused.unwrap_err().to_string();
        assert!(
            text.contains("verify-full") && !text.contains("secret"),
            "{text}"
        );
        let here = address("postgres://127.0.0.1/faceood").unwrap();
        let mode = here.options(None).get_ssl_mode();
        assert!(matches!(mode, PgSslMode::Prefer), "{mode:?}");
    }

    #[test]
    fn the_role_is_the_node_unless_the_address_names_one() {
        let plain = address("postgres://centre.example/faceood").unwrap();
        assert_eq!(plain.options(Some("gate-3")).get_username(), "gate-3");
        let named = address("postgres://me@centre.example/faceood").unwrap();
        assert_eq!(named.options(Some("gate-3")).get_username(), "me");
    }

    #[test]
    fn what_is_no_address_is_told_from_a_file() {
        assert!(!CentreAddress::is_one("/var/lib/faceood/faceood.db"));
        for wrong in ["mysql://centre/x", "postgres://[", "centre.example"] {
            let text = address(wrong).unwrap_err().to_string();
            assert!(text.contains("postgres://centre.example/faceood"), "{text}");
        }
    }
}
