//! The real programs, over HTTP, command line and files. One binary for all of it: linking takes longer than running.
//! A module per feature; what they share stands in [`support`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a failed test is a panic, and its story goes to stderr"
)]

mod documents;
mod layers;
mod support;
mod systemd_unit;
