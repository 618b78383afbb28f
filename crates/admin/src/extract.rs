//! `extract`: what the daemon would answer on pictures, without a daemon and without a row in the
//! log.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::choice::{Choice, choice};
use super::offline::{self, Offline, Refusal};
use super::{CommandOutcome, Context, output};
use faceood_engine::pipeline::view::ExtractAnswer;
use faceood_engine::pipeline::{Analysis, Face, Faces};
use faceood_engine::policy::DEFAULT_SCENARIO;
use faceood_engine::quality::Language;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
With --json each picture is one line, shaped like the answer of POST /v1/extract with the file's name. A picture that gets no \
answer is a line with the problem, and the exit code is 1.

Examples:
  faceood-admin extract photo.jpg
  faceood-admin extract --scenario enroll --faces all *.jpg
  faceood-admin extract --json photo.jpg | jq '.faces[0].quality'
  curl -s http://camera/snapshot.jpg | faceood-admin extract -")]
pub(crate) struct Args {
    /// Pictures; - is standard input
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Scenario whose policy decides
    #[arg(long, value_name = "NAME", default_value = DEFAULT_SCENARIO)]
    scenario: String,
    /// Which faces
    #[arg(long, default_value = "largest", value_parser = choice(&FACES))]
    faces: Faces,
    /// Print JSON for programs, a line for each picture
    #[arg(long)]
    json: bool,
    /// Leave the embeddings out of the JSON
    #[arg(long, requires = "json")]
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
    let mut offline = Offline::open(context, &args.scenario, args.faces)?;
    let mut rows = Vec::new();
    let mut outcome = CommandOutcome::Done;
    for image in &args.images {
        let file = image.to_string_lossy();
        let analysed = offline.analyze(&offline::read(image)?);
        if analysed.is_err() {
            outcome = CommandOutcome::Bad;
        }
        if args.json {
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
            output::json_line(&PictureLine { file, answer })?;
        } else {
            match analysed {
                Ok(analysis) => rows.extend(face_rows(image, &analysis)),
                Err(error) => output::note(&format!("{file}: {error}")),
            }
        }
    }
    if !rows.is_empty() {
        output::text(&output::table(&HEAD, rows))?;
    }
    Ok(outcome)
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
