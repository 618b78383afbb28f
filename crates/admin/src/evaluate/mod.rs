//! `evaluate`: measures recognition and score on the operator's photos, with the daemon's
//! pipeline but without the daemon.

use std::fs;
use std::num::NonZero;
use std::path::{self, Path, PathBuf};
use std::thread::available_parallelism;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::choice::{Choice, choice};
use super::offline::{self, Parts};
use super::out_file::{self, OutFile};
use super::report_out::ReportFlags;
use super::{Context, output, when};
use faceood_lab::evaluation::dataset::{self, SourceFrom};
use faceood_lab::evaluation::folder::{self, Terms};
use faceood_lab::evaluation::measure::Instrument;
use faceood_lab::evaluation::render;
use faceood_lab::evaluation::report::EvaluatedModel;
use faceood_lab::evaluation::rival::{PixelRange, Rival};

mod scenes;
mod text;

#[derive(clap::Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
DIR holds a folder for each person with pictures anywhere inside. A thousand photos take a minute or two on two cores. Pictures that \
cannot be read are named and left out; pictures without a face are counted as failures to acquire.

Examples:
  faceood-admin evaluate photos --format html --out report.html
  faceood-admin evaluate photos --format json | jq '.signals[] | {name, auroc, edc_relative_area_50}'
  faceood-admin evaluate photos --against other-quality.onnx
  faceood-admin evaluate iso-sweep clean.jpg
  faceood-admin evaluate scenarios clean.jpg --reference other.jpg"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: Option<EvaluateCommand>,
    #[command(flatten)]
    folder: FolderArgs,
}

#[derive(clap::Subcommand, Debug)]
enum EvaluateCommand {
    /// Print the ISO table: what sensor noise does to score and similarity
    IsoSweep(scenes::SweepArgs),
    /// Make the design's three field cases from clean photos and judge them
    Scenarios(scenes::CaseArgs),
}

#[derive(clap::Args, Debug)]
struct FolderArgs {
    /// Folder with a folder of pictures for each person
    #[arg(value_name = "DIR", required = true)]
    dir: Option<PathBuf>,
    /// Where a picture's terminal or camera stands: DIR/PERSON/SOURCE/…, or file names SOURCE_….jpg
    #[arg(long, value_name = "WHERE", default_value = "folder", value_parser = choice(&SOURCES))]
    source_from: SourceFrom,
    /// Similarity below which a comparison counts as failed in the EDC, in place of the one with
    /// one false match in 1,000
    #[arg(long, value_name = "SIMILARITY", value_parser = similarity, allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// Another quality network to compare with: aligned 112×112 in, one number out; of several
    /// outputs name one: FILE.onnx#OUTPUT
    #[arg(long, value_name = "MODEL.onnx")]
    against: Vec<PathBuf>,
    /// What those networks take for black and white
    #[arg(long, value_name = "RANGE", default_value = "signed", value_parser = choice(&PIXELS), requires = "against")]
    against_pixels: PixelRange,
    /// Those networks say the worse the larger
    #[arg(long, requires = "against")]
    against_lower_is_better: bool,
    #[command(flatten)]
    shared: EvaluateOptions,
}

#[derive(clap::Args, Debug)]
pub(super) struct EvaluateOptions {
    #[command(flatten)]
    report: ReportFlags,
    /// Write the report as one self-contained HTML file, beside what is printed
    #[arg(long, value_name = "FILE", value_parser = out_file::named())]
    html: Option<PathBuf>,
    /// Threads; the result is the same with any number [default: one for each core]
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<NonZero<usize>>,
}

const SOURCES: [Choice<SourceFrom>; 2] = [
    (
        "folder",
        "The folder inside the person's",
        SourceFrom::Folder,
    ),
    (
        "prefix",
        "The file's name up to its first underscore",
        SourceFrom::Prefix,
    ),
];

const PIXELS: [Choice<PixelRange>; 3] = [
    ("signed", "−1 to 1", PixelRange::Signed),
    ("unit", "0 to 1", PixelRange::Unit),
    ("raw", "0 to 255", PixelRange::Raw),
];

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    match &args.task {
        None => evaluate(&args.folder, context),
        Some(EvaluateCommand::IsoSweep(args)) => scenes::sweep(args, context),
        Some(EvaluateCommand::Scenarios(args)) => scenes::cases(args, context),
    }
}

fn evaluate(args: &FolderArgs, context: &Context) -> anyhow::Result<()> {
    let dir = args.dir.as_deref().context("no DIR is given")?;
    let page = args.shared.page()?;
    let dataset = dataset::find(dir, args.source_from)?;
    let rivals = rivals(args)?;
    let parts = offline::parts(context)?;
    let bar = output::progress(dataset.pictures.len() as u64, "pictures");
    let progress = || bar.inc(1);
    let instrument = Instrument {
        rivals: &rivals,
        ..args.shared.instrument(&parts, &progress)
    };
    let paths = dataset.pictures.iter();
    let paths: Vec<&Path> = paths.map(|picture| picture.path.as_path()).collect();
    let outcomes = instrument.files(&paths)?;
    bar.finish_and_clear();
    let terms = Terms {
        model: model(&parts),
        similarity: parts.assembly.thresholds(),
        pass_similarity: parts.assembly.calibration().pass_similarity(),
        policies: &parts.policies,
        rivals: rivals.iter().map(|rival| rival.name.clone()).collect(),
        threshold: args.threshold,
    };
    let report = folder::evaluate(&dataset, &outcomes, terms)?;
    for skipped in &report.data.skipped {
        output::note(&format!("skipped {}: {}", skipped.file, skipped.reason));
    }
    let html = || render::folder::html(&report);
    let text = || text::report(&report);
    args.shared.show(&report, page, html, text)
}

fn rivals(args: &FolderArgs) -> anyhow::Result<Vec<Rival>> {
    let open = |given: &PathBuf| {
        let (path, output): (PathBuf, _) = match given.to_string_lossy().split_once(".onnx#") {
            Some((stem, output)) => (format!("{stem}.onnx").into(), Some(output.to_owned())),
            None => (given.clone(), None),
        };
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Rival {
            name: match &output {
                Some(output) => format!("{file}#{output}"),
                None => file.to_string(),
            },
            model: fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?,
            output,
            pixels: args.against_pixels,
            lower_is_better: args.against_lower_is_better,
        })
    };
    args.against.iter().map(open).collect()
}

fn model(parts: &Parts) -> EvaluatedModel {
    let facts = parts.assembly.facts();
    EvaluatedModel {
        pack: facts.pack,
        version: facts.version,
        sha256: facts.sha256,
        provider: facts.provider,
        calibration_id: parts.assembly.calibration().id().to_owned(),
    }
}

/// ISO numbers that somebody might mean.
const ISO_RANGE: std::ops::RangeInclusive<i64> = 50..=409_600;

/// One of the ISO numbers of a list.
pub(super) fn iso(text: &str) -> Result<u32, String> {
    let iso = text.parse::<u32>().ok();
    let iso = iso.filter(|iso| ISO_RANGE.contains(&i64::from(*iso)));
    iso.ok_or_else(|| {
        let (least, most) = (*ISO_RANGE.start(), *ISO_RANGE.end());
        format!(
            "{text:?} is no ISO number; give whole numbers from {least} to {most}, such as 100,1600,6400"
        )
    })
}

/// The cosine of two embeddings.
fn similarity(text: &str) -> Result<f32, String> {
    when::number(text, -1.0..=1.0, "similarity")
}

/// ISO numbers as they are drawn: rising, each once.
pub(super) fn rising(isos: &[u32]) -> Vec<u32> {
    let mut isos = isos.to_vec();
    isos.sort_unstable();
    isos.dedup();
    isos
}

impl EvaluateOptions {
    /// The pipeline of `parts` on as many threads as are asked for, without rivals.
    pub(super) fn instrument<'a>(
        &self,
        parts: &'a Parts,
        progress: &'a (dyn Fn() + Sync),
    ) -> Instrument<'a> {
        instrument(self.jobs, parts, progress)
    }

    /// The file of the page, made before the work so that a wrong place is told at once; so is that
    /// of `--out`.
    pub(super) fn page(&self) -> anyhow::Result<Option<OutFile>> {
        self.report.check()?;
        if let (Some(html), Some(out)) = (&self.html, &self.report.report.out)
            && path::absolute(html)? == path::absolute(out)?
        {
            bail!(
                "--html and --out both name {}: give two files",
                out.display()
            );
        }
        self.html.as_deref().map(OutFile::beside).transpose()
    }

    /// Writes the page where one is asked for, and prints JSON or text.
    pub(super) fn show(
        &self,
        value: &impl Serialize,
        page: Option<OutFile>,
        html: impl Fn() -> String,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        if let Some(mut file) = page {
            std::io::Write::write_all(&mut file, html().as_bytes())?;
            file.finish()?;
        }
        self.report.show(value, text, html)
    }
}

/// The pipeline of `parts` on so many threads, or on one for each core.
pub(super) fn instrument<'a>(
    jobs: Option<NonZero<usize>>,
    parts: &'a Parts,
    progress: &'a (dyn Fn() + Sync),
) -> Instrument<'a> {
    let cores = || available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    Instrument {
        assembly: &parts.assembly,
        capture: &parts.capture,
        policies: &parts.policies,
        rivals: &[],
        jobs: jobs.unwrap_or_else(cores),
        progress,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_nobody_can_mean_are_refused_with_what_is_expected() {
        assert_eq!(similarity("-0.5"), Ok(-0.5));
        for wrong in ["7", "nan", "-1.1", "", "same"] {
            assert!(similarity(wrong).unwrap_err().contains("-1 to 1"));
        }
        assert_eq!(iso("1600"), Ok(1600));
        for wrong in ["x", "0", "49", "409601", "-100", "1e3", ""] {
            assert!(iso(wrong).unwrap_err().contains("100,1600,6400"));
        }
    }
}
