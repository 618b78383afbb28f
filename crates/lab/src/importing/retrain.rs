//! Another head for a pack whose embedder exposes its features: the graph to train on, and the
//! embedder with the trained head.

use crate::building::head::{FEATURES, HEAD_BIAS, HEAD_WEIGHTS, LinearHead, NORM_SCALES};
use crate::building::{BuildError, recipe};
use faceood_engine::pack::Pack;
use faceood_engine::pack::manifest::Embedder;
use faceood_engine::pack::network::graph::{Model, Tensor};
use faceood_engine::pack::network::{NetworkError, prepare};
use faceood_engine::runtime::GraphForm;

/// Why a pack's embedder cannot be given another head.
#[derive(Debug, thiserror::Error)]
pub enum RetrainError {
    /// It cannot be read or rewritten.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The head does not fit it.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The embedder of this pack has no features to learn from.
    #[error(
        "the embedder of pack {0} has no tensor `{FEATURES}` with a linear head on it; packs of `faceood-admin models import-onnx` have"
    )]
    NoFeatures(String),
}

/// The graph that training reads features from, ready for the runtime: the pack's embedder with
/// `features` as one more output.
///
/// # Errors
/// If the embedder has no such tensor.
pub fn feature_graph(pack: &Pack) -> Result<Vec<u8>, RetrainError> {
    let mut model = Model::read(&pack.manifest().embedder.file.path, pack.embedder_file())?;
    let graph = model.graph.get_or_insert_default();
    let mut outputs = graph.node.iter().flat_map(|node| &node.output);
    if !outputs.any(|output| output == FEATURES) {
        return Err(RetrainError::NoFeatures(pack.id().to_owned()));
    }
    graph.output.push(super::of_any_shape(FEATURES));
    prepare(&mut model, GraphForm::Convolutions)?;
    Ok(model.write())
}

/// The pack's embedder with another head and other norms of clean faces.
///
/// # Errors
/// If the head does not belong to it.
pub fn with_head(
    pack: &Pack,
    head: &LinearHead,
    clean_norms: &[f32],
) -> Result<Vec<u8>, RetrainError> {
    let embedder = &pack.manifest().embedder;
    let mut model = Model::read(&embedder.file.path, pack.embedder_file())?;
    let networks = embedder.networks.iter().zip(clean_norms);
    let scales: Vec<f32> = networks
        .map(|(network, clean)| network.weight.sqrt() / clean)
        .collect();
    let features = head.weights.first().map_or(0, Vec::len);
    let weights = head.by_feature(features)?;
    let replacements: [(&str, &[f32]); 3] = [
        (HEAD_WEIGHTS, &weights),
        (HEAD_BIAS, &head.bias),
        (NORM_SCALES, &scales),
    ];
    let graph = model.graph.get_or_insert_default();
    for (name, values) in replacements {
        let mut constants = graph.initializer.iter_mut();
        let Some(tensor) = constants.find(|tensor| tensor.name() == name) else {
            return Err(RetrainError::NoFeatures(pack.id().to_owned()));
        };
        let shape = tensor.shape();
        let expected = shape.iter().product();
        if values.len() != expected {
            return Err(BuildError::HeadLength(values.len(), expected).into());
        }
        *tensor = Tensor::floats(name, &shape, values);
    }
    Ok(model.write())
}

/// How the manifest describes that embedder. Between the sums `covered` its head takes a face more
/// and more for covered.
pub fn described(pack: &Pack, bytes: &[u8], clean_norms: &[f32], covered: [f32; 2]) -> Embedder {
    let mut embedder = pack.manifest().embedder.clone();
    embedder.causes = Some(recipe::causes(covered));
    let (licence, sources) = (embedder.file.licence, embedder.file.sources);
    embedder.file = recipe::file(super::EMBEDDER_FILE, bytes, &licence, sources);
    for (network, clean) in embedder.networks.iter_mut().zip(clean_norms) {
        network.clean_norm = *clean;
    }
    embedder
}
