//! The engine on real photos and on packs that were changed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a failed test is a panic, and its story goes to stderr"
)]

use faceood_test_support as support;

mod alignment;
mod components_on_photos;
mod detection_rates;
mod manifest_in_force;
