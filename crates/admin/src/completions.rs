//! `completions`: completions of our command lines for a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use super::choice::{Choice, choice};
use super::{Command, output};
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
    #[arg(long, default_value = "faceood-admin", value_parser = choice(&PROGRAMS))]
    program: CommandLine,
}

/// Makes the description of a program's command line.
type CommandLine = fn() -> clap::Command;

const PROGRAMS: [Choice<CommandLine>; 2] = [
    ("faceood-admin", "The operator's command", Command::command),
    ("faceoodd", "The daemon", DaemonFlags::command),
];

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut command = (args.program)();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, &name, &mut script);
    let mut script = String::from_utf8(script)?;
    if args.shell == Shell::Bash {
        // clap_complete 4.6 writes a hyphen of the program's name in one way where it finds out the
        // subcommand, and in another where it lists the options: nothing after the subcommand would
        // be completed.
        script = script.replace(&name.replace('-', "__"), &name.replace('-', "__subcmd__"));
    }
    output::text(&script)
}
