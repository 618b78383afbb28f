//! `models`: shows, checks, builds, trains and imports model packs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Context, Outcome, output};
use crate::pack::build::head::LinearHead;
use crate::pack::build::recipe::{self, Sources};
use crate::pack::build::{Learnt, prepare_bytes};
use crate::pack::manifest::{Embedder, Golden, Manifest, Training};
use crate::pack::{Form, MANIFEST_FILE, Pack, verify};
use crate::quality::Calibration;
use crate::quality::calibration::{Observations, PASS_SIMILARITY, Provenance};
use crate::runtime::{Placement, ProviderChoice, Runtime, Settings};
use crate::stats::{calibration_error, mean};
use crate::training::{self, HeldOut, Networks};

mod import;
mod inspect;

/// Of when the photos are that the default pack learns from. Fixed by the recipe, so that a rebuild gives the same bytes.
const PHOTOS_DATE: &str = "2026-11-24";
/// What `train` writes and `build` reads, beside the calibration.
const HEAD_FILE: &str = "head.json";
/// The calibration's file in a pack.
const CALIBRATION_FILE: &str = "calibration.json";
/// Bins of equal count for the calibration error.
const ERROR_BINS: usize = 15;
/// Score below which a face that is not whole has to stay.
const COVERED_SCORE: f32 = 0.40;

/// Arguments of `models`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand, Debug)]
enum Task {
    /// Check a pack: hashes, names and shapes, and a run on the golden input
    Verify(VerifyArgs),
    /// Show what a pack consists of, where it comes from and how well it does
    Inspect(inspect::Args),
    /// Write the default pack from published networks and a learnt head
    Build(BuildArgs),
    /// Learn a head and its calibration from photos, for the default pack or for an imported recogniser
    Train(TrainArgs),
    /// Make a pack of a PyTorch checkpoint of Random Temperature Scaling
    ImportRts(import::RtsArgs),
    /// Make a pack of any ArcFace-style recogniser in ONNX
    ImportOnnx(import::OnnxArgs),
    /// Put a calibration into a pack
    SetCalibration(import::CalibrationArgs),
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  faceood-admin models verify                   the pack that the daemon would use
  faceood-admin models verify models/default")]
struct VerifyArgs {
    /// Folder of the pack, in place of the configured one
    pack: Option<PathBuf>,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  scripts/build-pack --fetch-only
  faceood-admin models build --sources vendor/pack-sources --out models/default")]
struct BuildArgs {
    /// Folder with the published networks, as scripts/build-pack fills it
    #[arg(long, value_name = "DIR", default_value = "vendor/pack-sources")]
    sources: PathBuf,
    /// Folder with head.json and calibration.json; the pack's own if not given
    #[arg(long, value_name = "DIR")]
    head: Option<PathBuf>,
    /// Folder to write the pack to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  scripts/build-pack --fetch-only
  faceood-admin models train --photos ../shared/photos --out models/default
  faceood-admin models train --embedder models/imported --photos photos --out models/ours")]
struct TrainArgs {
    /// Folder of photos with named/PERSON, wild/PERSON, single and masked inside
    #[arg(long, value_name = "DIR")]
    photos: PathBuf,
    /// Folder with the published networks and the packages' pictures, as scripts/build-pack fills it
    #[arg(long, value_name = "DIR", default_value = "vendor/pack-sources")]
    sources: PathBuf,
    /// Pack of import-onnx whose recogniser gets the head, in place of the default pack's networks
    #[arg(long, value_name = "PACK")]
    embedder: Option<PathBuf>,
    /// Folder to write head.json and calibration.json to; with --embedder, the new pack
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Threads; the result is the same with any number
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
    /// Take only each N-th person, for a quick try
    #[arg(long, value_name = "N", default_value_t = 1)]
    every: u32,
}

/// Runs the subcommand.
///
/// # Errors
/// With the file that is wrong and the way out.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    match &args.task {
        Task::Verify(args) => verify(args, context),
        Task::Inspect(args) => inspect::run(args, context),
        Task::Build(args) => build(args),
        Task::Train(args) => train(args),
        Task::ImportRts(args) => import::rts(args, context),
        Task::ImportOnnx(args) => import::onnx(args, context),
        Task::SetCalibration(args) => import::set_calibration(args, context),
    }
}

fn pack_folder(given: Option<&PathBuf>, context: &Context) -> anyhow::Result<PathBuf> {
    match given {
        Some(folder) => Ok(folder.clone()),
        None => Ok(context.config()?.pack_dir()),
    }
}

fn verify(args: &VerifyArgs, context: &Context) -> anyhow::Result<Outcome> {
    let folder = pack_folder(args.pack.as_ref(), context)?;
    let pack = Pack::open(&folder)?;
    let calibration = Calibration::load(pack.calibration_json())
        .with_context(|| pack.manifest().calibration.file.path.clone())?;
    let runtime = Runtime::load(&context.config()?.runtime)?;
    let mut session = runtime.open(
        "embedder",
        &pack.embedder_for(Form::of(runtime.provider()))?,
        Placement::Accelerated,
    )?;
    verify::check_embedder(&pack, &mut session)?;
    let mut rows: Vec<Vec<Cow<'_, str>>> = vec![vec![
        MANIFEST_FILE.into(),
        "ok".into(),
        pack.sha256().to_owned().into(),
    ]];
    for file in pack.manifest().files() {
        rows.push(vec![
            file.path.as_str().into(),
            "ok".into(),
            file.sha256.as_str().into(),
        ]);
    }
    output::text(&output::table(&["file", "state", "SHA-256"], rows))?;
    output::text(&format!(
        "{} {}: the embedder gives the golden output on {}",
        pack.id(),
        pack.version(),
        runtime.provider()
    ))?;
    if !calibration.is_calibrated() {
        output::text(import::NOT_CALIBRATED)?;
    }
    Ok(Outcome::Done)
}

fn build(args: &BuildArgs) -> anyhow::Result<Outcome> {
    let head = args.head.as_ref().unwrap_or(&args.out);
    let learnt: Learnt = serde_json::from_str(&read(&head.join(HEAD_FILE))?)
        .with_context(|| format!("{} is not valid", head.join(HEAD_FILE).display()))?;
    let calibration = read(&head.join(CALIBRATION_FILE))?;
    Calibration::load(&calibration)?;
    let files = Sources::read(&args.sources)?.build(&learnt, &calibration)?;
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    for (name, bytes) in &files {
        write(&args.out.join(name), bytes)?;
    }
    show_written(&args.out)?;
    Ok(Outcome::Done)
}

/// Opens the pack that was just written, as the daemon would, and says what it is.
fn show_written(folder: &Path) -> anyhow::Result<()> {
    let pack = Pack::open(folder)?;
    output::text(&format!(
        "{} {} {}",
        pack.id(),
        pack.version(),
        pack.sha256()
    ))?;
    Ok(())
}

fn train(args: &TrainArgs) -> anyhow::Result<Outcome> {
    if let Some(folder) = &args.embedder {
        return import::train(args, &Pack::open(folder)?);
    }
    let sources = Sources::read(&args.sources)?;
    let runtime = exact_runtime()?;
    let trained = learn(args, &Networks::of_recipe(&sources)?, &runtime)?;
    let (calibration, calibrated) = calibrate(&trained.held_out, &trained.counts, PHOTOS_DATE)?;
    let mut figures = trained.figures;
    figures.extend(calibrated);
    let mut learnt = Learnt {
        version: recipe::VERSION.to_owned(),
        clean_norms: trained.clean_norms,
        head: LinearHead {
            weights: trained.weights,
            bias: trained.bias,
        },
        golden: Golden::default(),
        training: Training {
            recipe: training::RECIPE.to_owned(),
            settings: training::settings(),
            counts: trained.counts,
            figures,
        },
    };
    let calibration = calibration.to_json()?;
    learnt.golden = golden(&sources, &learnt, &calibration, &runtime)?;
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let mut head = serde_json::to_string(&learnt)?;
    head.push('\n');
    write(&args.out.join(HEAD_FILE), head.as_bytes())?;
    write(&args.out.join(CALIBRATION_FILE), calibration.as_bytes())?;
    show_figures(&learnt.training)?;
    Ok(Outcome::Done)
}

/// The CPU in full precision: the same photos shall give the same head.
fn exact_runtime() -> anyhow::Result<Runtime> {
    Ok(Runtime::load(&Settings {
        provider: ProviderChoice::Cpu,
        ..Settings::default()
    })?)
}

/// Learns a head for these networks.
fn learn(
    args: &TrainArgs,
    networks: &Networks,
    runtime: &Runtime,
) -> anyhow::Result<training::Outcome> {
    let photos = training::find(&args.photos, &args.sources, args.every)?;
    let bar = output::progress(photos.len() as u64, "photos");
    let trained = training::train(&photos, networks, runtime, args.threads, &|done| {
        bar.set_position(done as u64);
    })?;
    bar.finish();
    Ok(trained)
}

fn show_figures(training: &Training) -> anyhow::Result<()> {
    let figures = training.figures.iter();
    output::text(&output::table(
        &["figure", "value"],
        figures.map(|(name, value)| vec![name.as_str().into(), value.to_string().into()]),
    ))?;
    Ok(())
}

/// The calibration of all held-out predictions, and how well calibrations do that have not seen a fold of people.
fn calibrate(
    held_out: &HeldOut,
    counts: &BTreeMap<String, u64>,
    date: &str,
) -> anyhow::Result<(Calibration, BTreeMap<String, f64>)> {
    let provenance = || Provenance {
        method: training::CALIBRATION.to_owned(),
        date: date.to_owned(),
        counts: BTreeMap::from([
            ("captures".to_owned(), held_out.signals.len() as u64),
            ("pairs_of_shots".to_owned(), held_out.pairs.len() as u64),
            (
                "people".to_owned(),
                counts.get("people").copied().unwrap_or_default(),
            ),
        ]),
    };
    let calibration = Calibration::fit(&observations(held_out, |_| true), provenance())?;
    let folds = held_out.folds.iter().max().map_or(0, |last| last + 1);
    let mut similarity = vec![0.0; held_out.signals.len()];
    let mut pass = similarity.clone();
    for fold in 0..folds {
        let unseen = Calibration::fit(&observations(held_out, |of| of != fold), provenance())?;
        for (index, _) in held_out
            .folds
            .iter()
            .enumerate()
            .filter(|(_, of)| **of == fold)
        {
            let signal = narrow(held_out.signals[index]);
            similarity[index] = f64::from(unseen.expected_similarity(signal));
            pass[index] = f64::from(unseen.pass_probability(signal));
        }
    }
    let passed: Vec<f64> = held_out
        .similarities
        .iter()
        .map(|&similarity| f64::from(u8::from(similarity >= PASS_SIMILARITY)))
        .collect();
    let below = |signals: &[f64]| {
        let low = signals
            .iter()
            .filter(|&&signal| calibration.score(narrow(signal)) < COVERED_SCORE)
            .count();
        low as f64 / signals.len().max(1) as f64
    };
    let scores = |signals: &[f64]| -> f64 {
        mean(
            &signals
                .iter()
                .map(|&signal| f64::from(calibration.score(narrow(signal))))
                .collect::<Vec<_>>(),
        )
    };
    let gaps: Vec<f64> = similarity
        .iter()
        .zip(&held_out.similarities)
        .map(|(expected, reached)| (expected - reached).abs())
        .collect();
    let figures = [
        (
            "ece_pass",
            calibration_error(&pass, &passed, ERROR_BINS).unwrap_or_default(),
        ),
        (
            "ece_similarity",
            calibration_error(&similarity, &held_out.similarities, ERROR_BINS).unwrap_or_default(),
        ),
        ("mean_gap_similarity", mean(&gaps)),
        ("masked_below_40", below(&held_out.masked)),
        ("things_below_30", {
            let low = held_out
                .objects
                .iter()
                .filter(|&&signal| calibration.score(narrow(signal)) < 0.30)
                .count();
            low as f64 / held_out.objects.len().max(1) as f64
        }),
        ("score_of_things", scores(&held_out.objects)),
        ("score_of_masked", scores(&held_out.masked)),
    ];
    let figures = figures
        .into_iter()
        .map(|(name, value)| (name.to_owned(), (value * 1e4).round() / 1e4))
        .collect();
    Ok((calibration, figures))
}

fn observations(held_out: &HeldOut, takes: impl Fn(usize) -> bool) -> Observations {
    let chosen: Vec<usize> = (0..held_out.signals.len())
        .filter(|&index| takes(held_out.folds[index]))
        .collect();
    Observations {
        signals: chosen
            .iter()
            .map(|&index| held_out.signals[index])
            .collect(),
        similarities: chosen
            .iter()
            .map(|&index| held_out.similarities[index])
            .collect(),
        pairs: held_out.pairs.clone(),
    }
}

/// What the fused graph makes of the golden input, cut to four decimals.
fn golden(
    sources: &Sources,
    learnt: &Learnt,
    calibration: &str,
    runtime: &Runtime,
) -> anyhow::Result<Golden> {
    let files: BTreeMap<String, Vec<u8>> =
        sources.build(learnt, calibration)?.into_iter().collect();
    let file = |name: &str| files.get(name).map(Vec::as_slice).unwrap_or_default();
    let manifest: Manifest = toml::from_str(std::str::from_utf8(file(MANIFEST_FILE))?)?;
    golden_of(
        &manifest.embedder,
        file(&manifest.embedder.file.path),
        runtime,
    )
}

/// What the embedder in `bytes` makes of the golden input.
fn golden_of(embedder: &Embedder, bytes: &[u8], runtime: &Runtime) -> anyhow::Result<Golden> {
    let bytes = prepare_bytes(&embedder.file.path, bytes)?;
    let mut session = runtime.open("embedder", &bytes, Placement::Host)?;
    let face = verify::golden_input(&embedder.input);
    let outputs = session.run(&face.shape, &face.values)?;
    Ok(verify::golden(embedder, &outputs)?)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[expect(clippy::cast_possible_truncation, reason = "signals are small numbers")]
fn narrow(value: f64) -> f32 {
    value as f32
}
