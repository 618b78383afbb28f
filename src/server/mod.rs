//! The HTTP service: pictures go to the pipeline, rows to the log, and JSON to the caller.
//!
//! Extractors read a request ([`upload`], [`parameters`]), and one file of [`routes`] answers it.
//! The middleware [`request_id::with_request_id`] gives it an id, a metric and a line in the text
//! log, and turns a failure into a problem body. No handler decodes a picture or runs a model: the
//! threads of actix are few and must not block.

use std::future::{Future, ready};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::Server;
use actix_service::{ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::rt::net::{TcpStream, UnixStream};
use actix_web::{App, web};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

mod body;
mod connections;
mod guard;
mod listen;
mod negotiation;
mod origin;
mod parameters;
mod peer;
mod problem_page;
mod problem_response;
mod readiness;
mod refusals;
mod request_id;
mod routes;
mod state;
pub mod tls;
mod upload;

use self::guard::Admission;
pub use self::listen::{Inherited, Listen, ListenError, Listeners};
use self::origin::Origins;
pub use self::peer::is_loopback;
pub use self::readiness::Readiness;
pub use self::state::{AppState, Info};
pub use self::upload::UploadLimits;
use connections::{Connections, Counted, OneTooMany};
use peer::{Peer, Way};
use refusals::Explained;
use tls::Handshake;

use crate::node::NodeName;

/// How often recorded samples are folded into their histograms.
const TIDY_METRICS_EVERY: Duration = Duration::from_secs(5);

/// How long a connection that is being closed may take, and how long the rest of a refused upload
/// is read and thrown away so that its sender hears why.
const CLOSING: Duration = Duration::from_secs(3);

/// How long connections that were just accepted have for their request when a daemon hands its
/// sockets on.
const SETTLING: Duration = Duration::from_millis(300);

/// How the daemon serves HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Threads that speak HTTP; they only move bytes. 0: chosen from the cores.
    pub workers: usize,
    /// Connections that each of these threads holds at once; more wait to be accepted.
    pub max_connections: usize,
    /// Connections that one address may hold; more are answered with `rate_limited`. 0: no limit.
    /// Everybody behind one proxy has the proxy's address.
    pub max_connections_per_address: usize,
    /// Whether callers off this machine need no token.
    pub open: bool,
    /// Further names by which callers reach the box; its own name and addresses are known.
    pub hosts: Vec<String>,
    /// Web sites whose pages may use the box from a browser, such as `https://gate.example`.
    pub origins: Vec<String>,
    /// Most time for the head of a request.
    pub head_timeout_ms: u64,
    /// Longest silence of a client while it sends a body.
    pub body_idle_timeout_ms: u64,
    /// Most time for a whole body.
    pub body_timeout_ms: u64,
    /// Longest time in which a client takes nothing of an answer; then it is cut off.
    pub write_idle_timeout_ms: u64,
    /// How long a connection without a request is kept open.
    pub keep_alive_ms: u64,
    /// Memory for all bodies in flight; beyond it requests are refused as overloaded.
    pub upload_memory_bytes: usize,
    /// How long `/readyz` says 503 before the service stops, so that a load balancer sees it.
    pub unready_ms: u64,
    /// Most time for requests in flight when the service stops.
    pub drain_ms: u64,
    /// A Unix socket for programs of this machine, in the data folder unless absolute; empty: none.
    pub socket: PathBuf,
    /// How addresses off loopback speak TLS.
    pub tls: tls::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 0,
            max_connections: 2048,
            max_connections_per_address: 256,
            open: false,
            hosts: Vec::new(),
            origins: Vec::new(),
            head_timeout_ms: 5_000,
            body_idle_timeout_ms: 10_000,
            body_timeout_ms: 60_000,
            write_idle_timeout_ms: 20_000,
            keep_alive_ms: 15_000,
            upload_memory_bytes: 67_108_864,
            unready_ms: 2_000,
            drain_ms: 8_000,
            socket: PathBuf::new(),
            tls: tls::Settings::default(),
        }
    }
}

impl Settings {
    /// Threads that speak HTTP.
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => faceood_engine::pipeline::cores().div_ceil(4).clamp(1, 4),
            workers => workers,
        }
    }

    /// Files that may be open at once: connections, and some for models and logs.
    pub fn open_files(&self) -> u64 {
        const OTHERS: usize = 200;
        (self.max_connections * self.worker_count() + OTHERS) as u64
    }

    /// Where the Unix socket is, if there is to be one.
    pub fn socket_path(&self, data_dir: &Path) -> Option<PathBuf> {
        let is_given = !self.socket.as_os_str().is_empty();
        is_given.then(|| data_dir.join(&self.socket))
    }

    /// Whether a listener at `address` speaks TLS.
    pub fn speaks_tls(&self, address: SocketAddr) -> bool {
        let asks = self.tls.client_auth != tls::ClientAuth::Off;
        let is_wanted = !self.open || self.tls.is_configured() || asks;
        Way::of(address) == Way::Network && self.tls.mode == tls::Mode::Auto && is_wanted
    }

    /// What uploads may cost, where one picture may have `image_bytes`.
    pub fn upload_limits(&self, image_bytes: usize) -> UploadLimits {
        UploadLimits {
            image_bytes,
            idle: Duration::from_millis(self.body_idle_timeout_ms),
            total: Duration::from_millis(self.body_timeout_ms),
            memory: body::UploadMemory::new(self.upload_memory_bytes),
        }
    }
}

/// Serves HTTP on `listeners` until `stop` is done, then lets requests in flight finish. What
/// [`Settings::speaks_tls`] says decides which of them speak TLS, by `state.tls`.
///
/// # Errors
/// Where a listener cannot be used or a worker cannot be started.
pub async fn run(
    listeners: Listeners,
    settings: &Settings,
    state: AppState,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let metrics = state.metrics.clone();
    let tidying = tokio::spawn(async move {
        let mut every = tokio::time::interval(TIDY_METRICS_EVERY);
        loop {
            every.tick().await;
            metrics.tidy();
        }
    });
    let (closing, closed) = watch::channel(false);
    let service = Service {
        uploads: web::Data::new(state.uploads.clone()),
        state: web::Data::new(state),
        admission: web::Data::new(Admission {
            origins: Origins::new(&settings.hosts, &settings.origins),
            is_open: settings.open,
        }),
        settings: settings.clone(),
        connections: Connections::new(settings.max_connections_per_address),
        closed,
    };
    let mut server = Server::build()
        .workers(settings.worker_count())
        .max_concurrent_connections(settings.max_connections)
        .shutdown_timeout(settings.drain_ms.div_ceil(1000))
        .disable_signals();
    let patience = Duration::from_millis(settings.write_idle_timeout_ms);
    let Listeners {
        tcp,
        socket,
        are_inherited,
    } = listeners;
    for (listener, address) in tcp {
        connections::close_where_nothing_is_read(&listener, patience)?;
        let service = service.clone();
        server = server.listen("http", listener, move || service.of_address(address))?;
    }
    if let Some(socket) = &socket {
        let listener = socket.listener.try_clone()?;
        let service = service.clone();
        server = server.listen_uds("socket", listener, move || service.of_socket())?;
    }
    let server = server.run();

    let handle = server.handle();
    let mut serving = tokio::spawn(server);
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        () = stop => {
            if are_inherited {
                // Who comes now waits for the next daemon. Who was let in a moment ago has not yet
                // sent its request, and nobody else would answer it.
                handle.pause().await;
                tokio::time::sleep(SETTLING).await;
            }
            // Connections that wait for a next request need not be waited for.
            closing.send_replace(true);
            handle.stop(true).await;
            serving.await
        }
    };
    tidying.abort();
    outcome?
}

/// What every thread makes its services of.
#[derive(Clone)]
struct Service {
    state: web::Data<AppState>,
    uploads: web::Data<UploadLimits>,
    admission: web::Data<Admission>,
    settings: Settings,
    connections: Connections,
    /// Whether the service ends.
    closed: watch::Receiver<bool>,
}

impl Service {
    /// The service of a listener at `address`.
    fn of_address(
        &self,
        address: SocketAddr,
    ) -> impl ServiceFactory<TcpStream, Config = (), Error = DispatchError, InitError = ()> + use<>
    {
        let way = Way::of(address);
        let tls = self.state.tls.clone();
        let tls = tls.filter(|_| self.settings.speaks_tls(address));
        let patience = Duration::from_millis(self.settings.head_timeout_ms);
        let service = self.clone();
        fn_service(move |socket: TcpStream| {
            let (service, tls) = (service.clone(), tls.clone());
            async move {
                // Else the rest of an answer can wait 40 ms, until its first part is acknowledged.
                let _ = socket.set_nodelay(true);
                let from = socket.peer_addr().ok();
                let mut peer = Peer::new(way, from);
                // Counted before the handshake, which costs more than a request.
                let counted = service.count(&peer)?;
                let node = service.node();
                let Some(tls) = tls else {
                    return Ok((Explained::new(socket, peer, counted, node), from));
                };
                let access = &service.state.access;
                let attempt = tls::accept(socket, &tls, patience, peer.address, access, &node);
                let handshake = tokio::select! {
                    handshake = attempt => handshake,
                    () = service.until_closed() => None,
                };
                let Handshake {
                    stream,
                    certificate_name,
                } = handshake.ok_or_else(refused)?;
                peer.is_tls = true;
                peer.certificate_name = certificate_name;
                Ok::<_, DispatchError>((Explained::new(stream, peer, counted, node), from))
            }
        })
        .and_then(self.protocol())
    }

    /// The service of the Unix socket.
    fn of_socket(
        &self,
    ) -> impl ServiceFactory<UnixStream, Config = (), Error = DispatchError, InitError = ()> + use<>
    {
        let service = self.clone();
        fn_service(move |socket: UnixStream| {
            let peer = Peer::new(Way::Socket, None);
            let counted = service.count(&peer);
            let node = service.node();
            ready(counted.map(|counted| (Explained::new(socket, peer, counted, node), None)))
        })
        .and_then(self.protocol())
    }

    fn node(&self) -> NodeName {
        self.state.info.node.clone()
    }

    fn count(&self, peer: &Peer) -> Result<Counted, DispatchError> {
        self.connections.count(peer.address).ok_or_else(refused)
    }

    fn until_closed(&self) -> impl Future<Output = ()> + use<> {
        let mut closed = self.closed.clone();
        async move { drop(closed.wait_for(|&is_closed| is_closed).await) }
    }

    /// HTTP over a connection of whatever kind.
    fn protocol(
        &self,
    ) -> impl ServiceFactory<
        (Explained, Option<SocketAddr>),
        Config = (),
        Response = (),
        Error = DispatchError,
        InitError = (),
    > + use<> {
        let app = App::new()
            .app_data(web::Data::clone(&self.state))
            .app_data(web::Data::clone(&self.uploads))
            .app_data(web::Data::clone(&self.admission))
            .wrap(from_fn(guard::admit))
            .wrap(self.admission.origins.cors())
            .wrap(from_fn(request_id::with_request_id))
            .configure(routes::configure);
        let service = self.clone();
        HttpService::build()
            .keep_alive(Duration::from_millis(self.settings.keep_alive_ms))
            .client_request_timeout(Duration::from_millis(self.settings.head_timeout_ms))
            .client_disconnect_timeout(CLOSING)
            // So a caller who hangs up is noticed, and its picture is given up.
            .h1_allow_half_closed(false)
            .graceful_shutdown_signal(move || service.until_closed())
            .on_connect_ext(|connection: &Explained, beside| {
                beside.insert(OneTooMany(connection.counted.is_one_too_many));
                beside.insert(connection.peer.clone());
            })
            .h1(map_config(app, |()| AppConfig::default()))
    }
}

/// Closes a connection that has been refused, or that nothing may be said to.
fn refused() -> DispatchError {
    DispatchError::Io(io::ErrorKind::ConnectionRefused.into())
}

/// Warns, and says so, where whoever reaches `address` over a network may use the service.
pub fn warn_if_open(address: SocketAddr, is_open: bool) -> bool {
    let is_exposed = is_open && Way::of(address) == Way::Network;
    if is_exposed {
        tracing::warn!(
            %address,
            "server.open is set: whoever reaches this address may use the service and read its log; let a firewall or a proxy \
             decide who that is"
        );
    }
    is_exposed
}

#[cfg(test)]
mod tests;
