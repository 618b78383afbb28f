//! faceood: a face recognition appliance that says first whether a picture can be trusted.

pub mod admin;
pub mod analysis;
pub mod capture;
pub mod cause;
pub mod checkpoint;
mod columns;
pub mod config;
pub mod degrade;
pub mod embed;
pub mod evaluation;
pub mod face;
pub mod geometry;
pub mod html;
pub mod inference_log;
pub mod pack;
pub mod pipeline;
pub mod policy;
pub mod problem;
pub mod quality;
pub mod runtime;
pub mod server;
mod sinks;
pub mod stats;
pub mod telemetry;
pub mod training;
