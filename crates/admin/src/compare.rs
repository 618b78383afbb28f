//! `compare`: what the daemon would answer on two pictures, without a daemon and without a row in
//! the log.

use std::path::PathBuf;
use std::time::Instant;

use super::offline::{self, Offline, Refusal};
use super::report_out::{ReportFlags, ReportFormat};
use super::{CommandOutcome, Context, extract, output};
use faceood_engine::pipeline::view::{
    CompareAnswer, ComparedSide, FaceDto, HintDto, Part, SideHint, rounded,
};
use faceood_engine::pipeline::{Analysis, Face, Faces, Timings};
use faceood_engine::policy::{DEFAULT_SCENARIO, verdict};
use faceood_engine::quality::Language;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
With --json the answer is shaped like that of POST /v1/compare. The largest face of each picture counts. Exit code 1 where \
either picture has no face or cannot be read, whatever the verdict 0.

Examples:
  faceood-admin compare door.jpg badge.jpg
  faceood-admin compare --json door.jpg badge.jpg | jq -r .verdict")]
pub(crate) struct Args {
    /// The picture being questioned; - is standard input
    #[arg(value_name = "PROBE")]
    probe: PathBuf,
    /// The picture it is compared with
    #[arg(value_name = "REFERENCE")]
    reference: PathBuf,
    /// Scenario whose policy decides
    #[arg(long, value_name = "NAME", default_value = DEFAULT_SCENARIO)]
    scenario: String,
    #[command(flatten)]
    report: ReportFlags,
    /// Put the embeddings into the JSON
    #[arg(long)]
    embedding: bool,
}

/// Of the page.
const TITLE: &str = "Are these two pictures of one person?";

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<CommandOutcome> {
    let mut offline = Offline::open(context, &args.scenario, Faces::Largest)?;
    let started = Instant::now();
    let mut sides = Vec::new();
    for (part, file) in Part::ALL.into_iter().zip([&args.probe, &args.reference]) {
        match offline.analyze(&offline::read(file)?) {
            Ok(analysis) => sides.push(analysis),
            Err(error) => {
                let said = format!("{}: {error}", file.display());
                let is_text = args.report.format() == ReportFormat::Text;
                if !is_text {
                    let refusal = Refusal::new(&error, Some(part));
                    args.report.show_text(TITLE, &refusal, || said.clone())?;
                }
                // A report in a file is seen by nobody who only reads that the command failed.
                if is_text || args.report.is_in_file() {
                    output::note(&said);
                }
                return Ok(CommandOutcome::Bad);
            }
        }
    }
    let faces: Vec<&Face> = sides.iter().filter_map(|side| side.faces.first()).collect();
    let [probe, reference] = faces[..] else {
        anyhow::bail!(
            "a picture passed the pipeline without a face: this is our fault, please report it"
        );
    };
    let similarity = probe.embedding.similarity(&reference.embedding);
    let thresholds = offline.thresholds;
    let [probe_action, reference_action] = [probe, reference].map(|face| face.decision.action);
    let verdict = verdict(similarity, thresholds, probe_action, reference_action);
    let shown =
        |face: &Face| ComparedSide::Image(Box::new(FaceDto::new(face.clone(), args.embedding)));
    let answer = CompareAnswer {
        request_id: offline::REQUEST_ID,
        model: &offline.model,
        similarity,
        verdict: verdict.name(),
        thresholds,
        probe: shown(probe),
        reference: shown(reference),
        hints: hints(&sides),
        timings_ms: rounded(together(&sides, started)),
    };
    args.report.show_text(TITLE, &answer, || {
        let rows = [("probe", probe), ("reference", reference)];
        let table = output::Rows(&rows).table(&[
            ("side", |(name, _)| (*name).to_owned()),
            ("score", |(_, face)| format!("{:.2}", face.quality.score)),
            ("grade", |(_, face)| face.quality.grade.name().to_owned()),
            ("action", |(_, face)| face.decision.action.name().to_owned()),
            ("why", |(_, face)| extract::why(face)),
        ]);
        let (same, different) = (thresholds.same, thresholds.different);
        format!(
            "{} (similarity {similarity:.4}; same from {same:.2}, different below {different:.2})\n\n{table}",
            verdict.name(),
        )
    })?;
    Ok(CommandOutcome::Done)
}

fn hints(sides: &[Analysis]) -> Vec<SideHint> {
    let sides = Part::ALL.into_iter().zip(sides);
    let hints = sides.flat_map(|(part, side)| side.hints.iter().map(move |hint| (part, *hint)));
    let hint = |(part, hint)| SideHint {
        hint: HintDto::new(hint, Language::English),
        part,
    };
    hints.map(hint).collect()
}

/// Each stage over both sides; in all, the time that passed.
fn together(sides: &[Analysis], started: Instant) -> Timings {
    let sum = |stage: fn(&Timings) -> f32| sides.iter().map(|side| stage(&side.timings)).sum();
    Timings {
        queue: 0.0,
        decode: sum(|t| t.decode),
        detect: sum(|t| t.detect),
        align: sum(|t| t.align),
        embed: sum(|t| t.embed),
        judge: sum(|t| t.judge),
        total: started.elapsed().as_secs_f32() * 1000.0,
    }
}
