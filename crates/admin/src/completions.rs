//! `completions`: completions of our command lines for a shell.

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use super::{Command, CommandOutcome, Context, output};
use faceood::config::flags::DaemonFlags;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  faceood-admin completions bash > /etc/bash_completion.d/faceood-admin
  faceood-admin completions zsh > ~/.zfunc/_faceood-admin
  faceood-admin completions fish > ~/.config/fish/completions/faceood-admin.fish
  faceood-admin completions bash --program faceoodd > /etc/bash_completion.d/faceoodd")]
pub(crate) struct Args {
    /// Which shell
    shell: Shell,
    /// Whose command line
    #[arg(long, value_enum, default_value_t = Program::FaceoodAdmin)]
    program: Program,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Program {
    /// The operator's command
    FaceoodAdmin,
    /// The daemon
    Faceoodd,
}

pub(crate) fn run(args: &Args, _: &Context) -> anyhow::Result<CommandOutcome> {
    let (mut command, name) = match args.program {
        Program::FaceoodAdmin => (Command::command(), "faceood-admin"),
        Program::Faceoodd => (DaemonFlags::command(), "faceoodd"),
    };
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    output::text(&String::from_utf8(script)?)?;
    Ok(CommandOutcome::Done)
}
