//! Another head for a pack whose embedder exposes its features: the graph to train on, and the
//! embedder with the trained head.

use std::collections::HashSet;

use crate::building::head::{self, FEATURES, HEAD_WEIGHTS, LinearHead, NORM_SCALES};
use crate::building::{BuildError, recipe};
use faceood_engine::pack::Pack;
use faceood_engine::pack::manifest::Embedder;
use faceood_engine::pack::network::graph::{Graph, Model, Tensor};
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

/// The pack's embedder with another head and other norms of clean faces. The pack may be of an older
/// release, whose heads had other outputs.
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
    let graph = model.graph.get_or_insert_default();
    let no_features = || RetrainError::NoFeatures(pack.id().to_owned());
    let features = drop_head(graph).ok_or_else(no_features)?;
    head::append(graph, head, features)?;
    let mut constants = graph.initializer.iter_mut();
    let norms = constants.find(|tensor| tensor.name() == NORM_SCALES);
    let norms = norms.ok_or_else(no_features)?;
    *norms = Tensor::floats(NORM_SCALES, &norms.shape(), &scales);
    Ok(model.write())
}

/// Takes the head out of the graph: the product with its weights, and all that follows from it.
/// Returns how many features it read; `None` if there is no head.
fn drop_head(graph: &mut Graph) -> Option<usize> {
    let mut constants = graph.initializer.iter();
    let weights = constants.find(|tensor| tensor.name() == HEAD_WEIGHTS)?;
    let features = weights.shape().first().copied();
    let mut gone = HashSet::from([HEAD_WEIGHTS.to_owned()]);
    // Nodes stand behind those that they read from.
    graph.node.retain(|node| {
        let is_of_head = node.input.iter().any(|input| gone.contains(input));
        if is_of_head {
            gone.extend(node.output.iter().cloned());
        }
        !is_of_head
    });
    graph.drop_unused_constants();
    features
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::building::head::HEAD_OUTPUTS;
    use faceood_engine::pack::network::graph::Node;

    #[test]
    fn a_head_with_other_outputs_is_taken_out_whole() {
        let constant = |name: &str, shape: &[usize]| {
            let values = vec![0.0; shape.iter().product()];
            Tensor::floats(name, shape, &values)
        };
        let mut graph = Graph {
            node: vec![
                Node::new("Concat", &["means", "norms"], FEATURES),
                Node::new("Mul", &["norms", NORM_SCALES], "embedding_norm"),
                Node::new("Gemm", &[FEATURES, HEAD_WEIGHTS, "bias"], "all"),
                Node::new("Gather", &["all", "place"], "one"),
                Node::new("Sigmoid", &["one"], "ood_logit"),
            ],
            initializer: vec![
                constant(HEAD_WEIGHTS, &[4, 2]),
                constant("bias", &[2]),
                constant("place", &[1]),
                constant(NORM_SCALES, &[1, 1]),
            ],
            ..Graph::default()
        };
        assert_eq!(drop_head(&mut graph), Some(4));
        let left: Vec<&str> = graph
            .node
            .iter()
            .map(|node| node.output[0].as_str())
            .collect();
        assert_eq!(left, [FEATURES, "embedding_norm"]);
        let constants: Vec<&str> = graph.initializer.iter().map(Tensor::name).collect();
        assert_eq!(constants, [NORM_SCALES]);
        assert_eq!(drop_head(&mut graph), None);

        let head = LinearHead {
            weights: vec![vec![0.5; 4]; HEAD_OUTPUTS],
            bias: vec![0.0; HEAD_OUTPUTS],
        };
        head::append(&mut graph, &head, 4).unwrap();
        assert_eq!(drop_head(&mut graph), Some(4));
    }
}
