//! The ISO table of the design: score and similarity of a clean photo at rising sensor noise,
//! with several shots for each step.

use image::RgbImage;
use serde::Serialize;

use super::MeasureError;
use super::error_rates::Rate;
use super::measure::Instrument;
use super::picture::small;
use super::scene::{Scene, upload_of};
use crate::degrade::{Degradation, degrade};
use faceood_engine::embed::Embedding;
use faceood_engine::quality::Grade;
use faceood_engine::stats::mean;

/// The steps of the design's table.
pub const ISO_STEPS: [u32; 6] = [100, 400, 1600, 3200, 6400, 12800];
/// Shots for each step, as in the design.
pub const SHOTS: u32 = 5;

/// Figures of the design document for a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Design {
    /// Quality score.
    pub score: f64,
    /// Range of the genuine similarity.
    pub similarity: [f64; 2],
}

impl Design {
    /// The step at `iso`; `None` if the table lacks it.
    pub fn at(iso: u32) -> Option<Self> {
        let (score, similarity) = match iso {
            100 => (0.89, [0.72, 0.78]),
            400 => (0.85, [0.69, 0.75]),
            1600 => (0.73, [0.61, 0.67]),
            3200 => (0.54, [0.48, 0.56]),
            6400 => (0.37, [0.31, 0.39]),
            12800 => (0.22, [0.18, 0.25]),
            _ => return None,
        };
        Some(Self { score, similarity })
    }
}

/// Mean, range and scatter of shots.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ShotSpread {
    /// Mean over all shots.
    pub mean: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
    /// Standard deviation between shots of one photo, pooled over the photos; `None` with one shot.
    pub deviation: Option<f64>,
}

/// One row of the table.
#[derive(Clone, Debug, Serialize)]
pub struct SweepStep {
    /// The ISO number.
    pub iso: u32,
    /// Shots without a face, out of all.
    pub failures_to_acquire: Rate,
    /// Quality score; `None` where no shot has a face.
    pub score: Option<ShotSpread>,
    /// Grade of the mean score.
    pub grade: Option<Grade>,
    /// Similarity to the reference.
    pub similarity: Option<ShotSpread>,
    /// Shots whose similarity is below the pack's `different`.
    pub below_different: Rate,
    /// The step in the design document.
    pub design: Option<Design>,
    /// The first shot of the first photo, small, as a JPEG for the page.
    #[serde(skip)]
    pub picture: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Shot {
    score: f64,
    similarity: f64,
}

/// Shoots every scene `shots` times at each of `isos`. The shots are compared with `reference`, or
/// with each scene's own clean photo if it is `None`.
///
/// # Errors
/// If the models cannot be opened.
pub fn run(
    instrument: &Instrument<'_>,
    scenes: &[Scene],
    reference: Option<&Embedding>,
    isos: &[u32],
    shots: u32,
    different: f32,
) -> Result<Vec<SweepStep>, MeasureError> {
    let per_step = scenes.len() * shots as usize;
    let found = instrument.each(isos.len() * per_step, |worker, index| {
        let (step, shot) = (index / per_step, index % per_step);
        let scene = &scenes[shot / shots as usize];
        let picture = noisy(scene, isos[step], index);
        let (face, _) = worker.face(&upload_of(&picture)).ok()?;
        let reference = reference.unwrap_or(&scene.face.embedding);
        Some(Shot {
            score: f64::from(face.quality.score),
            similarity: f64::from(face.embedding.similarity(reference)),
        })
    })?;
    let rows = isos.iter().enumerate().map(|(step, &iso)| {
        let taken = &found[step * per_step..(step + 1) * per_step];
        let photos: Vec<&[Option<Shot>]> = taken.chunks(shots.max(1) as usize).collect();
        let shown = scenes.first().map(|scene| {
            let shot = noisy(scene, iso, step * per_step);
            small(&shot, Some(scene.face.bounding_box))
        });
        SweepStep {
            picture: shown.unwrap_or_default(),
            ..row(iso, &photos, different)
        }
    });
    Ok(rows.collect())
}

/// The shot of this number.
fn noisy(scene: &Scene, iso: u32, index: usize) -> RgbImage {
    let noise = Degradation::noise(iso as f32);
    degrade(&scene.picture, &[noise], index as u64)
}

/// A row of the table from the shots of each photo.
fn row(iso: u32, photos: &[&[Option<Shot>]], different: f32) -> SweepStep {
    let taken: usize = photos.iter().map(|shots| shots.len()).sum();
    let values = |of: fn(&Shot) -> f64| -> Vec<Vec<f64>> {
        let of_photo = |shots: &&[Option<Shot>]| shots.iter().flatten().map(of).collect();
        photos.iter().map(of_photo).collect()
    };
    let (scores, similarities) = (values(|shot| shot.score), values(|shot| shot.similarity));
    let score = spread(&scores);
    let all = similarities.concat();
    let below = all.iter().filter(|&&value| value < f64::from(different));
    SweepStep {
        iso,
        failures_to_acquire: Rate::new(taken - all.len(), taken),
        score,
        grade: score.map(|score| Grade::of(score.mean as f32)),
        similarity: spread(&similarities),
        below_different: Rate::new(below.count(), all.len()),
        design: Design::at(iso),
        picture: Vec::new(),
    }
}

/// Mean and range over all shots, scatter between the shots of one photo.
pub(super) fn spread(photos: &[Vec<f64>]) -> Option<ShotSpread> {
    let all = photos.concat();
    if all.is_empty() {
        return None;
    }
    let (mut squares, mut freedom) = (0.0, 0.0);
    for shots in photos.iter().filter(|shots| !shots.is_empty()) {
        let middle = mean(shots);
        let gaps = shots.iter().map(|value| value - middle);
        squares += gaps.map(|gap| gap.powi(2)).sum::<f64>();
        freedom += shots.len() as f64 - 1.0;
    }
    Some(ShotSpread {
        mean: mean(&all),
        low: all.iter().copied().fold(f64::INFINITY, f64::min),
        high: all.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        deviation: (freedom > 0.0).then(|| (squares / freedom).sqrt()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shot(similarity: f64) -> Option<Shot> {
        Some(Shot {
            score: 2.0 * similarity,
            similarity,
        })
    }

    #[test]
    fn a_row_pools_the_scatter_within_photos_and_counts_what_is_lost() {
        let first = [shot(0.30), shot(0.34), None];
        let second = [shot(0.60), shot(0.62), shot(0.64)];
        let step = row(6400, &[&first, &second], 0.35);
        assert_eq!(
            (step.failures_to_acquire.errors, step.failures_to_acquire.of),
            (1, 6)
        );
        assert_eq!(
            (step.below_different.errors, step.below_different.of),
            (2, 5)
        );
        let similarity = step.similarity.unwrap();
        assert!((similarity.mean - 0.5).abs() < 1e-12);
        assert_eq!((similarity.low, similarity.high), (0.30, 0.64));
        // Squares within photos: 2 · .02² and 2 · .02², over 1 + 2 degrees of freedom.
        let expected = (4.0 * 0.02_f64.powi(2) / 3.0).sqrt();
        assert!((similarity.deviation.unwrap() - expected).abs() < 1e-12);
        assert_eq!(step.grade, Some(Grade::Excellent));
        assert_eq!(step.design.unwrap().score, 0.37);
    }

    #[test]
    fn without_a_face_a_row_has_no_numbers() {
        let step = row(51200, &[&[None, None]], 0.35);
        assert_eq!(step.failures_to_acquire.rate, Some(1.0));
        assert!(step.score.is_none() && step.grade.is_none() && step.design.is_none());
    }

    #[test]
    fn the_design_has_every_step_of_its_table() {
        assert!(ISO_STEPS.into_iter().all(|iso| Design::at(iso).is_some()));
    }
}
