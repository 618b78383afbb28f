//! `models train`: trains a head and a calibration on photos.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;

use super::{CALIBRATION_FILE, HEAD_FILE, exact_runtime, golden_of, make_folder, output, write};
use crate::analyze_logs::exported;
use crate::report_out::FormatFlags;
use faceood_engine::pack::MANIFEST_FILE;
use faceood_engine::pack::manifest::{Golden, Manifest, Training};
use faceood_engine::quality::Calibration;
use faceood_engine::runtime::Runtime;
use faceood_lab::building::Learnt;
use faceood_lab::building::head::LinearHead;
use faceood_lab::building::recipe::{self, PackSources};
use faceood_lab::degrade::DegradationKind;
use faceood_lab::training::{self, Effort, Faults, Networks, Photo, Trained, UnseenFault};

/// Of when the photos are that the default pack learns from. Fixed by the recipe, so that a rebuild
/// gives the same bytes.
const PHOTOS_DATE: &str = "2026-11-24";
/// Ends the version of a pack that has learnt from other faults than the default one.
const OTHER_FAULTS: &str = "+site";

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  scripts/build-pack --fetch-only   in a checkout: fetches what --sources names
  faceood-admin models train --photos photos --out models/default
  faceood-admin models train --embedder models/imported --photos photos --out models/ours

What a site's cameras do, as analyze-logs found it, is learnt besides:
  faceood-admin analyze-logs --export-cluster 1 --out gate-3
  faceood-admin models train --photos photos --augment gate-3 --out site
  faceood-admin models build --head site --out models/site")]
pub(super) struct Args {
    /// Folder of photos with named/PERSON, wild/PERSON, single and masked inside
    #[arg(long, value_name = "DIR")]
    pub(super) photos: PathBuf,
    /// Folder with the published networks and the packages' pictures, as scripts/build-pack fills
    /// it
    #[arg(long, value_name = "DIR", default_value = "vendor/pack-sources")]
    pub(super) sources: PathBuf,
    /// Pack of import-onnx whose recogniser gets the head, in place of the default pack's networks
    #[arg(long, value_name = "PACK")]
    pub(super) embedder: Option<PathBuf>,
    /// Folder to write head.json and calibration.json to; with --embedder, the new pack
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Folder for what is learnt without each fold of people, to measure the score on people that
    /// it has not seen: DIR/0 … DIR/4 with head.json and calibration.json, DIR/folds.csv, and
    /// DIR/unseen-faults.csv: what is foreseen of each kind of fault without having learnt from it
    #[arg(long, value_name = "DIR", conflicts_with = "embedder")]
    pub(super) folds: Option<PathBuf>,
    /// Folder for features, to try other heads as scripts/score-report --trials does: of all that
    /// is learnt from in DIR/learnt, and of the largest faces of --see in DIR/seen
    #[arg(long, value_name = "DIR", conflicts_with = "embedder")]
    pub(super) features: Option<PathBuf>,
    /// File with the path of a picture on each line
    #[arg(long, value_name = "FILE", requires = "features")]
    pub(super) see: Option<PathBuf>,
    /// Learn from a pattern besides: a folder of analyze-logs --export-cluster; may be given
    /// several times
    #[arg(long, value_name = "DIR")]
    pub(super) augment: Vec<PathBuf>,
    /// Leave out all copies with this kind of fault, to see what the score makes of faults that it
    /// does not know; may be given several times
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(DegradationKind::ALL.map(DegradationKind::name)))]
    pub(super) without: Vec<String>,
    #[command(flatten)]
    pub(super) report: FormatFlags,
    /// Threads; the result is the same with any number
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(super) threads: usize,
    /// Take only each N-th person, for a quick try
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) every: u32,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    // A wrong folder is told at once, not after the photos have been looked at.
    let faults = faults(args)?;
    let sources = PackSources::read(&args.sources)?;
    let runtime = exact_runtime()?;
    let photos = photos(args)?;
    let networks = Networks::of_recipe(&sources)?;
    if let (Some(folder), Some(list)) = (&args.features, &args.see) {
        let text = std::fs::read_to_string(list)
            .with_context(|| format!("{} cannot be read", list.display()))?;
        let pictures: Vec<PathBuf> = text.lines().map(PathBuf::from).collect();
        let folder = folder.join("seen");
        training::write_seen(&folder, &pictures, &networks, &runtime, args.threads)?;
    }
    let trained = learn(args, &photos, &networks, &runtime, &faults)?;
    let calibrated = training::calibrate(&trained, PHOTOS_DATE)?;
    let training = training_of(training::RECIPE, args, &trained, calibrated.figures);
    let version = version(recipe::VERSION, args);
    let write_learnt =
        |folder: &Path, head: &LinearHead, calibration: &Calibration| -> anyhow::Result<()> {
            let mut learnt = Learnt {
                version: version.clone(),
                clean_norms: trained.clean_norms.clone(),
                head: head.clone(),
                covered: trained.covered,
                golden: Golden::default(),
                training: training.clone(),
            };
            let calibration = calibration.to_json()?;
            learnt.golden = golden(&sources, &learnt, &calibration, &runtime)?;
            make_folder(folder)?;
            let head = serde_json::to_string(&learnt)? + "\n";
            write(&folder.join(HEAD_FILE), head.as_bytes())?;
            write(&folder.join(CALIBRATION_FILE), calibration.as_bytes())
        };
    write_learnt(&args.out, &trained.head, &calibrated.of_all)?;
    if let Some(folder) = &args.folds {
        let unseen = trained.without_fold.iter().zip(&calibrated.without_fold);
        for (fold, (head, calibration)) in unseen.enumerate() {
            write_learnt(&folder.join(fold.to_string()), head, calibration)?;
        }
        write(&folder.join("folds.csv"), &folds_of(&photos, &args.photos)?)?;
        let unseen = unseen_faults(&trained.unseen_faults)?;
        write(&folder.join("unseen-faults.csv"), &unseen)?;
    }
    show_figures(&training, args)
}

/// What a pack says of its training: the numbers of `recipe`, by what these arguments depart from
/// it, and what came out.
pub(super) fn training_of(
    recipe: &str,
    args: &Args,
    trained: &Trained,
    figures: BTreeMap<String, f64>,
) -> Training {
    let mut settings = training::settings();
    if !args.augment.is_empty() {
        settings.insert("patterns_learnt_from".to_owned(), args.augment.len() as f64);
    }
    for kind in &args.without {
        settings.insert(format!("{kind}_left_out"), 1.0);
    }
    Training {
        recipe: recipe.to_owned(),
        settings,
        counts: trained.counts.clone(),
        figures: trained.figures.clone().into_iter().chain(figures).collect(),
    }
}

/// The version of what is learnt on top of `base`.
pub(super) fn version(base: &str, args: &Args) -> String {
    let is_plain = args.augment.is_empty() && args.without.is_empty();
    if is_plain || base.ends_with(OTHER_FAULTS) {
        base.to_owned()
    } else {
        format!("{base}{OTHER_FAULTS}")
    }
}

pub(super) fn faults(args: &Args) -> anyhow::Result<Faults> {
    let is_left_out = |kind: &DegradationKind| args.without.iter().any(|name| name == kind.name());
    let without = DegradationKind::ALL.into_iter().filter(is_left_out);
    let more = args.augment.iter();
    let more = more.map(|folder| exported::recipe_in(folder));
    Ok(Faults {
        without: without.collect(),
        more: more.collect::<anyhow::Result<_>>()?,
    })
}

/// Which fold each photo of the collection in `root` is in, as CSV with paths relative to it.
fn folds_of(photos: &[Photo], root: &Path) -> anyhow::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["photo", "fold"])?;
    for photo in photos {
        // Packages' pictures lie elsewhere.
        if let Ok(path) = photo.path.strip_prefix(root) {
            let fold = training::fold_of(photo.person).to_string();
            table.write_record([path.to_string_lossy().as_ref(), &fold])?;
        }
    }
    Ok(table.into_inner()?)
}

/// What is foreseen of faults that were learnt and of those that were not, as CSV.
fn unseen_faults(faults: &[UnseenFault]) -> anyhow::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["fault", "person", "reached", "seen", "unseen"])?;
    for fault in faults {
        let names = [fault.family.to_owned(), fault.person.to_string()];
        let numbers = [fault.reached, fault.of_seen_kind, fault.of_unseen_kind];
        let numbers = numbers.map(|number| format!("{number:.4}"));
        table.write_record(names.iter().chain(&numbers))?;
    }
    Ok(table.into_inner()?)
}

pub(super) fn photos(args: &Args) -> anyhow::Result<Vec<Photo>> {
    Ok(training::find(&args.photos, &args.sources, args.every)?)
}

/// Learns a head for these networks, from copies that show `faults`.
pub(super) fn learn(
    args: &Args,
    photos: &[Photo],
    networks: &Networks,
    runtime: &Runtime,
    faults: &Faults,
) -> anyhow::Result<Trained> {
    let bar = output::progress(photos.len() as u64, "photos");
    let features = args.features.as_ref().map(|folder| folder.join("learnt"));
    let effort = Effort {
        threads: args.threads,
        is_thorough: args.folds.is_some(),
        features: features.as_deref(),
    };
    let hear = |done| bar.set_position(done as u64);
    let trained = training::train(photos, networks, runtime, faults, effort, &hear)?;
    bar.finish();
    Ok(trained)
}

pub(super) fn show_figures(training: &Training, args: &Args) -> anyhow::Result<()> {
    args.report.show_text("What was learnt", training, || {
        let figures = training.figures.iter();
        let rows = figures.map(|(name, value)| vec![name.into(), value.to_string().into()]);
        output::table(&["figure", "value"], rows)
    })
}

/// What the fused graph makes of the golden input, cut to four decimals.
fn golden(
    sources: &PackSources,
    learnt: &Learnt,
    calibration: &str,
    runtime: &Runtime,
) -> anyhow::Result<Golden> {
    let files: BTreeMap<String, Vec<u8>> =
        sources.build(learnt, calibration)?.into_iter().collect();
    let file = |name: &str| files.get(name).map(Vec::as_slice).unwrap_or_default();
    let manifest: Manifest = toml::from_slice(file(MANIFEST_FILE))?;
    let embedder = &manifest.embedder;
    golden_of(embedder, file(&embedder.file.path), runtime)
}
