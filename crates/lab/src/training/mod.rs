//! Trains the OOD head. Photos are degraded, and the product's own pipeline turns each copy
//! into pooled activations. Ridge regression then predicts each sample's similarity to other
//! photos of the person.
//!
//! Training is deterministic: the same photos give the same head on the same kind of CPU.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use image::RgbImage;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::building::BuildError;
use crate::building::head::LinearHead;
use crate::degrade::unit;
use crate::importing::retrain::RetrainError;
use faceood_engine::capture::CaptureError;
use faceood_engine::cause::CauseName;
use faceood_engine::face::FaceError;
use faceood_engine::geometry::BoundingBox;
use faceood_engine::pack::PackError;
use faceood_engine::pack::network::NetworkError;
use faceood_engine::runtime::{Runtime, RuntimeError};

mod calibrating;
mod chain;
mod copies;
mod drawing;
mod experts;
mod families;
mod features;
mod gram;
mod learn;
mod networks;
mod photos;
mod report;
mod ridge;
mod scale;
mod targets;
mod worn;

pub use calibrating::{Calibrated, calibrate};
use chain::{Chain, NetworkOutputs};
pub use copies::Faults;
use copies::{CauseStrengths, Copy, shows};
pub use families::UnseenFault;
pub use features::write_seen;
pub use networks::Networks;
pub use photos::{Group, Photo, find};
pub use targets::mean_of_best;

/// Ridge penalty of the experts. A smaller one ranks people better that were learnt from, and
/// others, and kinds of faults that were left out, worse.
const ALPHA: f64 = 10_000.0;
/// Ridge penalty of the detectors of causes.
const CAUSE_ALPHA: f64 = 3000.0;
/// Description of the training, for the manifest.
pub const RECIPE: &str = "Ridge regression on mean and deviation over positions of activations in both networks and on their norms: three experts on the similarity to other photos of the person (camera pictures, covered faces, web crops), gates to the latter two, and a detector for each cause; degraded copies by src/degrade, things count as similar to nobody";
/// Description of the training for a pack of one recogniser, for its manifest.
pub const RECIPE_OF_ONE: &str = "Ridge regression on mean and deviation over positions of the recogniser's last feature map and on its norm: three experts on the similarity to other photos of the person (camera pictures, covered faces, web crops), gates to the latter two, and a detector for each cause; degraded copies by src/degrade, things count as similar to nobody";
/// Description of the calibration, for its file.
const CALIBRATION: &str = "Isotonic over bins of equal count on predictions for held-out people (5 folds by person), whole faces only; spreads between two shots of one degraded scene";
/// Folds of people for held-out predictions.
const FOLDS: u32 = 5;
/// Target similarity of objects that are not faces.
const OBJECT_TARGET: f64 = 0.0;
/// Squares cut from each picture of a thing.
const SQUARES_PER_OBJECT: u32 = 8;
/// Squares cut from the surroundings of the face in a photo of a single person.
const SQUARES_PER_PHOTO: u32 = 2;
/// Side of the square of hair above a face, as a share of the face's width. It stands for the
/// back of a head, which photos of faces do not show.
const HAIR: f32 = 0.8;
/// Lowest overlap (IoU) of a copy's face with the photo's face. Below it the detector found
/// another face, or none.
const SAME_PLACE_IOU: f32 = 0.2;
/// Similarity from which a capture counts as passed.
const PASS: f64 = 0.45;

/// The recipe's numbers, for the manifest.
pub fn settings() -> BTreeMap<String, f64> {
    BTreeMap::from([
        ("alpha".to_owned(), ALPHA),
        ("alpha_of_causes".to_owned(), CAUSE_ALPHA),
        ("folds".to_owned(), f64::from(FOLDS)),
        ("whole_doubted".to_owned(), learn::DOUBTED[0]),
        ("whole_taken_for_covered".to_owned(), learn::DOUBTED[1]),
        ("target_of_things".to_owned(), OBJECT_TARGET),
    ])
}

/// Why a head cannot be learnt.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// A folder cannot be read.
    #[error("{} cannot be read: {}", .0.display(), .1)]
    Folder(PathBuf, #[source] walkdir::Error),
    /// The folder of a group holds no photos.
    #[error("{} holds no .jpg or .png; training needs photos there", .0.display())]
    NoPhotos(PathBuf),
    /// A photo cannot be read.
    #[error("{} cannot be read: {}", .0.display(), .1)]
    Photo(PathBuf, #[source] image::ImageError),
    /// Features cannot be written.
    #[error("{} cannot be written to: {}", .0.display(), .1)]
    Features(PathBuf, #[source] io::Error),
    /// A picture cannot be written for the chain.
    #[error("a degraded copy cannot be encoded: {0}")]
    Encode(#[from] image::ImageError),
    /// The chain's first stage failed.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Finding or aligning failed.
    #[error(transparent)]
    Face(#[from] FaceError),
    /// A network failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The networks are not those of the recipe.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A network cannot be read or rewritten.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The pack is not usable.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The pack's embedder cannot be given another head.
    #[error(transparent)]
    Retrain(#[from] RetrainError),
    /// The regression has no solution.
    #[error("the regression has no solution; more photos are needed")]
    Singular,
    /// A thread could not start, or ended early.
    #[error("a training thread could not start or ended early")]
    Thread,
}

/// A trained head and the figures of its training.
pub struct Trained {
    /// The head, trained on all people.
    pub head: LinearHead,
    /// For each fold, the head trained without it.
    pub without_fold: Vec<LinearHead>,
    /// Sums of the logits of occlusion and mask from which a face may be covered, and surely is.
    pub covered: [f32; 2],
    /// Mean output length of each network over clean photos.
    pub clean_norms: Vec<f32>,
    /// Number of samples by kind.
    pub counts: BTreeMap<String, u64>,
    /// Measured on held-out people.
    pub figures: BTreeMap<String, f64>,
    /// How well each kind of fault is predicted without training on it; empty unless
    /// training was thorough.
    pub unseen_faults: Vec<UnseenFault>,
    held_out: HeldOut,
}

/// Predictions for held-out people, for calibration.
#[derive(Default)]
struct HeldOut {
    /// Signals of uncovered faces.
    signals: Vec<f64>,
    /// The similarity of each of them to a good reference.
    similarities: Vec<f64>,
    /// The fold of each.
    folds: Vec<usize>,
    /// Signals of two shots of one scene, with their fold.
    pairs: Vec<(usize, [f64; 2])>,
    /// Signals of real masked faces, and the chance that the head takes them for covered.
    masked: Vec<(f64, f64)>,
    /// Signals of objects that are not faces.
    objects: Vec<f64>,
}

/// A photo's number, and which of the faces in it.
type PhotoId = (usize, usize);

/// One sample: a face as the chain saw it.
struct TrainingSample {
    group: Group,
    /// The person, or the package; it belongs to one fold only.
    person: u32,
    photo: PhotoId,
    scene: u32,
    is_second_shot: bool,
    is_clean: bool,
    symptoms: CauseStrengths,
    seen: NetworkOutputs,
}

/// The fold of a person, who is held out together with everybody in it.
pub const fn fold_of(person: u32) -> usize {
    (person % FOLDS) as usize
}

impl TrainingSample {
    fn fold(&self) -> usize {
        fold_of(self.person)
    }

    /// The place of the cause that shows, if no other one does.
    fn only_symptom(&self) -> Option<usize> {
        let mut seen = (0..self.symptoms.len()).filter(|&cause| self.symptoms[cause] > 0.0);
        seen.next().filter(|_| seen.next().is_none())
    }

    /// Whether the degradation covers mouth or eyes of a bare face.
    fn is_covered(&self) -> bool {
        CauseName::COVERS
            .into_iter()
            .any(|cause| shows(&self.symptoms, cause))
    }
}

/// How training runs, and what it does besides learning a head.
#[derive(Clone, Copy, Debug)]
pub struct Effort<'a> {
    /// Number of threads.
    pub threads: usize,
    /// Whether it also trains once without each kind of fault, to measure how the head handles
    /// unknown faults.
    pub is_thorough: bool,
    /// Folder for what is learnt from, if that is to be kept.
    pub features: Option<&'a Path>,
}

/// Trains a head on `photos` and on copies degraded by `faults`.
/// `progress` receives the number of finished photos.
///
/// Photos are dealt to threads in turn and put back into order, so that the number of threads does
/// not change the result.
pub fn train(
    photos: &[Photo],
    networks: &Networks,
    runtime: &Runtime,
    faults: &Faults,
    effort: Effort<'_>,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Trained, TrainingError> {
    let threads = effort.threads.max(1);
    let done = AtomicUsize::new(0);
    // Returns a thread's samples, and the features of all of them in one allocation. Many small
    // allocations between short-lived pictures and activations would fragment the memory.
    let work = |thread: usize| -> Result<(Vec<TrainingSample>, Vec<f32>), TrainingError> {
        let mut chain = Chain::open(runtime, networks)?;
        let (mut samples, mut features) = (Vec::new(), Vec::new());
        for (number, photo) in photos.iter().enumerate().skip(thread).step_by(threads) {
            for mut sample in samples_of(&mut chain, number, photo, faults)? {
                features.extend(std::mem::take(&mut sample.seen.features));
                samples.push(sample);
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
        Ok((samples, features))
    };
    let gathered = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || work(thread)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| TrainingError::Thread)?)
            .collect::<Result<Vec<_>, TrainingError>>()
    })?;
    let (samples, features): (Vec<_>, Vec<_>) = gathered.into_iter().unzip();
    let samples: Vec<TrainingSample> = samples.into_iter().flatten().collect();
    let width = features.iter().map(Vec::len).sum::<usize>() / samples.len().max(1);
    debug_assert!(
        features.iter().all(|of| of.len() % width.max(1) == 0),
        "each face has as many features"
    );
    let rows = features.iter().flat_map(|of| of.chunks_exact(width.max(1)));
    let mut samples: Vec<(TrainingSample, &[f32])> = samples.into_iter().zip(rows).collect();
    samples.sort_by_key(|(sample, _)| sample.photo.0);
    let (samples, rows): (Vec<_>, Vec<_>) = samples.into_iter().unzip();
    learn::learn(&samples, &rows, &networks.shares, effort)
}

fn samples_of(
    chain: &mut Chain,
    number: usize,
    photo: &Photo,
    faults: &Faults,
) -> Result<Vec<TrainingSample>, TrainingError> {
    let picture = image::open(&photo.path)
        .map_err(|error| TrainingError::Photo(photo.path.clone(), error))?
        .into_rgb8();
    let id = (number, 0);
    let untouched = |seen| sample(photo, id, seen, &Copy::untouched());
    match photo.group {
        Group::Object => {
            let seen = squares(chain, number, &picture, SQUARES_PER_OBJECT, None)?;
            Ok(seen.into_iter().map(untouched).collect())
        }
        Group::Package => {
            let mut single = photo.clone();
            single.group = Group::Single;
            let mut samples = Vec::new();
            for (face, part) in chain.people(&picture)?.iter().enumerate() {
                let id = (number, face);
                samples.extend(samples_of_face(chain, id, &single, part, faults)?);
            }
            Ok(samples)
        }
        Group::Named | Group::Wild | Group::Press | Group::Masked => {
            samples_of_face(chain, id, photo, &picture, faults)
        }
        Group::Single => {
            let mut samples = samples_of_face(chain, id, photo, &picture, faults)?;
            if let Some((face, _)) = chain.find(&picture)? {
                let bounds = face.bounding_box;
                let mut things =
                    squares(chain, number, &picture, SQUARES_PER_PHOTO, Some(&bounds))?;
                things.extend(hair(chain, &picture, &bounds)?);
                let drawing = drawing(chain, number, &picture, &bounds)?;
                samples.extend(drawing.map(|seen| sample(photo, id, seen, &Copy::drawing())));
                samples.extend(things.into_iter().map(|seen| TrainingSample {
                    group: Group::Object,
                    ..untouched(seen)
                }));
            }
            Ok(samples)
        }
    }
}

fn sample(photo: &Photo, id: PhotoId, seen: NetworkOutputs, copy: &Copy) -> TrainingSample {
    TrainingSample {
        group: photo.group,
        person: photo.person,
        photo: id,
        scene: copy.scene,
        is_second_shot: copy.shift != [0, 0],
        is_clean: false,
        symptoms: copy.symptoms,
        seen,
    }
}

/// The largest face of a picture, as it is and in copies.
fn samples_of_face(
    chain: &mut Chain,
    id: PhotoId,
    photo: &Photo,
    picture: &RgbImage,
    faults: &Faults,
) -> Result<Vec<TrainingSample>, TrainingError> {
    let Some((face, aligned)) = chain.find(picture)? else {
        return Ok(Vec::new());
    };
    let bounds = face.bounding_box;
    let mut samples = vec![TrainingSample {
        is_clean: true,
        ..sample(photo, id, chain.see(&aligned.crop)?, &Copy::untouched())
    }];
    // Far beyond the number of photos: no two faces share a seed.
    let seed = id.0 as u64 + 1_000_000 * id.1 as u64;
    for copy in copies::plan(photo.group, seed, &bounds, &aligned.contour, faults) {
        let worse = copy.of(picture);
        let place = place_in(&copy, &bounds, picture, &worse);
        if let Some((found, aligned)) = chain.find(&worse)?
            && place.iou(&found.bounding_box) >= SAME_PLACE_IOU
        {
            samples.push(sample(photo, id, chain.see(&aligned.crop)?, &copy));
        }
    }
    Ok(samples)
}

/// Where the face of a photo lies in a copy of it, after correction for size and shift.
fn place_in(copy: &Copy, face: &BoundingBox, photo: &RgbImage, copied: &RgbImage) -> BoundingBox {
    let [left, top] = copy.shift.map(|pixels| pixels as f32);
    let whole = BoundingBox::new(0.0, 0.0, photo.width() as f32, photo.height() as f32);
    let part = copy.cut.unwrap_or(whole);
    let width = part.width.min(whole.width - part.x);
    // The size of the copy, then the resampling of a coarser sensor or a scaler.
    let coarser = copied.width() as f32 / (copy.scale * width - left).max(1.0);
    let scale = copy.scale * coarser;
    BoundingBox::new(
        (face.x - part.x) * scale - left * coarser,
        (face.y - part.y) * scale - top * coarser,
        face.width * scale,
        face.height * scale,
    )
}

/// Squares of a picture without faces, as false detections.
fn squares(
    chain: &mut Chain,
    number: usize,
    picture: &RgbImage,
    count: u32,
    avoid: Option<&BoundingBox>,
) -> Result<Vec<NetworkOutputs>, TrainingError> {
    let mut random = ChaCha8Rng::seed_from_u64(number as u64 * 1000 + 999);
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let mut seen = Vec::new();
    for _ in 0..count {
        let side = width.min(height) * (0.15 + 0.6 * unit(&mut random));
        let area = BoundingBox::new(
            (width - side) * unit(&mut random),
            (height - side) * unit(&mut random),
            side,
            side,
        );
        if !avoid.is_some_and(|face| face.iou(&area) > 0.0) {
            seen.extend(chain.see_as_face(picture, area)?);
        }
    }
    Ok(seen)
}

/// The hair above a face as a false detection; `None` if the picture ends above the face.
fn hair(
    chain: &mut Chain,
    picture: &RgbImage,
    face: &BoundingBox,
) -> Result<Option<NetworkOutputs>, TrainingError> {
    let side = HAIR * face.width;
    let area = BoundingBox::new(face.centre().x - side / 2.0, face.y - side, side, side);
    if area.y < 0.0 {
        return Ok(None);
    }
    chain.see_as_face(picture, area)
}

/// A drawing of a face, if the detector finds a face there; `None` otherwise. It teaches the
/// detector of covered faces, because nothing of the person is visible. It is not used for the
/// experts: as samples similar to nobody, drawings worsen their ranking of photos.
fn drawing(
    chain: &mut Chain,
    number: usize,
    picture: &RgbImage,
    face: &BoundingBox,
) -> Result<Option<NetworkOutputs>, TrainingError> {
    let mut random = ChaCha8Rng::seed_from_u64(number as u64 * 1000 + 998);
    let drawing = drawing::drawn(picture, face.width, &mut random);
    match chain.find(&drawing)? {
        Some((found, aligned)) if found.bounding_box.iou(face) >= SAME_PLACE_IOU => {
            Ok(Some(chain.see(&aligned.crop)?))
        }
        _ => Ok(None),
    }
}

/// Rounds to a few decimals. That is more accurate than the photos support, makes the file
/// smaller, and depends less on rounding errors.
fn shortened(value: f64, places: f64) -> f32 {
    ((value * places).round() / places) as f32
}
