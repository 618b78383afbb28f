//! The daemon, over HTTP, signals and files. One binary for all of it: linking takes longer than
//! running. A module per feature; what they share stands in [`support`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a failed test is a panic, and its story goes to stderr"
)]

use faceood_test_support as support;

mod balancer;
mod bounds;
mod compare;
mod config;
mod decoder;
mod extract;
mod faults;
mod fleet;
mod layers;
mod listen;
mod log_durability;
mod mistakes;
mod openapi;
mod overload;
mod problems;
mod quality;
mod queries;
mod shutdown;
mod text_log;
mod tls;
mod uploads;
