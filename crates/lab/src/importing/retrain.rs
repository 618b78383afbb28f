//! Another head for a pack whose embedder exposes its features: the graph to train on, and the
//! embedder with the trained head.

use crate::building::head::{FEATURES, HEAD_BIAS, HEAD_WEIGHTS, LinearHead, NORM_SCALES};
use crate::building::{BuildError, recipe};
use faceood::pack::Pack;
use faceood::pack::manifest::Embedder;
use faceood::pack::network::graph::{Model, Tensor};
use faceood::pack::network::{NetworkError, prepare};
use faceood::runtime::GraphForm;

/// Why a pack's embedder cannot be given another head.
#[derive(Debug, thiserror::Error)]
pub enum RetrainError {
    /// It cannot be read or rewritten.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The head does not fit it.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It has no features to learn from.
    #[error(
        "the embedder of pack {pack} has no tensor `{FEATURES}` with a linear head on it; packs of `faceood-admin models import-onnx` have"
    )]
    NoFeatures {
        /// The pack.
        pack: String,
    },
}

/// The graph that training reads features from: the pack's embedder with `features` as one more output, ready for the runtime.
///
/// # Errors
/// Where the embedder has no such tensor.
pub fn feature_graph(pack: &Pack) -> Result<Vec<u8>, RetrainError> {
    let mut model = Model::read(&pack.manifest().embedder.file.path, pack.embedder_file())?;
    let graph = model.graph.get_or_insert_default();
    let has_features = graph
        .node
        .iter()
        .any(|node| node.output.iter().any(|output| output == FEATURES));
    if !has_features {
        return Err(RetrainError::NoFeatures {
            pack: pack.id().to_owned(),
        });
    }
    graph.output.push(super::of_any_shape(FEATURES));
    prepare(&mut model, GraphForm::Convolutions)?;
    Ok(model.write())
}

/// The pack's embedder with another head and other norms of clean faces.
///
/// # Errors
/// Where the head does not belong to it.
pub fn with_head(
    pack: &Pack,
    head: &LinearHead,
    clean_norms: &[f32],
) -> Result<Vec<u8>, RetrainError> {
    let embedder = &pack.manifest().embedder;
    let mut model = Model::read(&embedder.file.path, pack.embedder_file())?;
    let scales: Vec<f32> = embedder
        .networks
        .iter()
        .zip(clean_norms)
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
        let found = graph
            .initializer
            .iter_mut()
            .find(|tensor| tensor.name() == name);
        let Some(tensor) = found else {
            return Err(RetrainError::NoFeatures {
                pack: pack.id().to_owned(),
            });
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

/// How the manifest describes that embedder, whose head takes faces for covered from `covered_from` on.
#[must_use]
pub fn described(pack: &Pack, bytes: &[u8], clean_norms: &[f32], covered_from: f32) -> Embedder {
    let mut embedder = pack.manifest().embedder.clone();
    embedder.causes = Some(recipe::causes(covered_from));
    embedder.file = recipe::file(
        super::EMBEDDER_FILE,
        bytes,
        &embedder.file.licence,
        embedder.file.sources,
    );
    for (network, clean) in embedder.networks.iter_mut().zip(clean_norms) {
        network.clean_norm = *clean;
    }
    embedder
}
