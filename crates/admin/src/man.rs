//! `man`: manual pages, generated from the command lines.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::Context as _;
use clap::CommandFactory;
use clap_mangen::Man;

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
    let Some(folder) = &args.out else {
        let mut command = Command::command().disable_help_subcommand(true);
        command.build();
        return output::text(&page(&Man::new(command))?);
    };
    let (users, system) = (folder.join("man1"), folder.join("man8"));
    let daemon = Man::new(DaemonFlags::command()).section("8");
    fs::create_dir_all(&users)
        .and_then(|()| fs::create_dir_all(&system))
        .and_then(|()| write_pages_of_admin(&users))
        .and_then(|()| whole_file::write(&system.join("faceoodd.8"), page(&daemon)?.as_bytes()))
        .with_context(|| format!("the pages cannot be written to {}", folder.display()))
}

/// Renders the pages elsewhere first, so that an old page stays until the new one is whole.
fn write_pages_of_admin(folder: &Path) -> io::Result<()> {
    let drafts = tempfile::tempdir()?;
    clap_mangen::generate_to(Command::command(), &drafts)?;
    for draft in fs::read_dir(&drafts)? {
        let draft = draft?;
        whole_file::write(&folder.join(draft.file_name()), &fs::read(draft.path())?)?;
    }
    Ok(())
}

fn page(man: &Man) -> io::Result<String> {
    let mut page = Vec::new();
    man.render(&mut page)?;
    String::from_utf8(page).map_err(io::Error::other)
}
