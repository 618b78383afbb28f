//! faceood: a face recognition appliance that says first whether a picture can be trusted.
//!
//! This is the daemon: HTTP, settings and telemetry around the
//! [pipeline](faceood_engine::pipeline) and the [log](faceood_log).

pub mod access;
pub mod config;
pub mod node;
mod plain_name;
pub mod process;
pub mod server;
pub mod telemetry;
