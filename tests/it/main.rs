//! The daemon, over HTTP, signals and files. One binary for all of it: linking takes longer than
//! running. A module per feature; what they share stands in [`support`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a failed test is a panic, and its story goes to stderr"
)]

use faceood_test_support as support;

mod alignment;
mod bounds;
mod compare;
mod components_on_photos;
mod config;
mod detection_rates;
mod extract;
mod faults;
mod layers;
mod log_durability;
mod manifest_in_force;
mod mistakes;
mod openapi;
mod overload;
mod problems;
mod quality;
mod queries;
mod shutdown;
mod text_log;
mod uploads;
