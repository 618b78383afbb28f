//! Where to look for faces, at which sizes, and when to stop: YuNet run over views of one capture, cheap ones first.
//!
//! | stage | looks | for |
//! |---|---|---|
//! | first | the whole picture at 320 px | nearly every photo: one pass of about 2 ms |
//! | small | smaller, with a border, in even light | noise, darkness, glare, strong compression; faces cut off by the frame |
//! | large | 640 and 960 px, then windows | small faces in large pictures |
//!
//! A score of [`DetectorSettings::sure_score`] settles the matter and ends the search for the largest face. What is left over
//! from [`DetectorSettings::floor_score`] gets a second opinion (`evidence`) at the end of each stage.

use image::imageops::{rotate90, rotate180, rotate270};

use super::evidence::{self, SecondOpinion};
use super::network::Network;
use super::nms::Overlap;
use super::view::View;
use super::{DetectedFace, FaceError, NoFace, nms, tiles};
use crate::capture::Capture;
use crate::checkpoint::Checkpoint;
use crate::runtime::{InputTransform, Session};

/// What a search is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// The largest face. Ends with the first stage that finds one; other faces are reported as far as that stage saw them
    /// clearly, which is down to 1/25 of the longer side on the first. Enough for a hint, not for a count.
    #[default]
    Largest,
    /// Every face: the large stage is always run, and every candidate is judged.
    All,
}

/// What belongs to the network: how it is fed, and what its scores are worth. The plan of the search stands in code.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorSettings {
    /// How pixels become its numbers.
    pub input: InputTransform,
    /// Cell sizes of its output grids in pixels, each a part of the largest.
    pub strides: Vec<usize>,
    /// Longer side of the first pass over the whole picture, in pixels.
    pub first_side: u32,
    /// A candidate of this score is a face.
    pub sure_score: f32,
    /// Candidates of this score are worth a second opinion before the next stage.
    pub middling_score: f32,
    /// The score from which a closer look at a face with a coarse box is believed.
    pub refined_score: f32,
    /// A candidate of less is forgotten at once.
    pub floor_score: f32,
    /// When two boxes are one face.
    pub overlap: Overlap,
    /// How candidates below `sure_score` are judged.
    pub second_opinion: SecondOpinion,
}

#[derive(Clone, Copy)]
struct Look {
    /// Longer side in pixels.
    side: u32,
    /// Whether a black border is laid around it.
    has_border: bool,
    /// Whether its light is evened out first.
    is_evened: bool,
}

const fn look(side: u32, has_border: bool, is_evened: bool) -> Look {
    Look {
        side,
        has_border,
        is_evened,
    }
}

/// The small stage, the most fruitful look first. On 250-pixel photos 160 px finds noise of σ 40, 80 px that of σ 80.
const SMALL: [Look; 6] = [
    look(160, true, false),
    look(80, true, false),
    look(112, true, false),
    look(200, true, false),
    look(160, true, true),
    look(80, true, true),
];

/// The large stage. At 960 px a face of 42×56 px in a frame of 1920×1080 is 21 px wide.
const LARGE: [u32; 2] = [640, 960];

/// Longer side of the picture that windows are laid over, and of a window.
const WINDOWED_SIDE: f32 = 1920.0;
const WINDOW_SIDE: f32 = 640.0;

/// Neighbouring windows share this much, so that a face which the whole picture at 960 px could miss lies whole in one.
const WINDOW_OVERLAP: f32 = 96.0;

/// Share of the longer side that is laid around a picture whose face may be cut off by the frame.
const BORDER_SHARE: f32 = 0.3;

/// Candidates that get a second opinion, the best first.
const MOST_WEIGHED: usize = 3;
const MOST_WEIGHED_OF_ALL: usize = 32;

/// Candidates, and faces, that are kept of one picture, the best first: each is compared with all
/// others after each pass.
const MOST_KEPT: usize = 1_000;

/// Faces with a coarse box that are looked at again, the largest first.
const MOST_REFINED: usize = 100;

/// A face below this side in a view is looked at once more at [`REFINED_SIDE`]: its box is coarse.
const COARSE_SIDE: f32 = 32.0;
const REFINED_SIDE: f32 = 64.0;

/// Finds faces.
pub struct Detector {
    network: Network,
    settings: DetectorSettings,
}

/// What a search has seen so far, in original pixels.
struct Findings<'a> {
    checkpoint: &'a Checkpoint<'a>,
    /// Not yet judged.
    candidates: Vec<DetectedFace>,
    /// Judged to be faces.
    faces: Vec<DetectedFace>,
}

impl Detector {
    /// `session` runs YuNet with free height and width.
    #[must_use]
    pub fn new(session: Session, settings: DetectorSettings) -> Self {
        Self {
            network: Network::new(session, settings.input, settings.strides.clone()),
            settings,
        }
    }

    /// Faces of the picture, largest first, then by nearness to its centre; boxes in original pixels. Never empty.
    /// `checkpoint` is passed before each look at the picture or at a part of it.
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
            checkpoint,
            candidates: Vec::new(),
            faces: Vec::new(),
        };
        self.first_stage(capture, &mut findings)?;
        if search == Search::All || findings.faces.is_empty() {
            if findings.faces.is_empty() {
                self.small_stage(capture, &mut findings)?;
            }
            if search == Search::All || findings.faces.is_empty() {
                self.large_stage(capture, search, &mut findings)?;
            }
        }
        if search == Search::All {
            // Beside clear faces, weak candidates are hardly ever faces, and there may be many.
            findings
                .candidates
                .retain(|candidate| candidate.detection_score >= self.settings.middling_score);
            self.judge(capture, MOST_WEIGHED_OF_ALL, &mut findings)?;
        } else {
            self.judge_larger(capture, &mut findings)?;
        }
        let mut faces = self.settings.overlap.suppress(findings.faces);
        // A box whose middle lies outside is a border's ghost, and there is no picture to judge it by.
        let picture = (capture.width() as f32, capture.height() as f32);
        faces.retain(|face| is_inside(face, picture));
        if faces.is_empty() {
            return Err(NoFace::new(capture.width(), capture.height(), false).into());
        }
        nms::sort_for_report(&mut faces, picture.0, picture.1);
        self.refine(capture, &mut faces, checkpoint)?;
        nms::sort_for_report(&mut faces, picture.0, picture.1);
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
            if !self
                .network
                .pass(&turn(view.picture()), 0, sure)?
                .is_empty()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn first_stage(
        &mut self,
        capture: &Capture,
        findings: &mut Findings<'_>,
    ) -> Result<(), FaceError> {
        let side = self.settings.first_side;
        self.look(capture, look(side, false, false), findings)?;
        self.settle(findings);
        // A second opinion on a middling score costs less than the next stage.
        if findings.faces.is_empty() && findings.best_score() > self.settings.middling_score {
            self.judge(capture, 1, findings)?;
        }
        Ok(())
    }

    fn small_stage(
        &mut self,
        capture: &Capture,
        findings: &mut Findings<'_>,
    ) -> Result<(), FaceError> {
        for small in SMALL {
            self.look(capture, small, findings)?;
            self.settle(findings);
            if !findings.faces.is_empty() {
                return Ok(());
            }
        }
        self.judge(capture, MOST_WEIGHED, findings)
    }

    fn large_stage(
        &mut self,
        capture: &Capture,
        search: Search,
        findings: &mut Findings<'_>,
    ) -> Result<(), FaceError> {
        let longer = capture.width().max(capture.height());
        let mut seen = self.settings.first_side;
        for side in LARGE {
            let side = side.min(longer);
            // A view hardly larger than the last one shows nothing new.
            if side * 4 <= seen * 5 {
                break;
            }
            self.look(capture, look(side, false, false), findings)?;
            self.settle(findings);
            seen = side;
            if search == Search::Largest && !findings.faces.is_empty() {
                return Ok(());
            }
        }
        if findings.faces.is_empty() {
            self.judge(capture, MOST_WEIGHED, findings)?;
        }
        if search == Search::Largest && !findings.faces.is_empty() {
            return Ok(());
        }
        if longer > seen * 2 {
            self.windows(capture, findings)?;
            self.settle(findings);
            if findings.faces.is_empty() {
                self.judge(capture, MOST_WEIGHED, findings)?;
            }
        }
        Ok(())
    }

    fn look(
        &mut self,
        capture: &Capture,
        look: Look,
        findings: &mut Findings<'_>,
    ) -> Result<(), FaceError> {
        let mut view = View::whole(capture, look.side);
        if look.is_evened {
            view = view.evened(None);
        }
        let (width, height) = view.picture().dimensions();
        let border = if look.has_border {
            (BORDER_SHARE * width.max(height) as f32) as u32
        } else {
            0
        };
        self.pass(&view, border, findings)
    }

    /// Passes over windows of the picture at nearly full size.
    fn windows(&mut self, capture: &Capture, findings: &mut Findings<'_>) -> Result<(), FaceError> {
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
        let found = self
            .network
            .pass(view.picture(), border, self.settings.floor_score)?;
        findings
            .candidates
            .extend(found.iter().map(|face| view.to_original(face)));
        findings.candidates = self
            .settings
            .overlap
            .suppress(std::mem::take(&mut findings.candidates));
        findings.candidates.truncate(MOST_KEPT);
        Ok(())
    }

    /// Takes the candidates with a sure score for faces.
    fn settle(&self, findings: &mut Findings<'_>) {
        let sure = self.settings.sure_score;
        let (faces, candidates) = std::mem::take(&mut findings.candidates)
            .into_iter()
            .partition(|face| face.detection_score >= sure);
        findings.candidates = candidates;
        findings.add(faces, &self.settings.overlap);
    }

    /// Gives a second opinion on the `most` best candidates, which are done with then.
    fn judge(
        &mut self,
        capture: &Capture,
        most: usize,
        findings: &mut Findings<'_>,
    ) -> Result<(), FaceError> {
        let picture = (capture.width() as f32, capture.height() as f32);
        let mut candidates = std::mem::take(&mut findings.candidates);
        candidates.retain(|candidate| is_inside(candidate, picture));
        findings.candidates = candidates.split_off(most.min(candidates.len()));
        let mut believed = Vec::new();
        for candidate in &candidates {
            findings.checkpoint.pass()?;
            believed.extend(evidence::weigh(
                &mut self.network,
                &self.settings.second_opinion,
                capture,
                candidate,
            )?);
        }
        findings.add(believed, &self.settings.overlap);
        Ok(())
    }

    /// Gives a second opinion on candidates that would be the largest face if they were one: a bad picture of the person in
    /// front must not lose against a poster behind.
    fn judge_larger(
        &mut self,
        capture: &Capture,
        findings: &mut Findings<'_>,
    ) -> Result<(), FaceError> {
        let largest = findings
            .faces
            .iter()
            .map(|face| face.bounding_box.area())
            .fold(0.0, f32::max);
        findings.candidates.retain(|candidate| {
            candidate.detection_score >= self.settings.middling_score
                && candidate.bounding_box.area() > largest
        });
        self.judge(capture, MOST_WEIGHED, findings)
    }

    /// Looks once more at faces whose box is coarse. (Looking with a border at faces that the frame cuts off was tried and
    /// gained nothing: mean genuine similarity of 542 tight crops .404 as first found, .398 then.)
    fn refine(
        &mut self,
        capture: &Capture,
        faces: &mut [DetectedFace],
        checkpoint: &Checkpoint<'_>,
    ) -> Result<(), FaceError> {
        let picture = (capture.width() as f32, capture.height() as f32);
        let view_scale = (self.settings.first_side as f32 / picture.0.max(picture.1)).min(1.0);
        for face in faces.iter_mut().take(MOST_REFINED) {
            let side = face.bounding_box.width.max(face.bounding_box.height);
            if side * view_scale >= COARSE_SIDE {
                continue;
            }
            checkpoint.pass()?;
            let view = View::around(capture, &face.bounding_box, REFINED_SIDE)?;
            if let Some(again) = evidence::look(
                &mut self.network,
                &self.settings.second_opinion,
                &view,
                face,
            )? && again.detection_score >= self.settings.refined_score
                && is_inside(&again, picture)
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
        self.candidates.retain(|candidate| {
            !self
                .faces
                .iter()
                .any(|face| overlap.same_face(&face.bounding_box, &candidate.bounding_box))
        });
    }
}

fn is_inside(face: &DetectedFace, (width, height): (f32, f32)) -> bool {
    let centre = face.bounding_box.centre();
    (0.0..width).contains(&centre.x) && (0.0..height).contains(&centre.y)
}
