//! A real inference on an embedded face. Warm-up, readiness and the watchdog rest on it.

use std::time::Duration;

use super::{Ask, Face, Faces, Pipeline};
use crate::checkpoint::Checkpoint;
use crate::embed::Embedding;
use crate::policy::Policy;

/// A clean face, JPEG: a crop of scikit-image's `astronaut` (NASA, public domain).
pub const TEST_FACE: &[u8] = include_bytes!("probe.jpg");

/// Least similarity between a probe and the first one: the same pixels through the same networks
/// give the same numbers, up to the order of a GPU's sums.
const LEAST_SIMILARITY: f32 = 0.999;

/// Why a probe failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProbeError {
    /// The pipeline could not analyse the embedded face.
    #[error("the embedded test face could not be analysed: {0}")]
    Failed(String),
    /// The networks answer with other numbers than at start. Holds the similarity of the two.
    #[error("the embedded test face gives another embedding than at start (similarity {0})")]
    Changed(f32),
    /// A worker hangs: a step takes longer than this many seconds.
    #[error("a worker has finished no step of its analysis for {0} s")]
    Stuck(u64),
}

/// Analyses the embedded face and, where `expected` is known, compares with it.
pub(super) fn run(
    pipeline: &mut Pipeline,
    expected: Option<&Embedding>,
) -> Result<Embedding, ProbeError> {
    let face = analyze(pipeline)?;
    match expected.map(|expected| expected.similarity(&face.embedding)) {
        Some(similarity) if similarity < LEAST_SIMILARITY => Err(ProbeError::Changed(similarity)),
        _ => Ok(face.embedding),
    }
}

pub(super) fn analyze(pipeline: &mut Pipeline) -> Result<Face, ProbeError> {
    let ask = Ask {
        scenario: "probe".to_owned(),
        policy: Policy {
            accept: 0.0,
            review: 0.0,
            min_face_px: 0,
            single_face: false,
        },
        faces: Faces::Largest,
        needs_face: true,
    };
    let analysis = pipeline
        .analyze(TEST_FACE, &ask, Duration::ZERO, &Checkpoint::OPEN)
        .map_err(|error| ProbeError::Failed(error.to_string()))?;
    let largest = analysis.faces.into_iter().next();
    largest.ok_or_else(|| ProbeError::Failed("no face was found in it".to_owned()))
}
