//! faceood: a face recognition appliance that says first whether a picture can be trusted.

pub mod capture;
pub mod cause;
pub mod checkpoint;
pub mod config;
pub mod embed;
pub mod face;
pub mod geometry;
pub mod image_format;
pub mod inference_log;
mod named;
pub mod pack;
pub mod pipeline;
pub mod policy;
pub mod problem;
pub mod quality;
pub mod runtime;
pub mod server;
pub mod stats;
pub mod telemetry;
pub mod whole_file;
