//! The numbers that stand for a face: one run of the embedder for a batch of aligned faces gives
//! embedding, norms and OOD logit.

use std::collections::BTreeMap;

mod batching;
mod embedder;

pub use batching::{BatchQueue, FaceEmbedder};
pub use embedder::{EmbedError, Embedder};

pub use crate::pack::EMBEDDING_LENGTH;

/// 512 numbers of unit length that stand for a face.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding(Box<[f32]>);

impl Embedding {
    /// Scales `values` to unit length; the second value is the length before. `None` unless there
    /// are exactly [`EMBEDDING_LENGTH`] finite numbers and at least one is not zero.
    pub fn normalise(values: &[f32]) -> Option<(Self, f32)> {
        let square = values
            .iter()
            .map(|&value| f64::from(value) * f64::from(value));
        let norm = square.sum::<f64>().sqrt();
        if values.len() != EMBEDDING_LENGTH || !norm.is_finite() || norm <= f64::from(f32::EPSILON)
        {
            return None;
        }
        let unit = values.iter().map(|&value| (f64::from(value) / norm) as f32);
        Some((Self(unit.collect()), norm as f32))
    }

    /// The numbers.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// Cosine of the angle to `other`, −1…1.
    pub fn similarity(&self, other: &Self) -> f32 {
        let products = self
            .0
            .iter()
            .zip(&other.0)
            .map(|(&a, &b)| f64::from(a) * f64::from(b));
        (products.sum::<f64>() as f32).clamp(-1.0, 1.0)
    }
}

/// What one run of the embedder says of one aligned face.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    /// The face, as numbers of unit length.
    pub embedding: Embedding,
    /// Length before normalisation as the pack defines it; about 1 for clean faces with the default
    /// pack, less for worse.
    pub embedding_norm: f32,
    /// Raw output length of each network in the pack, by its name in the manifest.
    pub network_norms: BTreeMap<String, f32>,
    /// Raw output of the OOD head, unbounded; transform and polarity stand in the manifest.
    pub ood_logit: f32,
    /// How much of each cause the head sees, in the order of the manifest's names: 0 is nothing, 1
    /// is plainly visible. Empty in a pack that names none.
    pub cause_logits: Vec<f32>,
}
