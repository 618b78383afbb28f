//! `backup`: a consistent copy of the log while the daemon keeps writing.

use std::path::PathBuf;

use super::{Context, output};
use faceood::telemetry::host::Bytes;
use faceood_log::LogReader;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
The copy is a whole database: to restore it, stop the daemon and put it in place of faceood.db (remove faceood.db-wal and \
faceood.db-shm), or read it as it is with --db FILE. An existing file is not overwritten.

Examples:
  faceood-admin backup /mnt/backup/faceood-$(date +%F).db
  faceood-admin --db /mnt/backup/faceood-2026-11-24.db export --format csv")]
pub(crate) struct Args {
    /// The copy, which must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let path = context.database()?;
    let folder = args
        .file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let (file, folder) = (args.file.display(), folder.display());
        anyhow::bail!("cannot write {file}: there is no folder {folder}; make it, or give another");
    }
    let doing = output::doing("copying the log");
    let size = context.block_on(async {
        let reader = LogReader::open(&path).await?;
        Ok(faceood_log::backup(&reader, &args.file).await?)
    });
    doing.finish_and_clear();
    let (log, copy, size) = (path.display(), args.file.display(), Bytes(size?));
    output::text(&format!("{log} copied to {copy} ({size})"))
}
