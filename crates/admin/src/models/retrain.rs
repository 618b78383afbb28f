//! `models train --embedder`: a head for the recogniser of an imported pack.

use super::new_pack::{expect_empty, file_name, write_pack};
use super::{exact_runtime, golden_of, train};
use crate::CommandOutcome;
use faceood::pack::Pack;
use faceood::pack::manifest::Training;
use faceood_lab::importing::{self, CalibrationText, Naming, retrain};
use faceood_lab::training::{self, Networks};

/// Learns a head for the recogniser of an imported pack, and writes a pack that has it.
pub(super) fn run(args: &train::Args, pack: &Pack) -> anyhow::Result<CommandOutcome> {
    expect_empty(&args.out)?;
    let faults = train::faults(args)?;
    let runtime = exact_runtime()?;
    let photos = train::photos(args)?;
    let networks = Networks::of_pack(pack)?;
    let trained = train::learn(args, &photos, &networks, &runtime, &faults)?;
    let today = chrono::Utc::now().date_naive().to_string();
    let calibrated = training::calibrate(&trained, &today)?;
    let calibration = calibrated.of_all;
    let mut figures = trained.figures;
    figures.extend(calibrated.figures);
    let bytes = retrain::with_head(pack, &trained.head, &trained.clean_norms)?;
    let embedder = retrain::described(pack, &bytes, &trained.clean_norms, trained.covered_from);
    let naming = Naming {
        id: file_name(&args.out),
        version: train::version(pack.version(), args),
        description: format!(
            "{}; with a head learnt on {today}",
            pack.manifest().description
        ),
    };
    let json = calibration.to_json()?;
    let calibration = CalibrationText {
        json: &json,
        id: calibration.id(),
    };
    let mut manifest = importing::manifest(pack, naming, embedder, calibration);
    manifest.training = Some(Training {
        recipe: training::RECIPE_OF_ONE.to_owned(),
        settings: train::settings(args),
        counts: trained.counts,
        figures,
    });
    manifest.golden = golden_of(&manifest.embedder, &bytes, &runtime)?;
    write_pack(&args.out, pack, &manifest, &bytes, calibration)?;
    if let Some(training) = &manifest.training {
        train::show_figures(training, args.json)?;
    }
    Ok(CommandOutcome::Done)
}
