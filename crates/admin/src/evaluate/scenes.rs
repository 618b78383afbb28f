//! `evaluate iso-sweep` and `evaluate scenarios`: clean photos are degraded and judged.

use std::path::PathBuf;

use anyhow::bail;
use serde::Serialize;

use super::{EvaluateOptions, ISO_RANGE, model, rising, text};
use crate::offline::{self, Parts};
use crate::{CommandOutcome, Context, output};
use faceood::embed::Embedding;
use faceood::policy::DEFAULT_SCENARIO;
use faceood_lab::evaluation::measure::Instrument;
use faceood_lab::evaluation::render;
use faceood_lab::evaluation::report::{EvaluatedModel, SCHEMA, Skipped};
use faceood_lab::evaluation::scenarios::{self, CaseFigures};
use faceood_lab::evaluation::scene::{self, Scene, USUAL_FACE_PX};
use faceood_lab::evaluation::sweep::{self, ISO_STEPS, SHOTS, SweepStep};

#[derive(clap::Args, Debug)]
struct SceneArgs {
    /// Clean photos of one face each
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Another good photo of the same person to compare with
    #[arg(long, value_name = "IMAGE")]
    reference: Option<PathBuf>,
    /// Shots of each photo at each step
    #[arg(long, value_name = "N", default_value_t = SHOTS, value_parser = clap::value_parser!(u32).range(1..=1000))]
    shots: u32,
    /// Width that the face is brought to before, as the camera would see it; smaller ones stay as they are
    #[arg(long, value_name = "PIXELS", default_value_t = USUAL_FACE_PX)]
    face_px: f32,
    #[command(flatten)]
    shared: EvaluateOptions,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without --reference each photo is compared with itself, clean: the similarity then starts near 1, while the design's table starts \
near .75, as two photos of one person do.

Examples:
  faceood-admin evaluate iso-sweep clean.jpg --html noise.html
  faceood-admin evaluate iso-sweep badge.jpg --reference passport.jpg --iso 800,1600,3200")]
pub(super) struct SweepArgs {
    #[command(flatten)]
    scenes: SceneArgs,
    /// ISO numbers
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = ISO_STEPS, value_parser = clap::value_parser!(u32).range(ISO_RANGE))]
    iso: Vec<u32>,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Half profile: a photo can only be turned like a board, so a real one does worse.

Examples:
  faceood-admin evaluate scenarios clean.jpg
  faceood-admin evaluate scenarios badge.jpg --reference passport.jpg --json")]
pub(super) struct CaseArgs {
    #[command(flatten)]
    scenes: SceneArgs,
    /// Scenario whose policy decides
    #[arg(long, value_name = "NAME", default_value = DEFAULT_SCENARIO)]
    scenario: String,
}

#[derive(Serialize)]
struct SceneReport<T> {
    schema: u32,
    model: EvaluatedModel,
    face_px: f32,
    shots: u32,
    photos: usize,
    reference: Option<String>,
    skipped: Vec<Skipped>,
    #[serde(flatten)]
    figures: T,
}

#[derive(Serialize)]
struct SweepFigures {
    steps: Vec<SweepStep>,
}

#[derive(Serialize)]
struct CaseReports {
    scenario: String,
    cases: Vec<CaseFigures>,
}

/// Photos that can be used, what is compared with, and what was left out.
struct LoadedScenes {
    scenes: Vec<Scene>,
    reference: Option<Embedding>,
    skipped: Vec<Skipped>,
}

/// Runs `iso-sweep`.
pub(super) fn sweep(args: &SweepArgs, context: &Context) -> anyhow::Result<CommandOutcome> {
    let page = args.scenes.shared.page()?;
    let parts = offline::parts(context)?;
    let loaded = args.scenes.load(&parts)?;
    let isos = rising(&args.iso);
    let shots = loaded.scenes.len() * args.scenes.shots as usize * isos.len();
    let bar = output::progress(shots as u64, "shots");
    let progress = || bar.inc(1);
    let steps = sweep::run(
        &args.scenes.shared.instrument(&parts, &progress),
        &loaded.scenes,
        loaded.reference.as_ref(),
        &isos,
        args.scenes.shots,
        parts.assembly.thresholds().different,
    )?;
    bar.finish_and_clear();
    let words = args.scenes.words(&loaded);
    let answer = args.scenes.answer(&parts, loaded, SweepFigures { steps });
    let steps = &answer.figures.steps;
    args.scenes.shared.show(
        &answer,
        page,
        || render::sweep::html_of_sweep(steps, &words),
        || text::sweep(steps, &words),
    )
}

/// Runs `scenarios`.
pub(super) fn cases(args: &CaseArgs, context: &Context) -> anyhow::Result<CommandOutcome> {
    let page = args.scenes.shared.page()?;
    let parts = offline::parts(context)?;
    let policy = parts.policy(&args.scenario)?;
    let loaded = args.scenes.load(&parts)?;
    let bar = output::progress(
        (loaded.scenes.len() * 3) as u64 * u64::from(args.scenes.shots),
        "shots",
    );
    let progress = || bar.inc(1);
    let cases = scenarios::run(
        &args.scenes.shared.instrument(&parts, &progress),
        &loaded.scenes,
        loaded.reference.as_ref(),
        args.scenes.shots,
        (&args.scenario, policy),
    )?;
    bar.finish_and_clear();
    let words = format!(
        "{} Decided by scenario {}.",
        args.scenes.words(&loaded),
        args.scenario
    );
    let answer = args.scenes.answer(
        &parts,
        loaded,
        CaseReports {
            scenario: args.scenario.clone(),
            cases,
        },
    );
    let cases = &answer.figures.cases;
    args.scenes.shared.show(
        &answer,
        page,
        || render::sweep::html_of_cases(cases, &words),
        || text::cases(cases, &words),
    )
}

impl SceneArgs {
    /// Reads the photos; those that cannot be used are named and left out.
    fn load(&self, parts: &Parts) -> anyhow::Result<LoadedScenes> {
        if !(20.0..=2000.0).contains(&self.face_px) {
            bail!("--face-px is {}; expected 20 to 2000", self.face_px);
        }
        let instrument = Instrument {
            ..self.shared.instrument(parts, &|| {})
        };
        let mut loaded = LoadedScenes {
            scenes: Vec::new(),
            reference: None,
            skipped: Vec::new(),
        };
        for (path, scene) in
            self.images
                .iter()
                .zip(scene::load(&instrument, &self.images, self.face_px)?)
        {
            match scene {
                Ok(scene) => loaded.scenes.push(scene),
                Err(reason) => {
                    let file = path.display().to_string();
                    output::note(&format!("skipped {file}: {reason}"));
                    loaded.skipped.push(Skipped { file, reason });
                }
            }
        }
        if loaded.scenes.is_empty() {
            bail!("none of the photos can be used");
        }
        if let Some(reference) = &self.reference {
            let (face, _) = instrument
                .open()?
                .face(&offline::read(reference)?)
                .map_err(|error| {
                    anyhow::anyhow!("{} is no reference: {error}", reference.display())
                })?;
            loaded.reference = Some(face.embedding);
        }
        Ok(loaded)
    }

    /// What was shot and what it was compared with.
    fn words(&self, loaded: &LoadedScenes) -> String {
        let with = match &self.reference {
            Some(reference) => reference.display().to_string(),
            None => "the clean photo itself".to_owned(),
        };
        format!(
            "{} photo(s), face at most {} px wide, {} shots each, compared with {with}.",
            loaded.scenes.len(),
            self.face_px,
            self.shots
        )
    }

    fn answer<T>(&self, parts: &Parts, loaded: LoadedScenes, figures: T) -> SceneReport<T> {
        SceneReport {
            schema: SCHEMA,
            model: model(parts),
            face_px: self.face_px,
            shots: self.shots,
            photos: loaded.scenes.len(),
            reference: self
                .reference
                .as_ref()
                .map(|path| path.display().to_string()),
            skipped: loaded.skipped,
            figures,
        }
    }
}
