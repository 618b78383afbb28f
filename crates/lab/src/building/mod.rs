//! Builds the default pack from published networks and a trained head. The build is pure: the
//! same inputs give the same bytes on every machine.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

pub mod head;
pub mod projection;
pub mod recipe;

use faceood::pack::manifest::{Golden, Training};
use faceood::pack::network::graph::{self, Graph, Model};
use faceood::pack::network::{NetworkError, rewrite};
use head::LinearHead;
use prost::bytes::Bytes;

/// Why a pack cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A network cannot be read or rewritten.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A network lacks a tensor that the recipe names.
    #[error(
        "network {network} has no tensor `{tensor}`; use the version of the package that the recipe names"
    )]
    MissingTensor {
        /// Which network.
        network: String,
        /// Which tensor.
        tensor: String,
    },
    /// The head has been learnt for other networks.
    #[error(
        "the OOD head has {got} weights, these networks give {expected} features; train it anew with `faceood-admin models train`"
    )]
    HeadLength {
        /// Weights in the head.
        got: usize,
        /// Features of the networks.
        expected: usize,
    },
    /// A published file is not the one that the recipe was made for.
    #[error(
        "{file} has SHA-256 {got}, the recipe was made for {expected}; fetch it again with scripts/build-pack"
    )]
    SourceHash {
        /// Which file.
        file: String,
        /// Its hash.
        got: String,
        /// The recipe's.
        expected: String,
    },
    /// A published file is not there.
    #[error("{file} cannot be read: {source}; fetch it with scripts/build-pack")]
    SourceMissing {
        /// Which file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
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
    /// The pack's version that this belongs to.
    pub version: String,
    /// Mean length of each network's output over clean faces, in the recipe's order.
    pub clean_norms: Vec<f32>,
    /// The head.
    pub head: LinearHead,
    /// Sum of the logits of occlusion and mask from which a face counts as not whole.
    pub covered_from: f32,
    /// What the fused graph makes of the golden input.
    pub golden: Golden,
    /// How it was learnt, and how well it does.
    pub training: Training,
}

/// A published network, cleaned of what is no picture input.
fn published(name: &str, bytes: &Bytes) -> Result<(Model, Graph), BuildError> {
    let mut model = Model::read(name, bytes.clone())?;
    let mut graph = model.graph.take().unwrap_or_default();
    rewrite::strip_constant_inputs(&mut graph);
    Ok((model, graph))
}

/// The detector with any height and width, and any batch.
///
/// # Errors
/// Where the file is not what the recipe expects.
pub fn detector(bytes: &Bytes) -> Result<Vec<u8>, BuildError> {
    let (mut model, mut graph) = published("detector", bytes)?;
    rewrite::free_batch_of_reshapes(&mut graph)?;
    let outputs = recipe::detector_outputs();
    let mut shapes: Vec<(&str, &[Option<usize>])> = vec![("input", &[None, Some(3), None, None])];
    shapes.extend(
        outputs
            .iter()
            .map(|(name, shape)| (name.as_str(), shape.as_slice())),
    );
    rewrite::relabel(&mut graph, &shapes);
    model.graph = Some(graph);
    Ok(model.write())
}

/// The landmark network with any batch.
///
/// # Errors
/// Where the file is not what the recipe expects.
pub fn landmarks(bytes: &Bytes) -> Result<Vec<u8>, BuildError> {
    let (mut model, mut graph) = published("landmarks", bytes)?;
    rewrite::relabel(
        &mut graph,
        &[
            ("input", &[None, Some(1), Some(64), Some(64)]),
            ("output", &[None, Some(136)]),
        ],
    );
    model.graph = Some(graph);
    Ok(model.write())
}

/// Constants of a graph by name, as floats.
fn constant(graph: &Graph, network: &str, name: &str) -> Result<Vec<f32>, BuildError> {
    let constants: HashMap<&str, &graph::Tensor> = graph.constants();
    constants
        .get(name)
        .ok_or_else(|| BuildError::MissingTensor {
            network: network.to_owned(),
            tensor: name.to_owned(),
        })?
        .to_floats()
        .map_err(BuildError::from)
}
