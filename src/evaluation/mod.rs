//! How good is it, on whose photos: the figures that anybody can have on photos of their own.
//!
//! The statistics are pure functions on plain numbers: they know no files and no HTTP.

pub mod bootstrap;
pub mod calibration_error;
pub mod comparisons;
pub mod edc;
pub mod error_rates;
pub mod signals;
