//! The operator's command and the daemon beside it, as an operator uses them. One binary for all of
//! it: linking takes longer than running. A module per feature; what they share stands in
//! [`support`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a failed test is a panic, and its story goes to stderr"
)]

use faceood_test_support as support;

mod access;
mod analysis_rows;
mod analyze_logs;
mod appliance;
mod calibrate;
mod calibration;
mod callers;
mod centre;
mod client_certificates;
mod clock;
mod doctor;
mod documents;
mod evaluate;
mod feedback;
mod fleet;
mod fleet_deaths;
mod import_onnx;
mod import_rts;
mod lan;
mod log;
mod packs;
mod page;
mod pictures;
mod providers;
mod refused;
mod shipping;
mod socket_tokens;
mod thumbnails;
mod tls;
mod torch;
mod under_load;
mod watch;
