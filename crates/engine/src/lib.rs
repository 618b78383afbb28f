//! From the bytes of a picture to embedding, quality and decision. Knows nothing of HTTP, of the log
//! or of settings files.

pub mod capture;
pub mod cause;
pub mod checkpoint;
pub mod embed;
pub mod face;
pub mod geometry;
pub mod image_format;
mod named;
pub mod own_program;
pub mod pack;
pub mod pipeline;
pub mod policy;
pub mod problem;
pub mod quality;
pub mod runtime;
pub mod stats;
pub mod whole_file;
