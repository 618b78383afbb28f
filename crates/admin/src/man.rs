//! `man`: manual pages, generated from the command lines.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::Context as _;
use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::{Command, output};
use faceood::config::flags::DaemonFlags;
use faceood_engine::whole_file;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  faceood-admin man | man -l -
  faceood-admin man --out /usr/local/share/man")]
pub(crate) struct Args {
    /// Write the pages of faceood-admin, of each subcommand and of faceoodd below this folder, in
    /// place of showing one
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut command = Command::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &args.out else {
        return output::text(&page(command, "1")?);
    };
    let (users, system) = (folder.join("man1"), folder.join("man8"));
    let daemon = page(DaemonFlags::command(), "8")?;
    fs::create_dir_all(&users)
        .and_then(|()| fs::create_dir_all(&system))
        .and_then(|()| write_pages(&command, &users))
        .and_then(|()| whole_file::write(&system.join("faceoodd.8"), daemon.as_bytes()))
        .with_context(|| format!("the pages cannot be written to {}", folder.display()))
}

/// Writes the pages of `command`, which is built, and of its subcommands.
fn write_pages(command: &clap::Command, folder: &Path) -> io::Result<()> {
    for inner in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        write_pages(inner, folder)?;
    }
    let name = command.get_display_name().unwrap_or(command.get_name());
    let page = page(command.clone(), "1")?;
    whole_file::write(&folder.join(format!("{name}.1")), page.as_bytes())
}

fn page(mut command: clap::Command, section: &str) -> io::Result<String> {
    let after_help = command.get_after_help().map(ToString::to_string);
    command = command.after_help(None::<&str>); // clap_mangen would fill its lines into paragraphs
    let man = Man::new(command)
        .section(section)
        .date("\"\"") // unquoted, no date would be no argument
        .source(concat!("faceood ", env!("CARGO_PKG_VERSION")))
        .manual("faceood manual");
    let mut page = Vec::new();
    man.render(&mut page)?;
    if let Some(text) = after_help {
        notes_and_examples(&text).to_writer(&mut page)?;
    }
    String::from_utf8(page).map_err(io::Error::other)
}

/// The sections of the text that stands after a command's help. Its indented lines are commands and
/// keep their form.
fn notes_and_examples(text: &str) -> Roff {
    let mut roff = Roff::default();
    let mut is_verbatim = false;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("  ") != is_verbatim {
            is_verbatim = !is_verbatim;
            roff.control(if is_verbatim { "EX" } else { "EE" }, []);
        }
        let is_heading = matches!(line, "Example:" | "Examples:");
        if is_heading || number == 0 {
            roff.control("SH", [if is_heading { "EXAMPLES" } else { "NOTES" }]);
        }
        if line.is_empty() {
            roff.control("PP", []);
        } else if !is_heading {
            roff.text([roman(line)]);
        }
    }
    if is_verbatim {
        roff.control("EE", []);
    }
    roff
}
