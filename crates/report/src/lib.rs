//! What the reports of faceood share: the page around an HTML report, and text in columns.

pub mod columns;
pub mod html;
