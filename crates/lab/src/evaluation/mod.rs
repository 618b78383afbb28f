//! Evaluates a pack: figures that anybody can compute on photos of their own.
//!
//! ```text
//! dataset (a folder for each person) ─▶ measure (the product's pipeline, on threads) ─▶ folder
//!   (error_rates, edc, signals, calibration_error, bootstrap) ─▶ FolderReport ─▶ render
//! ```
//!
//! The statistics are pure functions on numbers; they know neither files nor HTTP. [`sweep`]
//! and [`scenarios`] degrade photos and evaluate the answers; [`projection`] lays embeddings
//! out in the plane.

mod bootstrap;
mod calibration_error;
mod comparisons;
pub mod cuts;
pub mod dataset;
mod edc;
pub mod error_rates;
pub mod folder;
pub mod measure;
pub mod noise;
pub mod picture;
pub mod projection;
pub mod render;
pub mod report;
pub mod rival;
pub mod scenarios;
pub mod scene;
pub mod signals;
pub mod sweep;

use faceood_engine::pipeline::AssembleError;
use faceood_engine::runtime::RuntimeError;

/// Why nothing can be measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The pack's models cannot be opened.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// ONNX Runtime refuses a network to compare with.
    #[error(transparent)]
    Rival(#[from] RuntimeError),
    /// The network of this name has these outputs, and none is clearly the quality.
    #[error(
        "{0} gives {1} for one face; the quality must be one number: name its output as FILE.onnx#OUTPUT"
    )]
    RivalOutput(String, String),
}
