//! The operator's command. All of it stands in [`faceood_admin`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(faceood_admin::main(std::env::args_os()))
}
