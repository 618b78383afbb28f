//! Views of a [`PatternReport`](super::PatternReport): text for a terminal, and one HTML file.

mod chart;
pub mod html;
pub mod text;
