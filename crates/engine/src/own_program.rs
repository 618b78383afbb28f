//! The running program, started once more for a task of its own.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

/// How a process is started that takes over one task of this one.
#[derive(Clone, Debug)]
pub struct OwnProgram {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, by which it knows its task.
    pub arguments: Vec<String>,
}

impl OwnProgram {
    /// The running program with these arguments, also after its file was replaced by a newer one.
    ///
    /// # Errors
    /// Where the system does not say which program runs.
    pub fn this(arguments: &[&str]) -> io::Result<Self> {
        let program = PathBuf::from("/proc/self/exe");
        std::fs::metadata(&program)?;
        Ok(Self {
            program,
            arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
        })
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // What a list of processes shows.
        if let Some(name) = std::env::args_os().next() {
            command.arg0(name);
        }
        command.args(&self.arguments);
        command
    }
}
