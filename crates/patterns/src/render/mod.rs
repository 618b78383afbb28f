//! Views of a [`PatternReport`](super::Report): text for a terminal, one HTML file.

mod chart;
pub mod html;
pub mod text;
