//! Imports an ArcFace-style recogniser in ONNX: an aligned face in, one embedding out. Its last
//! feature map is tapped for an OOD head, so that a site's own recogniser gets the trust score too.
//!
//! Until `models train` has trained a head for it, the signal is the length of its output,
//! which falls as pictures get worse.

use crate::building::BuildError;
use crate::building::head::{self, LinearHead, OOD_LOGIT, Purpose, Tower};
use crate::building::recipe::{self, TEMPLATE};
use faceood_engine::embed::EMBEDDING_LENGTH;
use faceood_engine::pack::manifest::{
    Channels, Embedder, Network, Ood, OodTransform, PictureInput, Polarity, Source,
};
use faceood_engine::pack::network::graph::{Model, Node};
use faceood_engine::pack::network::{NetworkError, prepare, rewrite};
use faceood_engine::pack::verify;
use faceood_engine::runtime::{GraphForm, Placement, PlaneNumber, Runtime, RuntimeError, Tensor};

mod reading;

use reading::{
    embedding_output, free_batch, hoist_constants, keep_only, path_to, picture_input, supported,
};

/// The recogniser's name in the manifest and in the log.
const NETWORK: &str = "recogniser";
/// Side of the input in pixels.
const SIDE: usize = 112;
/// Largest difference between the network alone and within the pack, as a share of the embedding's
/// length.
const TOLERANCE: f32 = 1e-3;

/// Why a network cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// It is no ONNX, or cannot be rewritten.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The head does not fit it.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It cannot be run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// It takes inputs of these names and shapes, not one aligned face.
    #[error(
        "the network takes {0}; one input [N, 3, {SIDE}, {SIDE}] is needed: an aligned face, as ArcFace's recognisers take it"
    )]
    Input(String),
    /// It gives tensors of these names, several or not the one that was asked for.
    #[error("the network gives {0}; say with --output which one is the embedding")]
    Output(String),
    /// The output of this name has this shape for one face, which is not one row of numbers.
    #[error(
        "{0} is {1:?}; an embedding is [N, length] with a length of {EMBEDDING_LENGTH} at most"
    )]
    Length(String, Vec<usize>),
    /// There is no feature map on the way to this output.
    #[error(
        "there is no feature map [N, channels, h, w] with more than one position on the way to {0}: only convolutional recognisers can be given a head"
    )]
    NoFeatureMap(String),
    /// The network does what is not understood here; then what to do.
    #[error("the network {0}; {1}")]
    Unsupported(String, &'static str),
    /// The rewritten network gives other numbers: the largest difference as a share of the
    /// embedding's length, and the faces in the batch.
    #[error(
        "within the pack the network gives other numbers than alone (off by {0} of its length, with {1} faces at once); export it with a free batch (dynamic axis 0)"
    )]
    Differs(f32, usize),
}

/// How the recogniser is fed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feeding {
    /// Order of the planes.
    pub channels: Channels,
    /// Subtracted from each pixel.
    pub mean: PlaneNumber,
    /// What the difference is multiplied with.
    pub scale: PlaneNumber,
}

/// An imported recogniser with a head for its features.
#[derive(Debug)]
pub struct ImportedOnnx {
    /// The network, ready to be a pack's embedder.
    pub model: Model,
    /// Name in the file of the tensor that was tapped.
    pub feature_map: String,
    /// Its shape for one face.
    pub feature_shape: Vec<usize>,
    /// Length of the embedding before it is padded to 512 with zeros, which changes no similarity.
    pub length: usize,
}

/// Imports the network in `bytes`. `output` names the embedding if the network gives several
/// tensors.
///
/// # Errors
/// If it is no such recogniser. Each message says what was found.
pub fn import(
    name: &str,
    bytes: Vec<u8>,
    output: Option<&str>,
    feeding: Feeding,
    runtime: &Runtime,
) -> Result<ImportedOnnx, OnnxError> {
    let mut model = Model::read(name, bytes)?;
    let operators = supported(&model)?;
    let mut graph = model.graph.take().unwrap_or_default();
    hoist_constants(&mut graph);
    rewrite::strip_constant_inputs(&mut graph);
    let input = picture_input(&graph)?;
    let output = embedding_output(&graph, output)?;
    keep_only(&mut graph, &output);
    let path = path_to(&graph, &output);

    // Only shapes tell which tensor is the last feature map, and a run is the surest way to them.
    let face = verify::golden_input(&described_input(feeding));
    let mut probe = graph.clone();
    probe.output = path.iter().map(|name| super::of_any_shape(name)).collect();
    model.graph = Some(probe);
    let mut session = runtime.open("embedder", &model.write(), Placement::Host)?;
    let seen = session.run(&face.shape, &face.values)?;
    drop((session, model));
    let find = |name: &str| {
        let (_, tensor) = seen.iter().find(|(found, _)| found == name)?;
        Some(tensor)
    };
    let alone = find(&output).ok_or_else(|| OnnxError::Output(output.clone()))?;
    let length = alone.values.len();
    let is_row = matches!(alone.shape.as_slice(), [1, _] | [1, _, 1, 1]);
    if !is_row || !(2..=EMBEDDING_LENGTH).contains(&length) {
        return Err(OnnxError::Length(output, alone.shape.clone()));
    }
    let has_positions = |shape: &[usize]| matches!(*shape, [1, _, h, w] if h * w > 1);
    let mut shapes = path
        .iter()
        .filter_map(|name| Some((name, &find(name)?.shape)));
    let found = shapes.find(|(_, shape)| has_positions(shape));
    let Some((feature_map, feature_shape)) = found else {
        return Err(OnnxError::NoFeatureMap(output));
    };

    free_batch(&mut graph)?;
    let flat = format!("{output}.row");
    let flatten = Node::new("Flatten", &[&output], &flat);
    graph.node.push(flatten.with_int("axis", 1));
    let tower = Tower {
        name: NETWORK.to_owned(),
        graph,
        input,
        output: flat,
        length,
        taps: vec![(feature_map.clone(), feature_shape[1])],
        normalisation: None,
        weight: 1.0,
        clean_norm: 1.0,
        projection: (length < EMBEDDING_LENGTH).then(|| padding(length)),
    };
    let towers = [tower];
    let features = head::feature_count(&towers);
    let mut weights = vec![vec![0.0; features]; head::HEAD_OUTPUTS];
    // All experts say the norm, the last feature; no cause is ever seen.
    for expert in head::EXPERTS {
        weights[expert][features - 1] = 1.0;
    }
    let norm_alone = LinearHead {
        weights,
        bias: vec![0.0; head::HEAD_OUTPUTS],
    };
    let fused = head::fuse(&towers, Purpose::Serve(&norm_alone), operators)?;
    for faces in [1, 2] {
        compare(&fused, &face, faces, &alone.values, runtime)?;
    }
    Ok(ImportedOnnx {
        model: fused,
        feature_map: feature_map.clone(),
        feature_shape: feature_shape.clone(),
        length,
    })
}

/// How the manifest describes the imported network in `bytes`.
pub fn described(
    bytes: &[u8],
    length: usize,
    feeding: Feeding,
    licence: &str,
    source: Source,
) -> Embedder {
    Embedder {
        file: recipe::file(super::EMBEDDER_FILE, bytes, licence, vec![source]),
        input: described_input(feeding),
        template: TEMPLATE,
        embedding: recipe::output("embedding", &[None, Some(EMBEDDING_LENGTH)]),
        embedding_norm: Some(recipe::output("embedding_norm", &[None])),
        network_norms: Some(recipe::output("network_norms", &[None, Some(1)])),
        networks: vec![Network {
            name: NETWORK.to_owned(),
            weight: 1.0,
            clean_norm: 1.0,
            length,
            directions: EMBEDDING_LENGTH,
        }],
        ood: Ood {
            output: recipe::output(OOD_LOGIT, &[None]),
            transform: OodTransform::Identity,
            polarity: Polarity::HigherIsBetter,
        },
        // Until its head has learnt to see any.
        causes: None,
    }
}

/// Row-major `[512, length]`: the embedding's own numbers, then zeros.
fn padding(length: usize) -> Vec<f32> {
    let mut rows = vec![0.0; EMBEDDING_LENGTH * length];
    for index in 0..length {
        rows[index * length + index] = 1.0;
    }
    rows
}

fn described_input(feeding: Feeding) -> PictureInput {
    let shape = [None, Some(3), Some(SIDE), Some(SIDE)];
    PictureInput {
        mean: feeding.mean,
        scale: feeding.scale,
        ..recipe::picture("face", &shape, feeding.channels, 0.0, 1.0)
    }
}

/// Compares the embedding within the pack, for `faces` equal faces, with that of the network alone.
fn compare(
    fused: &Model,
    face: &Tensor,
    faces: usize,
    alone: &[f32],
    runtime: &Runtime,
) -> Result<(), OnnxError> {
    let mut shape = face.shape.clone();
    shape[0] = faces;
    let mut prepared = fused.clone();
    prepare(&mut prepared, GraphForm::Convolutions)?;
    let mut session = runtime.open("embedder", &prepared.write(), Placement::Host)?;
    // A batch that is written into the network somewhere makes the run fail, not differ.
    let outputs = match session.run(&shape, &face.values.repeat(faces)) {
        Ok(outputs) => outputs,
        Err(_) if faces > 1 => return Err(OnnxError::Differs(1.0, faces)),
        Err(error) => return Err(error.into()),
    };
    let embedding = outputs.iter().find(|(name, _)| name == "embedding");
    let rows = embedding.map_or(&[][..], |(_, tensor)| &tensor.values);
    if rows.len() != faces * EMBEDDING_LENGTH {
        return Err(OnnxError::Differs(1.0, faces));
    }
    let length = alone.iter().map(|x| x * x).sum::<f32>().sqrt();
    let mut expected: Vec<f32> = alone.iter().map(|x| x / length).collect();
    expected.resize(EMBEDDING_LENGTH, 0.0);
    let gaps = rows.iter().zip(expected.iter().cycle());
    let off = gaps
        .map(|(got, expected)| (got - expected).abs())
        .fold(0.0, f32::max);
    if off <= TOLERANCE {
        Ok(())
    } else {
        Err(OnnxError::Differs(off, faces))
    }
}
