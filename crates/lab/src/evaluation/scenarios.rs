//! The design's three field cases, made from a clean photo: a gate at night, a phone before a
//! screen, and the far end of a hall.

use image::{Rgb, RgbImage, imageops};
use serde::Serialize;

use super::error_rates::Rate;
use super::measure::{Instrument, MeasureError};
use super::scene::{Scene, upload_of};
use super::sweep::{Shot, ShotSpread, spread};
use crate::degrade::{Codec, Degradation, Kernel, Screen, degrade};
use faceood::capture::pixels;
use faceood::embed::Embedding;
use faceood::policy::{Action, Policy};
use faceood::quality::Grade;
use faceood::stats::mean;

/// Grey of the hall around a far face.
const HALL: Rgb<u8> = Rgb([96, 98, 104]);
/// The far camera's picture.
const FULL_HD: (u32, u32) = (1920, 1080);
/// Width of the far face, as the design has it.
const FAR_FACE_PX: f32 = 42.0;
/// Width of the portrait on the card.
const CARD_FACE_PX: f32 = 40.0;
/// Cosine of a half profile's 40°. A photo can only be turned like a board, which hides no cheek: a real half profile does worse.
const HALF_PROFILE: f32 = 0.766;

/// One of the three.
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

impl Case {
    /// All three, in the design's order.
    pub const ALL: [Self; 3] = [Self::NightGate, Self::CardOnScreen, Self::FarFace];

    /// What is done to the photo, in words.
    #[must_use]
    pub const fn story(self) -> &'static str {
        match self {
            Self::NightGate => "night gate: ISO 6400, half profile, slight motion blur",
            Self::CardOnScreen => "phone before a screen that shows an identity card: moiré, glare",
            Self::FarFace => "face of 42×56 px in 1080p, strong JPEG",
        }
    }

    /// Score in the design document.
    #[must_use]
    pub const fn design_score(self) -> f64 {
        match self {
            Self::NightGate => 0.36,
            Self::CardOnScreen => 0.41,
            Self::FarFace => 0.28,
        }
    }

    /// The photo in this case. `face_px` is the width of its face. How strong the moiré and the compression are is chosen so that
    /// four photos come near the design's scores; the half profile is a squeeze of the picture, not a turned head.
    #[must_use]
    pub fn of(self, picture: &RgbImage, face_px: f32, seed: u64) -> RgbImage {
        match self {
            Self::NightGate => {
                let width = (picture.width() as f32 * HALF_PROFILE).round() as u32;
                let turned = pixels::resize(picture, width.max(1), picture.height());
                let steps = [
                    Degradation::Noise {
                        iso: 6400.0,
                        smoothing: 0.0,
                    },
                    Degradation::MotionBlur {
                        length_px: 0.03 * face_px,
                        angle_deg: 20.0,
                        bend_deg: 0.0,
                    },
                ];
                degrade(&turned, &steps, seed)
            }
            Self::CardOnScreen => {
                // First the card, whose portrait has few pixels; then the screen that shows it, and the phone.
                let card = Degradation::LowResolution {
                    factor: face_px / CARD_FACE_PX,
                    shrunk_by: Kernel::Area,
                    enlarged_by: Some(Kernel::Linear),
                };
                let steps = [
                    Degradation::Recapture(Screen {
                        pitch_px: 2.4,
                        turn_deg: 7.0,
                        contrast: 0.35,
                        beats: None,
                        bands: None,
                        glare: 0.25,
                        glare_at: [0.7, 0.25],
                        warmth: 0.0,
                        keystone: 0.0,
                    }),
                    Degradation::Noise {
                        iso: 800.0,
                        smoothing: 0.0,
                    },
                    Degradation::Compression {
                        codec: Codec::JpegHalfColour,
                        quality: 60,
                        scale: 1.0,
                    },
                ];
                degrade(&degrade(picture, &[card], seed), &steps, seed)
            }
            Self::FarFace => {
                let scale = FAR_FACE_PX / face_px;
                let side = |length: u32| ((length as f32 * scale).round() as u32).max(1);
                let small = pixels::resize(picture, side(picture.width()), side(picture.height()));
                let mut hall = RgbImage::from_pixel(FULL_HD.0, FULL_HD.1, HALL);
                let at = |whole: u32, part: u32| i64::from(whole.saturating_sub(part) / 2);
                imageops::replace(
                    &mut hall,
                    &small,
                    at(FULL_HD.0, small.width()),
                    at(FULL_HD.1, small.height()),
                );
                let steps = [
                    Degradation::Noise {
                        iso: 800.0,
                        smoothing: 0.0,
                    },
                    Degradation::Compression {
                        codec: Codec::JpegHalfColour,
                        quality: 5,
                        scale: 1.0,
                    },
                ];
                degrade(&hall, &steps, seed)
            }
        }
    }
}

/// What the product says of one case made from one photo.
#[derive(Clone, Debug, Serialize)]
pub struct CaseFigures {
    /// Which case.
    pub case: Case,
    /// In words.
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
}

/// A shot with what the table says besides.
struct CaseShot {
    shot: Shot,
    to_reference: Option<f64>,
    side_px: f32,
    faces: usize,
    cause: Option<&'static str>,
}

/// Makes every case from every scene, `shots` times each, and measures it. `scenario` and `policy` decide.
///
/// # Errors
/// Where the models cannot be opened.
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
        let (face, faces) = worker.face(&upload_of(&picture)).ok()?;
        let similarity = |other: &Embedding| f64::from(face.embedding.similarity(other));
        Some(CaseShot {
            shot: Shot {
                score: f64::from(face.quality.score),
                similarity: similarity(&scene.face.embedding),
            },
            to_reference: reference.map(similarity),
            side_px: face.bounding_box.shorter_side(),
            faces,
            cause: face.quality.causes.first().map(|cause| cause.name.name()),
        })
    })?;
    Ok(cases
        .iter()
        .zip(found.chunks(shots))
        .map(|(&(scene, case), taken)| {
            let seen: Vec<&CaseShot> = taken.iter().flatten().collect();
            let spread_of = |value: &dyn Fn(&CaseShot) -> Option<f64>| {
                let shots: Vec<Option<Shot>> = seen
                    .iter()
                    .map(|shot| {
                        value(shot).map(|score| Shot {
                            score,
                            similarity: score,
                        })
                    })
                    .collect();
                spread(&[&shots], |shot| shot.score)
            };
            let score = spread_of(&|seen| Some(seen.shot.score));
            let sides: Vec<f64> = seen.iter().map(|seen| f64::from(seen.side_px)).collect();
            let faces = seen.iter().map(|seen| seen.faces).max().unwrap_or(0);
            CaseFigures {
                case,
                story: case.story(),
                file: scene.path.display().to_string(),
                failures_to_acquire: Rate::new(taken.len() - seen.len(), taken.len()),
                score,
                grade: score.map(|score| Grade::of(score.mean as f32)),
                action: score.map(|score| {
                    let side = mean(&sides) as f32;
                    policy
                        .decide(scenario, score.mean as f32, side, faces)
                        .action
                }),
                cause: most_frequent(seen.iter().filter_map(|seen| seen.cause)),
                similarity: spread_of(&|seen| Some(seen.shot.similarity)),
                similarity_to_reference: spread_of(&|seen| seen.to_reference),
                design_score: case.design_score(),
            }
        })
        .collect())
}

fn most_frequent(names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let names: Vec<&str> = names.collect();
    let count = |name: &str| names.iter().filter(|&&other| other == name).count();
    // The first of equally frequent ones: the same shots give the same word.
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
