//! `models import-rts` and `models set-calibration`: a pack around a recogniser of one's own, and its calibration.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::{golden_of, pack_folder, read, write};
use crate::admin::{Context, Outcome, output};
use crate::pack::Pack;
use crate::pack::import::checkpoint::Checkpoint;
use crate::pack::import::rts::{self, Architecture, Head};
use crate::pack::import::{self, CalibrationText, Naming};
use crate::pack::manifest::{Embedder, Golden, Polarity, Source};
use crate::quality::Calibration;
use crate::runtime::{ProviderChoice, Runtime, Settings};

/// What is said of a pack whose calibration is a stand-in.
pub(super) const NOT_CALIBRATED: &str = "NOT CALIBRATED: its scores mean nothing yet, and no built-in policy accepts anybody. Next, with your own photos:
  faceood-admin calibrate DIR --out calibration.json
  faceood-admin models set-calibration calibration.json";

/// Variance of the temperature from which on a stand-in calibration gives nothing. The published example is .77.
const LARGE_VARIANCE: f32 = 4.0;

/// What the importers have in common.
#[derive(clap::Args, Debug)]
pub(super) struct Common {
    /// Folder to write the pack to; new or empty. Its name becomes the pack's
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Pack whose detector and landmark network are taken, in place of the configured one
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// The pack's version
    #[arg(long, value_name = "VERSION", default_value = "1.0.0")]
    version: String,
    /// SPDX expression of the recogniser's licence, for the manifest
    #[arg(long, value_name = "SPDX", default_value = "LicenseRef-ask-its-owner")]
    licence: String,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
The file is read, never executed. docs/models.md walks through it.

Examples:
  faceood-admin models import-rts pytorch_model.bin --out models/rts
  faceood-admin models import-rts pytorch_model.bin --out models/rts --head rts-plus")]
pub(super) struct RtsArgs {
    /// File that torch.save wrote
    checkpoint: PathBuf,
    #[command(flatten)]
    common: Common,
    /// Head that gives the variance; if not given the one there is, and rts where there are both
    #[arg(long, value_enum)]
    head: Option<HeadChoice>,
    /// Which end of the variance is good
    #[arg(long, value_enum, default_value = "lower-is-better")]
    polarity: PolarityChoice,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum HeadChoice {
    /// One log variance
    Rts,
    /// Several; the signal is the mean of their variances
    RtsPlus,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum PolarityChoice {
    /// A large variance is a picture not to be trusted, as in the paper
    LowerIsBetter,
    /// The other way round
    HigherIsBetter,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
The daemon takes it up on SIGHUP or at its next start.

Example:
  faceood-admin models set-calibration calibration.json models/rts")]
pub(super) struct CalibrationArgs {
    /// File that `calibrate` wrote
    calibration: PathBuf,
    /// Folder of the pack, in place of the configured one
    pack: Option<PathBuf>,
}

/// Makes a pack of an RTS checkpoint.
pub(super) fn rts(args: &RtsArgs, context: &Context) -> anyhow::Result<Outcome> {
    let common = &args.common;
    expect_empty(&common.out)?;
    let base = Pack::open(&pack_folder(common.base.as_ref(), context)?)?;
    let head = args.head.map(|head| match head {
        HeadChoice::Rts => Head::Rts,
        HeadChoice::RtsPlus => Head::RtsPlus,
    });
    let polarity = match args.polarity {
        PolarityChoice::LowerIsBetter => Polarity::LowerIsBetter,
        PolarityChoice::HigherIsBetter => Polarity::HigherIsBetter,
    };
    let name = args.checkpoint.display().to_string();
    let imported = Checkpoint::open(&args.checkpoint)
        .map_err(rts::RtsError::from)
        .and_then(|mut checkpoint| rts::import(&mut checkpoint, &Architecture::IR_SE_64, head))
        .with_context(|| name.clone())?;
    let what = match imported.head {
        Head::Rts => "log variance of the temperature".to_owned(),
        Head::RtsPlus => format!(
            "logarithm of the mean of {} variances of the temperature",
            imported.head_outputs
        ),
    };
    output::note(&format!("the OOD signal is the {what}"));
    if imported.has_both_heads && head.is_none() {
        output::note("the checkpoint has an RTS plus head as well; --head rts-plus takes that one");
    }
    let bytes = imported.model.write();
    drop(imported);
    let source = Source {
        package: "ModelScope damo/cv_ir_face-recognition-ood_rts, or trained alike".to_owned(),
        path: file_name(&args.checkpoint),
        sha256: sha256_of_file(&args.checkpoint)?,
        licence: common.licence.clone(),
    };
    let embedder = rts::described(&bytes, polarity, &common.licence, source);
    let ends = [f32::NEG_INFINITY, LARGE_VARIANCE.ln()].map(|raw| embedder.ood.signal(raw));
    let description =
        format!("Random Temperature Scaling, IR-SE-64: 512 numbers and the {what}; imported");
    finish(common, &base, embedder, &bytes, description, ends)
}

/// Writes the pack and opens it as the daemon would.
fn finish(
    common: &Common,
    base: &Pack,
    embedder: Embedder,
    bytes: &[u8],
    description: String,
    signals: [f32; 2],
) -> anyhow::Result<Outcome> {
    let [one, other] = signals.map(f64::from);
    let stand_in = Calibration::uncalibrated(one.min(other), one.max(other));
    let json = stand_in.to_json()?;
    let calibration = CalibrationText {
        json: &json,
        id: stand_in.id(),
    };
    let naming = Naming {
        id: file_name(&common.out),
        version: common.version.clone(),
        description,
    };
    let mut manifest = import::manifest(base, naming, embedder, calibration);
    manifest.golden = golden(&manifest.embedder, bytes)?;
    fs::create_dir_all(&common.out)
        .with_context(|| format!("cannot make {}", common.out.display()))?;
    write(&common.out.join(&manifest.embedder.file.path), bytes)?;
    for (name, bytes) in import::files(base, &manifest, calibration)? {
        write(&common.out.join(name), &bytes)?;
    }
    let pack = Pack::open(&common.out)?;
    output::text(&format!(
        "{} {} {}",
        pack.id(),
        pack.version(),
        pack.sha256()
    ))?;
    output::text(NOT_CALIBRATED)?;
    Ok(Outcome::Done)
}

/// What the embedder makes of the golden input, on the CPU in full precision.
fn golden(embedder: &Embedder, bytes: &[u8]) -> anyhow::Result<Golden> {
    let runtime = Runtime::load(&Settings {
        provider: ProviderChoice::Cpu,
        ..Settings::default()
    })?;
    golden_of(embedder, bytes, &runtime)
}

/// Puts a calibration into a pack.
pub(super) fn set_calibration(
    args: &CalibrationArgs,
    context: &Context,
) -> anyhow::Result<Outcome> {
    let folder = pack_folder(args.pack.as_ref(), context)?;
    let pack = Pack::open(&folder)?;
    let json = read(&args.calibration)?;
    let calibration =
        Calibration::load(&json).with_context(|| args.calibration.display().to_string())?;
    let text = CalibrationText {
        json: &json,
        id: calibration.id(),
    };
    for (name, bytes) in import::recalibrated(&pack, text)? {
        replace(&folder.join(name), &bytes)?;
    }
    let pack = Pack::open(&folder)?;
    output::text(&format!(
        "{} {} {}, calibration {}",
        pack.id(),
        pack.version(),
        pack.sha256(),
        calibration.id()
    ))?;
    Ok(Outcome::Done)
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

/// Writes a file whole or not at all: whoever opens the pack meanwhile reads the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    write(&aside, bytes)?;
    fs::rename(&aside, path).with_context(|| format!("cannot write {}", path.display()))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn sha256_of_file(path: &Path) -> anyhow::Result<String> {
    use sha2::{Digest as _, Sha256};
    let unreadable = || format!("cannot read {}", path.display());
    let mut file = fs::File::open(path).with_context(unreadable)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).with_context(unreadable)? {
            0 => return Ok(hex::encode(hash.finalize())),
            length => hash.update(&buffer[..length]),
        }
    }
}
