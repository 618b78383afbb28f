//! Where the service listens: addresses, and a Unix socket for programs of this machine. Either can
//! be inherited from systemd, which then keeps it open while one daemon follows another.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::peer::is_loopback;

/// More are a mistake: each is a socket, and a service in every thread.
const MOST: usize = 16;

/// Who may use the Unix socket: the daemon's user and group.
const SOCKET_MODE: u32 = 0o660;

/// Addresses and ports to listen on, one at least. One is written as a text, several as a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen(Vec<SocketAddr>);

impl Listen {
    /// The addresses, in the order in which they were given.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self(vec![address])
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            One(SocketAddr),
            Several(Vec<SocketAddr>),
        }
        let addresses = match Written::deserialize(deserializer)? {
            Written::One(address) => vec![address],
            Written::Several(addresses) => addresses,
        };
        let fixed = addresses.iter().filter(|address| address.port() != 0);
        let is_twice = fixed.clone().collect::<BTreeSet<_>>().len() < fixed.count();
        if is_twice || !(1..=MOST).contains(&addresses.len()) {
            let expected = format!("1 to {MOST} different addresses");
            return Err(de::Error::custom(expected));
        }
        Ok(Self(addresses))
    }
}

/// Why the service cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// An address cannot be had.
    #[error(
        "{address} cannot be listened on: {source}; if another program has it (`ss -ltnp` shows which), stop that one or choose \
         another with --listen, port 0 for any free one{}",
        if *.is_port_shared { "; another address of `listen` has the same port: 0.0.0.0 and [::] stand for all addresses" } else { "" }
    )]
    Address {
        /// The address.
        address: SocketAddr,
        /// Whether another address of the list has the same port.
        is_port_shared: bool,
        /// What the system said.
        source: io::Error,
    },
    /// Something else is where the Unix socket shall be.
    #[error(
        "{0} (server.socket) is there already and is no socket; move it away, or choose another path"
    )]
    NoSocket(PathBuf),
    /// A program listens on that Unix socket.
    #[error(
        "{0} (server.socket) is in use: another daemon listens on it; stop that one, or choose another path"
    )]
    SocketInUse(PathBuf),
    /// The Unix socket cannot be made.
    #[error(
        "the socket {path} (server.socket) cannot be made: {source}; choose a path of at most 107 bytes in a folder that the \
         daemon's user may write to"
    )]
    Socket {
        /// Where it shall be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A socket from systemd is not of a kind that is served.
    #[error(
        "socket {0} of those that systemd has opened cannot be used: {1}; in faceoodd.socket each is one line ListenStream= with an \
         address and a port, up to 16 of them, and at most one with a path; Accept= stays off"
    )]
    Inherited(usize, String),
}

/// Sockets that this process was started with: systemd has opened them for `faceoodd.socket` and
/// hands them to one daemon after the other, so that nobody is refused in between.
#[derive(Debug, Default)]
pub struct Inherited {
    tcp: Vec<(TcpListener, SocketAddr)>,
    socket: Option<SocketFile>,
}

impl Inherited {
    /// Takes them. Changes the environment, so that no child takes them too: call it while there is
    /// one thread.
    ///
    /// # Errors
    /// Where one of them is not a socket that is listened on, or of no use here.
    pub fn take() -> Result<Self, ListenError> {
        let mut given = ListenFd::from_env();
        let mut inherited = Self::default();
        for number in 0..given.len() {
            let failed = |source: io::Error| ListenError::Inherited(number + 1, source.to_string());
            if let Ok(Some(listener)) = given.take_tcp_listener(number) {
                let address = usable(&listener).and_then(|()| {
                    listener.set_nonblocking(true)?;
                    listener.local_addr()
                });
                inherited.tcp.push((listener, address.map_err(failed)?));
                continue;
            }
            let listener = given.take_unix_listener(number).map_err(failed)?;
            if let Some(listener) = listener {
                usable(&listener).map_err(failed)?;
                let path = listener.local_addr().map_err(failed)?;
                let path = path.as_pathname().unwrap_or(Path::new("")).to_owned();
                let socket = SocketFile {
                    listener,
                    path,
                    is_ours: false,
                };
                if inherited.socket.replace(socket).is_some() {
                    let reason = "it is the second Unix socket".to_owned();
                    return Err(ListenError::Inherited(number + 1, reason));
                }
            }
        }
        if inherited.tcp.len() > MOST {
            let reason = format!("there are {} addresses", inherited.tcp.len());
            return Err(ListenError::Inherited(MOST + 1, reason));
        }
        Ok(inherited)
    }

    /// Where the service listens: on the inherited addresses, or else on `configured` ones.
    pub fn listen(&self, configured: &Listen) -> Listen {
        if self.tcp.is_empty() {
            configured.clone()
        } else {
            Listen(self.tcp.iter().map(|(_, address)| *address).collect())
        }
    }
}

/// Whether connections can be accepted on `socket`.
fn usable(socket: &impl AsFd) -> io::Result<()> {
    if socket_acceptconn(socket)? {
        Ok(())
    } else {
        Err(io::Error::other("nobody listens on it"))
    }
}

/// All that the service accepts connections on.
#[derive(Debug)]
pub struct Listeners {
    pub(super) tcp: Vec<(TcpListener, SocketAddr)>,
    pub(super) socket: Option<SocketFile>,
    /// Whether another daemon goes on with the same sockets.
    pub(super) are_inherited: bool,
}

impl Listeners {
    /// Takes the addresses, and no others where one is taken; and makes the socket, if there is to
    /// be one. What is inherited stands in the place of either.
    ///
    /// # Errors
    /// Where one of them cannot be had.
    pub fn bind(
        listen: &Listen,
        socket: Option<&Path>,
        inherited: Inherited,
    ) -> Result<Self, ListenError> {
        let are_inherited = !inherited.tcp.is_empty() || inherited.socket.is_some();
        let tcp = listen.0.iter().map(|&address| {
            let bound = TcpListener::bind(address).and_then(|listener| {
                listener.set_nonblocking(true)?;
                let address = listener.local_addr()?;
                Ok((listener, address))
            });
            bound.map_err(|source| ListenError::Address {
                address,
                is_port_shared: address.port() != 0
                    && listen
                        .0
                        .iter()
                        .filter(|other| other.port() == address.port())
                        .count()
                        > 1,
                source,
            })
        });
        Ok(Self {
            tcp: if inherited.tcp.is_empty() {
                tcp.collect::<Result<_, _>>()?
            } else {
                inherited.tcp
            },
            socket: match inherited.socket {
                Some(inherited) => Some(inherited),
                None => socket.map(SocketFile::bind).transpose()?,
            },
            are_inherited,
        })
    }

    /// The addresses that were taken, with their real ports.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.tcp.iter().map(|(_, address)| *address).collect()
    }

    /// The address for whoever is on this machine: the first of loopback, else the first.
    pub fn nearest(&self) -> Option<SocketAddr> {
        let addresses = self.addresses();
        let mut near = addresses.iter().filter(|address| is_loopback(address.ip()));
        near.next().or(addresses.first()).copied()
    }

    /// Where the Unix socket is, if there is one.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_ref().map(|socket| socket.path.as_path())
    }
}

/// A Unix socket. If its file is ours, it goes when this is dropped.
pub(super) struct SocketFile {
    pub(super) listener: UnixListener,
    path: PathBuf,
    is_ours: bool,
}

impl fmt::Debug for SocketFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(formatter)
    }
}

impl SocketFile {
    fn bind(path: &Path) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Socket {
            path: path.to_owned(),
            source,
        };
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(ListenError::NoSocket(path.to_owned()));
            }
            // A daemon that was killed leaves its file, and nobody answers there.
            Ok(_) => match UnixStream::connect(path) {
                Ok(_) => return Err(ListenError::SocketInUse(path.to_owned())),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(failed)?;
                }
                Err(error) => return Err(failed(error)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        let socket = Self {
            listener,
            path: path.to_owned(),
            is_ours: true,
        };
        fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(failed)?;
        Ok(socket)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Listen, serde_json::Error> {
        serde_json::from_str(text)
    }

    fn bind(listen: &Listen) -> Result<Listeners, ListenError> {
        Listeners::bind(listen, None, Inherited::default())
    }

    #[test]
    fn what_is_inherited_stands_in_the_place_of_what_is_configured() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let configured = read(r#""0.0.0.0:7860""#).unwrap();
        let inherited = Inherited {
            tcp: vec![(listener, address)],
            socket: None,
        };
        let listen = inherited.listen(&configured);
        assert_eq!(listen.addresses(), [address]);
        let listeners = Listeners::bind(&listen, None, inherited).unwrap();
        assert_eq!(listeners.addresses(), [address]);
        assert!(listeners.are_inherited);
        assert_eq!(Inherited::default().listen(&configured), configured);
    }

    #[test]
    fn one_is_a_text_and_several_are_a_list() {
        for text in [
            r#""127.0.0.1:7860""#,
            r#"["127.0.0.1:7860","192.168.1.5:7861"]"#,
            r#"["127.0.0.1:0","127.0.0.1:0"]"#,
        ] {
            let listen = read(text).unwrap();
            assert_eq!(serde_json::to_string(&listen).unwrap(), text);
        }
        let one = read(r#"["127.0.0.1:7860"]"#).unwrap();
        assert_eq!(serde_json::to_string(&one).unwrap(), r#""127.0.0.1:7860""#);
        let many = vec!["127.0.0.1:0"; MOST + 1];
        for refused in [
            "[]",
            "7860",
            r#""localhost:80""#,
            r#"["127.0.0.1:1","127.0.0.1:1"]"#,
            &serde_json::to_string(&many).unwrap(),
        ] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn the_nearest_address_is_the_first_of_loopback() {
        let nearest = |text: &str| {
            let listeners = bind(&read(text).unwrap()).unwrap();
            listeners.nearest().unwrap().ip().to_string()
        };
        assert_eq!(nearest(r#"["0.0.0.0:0","127.0.0.1:0"]"#), "127.0.0.1");
        assert_eq!(nearest(r#""0.0.0.0:0""#), "0.0.0.0");
    }

    #[test]
    fn a_port_that_two_addresses_share_is_told() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let one = Listen::from(address);
        let both = Listen(vec![address, ([0, 0, 0, 0], address.port()).into()]);
        let refusal = |listen: &Listen| bind(listen).unwrap_err().to_string();
        assert!(refusal(&one).contains("--listen") && !refusal(&one).contains("same port"));
        assert!(refusal(&both).contains("same port"));
    }

    #[test]
    fn a_dead_socket_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faceood.sock");
        let first = SocketFile::bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, SOCKET_MODE);
        let refused = SocketFile::bind(&path).unwrap_err();
        assert!(matches!(refused, ListenError::SocketInUse(_)), "{refused}");
        drop(first);
        assert!(!path.exists(), "it goes with the service");

        // Dropped without its file, as by kill -9.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(SocketFile::bind(&path).unwrap());

        fs::write(&path, "of somebody").unwrap();
        let refused = SocketFile::bind(&path).unwrap_err();
        assert!(matches!(refused, ListenError::NoSocket(_)), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"of somebody");
        let long = folder.path().join("x".repeat(120));
        let refused = SocketFile::bind(&long).unwrap_err().to_string();
        assert!(refused.contains("107 bytes"), "{refused}");
    }
}
