//! The numbers that stand for a face: one run of the embedder for a batch of aligned faces gives embedding, norms and OOD logit.

use std::collections::BTreeMap;

pub mod batching;
pub mod embedder;

pub use batching::{BatchQueue, FaceEmbedder};
pub use embedder::{EmbedError, Embedder, EmbedderSettings};

pub use crate::pack::EMBEDDING_LENGTH;

/// 512 numbers of unit length that stand for a face. Unit length by construction: see [`Embedding::normalise`].
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding(Box<[f32]>);

impl Embedding {
    /// Scales `values` to unit length; the second value is the length before. `None` unless there are exactly
    /// [`EMBEDDING_LENGTH`] finite numbers of which one at least is not zero.
    #[must_use]
    pub fn normalise(values: &[f32]) -> Option<(Self, f32)> {
        let square: f64 = values
            .iter()
            .map(|&value| f64::from(value) * f64::from(value))
            .sum();
        let norm = square.sqrt();
        if values.len() != EMBEDDING_LENGTH || !norm.is_finite() || norm <= f64::from(f32::EPSILON)
        {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "embeddings are f32; the sum is wider for exactness only"
        )]
        let unit = values
            .iter()
            .map(|&value| (f64::from(value) / norm) as f32)
            .collect();
        #[expect(clippy::cast_possible_truncation, reason = "as above")]
        Some((Self(unit), norm as f32))
    }

    /// The numbers.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// Cosine of the angle to `other`, −1…1.
    #[must_use]
    pub fn similarity(&self, other: &Self) -> f32 {
        let dot: f64 = self
            .0
            .iter()
            .zip(&other.0)
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .sum();
        #[expect(clippy::cast_possible_truncation, reason = "a cosine fits an f32")]
        let dot = dot as f32;
        dot.clamp(-1.0, 1.0)
    }
}

/// What one run of the embedder says of one aligned face.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    /// The face, as numbers of unit length.
    pub embedding: Embedding,
    /// Length before normalisation as the pack defines it; about 1 for clean faces with the default pack, less for worse.
    pub embedding_norm: f32,
    /// Raw output length of each network in the pack, by its name in the manifest.
    pub network_norms: BTreeMap<String, f32>,
    /// Raw output of the OOD head, unbounded; transform and polarity stand in the manifest.
    pub ood_logit: f32,
    /// How much of each cause the head sees, in the order of the manifest's names: 0 is nothing, 1 plainly. Empty in a pack without.
    pub cause_logits: Vec<f32>,
}
