//! Trains the OOD head. Photos are degraded, and the product's own pipeline turns each copy
//! into pooled activations. Ridge regression then predicts each sample's similarity to other
//! photos of the person.
//!
//! Training is deterministic: the same photos give the same head on the same kind of CPU.

use std::collections::BTreeMap;
use std::path::PathBuf;

use image::RgbImage;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::building::BuildError;
use crate::building::head::LinearHead;
use crate::degrade::unit;
use crate::importing::retrain::RetrainError;
use faceood::capture::CaptureError;
use faceood::cause::CauseName;
use faceood::face::FaceError;
use faceood::geometry::BoundingBox;
use faceood::pack::PackError;
use faceood::pack::network::NetworkError;
use faceood::runtime::{Runtime, RuntimeError};

mod calibrating;
mod chain;
mod copies;
mod drawing;
mod families;
mod gram;
mod learn;
mod networks;
mod photos;
mod report;
mod ridge;
mod scale;
mod targets;

pub use calibrating::{Calibrated, calibrate};
use chain::{Chain, NetworkOutputs};
pub use copies::Faults;
use copies::{CauseStrengths, Copy, shows};
pub use families::UnseenFault;
pub use networks::Networks;
pub use photos::{Group, Photo, find};
pub use targets::mean_of_best;

/// Ridge penalty of the camera expert.
pub const ALPHA: f64 = 3000.0;
/// Ridge penalty of the web expert, which has fewer and worse photos to learn from.
pub const WEB_ALPHA: f64 = 10_000.0;
/// Description of the training, for the manifest.
pub const RECIPE: &str = "Ridge regression on mean and deviation over positions of activations in both networks and on their norms: two experts on the similarity to other photos of the person (camera pictures, web crops), a gate between them, and a detector for each cause; degraded copies by src/degrade, things count as similar to nobody";
/// Description of the training for a pack of one recogniser, for its manifest.
pub const RECIPE_OF_ONE: &str = "Ridge regression on mean and deviation over positions of the recogniser's last feature map and on its norm: two experts on the similarity to other photos of the person (camera pictures, web crops), a gate between them, and a detector for each cause; degraded copies by src/degrade, things count as similar to nobody";
/// Description of the calibration, for its file.
pub const CALIBRATION: &str = "Isotonic over bins of equal count on predictions for held-out people (5 folds by person), whole faces only; spreads between two shots of one degraded scene";
/// Folds of people for held-out predictions.
pub const FOLDS: u32 = 5;
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
#[must_use]
pub fn settings() -> BTreeMap<String, f64> {
    BTreeMap::from([
        ("alpha".to_owned(), ALPHA),
        ("alpha_of_web_expert".to_owned(), WEB_ALPHA),
        ("folds".to_owned(), f64::from(FOLDS)),
        ("whole_taken_for_covered".to_owned(), learn::FALSELY_COVERED),
        ("target_of_things".to_owned(), OBJECT_TARGET),
    ])
}

/// Why a head cannot be learnt.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// A folder cannot be read.
    #[error("{} cannot be read: {source}", .folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What the system said.
        source: walkdir::Error,
    },
    /// A group of photos is empty.
    #[error("{} holds no .jpg or .png; training needs photos there", .folder.display())]
    NoPhotos {
        /// Where they should be.
        folder: PathBuf,
    },
    /// A photo cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Photo {
        /// Which.
        path: PathBuf,
        /// Why.
        source: image::ImageError,
    },
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
#[derive(Clone, Debug)]
pub struct Trained {
    /// The head.
    pub head: LinearHead,
    /// For each fold, the head trained without it.
    pub without_fold: Vec<LinearHead>,
    /// A face counts as covered from this sum of the logits of occlusion and mask.
    pub covered_from: f32,
    /// Mean output length of each network over clean photos.
    pub clean_norms: Vec<f32>,
    /// Held-out predictions and true similarities, for calibration.
    pub held_out: HeldOut,
    /// Number of samples by kind.
    pub counts: BTreeMap<String, u64>,
    /// Measured on held-out people.
    pub figures: BTreeMap<String, f64>,
    /// How well each kind of fault is predicted without training on it; empty unless
    /// training was thorough.
    pub unseen_faults: Vec<UnseenFault>,
}

/// Predictions for held-out people.
#[derive(Clone, Debug, Default)]
pub struct HeldOut {
    /// Signals of uncovered faces.
    pub signals: Vec<f64>,
    /// The similarity of each of them to a good reference.
    pub similarities: Vec<f64>,
    /// The fold of each.
    pub folds: Vec<usize>,
    /// Signals of two shots of one scene, with their fold.
    pub pairs: Vec<(usize, [f64; 2])>,
    /// Signals of real masked faces, and whether the head takes them for covered.
    pub masked: Vec<(f64, bool)>,
    /// Signals of objects that are not faces.
    pub objects: Vec<f64>,
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
#[must_use]
pub const fn fold_of(person: u32) -> usize {
    (person % FOLDS) as usize
}

impl TrainingSample {
    /// Whether the degradation covers mouth or eyes of a bare face.
    fn is_covered(&self) -> bool {
        CauseName::COVERS
            .into_iter()
            .any(|cause| shows(&self.symptoms, cause))
    }
}

/// Trains a head on `photos` and on copies degraded by `faults`, on `threads` threads.
/// `progress` receives the number of finished photos. Thorough training also trains once
/// without each kind of fault, to measure how the head handles unknown faults.
pub fn train(
    photos: &[Photo],
    networks: &Networks,
    runtime: &Runtime,
    faults: &Faults,
    threads: usize,
    is_thorough: bool,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Trained, TrainingError> {
    let threads = threads.max(1);
    let (samples, features) = gather(photos, networks, runtime, faults, threads, progress)?;
    let width = features.iter().map(Vec::len).sum::<usize>() / samples.len().max(1);
    let mut of_threads: Vec<_> = features
        .iter()
        .map(|rows| rows.chunks_exact(width.max(1)))
        .collect();
    let rows: Vec<&[f32]> = samples
        .iter()
        .filter_map(|sample| of_threads[sample.photo.0 % threads].next())
        .collect();
    learn::learn(&samples, &rows, &networks.shares, threads, is_thorough)
}

/// The result of one thread: the samples of each photo, and the features of all of them.
type Gathered = (Vec<Vec<TrainingSample>>, Vec<f32>);

/// Runs every photo and its copies through the pipeline. Photos are dealt to threads in turn
/// and collected in order, so that the number of threads does not change the result.
///
/// Returns the samples, and for each thread the features of its samples in one allocation. Many
/// small allocations between short-lived pictures and activations would fragment the memory.
fn gather(
    photos: &[Photo],
    networks: &Networks,
    runtime: &Runtime,
    faults: &Faults,
    threads: usize,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<(Vec<TrainingSample>, Vec<Vec<f32>>), TrainingError> {
    let done = std::sync::atomic::AtomicUsize::new(0);
    let work = |thread: usize| -> Result<Gathered, TrainingError> {
        let mut chain = Chain::open(runtime, networks)?;
        let (mut gathered, mut features) = (Vec::new(), Vec::new());
        for (number, photo) in photos.iter().enumerate().skip(thread).step_by(threads) {
            let mut samples = samples_of(&mut chain, number, photo, faults)?;
            for sample in &mut samples {
                features.extend(std::mem::take(&mut sample.seen.features));
            }
            gathered.push(samples);
            progress(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1);
        }
        Ok((gathered, features))
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
    let (by_thread, features): (Vec<_>, Vec<_>) = gathered.into_iter().unzip();
    let mut by_thread: Vec<_> = by_thread.into_iter().map(Vec::into_iter).collect();
    let mut samples = Vec::new();
    for number in 0..photos.len() {
        if let Some(of_photo) = by_thread[number % threads].next() {
            samples.extend(of_photo);
        }
    }
    Ok((samples, features))
}

fn samples_of(
    chain: &mut Chain,
    number: usize,
    photo: &Photo,
    faults: &Faults,
) -> Result<Vec<TrainingSample>, TrainingError> {
    let picture = image::open(&photo.path)
        .map_err(|source| TrainingError::Photo {
            path: photo.path.clone(),
            source,
        })?
        .into_rgb8();
    match photo.group {
        Group::Object => {
            let seen = squares(chain, number, &picture, SQUARES_PER_OBJECT, None)?;
            Ok(seen
                .into_iter()
                .map(|seen| sample(photo, (number, 0), seen, &Copy::untouched(), false))
                .collect())
        }
        Group::Package => {
            let single = Photo {
                group: Group::Single,
                ..photo.clone()
            };
            let mut samples = Vec::new();
            for (face, part) in chain.people(&picture)?.iter().enumerate() {
                let id = (number, face);
                samples.extend(samples_of_face(chain, id, &single, part, faults)?);
            }
            Ok(samples)
        }
        Group::Named | Group::Wild | Group::Masked => {
            samples_of_face(chain, (number, 0), photo, &picture, faults)
        }
        Group::Single => {
            let mut samples = samples_of_face(chain, (number, 0), photo, &picture, faults)?;
            if let Some((face, _)) = chain.find(&picture)? {
                let bounds = face.bounding_box;
                let mut things =
                    squares(chain, number, &picture, SQUARES_PER_PHOTO, Some(&bounds))?;
                things.extend(hair(chain, &picture, &bounds)?);
                let drawing = drawing(chain, number, &picture, &bounds)?;
                samples.extend(
                    drawing.map(|seen| sample(photo, (number, 0), seen, &Copy::drawing(), false)),
                );
                samples.extend(things.into_iter().map(|seen| TrainingSample {
                    group: Group::Object,
                    ..sample(photo, (number, 0), seen, &Copy::untouched(), false)
                }));
            }
            Ok(samples)
        }
    }
}

fn sample(
    photo: &Photo,
    id: PhotoId,
    seen: NetworkOutputs,
    copy: &Copy,
    is_clean: bool,
) -> TrainingSample {
    TrainingSample {
        group: photo.group,
        person: photo.person,
        photo: id,
        scene: copy.scene,
        is_second_shot: copy.shift != [0, 0],
        is_clean,
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
    let seen = chain.see(&aligned.crop)?;
    let mut samples = vec![sample(photo, id, seen, &Copy::untouched(), true)];
    let face_px = face.bounding_box.width.max(face.bounding_box.height);
    // Far beyond the number of photos: no two faces share a seed.
    let seed = id.0 as u64 + 1_000_000 * id.1 as u64;
    for copy in copies::plan(photo.group, seed, face_px, &aligned.contour, faults) {
        let worse = copy.of(picture);
        let Some((found, aligned)) = chain.find(&worse)? else {
            continue;
        };
        if is_same_place(
            &face.bounding_box,
            picture,
            &found.bounding_box,
            &worse,
            &copy,
        ) {
            let seen = chain.see(&aligned.crop)?;
            samples.push(sample(photo, id, seen, &copy, false));
        }
    }
    Ok(samples)
}

/// Whether a copy's face lies where the photo's face was, after correction for size and shift.
fn is_same_place(
    face: &BoundingBox,
    photo: &RgbImage,
    found: &BoundingBox,
    copy_picture: &RgbImage,
    copy: &Copy,
) -> bool {
    let [left, top] = copy.shift.map(|pixels| pixels as f32);
    // The size of the copy, then the resampling of a coarser sensor or a scaler.
    let coarser = copy_picture.width() as f32 / (copy.scale * photo.width() as f32 - left).max(1.0);
    let scale = copy.scale * coarser;
    let moved = BoundingBox::new(
        face.x * scale - left * coarser,
        face.y * scale - top * coarser,
        face.width * scale,
        face.height * scale,
    );
    moved.iou(found) >= SAME_PLACE_IOU
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
        if avoid.is_some_and(|face| face.iou(&area) > 0.0) {
            continue;
        }
        if let Some(aligned) = chain.align_as_face(picture, area)? {
            seen.push(chain.see(&aligned.crop)?);
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
    let aligned = chain.align_as_face(picture, area)?;
    aligned.map(|aligned| chain.see(&aligned.crop)).transpose()
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
#[expect(clippy::cast_possible_truncation, reason = "weights are small numbers")]
fn shortened(value: f64, places: f64) -> f32 {
    ((value * places).round() / places) as f32
}
