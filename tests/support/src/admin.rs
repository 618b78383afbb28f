//! `faceood-admin` as an operator calls it.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use super::{program, repository};

/// One call of `faceood-admin`, ended: what it said, and its exit code.
#[derive(Debug)]
pub struct Admin {
    /// The arguments, for the message of a failed test.
    arguments: String,
    /// What it printed as its result.
    pub stdout: String,
    /// Progress, logs and errors.
    pub stderr: String,
    /// Its exit code.
    pub code: i32,
}

impl Admin {
    /// Runs the command to its end, in the checkout's folder and without any `FACEOOD_*` variable.
    pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        let mut command = command();
        command.args(arguments);
        Self::finish(command)
    }

    /// Runs a command prepared from [`command`], for a test that needs variables or another folder.
    pub fn finish(mut command: Command) -> Self {
        let output = command
            .stdin(Stdio::null())
            .output()
            .expect("faceood-admin starts");
        Self {
            arguments: format!("{:?}", command.get_args().collect::<Vec<_>>()),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output
                .status
                .code()
                .expect("faceood-admin exits, no signal ends it"),
        }
    }

    /// Fails the test, with all that was said, unless the exit code is this one.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "faceood-admin {}\nstdout:\n{}\nstderr:\n{}",
            self.arguments, self.stdout, self.stderr
        );
        self
    }

    /// Fails the test unless the command did its work.
    #[track_caller]
    pub fn success(self) -> Self {
        self.expect_code(0)
    }

    /// Its stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "{error} in the JSON of faceood-admin {}:\n{}",
                self.arguments, self.stdout
            )
        })
    }
}

/// The command, not yet started.
pub fn command() -> Command {
    clean(&program("faceood-admin"))
}

/// A program of ours in the checkout's folder, without the `FACEOOD_*` variables that the developer
/// may have set.
pub fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(repository());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FACEOOD_") {
            command.env_remove(name);
        }
    }
    command
}
