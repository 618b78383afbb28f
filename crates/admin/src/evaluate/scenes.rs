//! `evaluate iso-sweep` and `evaluate scenarios`: clean photos are degraded and judged.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use serde::Serialize;

use super::{EvaluateOptions, iso, model, rising, text};
use crate::offline::{self, Parts};
use crate::{Context, output, when};
use faceood_engine::embed::Embedding;
use faceood_engine::policy::DEFAULT_SCENARIO;
use faceood_lab::evaluation::render;
use faceood_lab::evaluation::report::{EvaluatedModel, SCHEMA, Skipped};
use faceood_lab::evaluation::scenarios::{self, CaseFigures};
use faceood_lab::evaluation::scene::{self, Scene, USUAL_FACE_PX};
use faceood_lab::evaluation::sweep::{self, ISO_STEPS, SHOTS, SweepStep};
use faceood_report::plural;

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
    /// Width that the face is brought to before, as the camera would see it; smaller ones stay as
    /// they are
    #[arg(long, value_name = "PIXELS", default_value_t = USUAL_FACE_PX, value_parser = face_px)]
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
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = ISO_STEPS, value_parser = iso)]
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
#[derive(Default)]
struct LoadedScenes {
    scenes: Vec<Scene>,
    reference: Option<Embedding>,
    skipped: Vec<Skipped>,
}

pub(super) fn sweep(args: &SweepArgs, context: &Context) -> anyhow::Result<()> {
    let (scenes, shared) = (&args.scenes, &args.scenes.shared);
    let page = shared.page()?;
    let parts = offline::parts(context)?;
    let loaded = scenes.load(&parts)?;
    let isos = rising(&args.iso);
    let shots = loaded.scenes.len() * scenes.shots as usize * isos.len();
    let bar = output::progress(shots as u64, "shots");
    let progress = || bar.inc(1);
    let steps = sweep::run(
        &shared.instrument(&parts, &progress),
        &loaded.scenes,
        loaded.reference.as_ref(),
        &isos,
        scenes.shots,
        parts.assembly.thresholds().different,
    )?;
    bar.finish_and_clear();
    let words = scenes.words(&loaded);
    let clean = loaded.scenes.first().map(Scene::small_picture);
    let clean = clean.unwrap_or_default();
    let answer = scenes.answer(&parts, loaded, SweepFigures { steps });
    let steps = &answer.figures.steps;
    let html = || render::sweep::html_of_sweep(steps, &clean, &words);
    shared.show(&answer, page, html, || text::sweep(steps, &words))
}

pub(super) fn cases(args: &CaseArgs, context: &Context) -> anyhow::Result<()> {
    let (scenes, shared) = (&args.scenes, &args.scenes.shared);
    let scenario = args.scenario.clone();
    let page = shared.page()?;
    let parts = offline::parts(context)?;
    let policy = parts.policy(&scenario)?;
    let loaded = scenes.load(&parts)?;
    let shots = loaded.scenes.len() * 3 * scenes.shots as usize;
    let bar = output::progress(shots as u64, "shots");
    let progress = || bar.inc(1);
    let cases = scenarios::run(
        &shared.instrument(&parts, &progress),
        &loaded.scenes,
        loaded.reference.as_ref(),
        scenes.shots,
        (&scenario, policy),
    )?;
    bar.finish_and_clear();
    let words = scenes.words(&loaded);
    let words = format!("{words} Decided by scenario {scenario}.");
    let clean: Vec<Vec<u8>> = loaded.scenes.iter().map(Scene::small_picture).collect();
    let answer = scenes.answer(&parts, loaded, CaseReports { scenario, cases });
    let cases = &answer.figures.cases;
    let html = || render::sweep::html_of_cases(cases, &clean, &words);
    shared.show(&answer, page, html, || text::cases(cases, &words))
}

/// The width of a face in pixels.
fn face_px(text: &str) -> Result<f32, String> {
    when::number(text, 20.0..=2000.0, "width of a face in pixels")
}

impl SceneArgs {
    /// Reads the photos; those that cannot be used are named and left out.
    fn load(&self, parts: &Parts) -> anyhow::Result<LoadedScenes> {
        let instrument = self.shared.instrument(parts, &|| {});
        let mut loaded = LoadedScenes::default();
        let scenes = scene::load(&instrument, &self.images, self.face_px)?;
        for (path, scene) in self.images.iter().zip(scenes) {
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
            let face = instrument.open()?.face(&offline::read(reference)?);
            let no_reference = |error| anyhow!("{} is no reference: {error}", reference.display());
            let (face, _) = face.map_err(no_reference)?;
            loaded.reference = Some(face.embedding);
        }
        Ok(loaded)
    }

    /// What was shot and what it was compared with.
    fn words(&self, loaded: &LoadedScenes) -> String {
        let (photos, face_px, shots) = (loaded.scenes.len(), self.face_px, self.shots);
        let reference = self.reference.as_ref().map(|path| path.to_string_lossy());
        let with = reference.as_deref().unwrap_or("the clean photo itself");
        let photos = plural(photos, "photo", "photos");
        let shots = plural(shots, "shot", "shots");
        format!("{photos}, face at most {face_px} px wide, {shots} each, compared with {with}.")
    }

    fn answer<T>(&self, parts: &Parts, loaded: LoadedScenes, figures: T) -> SceneReport<T> {
        let reference = self.reference.as_ref();
        SceneReport {
            schema: SCHEMA,
            model: model(parts),
            face_px: self.face_px,
            shots: self.shots,
            photos: loaded.scenes.len(),
            reference: reference.map(|path| path.display().to_string()),
            skipped: loaded.skipped,
            figures,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::face_px;

    #[test]
    fn a_face_has_a_width_that_cameras_see() {
        assert_eq!(face_px("110"), Ok(110.0));
        for wrong in ["0", "19", "2001", "nan", "-110", "wide"] {
            assert!(face_px(wrong).unwrap_err().contains("20 to 2000"));
        }
    }
}
