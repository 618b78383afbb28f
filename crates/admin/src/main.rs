//! The operator's command; see [`faceood_admin`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(faceood_admin::main(std::env::args_os()))
}
