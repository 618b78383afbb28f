//! The real programs, over HTTP, command line and files. One binary for all of it: linking takes longer than running.
//! A module per feature; what they share stands in [`support`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a failed test is a panic, and its story goes to stderr"
)]

mod admin_analyze_logs;
mod admin_calibrate;
mod admin_doctor;
mod admin_evaluate;
mod admin_log;
mod admin_pictures;
mod admin_watch;
mod alignment;
mod analysis_rows;
mod bounds;
mod calibration;
mod clock;
mod compare;
mod components_on_photos;
mod config;
mod detection_rates;
mod documents;
mod extract;
mod faults;
mod feedback;
mod import_onnx;
mod import_rts;
mod layers;
mod log_durability;
mod manifest_in_force;
mod mistakes;
mod openapi;
mod overload;
mod packs;
mod page;
mod problems;
mod providers;
mod quality;
mod queries;
mod shutdown;
mod support;
mod systemd_unit;
mod thumbnails;
mod uploads;
