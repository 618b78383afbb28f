//! `models import-rts`, `models import-onnx` and `models set-calibration`: a pack around a
//! site's own recogniser, and its calibration.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use super::{
    exact_runtime, expect_empty, file_name, golden_of, name_of, pack_folder, read, write,
    write_pack,
};
use crate::choice::{Choice, choice};
use crate::{Context, output};
use faceood_engine::pack::Pack;
use faceood_engine::pack::manifest::{Channels, Embedder, Golden, Polarity, Source};
use faceood_engine::pack::sha256_hex;
use faceood_engine::quality::Calibration;
use faceood_engine::runtime::PlaneNumber;
use faceood_lab::importing::checkpoint::TorchCheckpoint;
use faceood_lab::importing::onnx::{self, Feeding};
use faceood_lab::importing::rts::{self, Architecture, Head};
use faceood_lab::importing::{self, CalibrationText, Naming};

/// Said of a pack whose calibration is a stand-in.
pub(super) const NOT_CALIBRATED: &str = "NOT CALIBRATED: its scores mean nothing yet, and no built-in policy accepts anybody. Next, with your own photos:
  faceood-admin calibrate DIR --out calibration.json
  faceood-admin models set-calibration calibration.json";

/// Variance of the temperature from which on a stand-in calibration gives nothing. The published
/// example is .77.
const LARGE_VARIANCE: f32 = 4.0;

#[derive(clap::Args, Debug)]
pub(super) struct ImportArgs {
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
The file is read, never executed. docs/models.md walks through it (installed in /usr/share/doc/faceood).

Examples:
  faceood-admin models import-rts pytorch_model.bin --out models/rts
  faceood-admin models import-rts pytorch_model.bin --out models/rts --head rts-plus")]
pub(super) struct RtsArgs {
    /// File that torch.save wrote
    checkpoint: PathBuf,
    #[command(flatten)]
    common: ImportArgs,
    /// Head that gives the variance; if not given the one there is, and rts where there are both
    #[arg(long, value_parser = choice(&HEADS))]
    head: Option<Head>,
    /// Which end of the variance is good
    #[arg(long, default_value = "lower-is-better", value_parser = choice(&POLARITIES))]
    polarity: Polarity,
}

const HEADS: [Choice<Head>; 2] = [
    ("rts", "One log variance", Head::Rts),
    (
        "rts-plus",
        "Several; the signal is the mean of their variances",
        Head::RtsPlus,
    ),
];

const POLARITIES: [Choice<Polarity>; 2] = [
    (
        "lower-is-better",
        "A large variance is a picture not to be trusted, as in the paper",
        Polarity::LowerIsBetter,
    ),
    (
        "higher-is-better",
        "The other way round",
        Polarity::HigherIsBetter,
    ),
];

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Most recognisers of InsightFace take --input rgb --mean 127.5 --scale 0.00784314, the defaults; \
one that normalises by itself takes --mean 0 --scale 1. `models train --embedder` then learns a \
head for it.

Examples:
  faceood-admin models import-onnx w600k_r50.onnx --out models/r50
  faceood-admin models train --embedder models/r50 --photos photos --out models/r50-trained")]
pub(super) struct OnnxArgs {
    /// The recogniser: takes [N, 3, 112, 112], gives [N, length] with a length of 512 at most
    recogniser: PathBuf,
    #[command(flatten)]
    common: ImportArgs,
    /// Order of the colours that it takes
    #[arg(long, default_value = "rgb", value_parser = choice(&COLOURS))]
    input: Channels,
    /// Subtracted from each pixel, 0–255: one number, or one for each colour in the order of --input
    #[arg(long, value_name = "NUMBERS", default_value = "127.5")]
    mean: PlaneNumber,
    /// What the difference is multiplied with, in the same way
    #[arg(long, value_name = "NUMBERS", default_value = "0.0078431377")]
    scale: PlaneNumber,
    /// The output that is the embedding, where there are several
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
}

const COLOURS: [Choice<Channels>; 2] = [
    ("rgb", "Red first", Channels::Rgb),
    ("bgr", "Blue first, as OpenCV reads pictures", Channels::Bgr),
];

#[derive(clap::Args, Debug)]
#[command(after_help = "\
The daemon takes it up at its next start. To keep the pack as it is, name the file as \
calibration_file in the configuration instead, which SIGHUP takes up.

Example:
  faceood-admin models set-calibration calibration.json models/rts")]
pub(super) struct CalibrationArgs {
    /// File that `calibrate` wrote
    calibration: PathBuf,
    /// Folder of the pack, in place of the configured one
    pack: Option<PathBuf>,
}

pub(super) fn rts(args: &RtsArgs, context: &Context) -> anyhow::Result<()> {
    let common = &args.common;
    let base = common.base(context)?;
    let imported = TorchCheckpoint::open(&args.checkpoint)
        .map_err(rts::RtsError::from)
        .and_then(|mut checkpoint| rts::import(&mut checkpoint, &Architecture::IR_SE_64, args.head))
        .with_context(|| args.checkpoint.display().to_string())?;
    let count = imported.head_outputs;
    let what = match imported.head {
        Head::Rts => "log variance of the temperature".to_owned(),
        Head::RtsPlus => format!("logarithm of the mean of {count} variances of the temperature"),
    };
    output::note(&format!("the OOD signal is the {what}"));
    if imported.has_both_heads && args.head.is_none() {
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
    let embedder = rts::described(&bytes, args.polarity, &common.licence, source);
    let ends = [f32::NEG_INFINITY, LARGE_VARIANCE.ln()].map(|raw| embedder.ood.signal(raw));
    let description =
        format!("Random Temperature Scaling, IR-SE-64: 512 numbers and the {what}; imported");
    let golden = golden_of(&embedder, &bytes, &exact_runtime()?)?;
    common.finish(&base, (embedder, golden), &bytes, description, ends)
}

pub(super) fn onnx(args: &OnnxArgs, context: &Context) -> anyhow::Result<()> {
    let common = &args.common;
    let base = common.base(context)?;
    let feeding = Feeding {
        channels: args.input,
        mean: args.mean,
        scale: args.scale,
    };
    let name = args.recogniser.display().to_string();
    let file = fs::read(&args.recogniser).with_context(|| format!("cannot read {name}"))?;
    let source = Source {
        package: "a recogniser of one's own".to_owned(),
        path: file_name(&args.recogniser),
        sha256: sha256_hex(&file),
        licence: common.licence.clone(),
    };
    let runtime = exact_runtime()?;
    let imported = onnx::import(&name, file, args.output.as_deref(), feeding, &runtime)
        .with_context(|| name.clone())?;
    output::note(&format!(
        "the head reads {} {:?}; until it is trained the OOD signal is the length of the {} numbers that come out",
        imported.feature_map, imported.feature_shape, imported.length
    ));
    let bytes = imported.model.write();
    let embedder = onnx::described(&bytes, imported.length, feeding, &common.licence, source);
    let description = format!("{}, imported", file_name(&args.recogniser));
    let golden = golden_of(&embedder, &bytes, &runtime)?;
    // A face's output is some times longer than that of a pattern.
    let signals = [0.0, 4.0 * golden.ood_logit.max(f32::EPSILON)];
    common.finish(&base, (embedder, golden), &bytes, description, signals)
}

impl ImportArgs {
    /// The pack whose other networks are taken, once the new one's folder is known to be empty.
    fn base(&self, context: &Context) -> anyhow::Result<Pack> {
        expect_empty(&self.out)?;
        Ok(Pack::open(&pack_folder(self.base.as_ref(), context)?)?)
    }

    /// Writes the pack with a stand-in for its calibration, and says so.
    fn finish(
        &self,
        base: &Pack,
        (embedder, golden): (Embedder, Golden),
        bytes: &[u8],
        description: String,
        signals: [f32; 2],
    ) -> anyhow::Result<()> {
        let [one, other] = signals.map(f64::from);
        let stand_in = Calibration::uncalibrated(one.min(other), one.max(other));
        let json = stand_in.to_json()?;
        let calibration = CalibrationText {
            json: &json,
            id: stand_in.id(),
        };
        let naming = Naming {
            id: file_name(&self.out),
            version: self.version.clone(),
            description,
        };
        let mut manifest = importing::manifest(base, naming, embedder, calibration);
        manifest.golden = golden;
        write_pack(&self.out, base, &manifest, bytes, calibration)?;
        output::text(NOT_CALIBRATED)
    }
}

pub(super) fn set_calibration(args: &CalibrationArgs, context: &Context) -> anyhow::Result<()> {
    let folder = pack_folder(args.pack.as_ref(), context)?;
    let pack = Pack::open(&folder)?;
    let json = read(&args.calibration)?;
    let file = args.calibration.display();
    let calibration = Calibration::load(&json).with_context(|| file.to_string())?;
    let expected = &pack.manifest().embedder.file.sha256;
    if let Some(got) = calibration.embedder()
        && got != expected
    {
        bail!(
            "{file} was made for the embedder {got}, this pack's is {expected}; make one with this pack: `faceood-admin calibrate`"
        );
    }
    let text = CalibrationText {
        json: &json,
        id: calibration.id(),
    };
    for (name, bytes) in importing::recalibrated(&pack, text, calibration.thresholds())? {
        write(&folder.join(name), &bytes)?;
    }
    let pack = name_of(&Pack::open(&folder)?);
    output::text(&format!("{pack}, calibration {}", calibration.id()))
}

fn sha256_of_file(path: &Path) -> anyhow::Result<String> {
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
