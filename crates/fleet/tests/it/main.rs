//! The centre on a real PostgreSQL, as boxes and an operator use it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a failed test is a panic, and its story goes to stderr"
)]

mod centre;
mod faults;
mod feedback;
mod reading;
mod rename;
mod rights;
mod rows;
mod shipping;
mod versions;
mod wire;
