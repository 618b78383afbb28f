//! Evaluates a pack: figures that anybody can compute on photos of their own.
//!
//! ```text
//! dataset (a folder for each person) ─ measure (the product's pipeline, on threads) ─▶ folder ─▶ FolderReport ─▶ render
//!                                                   error_rates, edc, signals, calibration_error, bootstrap
//! ```
//!
//! The statistics are pure functions on numbers; they know neither files nor HTTP. [`sweep`]
//! and [`scenarios`] degrade photos and evaluate the answers; [`projection`] lays embeddings
//! out in the plane.

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
