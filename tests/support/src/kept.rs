//! Connections that are kept for many requests, over TLS or plain, from any address of this
//! machine: what load needs, where the work of a whole HTTP client would be measured too.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sha2::{Digest, Sha256};

use super::{Answer, DEADLINE};

/// How a caller reaches a daemon.
#[derive(Clone)]
pub struct Route {
    to: SocketAddr,
    from: Ipv4Addr,
    tls: Option<Arc<ClientConfig>>,
}

/// A connection that is kept.
pub struct Kept {
    stream: BufReader<Box<dyn Stream>>,
    /// SHA-256 of the certificate that the daemon has shown, as `openssl` writes it; empty without
    /// TLS.
    pub certificate_sha256: String,
}

trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

impl Route {
    /// Plain HTTP.
    pub fn plain(to: SocketAddr) -> Self {
        Self {
            to,
            from: Ipv4Addr::LOCALHOST,
            tls: None,
        }
    }

    /// TLS, where the authorities in `ca` (PEM) are trusted and no other.
    pub fn tls(to: SocketAddr, ca: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(ca) {
            let authority = authority.expect("certificates in PEM");
            roots.add(authority).expect("a certificate of an authority");
        }
        let config = ClientConfig::builder().with_root_certificates(roots);
        Self {
            tls: Some(Arc::new(config.with_no_client_auth())),
            ..Self::plain(to)
        }
    }

    /// The same, called from another address of this machine, such as 127.0.0.5.
    pub fn from(&self, address: Ipv4Addr) -> Self {
        Self {
            from: address,
            ..self.clone()
        }
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Where the daemon takes none, or its certificate is not trusted.
    pub fn connect(&self) -> io::Result<Kept> {
        let IpAddr::V4(to) = self.to.ip() else {
            return Err(io::Error::other("the tests call IPv4 addresses"));
        };
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &SocketAddr::from((self.from, 0)))?;
        connect(&socket, &SocketAddr::from((to, self.to.port())))?;
        let mut socket = TcpStream::from(socket);
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_write_timeout(Some(DEADLINE))?;
        let Some(config) = &self.tls else {
            return Ok(Kept::over(socket, String::new()));
        };
        let host = ServerName::from(IpAddr::V4(to));
        let mut tls = ClientConnection::new(Arc::clone(config), host).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        let shown = tls.peer_certificates().and_then(|chain| chain.first());
        let digest = shown.map(Sha256::digest).unwrap_or_default();
        let sha256: Vec<_> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        let stream = StreamOwned::new(tls, socket);
        Ok(Kept::over(stream, sha256.join(":")))
    }
}

impl Kept {
    fn over(stream: impl Stream + 'static, certificate_sha256: String) -> Self {
        Self {
            stream: BufReader::new(Box::new(stream)),
            certificate_sha256,
        }
    }

    /// Sends `request` to the byte, and reads the whole answer.
    ///
    /// # Errors
    /// Where the connection ends before that.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        let stream = self.stream.get_mut();
        stream.write_all(request)?;
        stream.flush()?;
        let mut head = self.line()?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status: {head:?}")))?;
        let mut headers = HeaderMap::new();
        loop {
            head = self.line()?;
            let Some((name, value)) = head.split_once(':') else {
                break;
            };
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
            let value = HeaderValue::from_str(value.trim()).map_err(io::Error::other)?;
            headers.append(name, value);
        }
        let length = headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body)?;
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// A request about a picture, to the byte.
pub fn picture_request(path: &str, token: Option<&str>, picture: &[u8]) -> Vec<u8> {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{}Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        token.unwrap_or_default(),
        picture.len()
    );
    [head.as_bytes(), picture].concat()
}
