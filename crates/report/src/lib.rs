//! Shared parts of the reports: page and charts of an HTML report, and text in columns.

pub mod columns;
pub mod html;
pub mod sparkline;
