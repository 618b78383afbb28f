//! `models`: shows, checks, builds, trains and imports model packs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::out_file::write;
use super::report_out::ReportFlags;
use super::{Context, offline, output};
use faceood_engine::pack::manifest::{Embedder, Golden, Manifest};
use faceood_engine::pack::network::prepare_bytes;
use faceood_engine::pack::{MANIFEST_FILE, Pack, verify};
use faceood_engine::pipeline::tuning::answer_trial;
use faceood_engine::quality::Calibration;
use faceood_engine::runtime::{Placement, ProviderChoice, Runtime, Settings};
use faceood_lab::building::Learnt;
use faceood_lab::building::recipe::PackSources;
use faceood_lab::importing::{self, CalibrationText};

mod import;
mod inspect;
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
    /// Learn a head and its calibration from photos, for the default pack or for an imported
    /// recogniser
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
    #[command(flatten)]
    report: ReportFlags,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  scripts/build-pack --fetch-only   in a checkout: fetches what --sources names
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

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
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
        ModelsCommand::Trial => Ok(answer_trial()?),
    }
}

fn pack_folder(given: Option<&PathBuf>, context: &Context) -> anyhow::Result<PathBuf> {
    match given {
        Some(folder) => Ok(folder.clone()),
        None => Ok(context.config()?.pack_dir()),
    }
}

fn verify(args: &VerifyArgs, context: &Context) -> anyhow::Result<()> {
    let folder = pack_folder(args.pack.as_ref(), context)?;
    let pack = Pack::open(&folder)?;
    let calibration = Calibration::load(pack.calibration_json())
        .with_context(|| pack.manifest().calibration.file.path.clone())?;
    let runtime = offline::runtime(&context.config()?)?;
    let network = pack.embedder_for(runtime.candidate().form)?;
    let mut session = runtime.open("embedder", &network, Placement::Accelerated)?;
    verify::check_embedder(&pack, &mut session)?;
    let mut files = vec![(MANIFEST_FILE, pack.sha256())];
    let listed = pack.manifest().files();
    files.extend(listed.map(|file| (file.path.as_str(), file.sha256.as_str())));
    let provider = runtime.provider();
    let file =
        |(path, sha256): &(&str, &str)| json!({"path": path, "state": "ok", "sha256": sha256});
    // What is not as it should be is an error, and said as one: there is no other state.
    let verified = json!({
        "pack": pack.id(),
        "version": pack.version(),
        "provider": provider.to_string(),
        "is_calibrated": calibration.is_calibrated(),
        "files": files.iter().map(file).collect::<Vec<_>>(),
    });
    args.report.show_text("Model pack", &verified, || {
        let table = output::Rows(&files).table(&[
            ("file", |(path, _)| (*path).to_owned()),
            ("state", |_| "ok".to_owned()),
            ("SHA-256", |(_, sha256)| (*sha256).to_owned()),
        ]);
        let (id, version) = (pack.id(), pack.version());
        let mut text =
            format!("{table}\n{id} {version}: the embedder gives the golden output on {provider}");
        if !calibration.is_calibrated() {
            text += "\n";
            text += import::NOT_CALIBRATED;
        }
        text
    })
}

fn build(args: &BuildArgs) -> anyhow::Result<()> {
    let head = args.head.as_ref().unwrap_or(&args.out);
    let learnt: Learnt = serde_json::from_str(&read(&head.join(HEAD_FILE))?)
        .with_context(|| format!("{} is not valid", head.join(HEAD_FILE).display()))?;
    let calibration = read(&head.join(CALIBRATION_FILE))?;
    Calibration::load(&calibration)?;
    let files = PackSources::read(&args.sources)?.build(&learnt, &calibration)?;
    make_folder(&args.out)?;
    for (name, bytes) in &files {
        write(&args.out.join(name), bytes)?;
    }
    show_written(&args.out)
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn name_of(pack: &Pack) -> String {
    format!("{} {} {}", pack.id(), pack.version(), pack.sha256())
}

/// Opens the pack that was just written, as the daemon would, and says what it is.
fn show_written(folder: &Path) -> anyhow::Result<()> {
    output::text(&name_of(&Pack::open(folder)?))
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

/// A pack is never written over another one.
fn expect_empty(folder: &Path) -> anyhow::Result<()> {
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "{} is not empty; give --out a new folder, or move this one away first",
            folder.display()
        );
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Writes the pack, opens it as the daemon would, and shows what it is.
fn write_pack(
    out: &Path,
    base: &Pack,
    manifest: &Manifest,
    embedder: &[u8],
    calibration: CalibrationText<'_>,
) -> anyhow::Result<()> {
    make_folder(out)?;
    write(&out.join(&manifest.embedder.file.path), embedder)?;
    for (name, bytes) in importing::files(base, manifest, calibration)? {
        write(&out.join(name), &bytes)?;
    }
    show_written(out)
}
