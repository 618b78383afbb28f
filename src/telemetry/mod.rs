//! What the process tells of itself: metrics.

pub mod metrics;
