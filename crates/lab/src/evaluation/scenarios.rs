//! The design's three field cases, made from a clean photo: a gate at night, a phone before a
//! screen, and the far end of a hall.

use image::{Rgb, RgbImage, imageops};
use serde::Serialize;

use super::MeasureError;
use super::error_rates::Rate;
use super::measure::Instrument;
use super::picture::small;
use super::scene::{Scene, upload_of};
use super::sweep::{ShotSpread, spread};
use crate::degrade::{Codec, Degradation, Kernel, Screen, degrade};
use faceood_engine::capture::pixels;
use faceood_engine::embed::Embedding;
use faceood_engine::pipeline::Face;
use faceood_engine::policy::{Action, Policy};
use faceood_engine::quality::Grade;
use faceood_engine::stats::mean;

/// Grey of the hall around a far face.
const HALL: Rgb<u8> = Rgb([96, 98, 104]);
/// The far camera's picture.
const FULL_HD: (u32, u32) = (1920, 1080);
/// Width of the far face, as the design has it.
const FAR_FACE_PX: f32 = 42.0;
/// Width of the portrait on the card.
const CARD_FACE_PX: f32 = 40.0;
/// Cosine of a half profile's 40°. A photo can only be turned like a board, which hides no cheek,
/// so a real half profile scores lower.
const HALF_PROFILE: f32 = 0.766;

/// A field case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Case {
    /// A gate at night.
    NightGate,
    /// A phone photographs an identity card on a screen.
    CardOnScreen,
    /// A small face in a large, strongly compressed picture.
    FarFace,
}

/// Cases that are made from each photo, one after the other.
pub const CASES: usize = Case::ALL.len();

impl Case {
    /// In the design's order.
    const ALL: [Self; 3] = [Self::NightGate, Self::CardOnScreen, Self::FarFace];

    /// What is done to the photo, and the score in the design document.
    const fn described(self) -> (&'static str, f64) {
        match self {
            Self::NightGate => (
                "night gate: ISO 6400, half profile, slight motion blur",
                0.36,
            ),
            Self::CardOnScreen => (
                "phone before a screen that shows an identity card: moiré, glare",
                0.41,
            ),
            Self::FarFace => ("face of 42×56 px in 1080p, strong JPEG", 0.28),
        }
    }

    /// The photo in this case. `face_px` is the width of its face. The strengths of moiré and
    /// compression are chosen so that four photos come near the design's scores. The half profile
    /// is a squeeze of the picture, not a turned head.
    fn of(self, picture: &RgbImage, face_px: f32, seed: u64) -> RgbImage {
        let scaled = |length: u32, scale: f32| ((length as f32 * scale).round() as u32).max(1);
        let jpeg = |quality: u8| Degradation::Compression {
            codec: Codec::JpegHalfColour,
            quality,
            scale: 1.0,
        };
        let (width, height) = picture.dimensions();
        match self {
            Self::NightGate => {
                let turned = pixels::resize(picture, scaled(width, HALF_PROFILE), height);
                let blur = Degradation::MotionBlur {
                    length_px: 0.03 * face_px,
                    angle_deg: 20.0,
                    bend_deg: 0.0,
                };
                degrade(&turned, &[Degradation::noise(6400.0), blur], seed)
            }
            Self::CardOnScreen => {
                // First the card, whose portrait has few pixels; then the screen that shows it, and
                // the phone.
                let card = Degradation::LowResolution {
                    factor: face_px / CARD_FACE_PX,
                    shrunk_by: Kernel::Area,
                    enlarged_by: Some(Kernel::Linear),
                };
                let screen = Screen {
                    pitch_px: 2.4,
                    turn_deg: 7.0,
                    contrast: 0.35,
                    glare: 0.25,
                    glare_at: [0.7, 0.25],
                    ..Screen::default()
                };
                let screen = Degradation::Recapture(screen);
                let steps = [screen, Degradation::noise(800.0), jpeg(60)];
                degrade(&degrade(picture, &[card], seed), &steps, seed)
            }
            Self::FarFace => {
                let side = |length: u32| scaled(length, FAR_FACE_PX / face_px);
                let small = pixels::resize(picture, side(width), side(height));
                let mut hall = RgbImage::from_pixel(FULL_HD.0, FULL_HD.1, HALL);
                let left = FULL_HD.0.saturating_sub(small.width()) / 2;
                let top = FULL_HD.1.saturating_sub(small.height()) / 2;
                imageops::replace(&mut hall, &small, left.into(), top.into());
                degrade(&hall, &[Degradation::noise(800.0), jpeg(5)], seed)
            }
        }
    }
}

/// What the product says of one case made from one photo.
#[derive(Clone, Debug, Serialize)]
pub struct CaseFigures {
    /// The case.
    pub case: Case,
    /// The case in words.
    pub story: &'static str,
    /// The clean photo.
    pub file: String,
    /// Shots without a face, out of all.
    pub failures_to_acquire: Rate,
    /// Quality score.
    pub score: Option<ShotSpread>,
    /// Grade of the mean score.
    pub grade: Option<Grade>,
    /// What the scenario makes of the mean score; `None` without a face.
    pub action: Option<Action>,
    /// The cause that leads most often.
    pub cause: Option<&'static str>,
    /// Similarity to the clean photo.
    pub similarity: Option<ShotSpread>,
    /// Similarity to the given reference photo.
    pub similarity_to_reference: Option<ShotSpread>,
    /// Score in the design document.
    pub design_score: f64,
    /// The first shot, small, as a JPEG for the page.
    #[serde(skip)]
    pub picture: Vec<u8>,
}

/// Makes every case from every scene, `shots` times each, and measures it. `scenario` and `policy`
/// decide.
///
/// # Errors
/// If the models cannot be opened.
pub fn run(
    instrument: &Instrument<'_>,
    scenes: &[Scene],
    reference: Option<&Embedding>,
    shots: u32,
    (scenario, policy): (&str, &Policy),
) -> Result<Vec<CaseFigures>, MeasureError> {
    let shots = shots.max(1) as usize;
    let cases: Vec<(&Scene, Case)> = scenes
        .iter()
        .flat_map(|scene| Case::ALL.map(|case| (scene, case)))
        .collect();
    let found = instrument.each(cases.len() * shots, |worker, index| {
        let (scene, case) = cases[index / shots];
        let face_px = scene.face.bounding_box.width;
        let picture = case.of(&scene.picture, face_px, index as u64);
        worker.face(&upload_of(&picture)).ok()
    })?;
    let taken = cases.iter().zip(found.chunks(shots)).enumerate();
    let figures = taken.map(|(number, (&(scene, case), taken))| {
        let face_px = scene.face.bounding_box.width;
        let first = case.of(&scene.picture, face_px, (number * shots) as u64);
        let face = taken.first().and_then(Option::as_ref);
        let seen: Vec<&(Face, usize)> = taken.iter().flatten().collect();
        let values = |of: &dyn Fn(&Face) -> f32| -> Vec<f64> {
            seen.iter().map(|(face, _)| of(face).into()).collect()
        };
        let similarity = |to: &Embedding| spread(&[values(&|face| face.embedding.similarity(to))]);
        let score = spread(&[values(&|face| face.quality.score)]);
        let side_px = mean(&values(&|face| face.bounding_box.shorter_side())) as f32;
        let faces = seen.iter().map(|(_, faces)| *faces).max().unwrap_or(0);
        let action = |score| policy.decide(scenario, score, side_px, faces).action;
        let causes = seen
            .iter()
            .filter_map(|(face, _)| face.quality.causes.first());
        let (story, design_score) = case.described();
        CaseFigures {
            case,
            story,
            file: scene.path.display().to_string(),
            failures_to_acquire: Rate::new(taken.len() - seen.len(), taken.len()),
            score,
            grade: score.map(|score| Grade::of(score.mean as f32)),
            action: score.map(|score| action(score.mean as f32)),
            cause: most_frequent(causes.map(|cause| cause.name.name())),
            similarity: similarity(&scene.face.embedding),
            similarity_to_reference: reference.and_then(similarity),
            design_score,
            picture: small(&first, face.map(|(face, _)| face.bounding_box)),
        }
    });
    Ok(figures.collect())
}

fn most_frequent(names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let names: Vec<&str> = names.collect();
    let count = |name: &str| names.iter().filter(|&&other| other == name).count();
    // The first of equally frequent ones, so that the same shots give the same name.
    names.iter().copied().rev().max_by_key(|name| count(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_have_the_sizes_that_they_are_about_and_depend_on_the_seed_alone() {
        let photo = RgbImage::from_fn(200, 240, |x, y| Rgb([x as u8, y as u8, 120]));
        let sizes = Case::ALL.map(|case| case.of(&photo, 84.0, 1).dimensions());
        assert_eq!(sizes, [(153, 240), (200, 240), FULL_HD]);
        for case in [Case::NightGate, Case::CardOnScreen] {
            assert_eq!(case.of(&photo, 84.0, 5), case.of(&photo, 84.0, 5));
            assert_ne!(case.of(&photo, 84.0, 5), case.of(&photo, 84.0, 6));
        }
    }

    #[test]
    fn the_most_frequent_word_wins_and_the_first_of_equals() {
        assert_eq!(most_frequent(["b", "a", "a"].into_iter()), Some("a"));
        assert_eq!(most_frequent(["b", "a"].into_iter()), Some("b"));
        assert_eq!(most_frequent(std::iter::empty()), None);
    }
}
