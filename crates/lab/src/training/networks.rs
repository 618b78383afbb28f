//! The networks that training runs: those of the recipe, or those of a pack.

use super::TrainingError;
use crate::building::recipe::{self, PackSources};
use crate::importing::retrain;
use faceood_engine::pack::network::prepare_bytes;
use faceood_engine::pack::{Pack, manifest};
use faceood_engine::runtime::InputTransform;

/// Networks ready for the runtime, how they are fed, and what their head reads.
pub struct Networks {
    pub(super) detector: Vec<u8>,
    pub(super) detector_settings: manifest::Detector,
    pub(super) landmarks: Vec<u8>,
    pub(super) landmarks_settings: manifest::Landmarks,
    pub(super) template: [[f32; 2]; 5],
    /// Gives `embedding`, `network_norms` and `features`.
    pub(super) features: Vec<u8>,
    pub(super) features_input: InputTransform,
    /// Each network's share of the similarity, in the order of the norms.
    pub(super) shares: Vec<f32>,
}

impl Networks {
    /// Those of the default pack.
    ///
    /// # Errors
    /// If a published file is not what the recipe expects.
    pub fn of_recipe(sources: &PackSources) -> Result<Self, TrainingError> {
        let (detector, detector_bytes) = sources.detector()?;
        let (landmarks, landmarks_bytes) = sources.landmarks()?;
        Ok(Self {
            detector: prepare_bytes("detector", &detector_bytes)?,
            detector_settings: detector,
            landmarks: prepare_bytes("landmarks", &landmarks_bytes)?,
            landmarks_settings: landmarks,
            template: recipe::TEMPLATE,
            features: sources.feature_graph()?,
            features_input: recipe::embedder_input().transform(),
            shares: recipe::SHARES.to_vec(),
        })
    }

    /// Those of a pack whose embedder has features for a head.
    ///
    /// # Errors
    /// If it has none.
    pub fn of_pack(pack: &Pack) -> Result<Self, TrainingError> {
        let manifest = pack.manifest();
        let embedder = &manifest.embedder;
        Ok(Self {
            detector: pack.detector_bytes()?.to_vec(),
            detector_settings: manifest.detector.clone(),
            landmarks: pack.landmarks_bytes()?.to_vec(),
            landmarks_settings: manifest.landmarks.clone(),
            template: embedder.template,
            features: retrain::feature_graph(pack)?,
            features_input: embedder.input.transform(),
            shares: embedder.networks.iter().map(|of| of.weight).collect(),
        })
    }
}
