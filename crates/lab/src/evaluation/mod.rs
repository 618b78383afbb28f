//! How good is it, on whose photos: the figures that anybody can have on photos of their own.
//!
//! ```text
//! dataset (a folder a person) ─ measure (the product's pipeline, on threads) ─▶ folder ─▶ Report ─▶ render
//!                                                                  error_rates, edc, signals, calibration_error, bootstrap
//! ```
//!
//! The statistics are pure functions on plain numbers: they know no files and no HTTP. [`sweep`] and [`scenarios`] make photos worse and
//! look what the product says of them; [`projection`] lays embeddings out in the plane.

pub mod bootstrap;
pub mod calibration_error;
pub mod comparisons;
pub mod dataset;
pub mod edc;
pub mod error_rates;
pub mod folder;
pub mod measure;
pub mod noise;
pub mod projection;
pub mod render;
pub mod report;
pub mod rival;
pub mod scenarios;
pub mod scene;
pub mod signals;
pub mod sweep;

pub use dataset::Dataset;
pub use measure::Instrument;
pub use report::FolderReport;
