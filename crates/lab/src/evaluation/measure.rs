//! Runs the product's own pipeline over many pictures, on several threads. The result does not
//! depend on their number.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::MeasureError;
use super::rival::{self, OpenRival, Rival};
use faceood_engine::capture;
use faceood_engine::checkpoint::Checkpoint;
use faceood_engine::face::{FaceError, NoFace};
use faceood_engine::pipeline::{AnalyzeError, Ask, Assembly, Face, Faces, Pipeline};
use faceood_engine::policy::{DEFAULT_SCENARIO, Policies, Policy};
use faceood_engine::quality::hints::HintCode;

/// The pipeline that measures, and what it is compared with.
#[derive(Clone, Copy)]
pub struct Instrument<'a> {
    /// Pack and runtime.
    pub assembly: &'a Assembly,
    /// Limits on pictures.
    pub capture: &'a capture::Settings,
    /// The scenarios whose decisions are reported.
    pub policies: &'a Policies,
    /// Other quality networks.
    pub rivals: &'a [Rival],
    /// Number of threads.
    pub jobs: NonZero<usize>,
    /// Called after each picture.
    pub progress: &'a (dyn Fn() + Sync),
}

/// What the pipeline says of the largest face of a picture.
#[derive(Clone, Debug)]
pub struct MeasuredPhoto {
    pub(super) face: Face,
    pub(super) faces_found: usize,
    /// Variance of the Laplacian of the aligned face; `None` if it could not be cut out.
    pub(super) laplacian: Option<f64>,
    /// What each rival says, in their order.
    pub(super) rivals: Vec<Option<f64>>,
}

/// The result for a picture.
#[derive(Clone, Debug)]
pub enum PhotoOutcome {
    /// A picture with a face.
    MeasuredPhoto(Box<MeasuredPhoto>),
    /// A picture without a face: a failure to acquire.
    NoFace,
    /// A file that cannot be read or is no picture, with the reason.
    Unreadable(String),
}

/// Sessions of one thread.
pub struct Worker<'a> {
    pipeline: Pipeline,
    rivals: Vec<OpenRival<'a>>,
    ask: Ask,
    capture: &'a capture::Settings,
}

impl<'a> Instrument<'a> {
    /// Opens the sessions of one thread.
    ///
    /// # Errors
    /// If a model cannot be opened.
    pub fn open(&self) -> Result<Worker<'a>, MeasureError> {
        let runtime = self.assembly.runtime();
        let rivals = self.rivals.iter().map(|rival| rival.open(runtime));
        // Thresholds do not matter here, because every scenario decides later. Other faces are
        // looked for only if a scenario asks for them.
        let policy = Policy {
            accept: 0.0,
            review: 0.0,
            min_face_px: 0,
            single_face: self.policies.iter().any(|(_, policy)| policy.single_face),
        };
        Ok(Worker {
            rivals: rivals.collect::<Result<_, _>>()?,
            pipeline: self.assembly.pipeline()?,
            ask: Ask {
                scenario: DEFAULT_SCENARIO.to_owned(),
                policy,
                faces: Faces::Largest,
                needs_face: true,
            },
            capture: self.capture,
        })
    }

    /// Runs `work` on each of `0…count`, each thread with sessions of its own; results in order.
    ///
    /// # Errors
    /// If a thread's sessions cannot be opened.
    pub fn each<T: Send>(
        &self,
        count: usize,
        work: impl Fn(&mut Worker<'a>, usize) -> T + Sync,
    ) -> Result<Vec<T>, MeasureError> {
        let next = AtomicUsize::new(0);
        let run = || -> Result<Vec<(usize, T)>, MeasureError> {
            let mut worker = self.open()?;
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return Ok(done);
                }
                done.push((index, work(&mut worker, index)));
                (self.progress)();
            }
        };
        let mut found = BTreeMap::new();
        thread::scope(|scope| {
            let threads = self.jobs.get().min(count.max(1));
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            for thread in threads {
                match thread.join() {
                    Ok(done) => found.extend(done?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok::<_, MeasureError>(())
        })?;
        Ok(found.into_values().collect())
    }

    /// Measures the largest face of each file.
    ///
    /// # Errors
    /// If a thread's sessions cannot be opened. A file that cannot be read is a [`PhotoOutcome`].
    pub fn files(&self, paths: &[&Path]) -> Result<Vec<PhotoOutcome>, MeasureError> {
        self.each(paths.len(), |worker, index| {
            match std::fs::read(paths[index]) {
                Ok(upload) => worker.measure(&upload),
                Err(error) => PhotoOutcome::Unreadable(error.to_string()),
            }
        })
    }
}

impl Worker<'_> {
    /// Measures the largest face of an uploaded picture, with the rivals.
    fn measure(&mut self, upload: &[u8]) -> PhotoOutcome {
        let (face, faces_found) = match self.face(upload) {
            Ok(found) => found,
            Err(AnalyzeError::Face(FaceError::NoFace { .. })) => return PhotoOutcome::NoFace,
            Err(error) => return PhotoOutcome::Unreadable(error.to_string()),
        };
        let crop = rival::aligned(upload, &face, self.capture);
        let judge = |rival: &mut OpenRival<'_>| {
            let judged = rival.judge(crop.as_ref()?).ok();
            judged.filter(|value| value.is_finite())
        };
        PhotoOutcome::MeasuredPhoto(Box::new(MeasuredPhoto {
            faces_found,
            laplacian: crop.as_ref().map(rival::laplacian_variance),
            rivals: self.rivals.iter_mut().map(judge).collect(),
            face,
        }))
    }

    /// The largest face of an uploaded picture, and how many there are.
    ///
    /// # Errors
    /// As [`Pipeline::analyze`].
    pub fn face(&mut self, upload: &[u8]) -> Result<(Face, usize), AnalyzeError> {
        let analysis =
            self.pipeline
                .analyze(upload, &self.ask, Duration::ZERO, &Checkpoint::OPEN)?;
        let faces_found = analysis.faces_found;
        let face = analysis.faces.into_iter().next();
        face.map(|face| (face, faces_found)).ok_or_else(|| {
            let is_turned = analysis.hints.contains(&HintCode::TurnPicture);
            let image = analysis.image;
            FaceError::from(NoFace::new(image.width, image.height, is_turned)).into()
        })
    }
}
