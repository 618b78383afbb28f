//! Builds the default pack from published networks and a trained head. The build is pure: the
//! same inputs give the same bytes on every machine.

use serde::{Deserialize, Serialize};

pub mod head;
mod projection;
pub mod recipe;

use faceood_engine::pack::manifest::{Golden, Training};
use faceood_engine::pack::network::NetworkError;
use head::LinearHead;

/// Why a pack cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A network cannot be read or rewritten.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A network lacks a tensor that the recipe names.
    #[error(
        "network {0} has no tensor `{1}`; use the version of the package that the recipe names"
    )]
    MissingTensor(String, String),
    /// The head was trained for other networks: the number of its weights, and of the features.
    #[error(
        "the OOD head has {0} weights, these networks give {1} features; train it anew with `faceood-admin models train`"
    )]
    HeadLength(usize, usize),
    /// A published file has another hash than the recipe's.
    #[error(
        "{0} has SHA-256 {1}, the recipe was made for {2}; fetch it again with scripts/build-pack of the source code"
    )]
    SourceHash(String, String, &'static str),
    /// A published file is not there.
    #[error("{0} cannot be read: {1}; fetch it with scripts/build-pack of the source code")]
    SourceMissing(String, #[source] std::io::Error),
    /// The calibration cannot be read.
    #[error("the calibration is not valid: {0}")]
    Calibration(serde_json::Error),
    /// The manifest cannot be written.
    #[error("the manifest cannot be written: {0}")]
    Manifest(#[from] toml::ser::Error),
}

/// What `models train` learns and `models build` puts into the pack, besides the calibration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learnt {
    /// Version of the pack that this belongs to.
    pub version: String,
    /// Mean length of each network's output over clean faces, in the recipe's order.
    pub clean_norms: Vec<f32>,
    /// The OOD head.
    pub head: LinearHead,
    /// Sums of the logits of occlusion and mask from which a face may be covered, and surely is.
    pub covered: [f32; 2],
    /// Outputs of the fused graph for the golden input.
    pub golden: Golden,
    /// How it was learnt, with its figures on held-out people.
    pub training: Training,
}
