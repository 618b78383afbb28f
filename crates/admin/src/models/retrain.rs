//! `models train --embedder`: a head for the recogniser of an imported pack.

use super::{exact_runtime, expect_empty, file_name, golden_of, train, write_pack};
use faceood_engine::pack::Pack;
use faceood_lab::importing::{self, CalibrationText, Naming, retrain};
use faceood_lab::training::{self, Networks};

pub(super) fn run(args: &train::Args, pack: &Pack) -> anyhow::Result<()> {
    expect_empty(&args.out)?;
    let faults = train::faults(args)?;
    let runtime = exact_runtime()?;
    let photos = train::photos(args)?;
    let networks = Networks::of_pack(pack)?;
    let trained = train::learn(args, &photos, &networks, &runtime, &faults)?;
    let today = chrono::Utc::now().date_naive().to_string();
    let calibrated = training::calibrate(&trained, &today)?;
    let calibration = calibrated.of_all;
    let training = train::training_of(training::RECIPE_OF_ONE, args, &trained, calibrated.figures);
    let bytes = retrain::with_head(pack, &trained.head, &trained.clean_norms)?;
    let embedder = retrain::described(pack, &bytes, &trained.clean_norms, trained.covered);
    let description = &pack.manifest().description;
    let naming = Naming {
        id: file_name(&args.out),
        version: train::version(pack.version(), args),
        description: format!("{description}; with a head learnt on {today}"),
    };
    let json = calibration.to_json()?;
    let calibration = CalibrationText {
        json: &json,
        id: calibration.id(),
    };
    let mut manifest = importing::manifest(pack, naming, embedder, calibration);
    manifest.training = Some(training.clone());
    manifest.golden = golden_of(&manifest.embedder, &bytes, &runtime)?;
    write_pack(&args.out, pack, &manifest, &bytes, calibration)?;
    train::show_figures(&training, args)
}
