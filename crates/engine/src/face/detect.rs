//! Where to look for faces, at which sizes, and when to stop: YuNet over views of one capture.
//!
//! | stage | looks | for |
//! |---|---|---|
//! | first | the whole picture at 320 px | nearly every photo: one pass of about 2 ms |
//! | small | smaller, with a border, in even light | noise, bad light, compression, cut-off faces |
//! | large | 640 and 960 px, then windows | small faces in large pictures |
//!
//! A `sure_score` of the manifest settles the matter and ends the search for the largest face.
//! Weaker candidates get a second opinion (`evidence`) at the end of each stage.

use image::imageops::{rotate90, rotate180, rotate270};

use super::evidence;
use super::network::Network;
use super::nms::Overlap;
use super::view::View;
use super::{DetectedFace, FaceError, NoFace, nms, tiles};
use crate::capture::Capture;
use crate::checkpoint::Checkpoint;
use crate::pack::manifest;
use crate::runtime::Session;

/// What a search is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// The largest face. Ends with the first stage that finds one. Other faces are reported as far
    /// as that stage saw them clearly, which is down to 1/25 of the longer side on the first:
    /// enough for a hint, not for a count.
    #[default]
    Largest,
    /// Every face: the large stage is always run, and every candidate is judged.
    All,
}

/// The small stage, most fruitful first: longer side in pixels, and whether the light is evened
/// out. In 250-pixel photos 160 px finds noise of σ 40, and 80 px that of σ 80.
const SMALL: [(u32, bool); 6] = [
    (160, false),
    (80, false),
    (112, false),
    (200, false),
    (160, true),
    (80, true),
];

/// The large stage. At 960 px a face of 42×56 px in a frame of 1920×1080 is 21 px wide.
const LARGE: [u32; 2] = [640, 960];

/// Longer side of the picture that windows are laid over, and of a window.
const WINDOWED_SIDE: f32 = 1920.0;
const WINDOW_SIDE: f32 = 640.0;

/// Neighbouring windows share this, so that a face too small for 960 px lies whole in one.
const WINDOW_OVERLAP: f32 = 96.0;

/// Share of the longer side that is laid around a picture whose face may be cut off by the frame.
const BORDER_SHARE: f32 = 0.3;

/// Candidates that get a second opinion, the best first.
const MOST_WEIGHED: usize = 3;
const MOST_WEIGHED_OF_ALL: usize = 32;

/// Most candidates, and faces, of one picture: each is compared with all others.
const MOST_KEPT: usize = 1_000;

/// Faces with a coarse box that are looked at again, the largest first.
const MOST_REFINED: usize = 100;

/// A face below this side in a view is looked at once more at [`REFINED_SIDE`]: its box is coarse.
const COARSE_SIDE: f32 = 32.0;
const REFINED_SIDE: f32 = 64.0;

/// Finds faces.
pub struct Detector {
    network: Network,
    overlap: Overlap,
    settings: manifest::Detector,
}

/// What a search has seen so far, in original pixels.
struct Findings<'a> {
    capture: &'a Capture,
    checkpoint: &'a Checkpoint<'a>,
    /// Not yet judged.
    candidates: Vec<DetectedFace>,
    /// Judged to be faces.
    faces: Vec<DetectedFace>,
}

impl Detector {
    /// `session` runs YuNet with free height and width.
    pub fn new(session: Session, settings: manifest::Detector) -> Self {
        let strides = settings.strides.iter().map(|&stride| stride as usize);
        Self {
            network: Network::new(session, settings.input.transform(), strides.collect()),
            overlap: Overlap {
                iou: settings.overlap_threshold,
                containment: settings.containment_threshold,
            },
            settings,
        }
    }

    /// Faces of the picture, largest first, then by nearness to its centre; boxes in original
    /// pixels. Never empty. `checkpoint` is passed before each look at the picture or a part of it.
    ///
    /// # Errors
    /// [`FaceError::NoFace`] when no stage found one; [`FaceError::Interrupted`] where the
    /// checkpoint says so; else if a network or the capture fails.
    pub fn detect(
        &mut self,
        capture: &Capture,
        search: Search,
        checkpoint: &Checkpoint<'_>,
    ) -> Result<Vec<DetectedFace>, FaceError> {
        let mut findings = Findings {
            capture,
            checkpoint,
            candidates: Vec::new(),
            faces: Vec::new(),
        };
        self.first_stage(&mut findings)?;
        if findings.faces.is_empty() {
            self.small_stage(&mut findings)?;
        }
        if search == Search::All || findings.faces.is_empty() {
            self.large_stage(search, &mut findings)?;
        }
        if search == Search::All {
            // Beside clear faces, weak candidates are hardly ever faces, and there may be many.
            let least = self.settings.middling_score;
            findings
                .candidates
                .retain(|candidate| candidate.detection_score >= least);
            self.judge(MOST_WEIGHED_OF_ALL, &mut findings)?;
        } else {
            self.judge_larger(&mut findings)?;
        }
        let mut faces = self.overlap.suppress(findings.faces);
        // A box whose middle lies outside is a border's ghost.
        faces.retain(|face| is_inside(face, capture));
        let (width, height) = (capture.width(), capture.height());
        if faces.is_empty() {
            return Err(NoFace::new(width, height, false).into());
        }
        nms::sort_for_report(&mut faces, width as f32, height as f32);
        self.refine(capture, &mut faces, checkpoint)?;
        nms::sort_for_report(&mut faces, width as f32, height as f32);
        Ok(faces)
    }

    /// Whether `faces`, what [`Self::detect`] found, has no sure face while the picture turned has
    /// one: it lies on its side or upside down, because a camera turned it or a program lost its
    /// EXIF orientation. Costs three passes at the first stage's size.
    ///
    /// # Errors
    /// As [`Self::detect`].
    pub fn is_turned(
        &mut self,
        capture: &Capture,
        faces: &[DetectedFace],
        checkpoint: &Checkpoint<'_>,
    ) -> Result<bool, FaceError> {
        let sure = self.settings.sure_score;
        if faces.iter().any(|face| face.detection_score >= sure) {
            return Ok(false);
        }
        let view = View::whole(capture, self.settings.first_side);
        for turn in [rotate90, rotate270, rotate180] {
            checkpoint.pass()?;
            let turned = turn(view.picture());
            if !self.network.pass(&turned, 0, sure)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn first_stage(&mut self, findings: &mut Findings<'_>) -> Result<(), FaceError> {
        let view = View::whole(findings.capture, self.settings.first_side);
        self.pass(&view, 0, findings)?;
        self.settle(findings);
        // A second opinion on a middling score costs less than the next stage.
        if findings.faces.is_empty() && findings.best_score() > self.settings.middling_score {
            self.judge(1, findings)?;
        }
        Ok(())
    }

    fn small_stage(&mut self, findings: &mut Findings<'_>) -> Result<(), FaceError> {
        for (side, is_evened) in SMALL {
            let mut view = View::whole(findings.capture, side);
            if is_evened {
                view = view.evened(None);
            }
            let (width, height) = view.picture().dimensions();
            let border = (BORDER_SHARE * width.max(height) as f32) as u32;
            self.pass(&view, border, findings)?;
            self.settle(findings);
            if !findings.faces.is_empty() {
                return Ok(());
            }
        }
        self.judge(MOST_WEIGHED, findings)
    }

    fn large_stage(
        &mut self,
        search: Search,
        findings: &mut Findings<'_>,
    ) -> Result<(), FaceError> {
        let longer = findings.capture.width().max(findings.capture.height());
        let mut seen = self.settings.first_side;
        for side in LARGE {
            let side = side.min(longer);
            // A view hardly larger than the last one shows nothing new.
            if side * 4 <= seen * 5 {
                break;
            }
            self.pass(&View::whole(findings.capture, side), 0, findings)?;
            self.settle(findings);
            seen = side;
            if search == Search::Largest && !findings.faces.is_empty() {
                return Ok(());
            }
        }
        if findings.faces.is_empty() {
            self.judge(MOST_WEIGHED, findings)?;
        }
        if search == Search::Largest && !findings.faces.is_empty() {
            return Ok(());
        }
        if longer > seen * 2 {
            self.windows(findings)?;
            self.settle(findings);
            if findings.faces.is_empty() {
                self.judge(MOST_WEIGHED, findings)?;
            }
        }
        Ok(())
    }

    /// Passes over windows of the picture at nearly full size.
    fn windows(&mut self, findings: &mut Findings<'_>) -> Result<(), FaceError> {
        let capture = findings.capture;
        let (width, height) = (capture.width() as f32, capture.height() as f32);
        let scale = (WINDOWED_SIDE / width.max(height)).min(1.0);
        for window in tiles::windows(width, height, WINDOW_SIDE / scale, WINDOW_OVERLAP / scale) {
            let view = View::part(capture, window, scale)?;
            self.pass(&view, 0, findings)?;
        }
        Ok(())
    }

    fn pass(
        &mut self,
        view: &View<'_>,
        border: u32,
        findings: &mut Findings<'_>,
    ) -> Result<(), FaceError> {
        findings.checkpoint.pass()?;
        let floor = self.settings.floor_score;
        let found = self.network.pass(view.picture(), border, floor)?;
        let mut candidates = std::mem::take(&mut findings.candidates);
        candidates.extend(found.iter().map(|face| view.to_original(face)));
        findings.candidates = self.overlap.suppress(candidates);
        findings.candidates.truncate(MOST_KEPT);
        Ok(())
    }

    /// Takes the candidates with a sure score for faces.
    fn settle(&self, findings: &mut Findings<'_>) {
        let sure = self.settings.sure_score;
        let candidates = std::mem::take(&mut findings.candidates).into_iter();
        let (faces, rest): (Vec<_>, Vec<_>) =
            candidates.partition(|face| face.detection_score >= sure);
        findings.candidates = rest;
        findings.add(faces, &self.overlap);
    }

    /// Gives a second opinion on the `most` best candidates, which are then done with.
    fn judge(&mut self, most: usize, findings: &mut Findings<'_>) -> Result<(), FaceError> {
        let capture = findings.capture;
        let mut candidates = std::mem::take(&mut findings.candidates);
        candidates.retain(|candidate| is_inside(candidate, capture));
        findings.candidates = candidates.split_off(most.min(candidates.len()));
        let mut believed = Vec::new();
        for candidate in &candidates {
            findings.checkpoint.pass()?;
            let opinion = &self.settings.second_opinion;
            let face = evidence::weigh(&mut self.network, opinion, capture, candidate)?;
            believed.extend(face);
        }
        findings.add(believed, &self.overlap);
        Ok(())
    }

    /// Gives a second opinion on candidates that would be the largest face if they were one: a bad
    /// picture of the person in front must not lose against a poster behind.
    fn judge_larger(&mut self, findings: &mut Findings<'_>) -> Result<(), FaceError> {
        let areas = findings.faces.iter().map(|face| face.bounding_box.area());
        let largest = areas.fold(0.0, f32::max);
        findings.candidates.retain(|candidate| {
            candidate.detection_score >= self.settings.middling_score
                && candidate.bounding_box.area() > largest
        });
        self.judge(MOST_WEIGHED, findings)
    }

    /// Looks once more at faces whose box is coarse. (Looking with a border at faces that the frame
    /// cuts off gained nothing: mean genuine similarity of 542 tight crops .404 before, .398 then.)
    fn refine(
        &mut self,
        capture: &Capture,
        faces: &mut [DetectedFace],
        checkpoint: &Checkpoint<'_>,
    ) -> Result<(), FaceError> {
        let longer = capture.width().max(capture.height()) as f32;
        let view_scale = (self.settings.first_side as f32 / longer).min(1.0);
        for face in faces.iter_mut().take(MOST_REFINED) {
            let side = face.bounding_box.width.max(face.bounding_box.height);
            if side * view_scale >= COARSE_SIDE {
                continue;
            }
            checkpoint.pass()?;
            let view = View::around(capture, &face.bounding_box, REFINED_SIDE)?;
            let opinion = &self.settings.second_opinion;
            if let Some(again) = evidence::look(&mut self.network, opinion, &view, face)?
                && again.detection_score >= self.settings.refined_score
                && is_inside(&again, capture)
            {
                *face = DetectedFace {
                    detection_score: face.detection_score.max(again.detection_score),
                    ..again
                };
            }
        }
        Ok(())
    }
}

impl Findings<'_> {
    fn best_score(&self) -> f32 {
        self.candidates
            .first()
            .map_or(0.0, |best| best.detection_score)
    }

    /// Adds faces, and forgets the candidates that are the same ones.
    fn add(&mut self, faces: Vec<DetectedFace>, overlap: &Overlap) {
        self.faces.extend(faces);
        self.faces = overlap.suppress(std::mem::take(&mut self.faces));
        self.faces.truncate(MOST_KEPT);
        let faces = &self.faces;
        self.candidates
            .retain(|candidate| !faces.iter().any(|face| overlap.is_same(face, candidate)));
    }
}

fn is_inside(face: &DetectedFace, capture: &Capture) -> bool {
    let centre = face.bounding_box.centre();
    let is_within = |place: f32, length: u32| (0.0..length as f32).contains(&place);
    is_within(centre.x, capture.width()) && is_within(centre.y, capture.height())
}
