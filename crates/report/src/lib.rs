//! What the reports of faceood share: the page and the charts of an HTML report, and text in columns.

pub mod columns;
pub mod html;
pub mod sparkline;
