//! `export`: writes the log as a file for other programs, in constant memory.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::bail;
use chrono::Utc;

mod format;

pub(crate) use format::ExportError;
use format::Format;

use crate::centre::CentreFlags;
use crate::out_file::{self, OutFile};
use crate::{Context, output, when};
use faceood_log::{Filter, LogReader};
use faceood_report::plural;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Every column of every row, oldest first. Rows that are written meanwhile are left out, so that it ends. Of a centre \
the source has its box's name before it, as in box1/gate-3.

Examples:
  faceood-admin export --format csv --since 7d > week.csv
  faceood-admin export --format jsonl --source gate-3 | jq -r .action | sort | uniq -c
  faceood-admin --db postgres://centre.example/faceood export --format jsonl --source box1/gate-3
  faceood-admin export --format parquet --since 2026-11-01 --until 2026-12-01 --out november.parquet")]
pub(crate) struct Args {
    /// Kind of file
    #[arg(long, value_enum)]
    format: Format,
    #[command(flatten)]
    selection: when::Selection,
    #[command(flatten)]
    centre: CentreFlags,
    /// Only rows with at most this quality score
    #[arg(long, value_name = "SCORE", value_parser = when::score)]
    max_score: Option<f32>,
    /// File to write, in place of standard output
    #[arg(long, short, value_name = "FILE", value_parser = out_file::named())]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    args.selection.window.check()?;
    let filter = Filter {
        source: args.selection.source.clone(),
        max_score: args.max_score,
        ..args.selection.window.filter()
    };
    let centre = args.centre.reader(context)?;
    let path = match centre {
        Some(_) => PathBuf::new(),
        None => context.database()?,
    };
    let mut file = match &args.out {
        Some(file) if file.exists() => {
            let shown = file.display();
            bail!(
                "cannot make {shown}: it is there already, and nothing is overwritten; give a new name"
            )
        }
        Some(file) => Some(OutFile::beside(file)?),
        None if args.format == Format::Parquet && io::stdout().is_terminal() => {
            bail!("Parquet is binary and standard output a terminal; give --out FILE, or a pipe")
        }
        None => None,
    };
    let out: Box<dyn Write + Send + '_> = match &mut file {
        Some(file) => Box::new(file),
        None => output::stream(),
    };
    // Rows that go to this very terminal show well enough that something is done.
    let is_shown = args.out.is_none() && output::is_terminal();
    let doing = (!is_shown).then(|| output::doing("writing rows"));
    let rows = context.block_on(async {
        if let Some(centre) = &centre {
            return Ok(format::export_centre(centre, &filter, args.format, out).await?);
        }
        let reader = LogReader::open(&path).await?;
        if filter.since.is_some()
            && let Some(objection) = reader.clock().await?.objection(Utc::now())
        {
            output::note(&format!(
                "{objection}: a span such as 7d is counted back from a clock that may be wrong"
            ));
        }
        Ok(format::export(&reader, &filter, args.format, out).await?)
    });
    if let Some(doing) = doing {
        doing.finish_and_clear();
    }
    let rows = rows?;
    if let Some(file) = file {
        file.finish_new()?;
    }
    output::note(&format!("{} exported", plural(rows, "row", "rows")));
    Ok(())
}
