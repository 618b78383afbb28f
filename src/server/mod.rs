//! The HTTP service: pictures go to the pipeline, rows to the log, and JSON to the caller.
//!
//! Extractors read a request ([`upload`], [`parameters`]), and one file of [`routes`] answers it.
//! The middleware [`request_id::with_request_id`] gives it an id, a metric and a line in the text
//! log, and turns a failure into a problem body. No handler decodes a picture or runs a model: the
//! threads of actix are few and must not block.

use std::future::{Future, ready};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::Server;
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

mod body;
mod connections;
mod parameters;
mod problem_response;
mod refusals;
mod request_id;
mod routes;
mod state;
mod upload;

pub use self::state::{AppState, Info};
pub use self::upload::UploadLimits;
use connections::{Connections, OneTooMany};
use refusals::Explained;

/// How often recorded samples are folded into their histograms.
const TIDY_METRICS_EVERY: Duration = Duration::from_secs(5);

/// How long a connection that is being closed may take, and how long the rest of a refused upload
/// is read and thrown away so that its sender hears why.
const CLOSING: Duration = Duration::from_secs(3);

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
    /// Most time for requests in flight when the service stops.
    pub drain_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 0,
            max_connections: 2048,
            max_connections_per_address: 256,
            head_timeout_ms: 5_000,
            body_idle_timeout_ms: 10_000,
            body_timeout_ms: 60_000,
            write_idle_timeout_ms: 20_000,
            keep_alive_ms: 15_000,
            upload_memory_bytes: 67_108_864,
            drain_ms: 8_000,
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

/// Serves HTTP on `listener` until `stop` is done, then lets requests in flight finish.
///
/// # Errors
/// Where the listener cannot be used or a worker cannot be started.
pub async fn run(
    listener: TcpListener,
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
    let uploads = web::Data::new(state.uploads.clone());
    let state = web::Data::new(state);
    let patience = Duration::from_millis(settings.write_idle_timeout_ms);
    connections::close_where_nothing_is_read(&listener, patience)?;
    let connections = Connections::new(settings.max_connections_per_address);
    let (closing, closed) = watch::channel(false);
    let http = settings.clone();
    let address = listener.local_addr()?;
    let server = Server::build()
        .workers(settings.worker_count())
        .max_concurrent_connections(settings.max_connections)
        .shutdown_timeout(settings.drain_ms.div_ceil(1000))
        .disable_signals()
        .listen("http", listener, move || {
            let app = App::new()
                .app_data(web::Data::clone(&state))
                .app_data(web::Data::clone(&uploads))
                .wrap(from_fn(request_id::with_request_id))
                .configure(routes::configure);
            let (connections, closed) = (connections.clone(), closed.clone());
            let protocol = HttpService::build()
                .keep_alive(Duration::from_millis(http.keep_alive_ms))
                .client_request_timeout(Duration::from_millis(http.head_timeout_ms))
                .client_disconnect_timeout(CLOSING)
                // So a caller who hangs up is noticed, and its picture is given up.
                .h1_allow_half_closed(false)
                .local_addr(address)
                .graceful_shutdown_signal(move || {
                    let mut closed = closed.clone();
                    async move { drop(closed.wait_for(|&is_closed| is_closed).await) }
                })
                .on_connect_ext(|connection: &Explained, beside| {
                    beside.insert(OneTooMany(connection.counted.is_one_too_many));
                })
                .h1(map_config(app, |()| AppConfig::default()));
            fn_service(move |socket: TcpStream| {
                let peer = socket.peer_addr().ok();
                let counted = connections.count(&socket);
                ready(match counted {
                    Some(counted) => Ok((Explained::new(socket, counted), peer)),
                    None => Err(DispatchError::Io(io::ErrorKind::ConnectionRefused.into())),
                })
            })
            .and_then(protocol)
        })?
        .run();

    let handle = server.handle();
    let mut serving = tokio::spawn(server);
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        () = stop => {
            // Connections that wait for a next request need not be waited for.
            closing.send_replace(true);
            handle.stop(true).await;
            serving.await
        }
    };
    tidying.abort();
    outcome?
}

/// Warns, and says so, where whoever reaches `address` over a network may use the service.
pub fn warn_if_exposed(address: SocketAddr, is_authenticated: bool) -> bool {
    let is_exposed = !is_authenticated && !address.ip().is_loopback();
    if is_exposed {
        tracing::warn!(
            %address,
            "listening beyond this machine without authentication: whoever reaches this address may use the service and \
             read its log; listen on 127.0.0.1, or put a proxy that authenticates in front"
        );
    }
    is_exposed
}

#[cfg(test)]
mod tests;
