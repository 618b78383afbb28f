//! The operator's command. All of it stands in [`faceood::admin`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(faceood::admin::main(std::env::args_os()))
}
