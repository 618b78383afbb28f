//! Whether faces stay with their person as noise rises.

use faceood_engine::embed::Embedding;
use faceood_engine::pipeline::Face;

use super::MeasureError;
use super::error_rates::Rate;
use super::measure::Instrument;
use super::render::map::NoiseStep;
use super::scene::{Scene, upload_of};
use crate::degrade::{Degradation, degrade};

/// A face, clean or with noise.
#[derive(Clone, Debug)]
pub struct NoisyFace {
    /// Index of its scene.
    pub scene: usize,
    /// ISO number of the noise; `None` if it is clean.
    pub iso: Option<u32>,
    /// Direction of the face, 512 numbers.
    pub embedding: Embedding,
    /// Quality score, 0…1.
    pub score: f32,
}

/// Analyses each scene clean, then with the noise of each ISO number. Copies in which no face is
/// found are left out.
///
/// # Errors
/// If the models cannot be opened.
pub fn with_noise(
    instrument: &Instrument<'_>,
    scenes: &[Scene],
    isos: &[u32],
) -> Result<Vec<NoisyFace>, MeasureError> {
    let noisy_face = |scene, iso, face: Face| NoisyFace {
        scene,
        iso,
        score: face.quality.score,
        embedding: face.embedding,
    };
    let found = instrument.each(scenes.len() * isos.len(), |worker, index| {
        let (scene, iso) = (index / isos.len(), isos[index % isos.len()]);
        let noise = Degradation::noise(iso as f32);
        let picture = degrade(&scenes[scene].picture, &[noise], index as u64);
        let (face, _) = worker.face(&upload_of(&picture)).ok()?;
        Some(noisy_face(scene, Some(iso), face))
    })?;
    let clean = scenes.iter().map(|scene| scene.face.clone()).enumerate();
    let clean = clean.map(|(scene, face)| noisy_face(scene, None, face));
    Ok(clean.chain(found.into_iter().flatten()).collect())
}

/// For each noise, how many pictures lie nearest to another person's clean photo. A picture's own
/// original does not count, so a person with a single photo is left out.
pub fn nearest_persons(shown: &[NoisyFace], persons: &[usize], isos: &[u32]) -> Vec<NoiseStep> {
    let clean: Vec<&NoisyFace> = shown.iter().filter(|shown| shown.iso.is_none()).collect();
    let others = |shown: &NoisyFace| {
        let scene = shown.scene;
        clean.iter().filter(move |other| other.scene != scene)
    };
    let is_same = |a: &NoisyFace, b: &NoisyFace| persons[a.scene] == persons[b.scene];
    let is_misplaced = |shown: &&NoisyFace| {
        let similarity = |other: &NoisyFace| shown.embedding.similarity(&other.embedding);
        let nearest = others(shown).max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
        nearest.is_none_or(|nearest| !is_same(nearest, shown))
    };
    let step = |iso: Option<u32>| {
        let at_iso = shown.iter().filter(|shown| shown.iso == iso);
        let counted = at_iso.filter(|shown| others(shown).any(|other| is_same(other, shown)));
        let counted: Vec<&NoisyFace> = counted.collect();
        let misplaced = counted.iter().copied().filter(is_misplaced);
        NoiseStep {
            name: iso.map_or("clean".to_owned(), |iso| format!("ISO {iso}")),
            misplaced: Rate::new(misplaced.count(), counted.len()),
        }
    };
    let isos = isos.iter().copied().map(Some);
    std::iter::once(None).chain(isos).map(step).collect()
}
