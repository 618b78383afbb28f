//! `models inspect`: the files of a pack, its inputs and outputs, its sources and its figures.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::super::{CommandOutcome, Context, output};
use faceood::pack::Pack;
use faceood::pack::manifest::{Manifest, PictureInput};
use faceood::quality::Calibration;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  faceood-admin models inspect
  faceood-admin models inspect models/default --json")]
pub(super) struct Args {
    /// Folder of the pack, in place of the configured one
    pack: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `inspect` shows.
#[derive(Serialize)]
struct Inspection<'a> {
    sha256: &'a str,
    manifest: &'a Manifest,
    calibration: CalibrationFacts<'a>,
}

#[derive(Serialize)]
struct CalibrationFacts<'a> {
    id: &'a str,
    method: &'a str,
    date: &'a str,
    counts: &'a BTreeMap<String, u64>,
}

pub(super) fn run(args: &Args, context: &Context) -> anyhow::Result<CommandOutcome> {
    let folder = super::pack_folder(args.pack.as_ref(), context)?;
    let pack = Pack::open(&folder)?;
    let calibration = Calibration::load(pack.calibration_json())?;
    let inspection = Inspection {
        sha256: pack.sha256(),
        manifest: pack.manifest(),
        calibration: CalibrationFacts {
            id: calibration.id(),
            method: &calibration.provenance().method,
            date: &calibration.provenance().date,
            counts: &calibration.provenance().counts,
        },
    };
    if args.json {
        output::json(&inspection)?;
    } else {
        output::text(&as_text(&inspection))?;
    }
    Ok(CommandOutcome::Done)
}

fn as_text(inspection: &Inspection<'_>) -> String {
    let manifest = inspection.manifest;
    let embedder = &manifest.embedder;
    let mut facts: Vec<(String, String)> = vec![
        (
            "pack".into(),
            format!("{} {}", manifest.id, manifest.version),
        ),
        ("what".into(), manifest.description.clone()),
        ("SHA-256".into(), inspection.sha256.into()),
        (
            "similarity".into(),
            format!(
                "same from {}, a person looks from {}",
                manifest.similarity.same, manifest.similarity.review
            ),
        ),
    ];
    facts.extend(feeding(manifest));
    for network in &embedder.networks {
        facts.push((
            format!("network {}", network.name),
            format!(
                "share {}, {} of the embedding's numbers, clean norm {}",
                network.weight, network.directions, network.clean_norm
            ),
        ));
    }
    facts.push((
        "OOD".into(),
        format!(
            "{}, {:?}, {:?}",
            embedder.ood.output.name, embedder.ood.transform, embedder.ood.polarity
        ),
    ));
    let calibration = &inspection.calibration;
    facts.push((
        "calibration".into(),
        format!(
            "{} of {}: {}",
            calibration.id, calibration.date, calibration.method
        ),
    ));
    if let Some(training) = &manifest.training {
        facts.push(("training".into(), training.recipe.clone()));
        let figures = training
            .figures
            .iter()
            .map(|(name, value)| (name.clone(), value.to_string()));
        let counts = training
            .counts
            .iter()
            .map(|(name, value)| (name.clone(), value.to_string()));
        facts.extend(
            counts
                .chain(figures)
                .map(|(name, value)| (format!("  {name}"), value)),
        );
    }
    for file in manifest.files() {
        facts.push((
            file.path.clone(),
            format!("{} bytes, {}", file.bytes, file.licence),
        ));
        for source in &file.sources {
            facts.push((
                String::new(),
                format!(
                    "from {}, {} ({})",
                    source.package, source.path, source.licence
                ),
            ));
        }
    }
    output::table(
        &[],
        facts
            .into_iter()
            .map(|(name, value)| vec![Cow::from(name), Cow::from(value)]),
    )
}

/// How each network is fed, and what the detector's scores are worth.
fn feeding(manifest: &Manifest) -> Vec<(String, String)> {
    let Manifest {
        detector,
        landmarks,
        embedder,
        ..
    } = manifest;
    let input = |input: &PictureInput| {
        format!(
            "{:?}, (pixel − {}) · {}",
            input.channels, input.mean, input.scale
        )
    };
    let opinion = &detector.second_opinion;
    vec![
        (
            "detector".into(),
            format!(
                "{}; {:?}, strides {:?}, first at {} px",
                input(&detector.input),
                detector.decoding,
                detector.strides,
                detector.first_side
            ),
        ),
        (
            "  scores".into(),
            format!(
                "sure {}, middling {}, refined {}, floor {}",
                detector.sure_score,
                detector.middling_score,
                detector.refined_score,
                detector.floor_score
            ),
        ),
        (
            "  one face".into(),
            format!(
                "overlap above {}, or {} of the smaller box inside",
                detector.overlap_threshold, detector.containment_threshold
            ),
        ),
        (
            "  second opinion".into(),
            format!(
                "weights {:?}, bias {}; looks from {} that overlap by {}, shares from {}",
                opinion.weights,
                opinion.bias,
                opinion.least_score,
                opinion.least_overlap,
                opinion.smallest_share
            ),
        ),
        (
            "landmarks".into(),
            format!(
                "{}; crop {}, five points {:?}",
                input(&landmarks.input),
                landmarks.crop_scale,
                landmarks.five_points
            ),
        ),
        (
            "embedder".into(),
            format!(
                "{}; template {:?}",
                input(&embedder.input),
                embedder.template
            ),
        ),
    ]
}
