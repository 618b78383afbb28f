//! READ FIRST: how a picture becomes faces with embedding, quality and decision, on one page.
//!
//! The code of [`analyze`](Pipeline::analyze) follows the order of the processing. [`Assembly`]
//! opens a pack and warms the pipelines. [`AnalysisPool`] runs them on worker threads, behind a
//! bounded queue. A comparison is two analyses and the verdict of [`policy`](crate::policy).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::capture::{self, ImageFormat};
use crate::checkpoint::Checkpoint;
use crate::embed::{Embedding, FaceEmbedder};
use crate::face::{Aligner, Detector, FaceError, NoFace, Pose, Search};
use crate::geometry::{BoundingBox, Point};
use crate::pack::manifest::Ood;
use crate::policy::{Action, Decision, Policy};
use crate::quality::hints::{HintCode, Scene, hints};
use crate::quality::{self, Calibration, Quality, SymptomNames};

mod assemble;
mod error;
#[cfg(feature = "fixtures")]
pub mod fixture;
mod pool;
mod probe;
mod thumbnail;
mod timings;
pub mod tuning;
pub mod view;

pub use assemble::{
    AssembleError, Assembly, ModelFacts, Settings, SiteCalibrationError, cores, thresholds_of,
};
pub use error::AnalyzeError;
pub use pool::AnalysisPool;
pub use probe::TEST_FACE;
pub use timings::Timings;

use timings::{millis, timed};

/// Which faces of a picture are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faces {
    /// The largest one.
    Largest,
    /// Up to so many, largest first: each costs an embedding.
    All(usize),
}

/// What a caller wants to know of a picture.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Name of the scenario.
    pub scenario: String,
    /// Its rules at the time of the request.
    pub policy: Policy,
    /// Which faces are wanted.
    pub faces: Faces,
    /// Whether a picture without a face is an error, or an answer with no faces.
    pub needs_face: bool,
}

/// The picture as it was understood: upright, type by content.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Image)]
pub struct ImageFacts {
    /// Upright width in pixels.
    pub width: u32,
    /// Upright height in pixels.
    pub height: u32,
    /// `jpeg`, `png`, `webp`, `bmp` or `tiff`.
    #[schema(value_type = String, example = "jpeg")]
    pub format: ImageFormat,
    /// Size of the upload.
    #[serde(skip)]
    pub bytes: usize,
}

/// Everything said of one face.
#[derive(Clone, Debug, PartialEq)]
pub struct Face {
    /// Around the face, in original pixels.
    pub bounding_box: BoundingBox,
    /// The detector's confidence, 0…1.
    pub detection_score: f32,
    /// Eyes, nose, mouth corners, image left to right, in original pixels.
    pub landmarks: [Point; 5],
    /// Head rotation.
    pub pose: Pose,
    /// The face as numbers.
    pub embedding: Embedding,
    /// Length before normalisation as the pack defines it.
    pub embedding_norm: f32,
    /// Output length of each network, by name.
    pub network_norms: BTreeMap<String, f32>,
    /// Raw output of the OOD head.
    pub ood_logit: f32,
    /// How far it can be trusted.
    pub quality: Quality,
    /// What the asked scenario makes of it.
    pub decision: Decision,
    /// JPEG of the aligned face, where the pipeline makes them.
    pub thumbnail: Option<Vec<u8>>,
}

/// The pipeline's answer on one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// The picture.
    pub image: ImageFacts,
    /// Faces found; more than are reported where only the largest was asked for.
    pub faces_found: usize,
    /// Faces that were asked for and are left out, because there were more than the ask allows.
    pub faces_omitted: usize,
    /// The faces asked for, largest first (area, then nearness to the centre).
    pub faces: Vec<Face>,
    /// Advice for the person in front of the camera.
    pub hints: Vec<HintCode>,
    /// Which calibration made all scores of this picture.
    pub calibration_id: String,
    /// Where the time went.
    pub timings: Timings,
}

/// Warm models and the rules between them, on one thread.
pub struct Pipeline {
    capture: capture::Settings,
    memory: capture::Memory,
    decoder: capture::Decoder,
    detector: Detector,
    aligner: Aligner,
    embedder: FaceEmbedder,
    /// What the OOD logit means in this pack.
    ood: Ood,
    symptoms: Option<SymptomNames>,
    /// The calibration in force, which another may replace between two pictures.
    calibration: watch::Receiver<Arc<Calibration>>,
    makes_thumbnails: bool,
}

impl Pipeline {
    /// Looks at one picture: decode → detect → align → embed → judge → decide. `queued` is how long
    /// it waited before; `checkpoint` is passed before each stage and before each face.
    ///
    /// # Errors
    /// Of the stage that failed, or of the checkpoint; no face only where the ask needs one.
    pub fn analyze(
        &mut self,
        upload: &[u8],
        ask: &Ask,
        queued: Duration,
        checkpoint: &Checkpoint<'_>,
    ) -> Result<Analysis, AnalyzeError> {
        checkpoint.pass()?;
        let started = Instant::now();
        let mut timings = Timings {
            queue: millis(queued),
            ..Timings::default()
        };
        let capture = timed(&mut timings.decode, || {
            capture::decode_within(upload, &self.capture, &self.memory, &self.decoder)
        })?;
        let image = ImageFacts {
            width: capture.width(),
            height: capture.height(),
            format: capture.format(),
            bytes: capture.byte_len(),
        };
        let search = if ask.faces == Faces::Largest && !ask.policy.single_face {
            Search::Largest
        } else {
            Search::All
        };
        let (found, is_turned) = timed(&mut timings.detect, || {
            let found = match self.detector.detect(&capture, search, checkpoint) {
                Err(FaceError::NoFace { .. }) => Vec::new(),
                outcome => outcome?,
            };
            let is_turned = self.detector.is_turned(&capture, &found, checkpoint)?;
            Ok::<_, FaceError>((found, is_turned))
        })?;
        if found.is_empty() && ask.needs_face {
            let no_face = NoFace::new(image.width, image.height, is_turned);
            return Err(FaceError::from(no_face).into());
        }
        let (wanted, omitted) = match ask.faces {
            Faces::Largest => (&found[..found.len().min(1)], &[][..]),
            Faces::All(most) => found.split_at(found.len().min(most)),
        };
        let aligned = timed(&mut timings.align, || {
            let align = |face| {
                checkpoint.pass()?;
                self.aligner.align(&capture, face)
            };
            wanted
                .iter()
                .map(align)
                .collect::<Result<Vec<_>, FaceError>>()
        })?;
        let embedded = timed(&mut timings.embed, || {
            let crops: Vec<_> = aligned.iter().map(|face| &face.crop).collect();
            self.embedder.embed(&crops, checkpoint)
        })?;
        // Read once: whatever is put in force meanwhile, one answer has one calibration.
        let calibration = Arc::clone(&self.calibration.borrow());
        let faces: Vec<Face> = timed(&mut timings.judge, || {
            #[cfg(feature = "fixtures")]
            fixture::panic_or_wait_where_asked(&ask.scenario);
            wanted
                .iter()
                .zip(aligned)
                .zip(embedded)
                .map(|((detected, aligned), embedded)| {
                    let names = self.symptoms.as_ref();
                    let symptoms = names.map(|names| names.read(&embedded.cause_logits));
                    let quality = quality::judge(
                        &aligned,
                        detected,
                        self.ood.signal(embedded.ood_logit),
                        symptoms.as_ref(),
                        &calibration,
                    );
                    let side = detected.bounding_box.shorter_side();
                    let (scenario, score) = (&ask.scenario, quality.score);
                    let decision = ask.policy.decide(scenario, score, side, found.len());
                    let thumbnail = self
                        .makes_thumbnails
                        .then(|| thumbnail::of(&aligned.crop))
                        .flatten();
                    Face {
                        bounding_box: detected.bounding_box,
                        detection_score: detected.detection_score,
                        landmarks: aligned.landmarks,
                        pose: aligned.pose,
                        embedding: embedded.embedding,
                        embedding_norm: embedded.embedding_norm,
                        network_norms: embedded.network_norms,
                        ood_logit: embedded.ood_logit,
                        quality,
                        decision,
                        thumbnail,
                    }
                })
                .collect()
        });
        let hints = hints(&Scene {
            width: image.width,
            height: image.height,
            is_turned,
            face_count: found.len(),
            is_accepted: faces
                .iter()
                .all(|face| face.decision.action == Action::Accept),
            largest: faces
                .first()
                .map(|face| (&face.bounding_box, &face.quality, &face.decision)),
        });
        timings.total = timings.queue + millis(started.elapsed());
        Ok(Analysis {
            image,
            faces_found: found.len(),
            faces_omitted: omitted.len(),
            faces,
            hints,
            calibration_id: calibration.id().to_owned(),
            timings,
        })
    }
}
