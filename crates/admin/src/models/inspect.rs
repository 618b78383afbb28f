//! `models inspect`: the files of a pack, its inputs and outputs, its sources and its figures.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::report_out::ReportFlags;
use crate::{Context, output};
use faceood_engine::pack::Pack;
use faceood_engine::pack::manifest::{Detector, Manifest, PictureInput};
use faceood_engine::quality::Calibration;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  faceood-admin models inspect
  faceood-admin models inspect models/default --json")]
pub(super) struct Args {
    /// Folder of the pack, in place of the configured one
    pack: Option<PathBuf>,
    #[command(flatten)]
    report: ReportFlags,
}

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

pub(super) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
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
    let text = || as_text(&inspection);
    args.report.show_text("Model pack", &inspection, text)
}

fn as_text(inspection: &Inspection<'_>) -> String {
    let manifest = inspection.manifest;
    let (same, review) = (manifest.similarity.same, manifest.similarity.review);
    let mut rows = Vec::new();
    let mut fact =
        |name: &str, value: String| rows.push(vec![name.to_owned().into(), value.into()]);
    fact("pack", format!("{} {}", manifest.id, manifest.version));
    fact("what", manifest.description.clone());
    fact("SHA-256", inspection.sha256.to_owned());
    fact(
        "similarity",
        format!("same from {same}, a person looks from {review}"),
    );
    for (name, value) in feeding(manifest) {
        fact(name, value);
    }
    for network in &manifest.embedder.networks {
        let (share, numbers, norm) = (network.weight, network.directions, network.clean_norm);
        fact(
            &format!("network {}", network.name),
            format!("share {share}, {numbers} of the embedding's numbers, clean norm {norm}"),
        );
    }
    let ood = &manifest.embedder.ood;
    let (output, transform, polarity) = (&ood.output.name, ood.transform, ood.polarity);
    let (transform, polarity) = (word(transform), word(polarity));
    fact("OOD", format!("{output}, {transform}, {polarity}"));
    let CalibrationFacts {
        id, date, method, ..
    } = &inspection.calibration;
    fact("calibration", format!("{id} of {date}: {method}"));
    if let Some(training) = &manifest.training {
        fact("training", training.recipe.clone());
        for (name, value) in &training.counts {
            fact(&format!("  {name}"), value.to_string());
        }
        for (name, value) in &training.figures {
            fact(&format!("  {name}"), value.to_string());
        }
    }
    for file in manifest.files() {
        let (bytes, licence) = (file.bytes, &file.licence);
        fact(&file.path, format!("{bytes} bytes, {licence}"));
        for source in &file.sources {
            let (package, path, licence) = (&source.package, &source.path, &source.licence);
            fact("", format!("from {package}, {path} ({licence})"));
        }
    }
    output::table(&[], rows)
}

/// The manifest's word for a choice.
fn word(choice: impl Serialize) -> String {
    let said = serde_json::to_value(choice).ok();
    let said = said.as_ref().and_then(serde_json::Value::as_str);
    said.unwrap_or_default().to_owned()
}

/// How each network is fed, and what the detector's scores are worth.
fn feeding(manifest: &Manifest) -> [(&'static str, String); 6] {
    let input = |input: &PictureInput| {
        let (channels, mean, scale) = (word(input.channels), input.mean, input.scale);
        format!("{channels}, (pixel − {mean}) · {scale}")
    };
    let Detector {
        decoding,
        strides,
        first_side,
        sure_score: sure,
        middling_score: middling,
        refined_score: refined,
        floor_score: floor,
        overlap_threshold: overlap,
        containment_threshold: inside,
        second_opinion: opinion,
        ..
    } = &manifest.detector;
    let (weights, bias, least_score) = (opinion.weights, opinion.bias, opinion.least_score);
    let (least_overlap, share) = (opinion.least_overlap, opinion.smallest_share);
    let detector = input(&manifest.detector.input);
    let landmarks = input(&manifest.landmarks.input);
    let crop = manifest.landmarks.crop_scale;
    let points = &manifest.landmarks.five_points;
    let embedder = input(&manifest.embedder.input);
    let template = &manifest.embedder.template;
    [
        (
            "detector",
            format!(
                "{detector}; {}, strides {strides:?}, first at {first_side} px",
                word(decoding)
            ),
        ),
        (
            "  scores",
            format!("sure {sure}, middling {middling}, refined {refined}, floor {floor}"),
        ),
        (
            "  one face",
            format!("overlap above {overlap}, or {inside} of the smaller box inside"),
        ),
        (
            "  second opinion",
            format!(
                "weights {weights:?}, bias {bias}; looks from {least_score} that overlap by {least_overlap}, shares from {share}"
            ),
        ),
        (
            "landmarks",
            format!("{landmarks}; crop {crop}, five points {points:?}"),
        ),
        ("embedder", format!("{embedder}; template {template:?}")),
    ]
}
