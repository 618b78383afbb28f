//! `completions`: what a shell needs to complete our command lines.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Command, Context, Outcome, output};

/// Arguments of `completions`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  faceood-admin completions bash > /etc/bash_completion.d/faceood-admin
  faceood-admin completions zsh > ~/.zfunc/_faceood-admin
  faceood-admin completions fish > ~/.config/fish/completions/faceood-admin.fish")]
pub struct Args {
    /// Which shell
    shell: Shell,
}

/// Prints the completions.
///
/// # Errors
/// If they cannot be printed.
pub fn run(args: &Args, _: &Context) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut Command::command(),
        "faceood-admin",
        &mut script,
    );
    output::text(&String::from_utf8(script)?)?;
    Ok(Outcome::Done)
}
