//! `models`: shows, checks, builds, trains and imports model packs.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::out_file::write;
use super::{CommandOutcome, Context, offline, output};
use faceood::pack::manifest::{Embedder, Golden};
use faceood::pack::network::prepare_bytes;
use faceood::pack::{MANIFEST_FILE, Pack, verify};
use faceood::pipeline::tuning::answer_trial;
use faceood::quality::Calibration;
use faceood::runtime::{Placement, ProviderChoice, Runtime, Settings};
use faceood_lab::building::Learnt;
use faceood_lab::building::recipe::PackSources;

mod import;
mod inspect;
mod new_pack;
mod retrain;
mod train;
pub(crate) mod tune;

/// What `train` writes and `build` reads, beside the calibration.
const HEAD_FILE: &str = "head.json";
const CALIBRATION_FILE: &str = "calibration.json";

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: ModelsCommand,
}

#[derive(clap::Subcommand, Debug)]
enum ModelsCommand {
    /// Check a pack: hashes, names and shapes, and a run on the golden input
    Verify(VerifyArgs),
    /// Show what a pack consists of, where it comes from and how well it does
    Inspect(inspect::Args),
    /// Write the default pack from published networks and a learnt head
    Build(BuildArgs),
    /// Learn a head and its calibration from photos, for the default pack or for an imported recogniser
    Train(train::Args),
    /// Make a pack of a PyTorch checkpoint of Random Temperature Scaling
    ImportRts(import::RtsArgs),
    /// Make a pack of any ArcFace-style recogniser in ONNX
    ImportOnnx(import::OnnxArgs),
    /// Put a calibration into a pack
    SetCalibration(import::CalibrationArgs),
    /// Measure every way to run the models on this box, and keep the fastest for the daemon
    Tune(tune::Args),
    /// Try one way to run the models; `tune` starts it
    #[command(hide = true)]
    Trial,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  faceood-admin models verify                   the pack that the daemon would use
  faceood-admin models verify models/default --json")]
struct VerifyArgs {
    /// Folder of the pack, in place of the configured one
    pack: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
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

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<CommandOutcome> {
    match &args.task {
        ModelsCommand::Verify(args) => verify(args, context),
        ModelsCommand::Inspect(args) => inspect::run(args, context),
        ModelsCommand::Build(args) => build(args),
        ModelsCommand::Train(args) => match &args.embedder {
            Some(folder) => retrain::run(args, &Pack::open(folder)?),
            None => train::run(args),
        },
        ModelsCommand::ImportRts(args) => import::rts(args, context),
        ModelsCommand::ImportOnnx(args) => import::onnx(args, context),
        ModelsCommand::SetCalibration(args) => import::set_calibration(args, context),
        ModelsCommand::Tune(args) => tune::run(args, context),
        ModelsCommand::Trial => {
            answer_trial()?;
            Ok(CommandOutcome::Done)
        }
    }
}

fn pack_folder(given: Option<&PathBuf>, context: &Context) -> anyhow::Result<PathBuf> {
    match given {
        Some(folder) => Ok(folder.clone()),
        None => Ok(context.config()?.pack_dir()),
    }
}

fn verify(args: &VerifyArgs, context: &Context) -> anyhow::Result<CommandOutcome> {
    let folder = pack_folder(args.pack.as_ref(), context)?;
    let pack = Pack::open(&folder)?;
    let calibration = Calibration::load(pack.calibration_json())
        .with_context(|| pack.manifest().calibration.file.path.clone())?;
    let runtime = offline::runtime(&context.config()?)?;
    let mut session = runtime.open(
        "embedder",
        &pack.embedder_for(runtime.candidate().form)?,
        Placement::Accelerated,
    )?;
    verify::check_embedder(&pack, &mut session)?;
    let manifest = (MANIFEST_FILE, pack.sha256());
    let files = pack.manifest().files();
    let files = files.map(|file| (file.path.as_str(), file.sha256.as_str()));
    let files: Vec<_> = std::iter::once(manifest).chain(files).collect();
    let provider = runtime.provider();
    if args.json {
        // What is not as it should be is an error, and said as one: there is no other state.
        let file = |(path, sha256)| json!({"path": path, "state": "ok", "sha256": sha256});
        let files: Vec<_> = files.into_iter().map(file).collect();
        output::json(&json!({
            "pack": pack.id(),
            "version": pack.version(),
            "provider": provider.to_string(),
            "is_calibrated": calibration.is_calibrated(),
            "files": files,
        }))?;
        return Ok(CommandOutcome::Done);
    }
    let rows = files
        .into_iter()
        .map(|(path, sha256)| vec![Cow::from(path), "ok".into(), sha256.into()]);
    output::text(&output::table(&["file", "state", "SHA-256"], rows))?;
    output::text(&format!(
        "{} {}: the embedder gives the golden output on {provider}",
        pack.id(),
        pack.version(),
    ))?;
    if !calibration.is_calibrated() {
        output::text(import::NOT_CALIBRATED)?;
    }
    Ok(CommandOutcome::Done)
}

fn build(args: &BuildArgs) -> anyhow::Result<CommandOutcome> {
    let head = args.head.as_ref().unwrap_or(&args.out);
    let learnt: Learnt = serde_json::from_str(&read(&head.join(HEAD_FILE))?)
        .with_context(|| format!("{} is not valid", head.join(HEAD_FILE).display()))?;
    let calibration = read(&head.join(CALIBRATION_FILE))?;
    Calibration::load(&calibration)?;
    let files = PackSources::read(&args.sources)?.build(&learnt, &calibration)?;
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    for (name, bytes) in &files {
        write(&args.out.join(name), bytes)?;
    }
    show_written(&args.out)?;
    Ok(CommandOutcome::Done)
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

/// The CPU in full precision: the same photos shall give the same head.
fn exact_runtime() -> anyhow::Result<Runtime> {
    Ok(Runtime::load(&Settings {
        provider: ProviderChoice::Cpu,
        ..Settings::default()
    })?)
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
