//! `extract`: what the daemon would answer on pictures, without a daemon and without a row in the
//! log.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Serialize;
use walkdir::WalkDir;

use super::choice::{Choice, choice};
use super::offline::{self, Offline, Refusal};
use super::out_file::{self, OutFile};
use super::report_out::{self, ReportFlags, ReportFormat};
use super::{CommandOutcome, Context, output};
use faceood_engine::pipeline::view::ExtractAnswer;
use faceood_engine::pipeline::{Analysis, AnalyzeError, Face, Faces};
use faceood_engine::policy::DEFAULT_SCENARIO;
use faceood_engine::quality::Language;

mod page;

use page::{Page, PageRow};

#[derive(clap::Args, Debug)]
#[command(after_help = "\
In JSON each picture is one line, shaped like the answer of POST /v1/extract with the file's name. A picture that gets no answer is \
a line with the problem, and the exit code is 1. The page has a small picture of each face.

Examples:
  faceood-admin extract photo.jpg
  faceood-admin extract photos --html photos.html
  faceood-admin extract --scenario enroll --faces all *.jpg
  faceood-admin extract --format json photo.jpg | jq '.faces[0].quality'
  curl -s http://camera/snapshot.jpg | faceood-admin extract -")]
pub(crate) struct Args {
    /// Pictures, or folders with pictures anywhere inside; - is standard input
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Scenario whose policy decides
    #[arg(long, value_name = "NAME", default_value = DEFAULT_SCENARIO)]
    scenario: String,
    /// Which faces
    #[arg(long, default_value = "largest", value_parser = choice(&FACES))]
    faces: Faces,
    #[command(flatten)]
    report: ReportFlags,
    /// Write a page with a row for each face, beside what is printed
    #[arg(long, value_name = "FILE", value_parser = out_file::named())]
    html: Option<PathBuf>,
    /// Leave the embeddings out of the JSON
    #[arg(long)]
    no_embedding: bool,
}

// Nobody else waits here.
const ALL: Faces = Faces::All(usize::MAX);
const FACES: [Choice<Faces>; 2] = [
    ("largest", "The largest one", Faces::Largest),
    ("all", "All of them", ALL),
];

#[derive(Serialize)]
struct PictureLine<'a> {
    file: Cow<'a, str>,
    #[serde(flatten)]
    answer: PictureAnswer<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PictureAnswer<'a> {
    Analysed(ExtractAnswer<'a>),
    Refused(Refusal),
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<CommandOutcome> {
    let format = args.report.format();
    let images = pictures(&args.images)?;
    args.report.check()?;
    // Made before the work, so that a wrong place is told at once.
    let page_file = args.html.as_deref().map(OutFile::beside).transpose()?;
    let mut offline = Offline::open(context, &args.scenario, args.faces)?;
    let mut shown = Shown {
        is_paged: page_file.is_some() || format == ReportFormat::Html,
        ..Shown::default()
    };
    // JSON goes out line by line, unless it goes into a file.
    let is_streamed = format == ReportFormat::Json && !args.report.is_in_file();
    let bar = output::progress(images.len() as u64, "pictures");
    for image in &images {
        let file = image.to_string_lossy();
        let upload = offline::read(image)?;
        let analysed = offline.analyze(&upload);
        bar.inc(1);
        shown.take(image, &upload, &analysed, &offline);
        if let Err(error) = &analysed
            && !is_streamed
        {
            bar.suspend(|| output::note(&format!("{file}: {error}")));
        }
        if format != ReportFormat::Json {
            continue;
        }
        let answer = match analysed {
            Ok(analysis) => PictureAnswer::Analysed(ExtractAnswer::new(
                offline::REQUEST_ID,
                &offline.model,
                analysis,
                !args.no_embedding,
                Language::English,
            )),
            Err(error) => PictureAnswer::Refused(Refusal::new(&error, None)),
        };
        let line = PictureLine { file, answer };
        if is_streamed {
            output::json_line(&line)?;
        } else {
            shown.json += &serde_json::to_string(&line)?;
            shown.json.push('\n');
        }
    }
    bar.finish_and_clear();
    let page = || shown.page.html(&args.scenario);
    if let Some(mut file) = page_file {
        std::io::Write::write_all(&mut file, page().as_bytes())?;
        file.finish()?;
    }
    let out = args.report.report.out.as_deref();
    match format {
        ReportFormat::Json if is_streamed => {}
        ReportFormat::Json => report_out::write(out, &shown.json)?,
        ReportFormat::Html => report_out::write(out, &page())?,
        ReportFormat::Text if shown.rows.is_empty() && out.is_none() => {}
        ReportFormat::Text => report_out::write(out, &output::table(&HEAD, shown.rows))?,
    }
    Ok(if shown.has_failed {
        CommandOutcome::Bad
    } else {
        CommandOutcome::Done
    })
}

/// What has been found out so far.
#[derive(Default)]
struct Shown {
    is_paged: bool,
    has_failed: bool,
    rows: Vec<Vec<Cow<'static, str>>>,
    json: String,
    page: Page,
}

impl Shown {
    fn take(
        &mut self,
        image: &Path,
        upload: &[u8],
        analysed: &Result<Analysis, AnalyzeError>,
        offline: &Offline,
    ) {
        match analysed {
            Ok(analysis) => self.rows.extend(face_rows(image, analysis)),
            Err(_) => self.has_failed = true,
        }
        if self.is_paged {
            let rows = PageRow::all(image, upload, analysed, &offline.capture);
            self.page.rows.extend(rows);
        }
    }
}

/// Names of files in folders that are taken for pictures. Elsewhere names do not matter.
const ENDINGS: [&str; 11] = [
    "jpg", "jpeg", "jpe", "png", "webp", "bmp", "tif", "tiff", "heic", "heif", "gif",
];

/// The pictures that are asked for: a folder stands for those in it, in the order of their names.
fn pictures(given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let is_picture = |path: &Path| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let ending = ending.unwrap_or_default().to_lowercase();
        ENDINGS.contains(&ending.as_str())
    };
    let mut pictures = Vec::new();
    for path in given {
        if !path.is_dir() {
            pictures.push(path.clone());
            continue;
        }
        let before = pictures.len();
        for entry in WalkDir::new(path).sort_by_file_name() {
            let entry = entry.with_context(|| format!("cannot look into {}", path.display()))?;
            if entry.file_type().is_file() && is_picture(entry.path()) {
                pictures.push(entry.into_path());
            }
        }
        if pictures.len() == before {
            bail!("there is no picture in the folder {}", path.display());
        }
    }
    Ok(pictures)
}

const HEAD: [&str; 9] = [
    "image", "face", "px", "score", "interval", "grade", "action", "why", "ms",
];

fn face_rows(image: &Path, analysis: &Analysis) -> Vec<Vec<Cow<'static, str>>> {
    let row = |(index, face): (usize, &Face)| {
        let bounds = &face.bounding_box;
        let [low, high] = face.quality.interval;
        vec![
            image.display().to_string().into(),
            (index + 1).to_string().into(),
            format!("{:.0}×{:.0}", bounds.width, bounds.height).into(),
            format!("{:.2}", face.quality.score).into(),
            format!("{low:.2}–{high:.2}").into(),
            face.quality.grade.name().into(),
            face.decision.action.name().into(),
            why(face).into(),
            format!("{:.1}", analysis.timings.total).into(),
        ]
    };
    analysis.faces.iter().enumerate().map(row).collect()
}

/// Reasons of the decision and causes of the score, in a few words.
pub(super) fn why(face: &Face) -> String {
    let reasons = face.decision.reasons.iter();
    let reasons = reasons.map(|reason| reason.name().to_owned());
    let causes = face.quality.causes.iter();
    let causes = causes.map(|cause| format!("{} {:.2}", cause.name.name(), cause.weight));
    let words: Vec<String> = reasons.chain(causes).collect();
    if words.is_empty() {
        "-".to_owned()
    } else {
        words.join(", ")
    }
}
