//! Views of a [`Report`](super::Report): text for a terminal, one HTML file.

pub mod text;
