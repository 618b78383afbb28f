//! HTTP only: requests come in, pictures go to the pipeline, rows to the log, JSON goes out.
//!
//! A request is read by extractors ([`upload`], [`parameters`]), answered by one file of [`routes`] each in the same few
//! lines, and leaves through [`request_id::attend`], where a failure becomes a problem body and everything gets its id, its
//! metric and its line in the log. No handler decodes or runs a model: actix workers are few and serve many.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub mod body;
pub mod parameters;
pub mod problem_response;
pub mod request_id;
pub mod upload;

/// How the daemon serves HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Threads that speak HTTP; they only move bytes, so one for each two cores or so is plenty. 0: chosen from the cores.
    pub workers: usize,
    /// Connections that each of these threads holds at once; more wait to be accepted.
    pub max_connections: usize,
    /// Most time for the head of a request.
    pub head_timeout_ms: u64,
    /// Longest silence of a client while it sends a body.
    pub body_idle_timeout_ms: u64,
    /// Most time for a whole body.
    pub body_timeout_ms: u64,
    /// How long a connection without a request is kept open.
    pub keep_alive_ms: u64,
    /// Memory for bodies in flight, all clients together; beyond it requests are refused as overloaded.
    pub upload_memory_bytes: usize,
    /// Most time for requests in flight when the service stops.
    pub drain_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 0,
            max_connections: 2048,
            head_timeout_ms: 5_000,
            body_idle_timeout_ms: 10_000,
            body_timeout_ms: 60_000,
            keep_alive_ms: 15_000,
            upload_memory_bytes: 134_217_728,
            drain_ms: 8_000,
        }
    }
}

impl Settings {
    /// What uploads may cost, where one picture may have `image_bytes`.
    #[must_use]
    pub fn upload_limits(&self, image_bytes: usize) -> upload::UploadLimits {
        upload::UploadLimits {
            image_bytes,
            idle: Duration::from_millis(self.body_idle_timeout_ms),
            total: Duration::from_millis(self.body_timeout_ms),
            memory: body::UploadMemory::new(self.upload_memory_bytes),
        }
    }
}

/// Warns where everybody who reaches `address` over a network may use the service; says whether it did.
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
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_not_exposed() {
        for (address, is_exposed) in [
            ("127.0.0.1:7860", false),
            ("[::1]:7860", false),
            ("0.0.0.0:7860", true),
            ("[::]:7860", true),
            ("192.168.1.5:7860", true),
        ] {
            assert_eq!(
                warn_if_exposed(address.parse().unwrap(), false),
                is_exposed,
                "{address}"
            );
            assert!(!warn_if_exposed(address.parse().unwrap(), true));
        }
    }

    #[test]
    fn settings_refuse_what_they_do_not_know() {
        let error = toml::from_str::<Settings>("workrs = 2").unwrap_err();
        assert!(error.to_string().contains("workrs"), "{error}");
    }
}
