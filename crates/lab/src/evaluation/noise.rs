//! Whether faces stay with their person as noise rises.

use faceood::embed::Embedding;

use super::error_rates::Rate;
use super::measure::{Instrument, MeasureError};
use super::render::map::NoiseStep;
use super::scene::{Scene, upload_of};
use crate::degrade::{Degradation, degrade};

/// A face, clean or with noise.
#[derive(Clone, Debug)]
pub struct NoisyFace {
    /// Index of its scene.
    pub scene: usize,
    /// ISO number of the noise; `None`: clean.
    pub iso: Option<u32>,
    /// Its embedding.
    pub embedding: Embedding,
    /// Its quality score, 0…1.
    pub score: f32,
}

/// Analyses each scene clean, then with the noise of each ISO number. Copies in which no face is found are left out.
///
/// # Errors
/// Where the models cannot be opened.
pub fn with_noise(
    instrument: &Instrument<'_>,
    scenes: &[Scene],
    isos: &[u32],
) -> Result<Vec<NoisyFace>, MeasureError> {
    let mut shown: Vec<NoisyFace> = scenes
        .iter()
        .enumerate()
        .map(|(scene, clean)| NoisyFace {
            scene,
            iso: None,
            embedding: clean.face.embedding.clone(),
            score: clean.face.quality.score,
        })
        .collect();
    let found = instrument.each(scenes.len() * isos.len(), |worker, index| {
        let (scene, iso) = (index / isos.len(), isos[index % isos.len()]);
        let noise = Degradation::Noise {
            iso: iso as f32,
            smoothing: 0.0,
        };
        let picture = degrade(&scenes[scene].picture, &[noise], index as u64);
        let (face, _) = worker.face(&upload_of(&picture)).ok()?;
        Some(NoisyFace {
            scene,
            iso: Some(iso),
            score: face.quality.score,
            embedding: face.embedding,
        })
    })?;
    shown.extend(found.into_iter().flatten());
    Ok(shown)
}

/// For each noise, how many pictures lie nearest to another person's clean photo. A picture's own original does not count, so that a
/// person with a single photo is left out.
#[must_use]
pub fn nearest_persons(shown: &[NoisyFace], persons: &[usize], isos: &[u32]) -> Vec<NoiseStep> {
    let clean: Vec<&NoisyFace> = shown.iter().filter(|shown| shown.iso.is_none()).collect();
    let has_other = |shown: &NoisyFace| {
        clean
            .iter()
            .any(|other| other.scene != shown.scene && persons[other.scene] == persons[shown.scene])
    };
    let is_misplaced = |shown: &NoisyFace| {
        let nearest = clean
            .iter()
            .filter(|other| other.scene != shown.scene)
            .max_by(|a, b| {
                let similarity = |other: &NoisyFace| shown.embedding.similarity(&other.embedding);
                similarity(a).total_cmp(&similarity(b))
            });
        nearest.is_none_or(|nearest| persons[nearest.scene] != persons[shown.scene])
    };
    let steps = std::iter::once(None).chain(isos.iter().copied().map(Some));
    steps
        .map(|iso| {
            let of: Vec<&NoisyFace> = shown
                .iter()
                .filter(|shown| shown.iso == iso && has_other(shown))
                .collect();
            let misplaced = of.iter().filter(|shown| is_misplaced(shown)).count();
            NoiseStep {
                name: iso.map_or("clean".to_owned(), |iso| format!("ISO {iso}")),
                misplaced: Rate::new(misplaced, of.len()),
            }
        })
        .collect()
}
