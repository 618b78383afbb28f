//! Fuses the pack's two recognisers, the projection of one, and the OOD head into one graph, so
//! that one run gives embedding, norms and OOD logit.
//!
//! Tensors of each network have its prefix in their names; tensors added here have the prefix
//! `fused.`.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use faceood_engine::cause::CauseName;
use faceood_engine::embed::EMBEDDING_LENGTH;
use faceood_engine::pack::network::graph::{Graph, Model, Node, OperatorSet, Tensor, ValueInfo};
use faceood_engine::pack::network::rewrite;

use super::BuildError;

/// Prefix of all names that are added to the networks' own.
const ADDED: &str = "fused.";
/// Operator set of the fused graph: the first with blocks in `DequantizeLinear`.
const OPSET: i64 = 21;
/// Version of the file format that came with it.
const IR_VERSION: i64 = 10;

/// Constant `[features, outputs]`: the head's weights.
pub(crate) const HEAD_WEIGHTS: &str = "fused.head_weights";
/// Constant `[outputs]`.
const HEAD_BIAS: &str = "fused.head_bias";
/// Constant `[1, networks]`: the factor of each network's norm in the joint norm.
pub(crate) const NORM_SCALES: &str = "fused.norm_scales";
/// Tensor `[N, features]`: what the head reads.
pub(crate) const FEATURES: &str = "features";
/// Tensor `[N]`: the similarity that the head expects.
pub(crate) const OOD_LOGIT: &str = "ood_logit";
/// Tensor `[N, causes]`: how clearly each of [`CauseName::LEARNT`] shows, from 0 (not at all) to 1.
pub(crate) const CAUSE_LOGITS: &str = "cause_logits";
/// Places of the experts on similarity among the head's outputs. Each but the first is followed by
/// its gate.
pub(crate) const EXPERTS: [usize; 3] = [0, 1, 3];
/// Outputs of the head before the causes.
const EXPERT_OUTPUTS: usize = 2 * EXPERTS.len() - 1;
/// All outputs of the head.
pub const HEAD_OUTPUTS: usize = EXPERT_OUTPUTS + CauseName::LEARNT.len();

/// One recogniser on its way into the fused graph.
pub(crate) struct Tower {
    /// Its name in the manifest and in the log.
    pub(crate) name: String,
    /// Its graph, as published.
    pub(crate) graph: Graph,
    /// Name of the input tensor.
    pub(crate) input: String,
    /// Name of the output tensor: `[N, length]`, not normalised.
    pub(crate) output: String,
    pub(crate) length: usize,
    /// Activations `[N, channels, h, w]` that still have positions and that the head reads, the
    /// last ones among them: name and channels of each.
    pub(crate) taps: Vec<(String, usize)>,
    /// What it wants in place of RGB 0–255: `(x − mean) · scale`; `None` if its graph normalises.
    pub(crate) normalisation: Option<(f32, f32)>,
    /// Its share of the fused similarity, 0…1.
    pub(crate) weight: f32,
    /// Mean length of its output over clean faces.
    pub(crate) clean_norm: f32,
    /// Row-major `[directions, length]`, if its part of the embedding is shorter than its output.
    pub(crate) projection: Option<Vec<f32>>,
}

/// Linear functions of the pooled activations. Ridge regression learnt them; they include the
/// standardisation.
///
/// The features, in order: for each tower and each of its taps the mean, then the standard
/// deviation over positions; then the towers' norms. The outputs, in order: the similarity that an
/// expert on camera pictures expects; that of an expert on covered faces, and its gate; that of an
/// expert on pictures that have been passed around, and its gate; and [`CauseName::LEARNT`]. The
/// logistic function of a gate is its expert's share (a mixture of experts: Jacobs et al. 1991).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearHead {
    /// For each output one weight a feature.
    pub weights: Vec<Vec<f32>>,
    /// What is added to each output.
    pub bias: Vec<f32>,
}

impl LinearHead {
    /// The weights as the graph has them: `[features, outputs]`, row-major. It is an error if there
    /// are not [`HEAD_OUTPUTS`] times `features`.
    pub(crate) fn by_feature(&self, features: usize) -> Result<Vec<f32>, BuildError> {
        let is_misfit = self.weights.iter().any(|row| row.len() != features);
        if is_misfit || self.weights.len() != HEAD_OUTPUTS || self.bias.len() != HEAD_OUTPUTS {
            let got = self.weights.iter().map(Vec::len).sum();
            return Err(BuildError::HeadLength(got, features * HEAD_OUTPUTS));
        }
        Ok((0..features)
            .flat_map(|feature| self.weights.iter().map(move |row| row[feature]))
            .collect())
    }
}

/// The number of features that the head reads from these towers.
pub(crate) fn feature_count(towers: &[Tower]) -> usize {
    let channels = towers.iter().flat_map(|tower| &tower.taps);
    2 * channels.map(|(_, channels)| channels).sum::<usize>() + towers.len()
}

/// What the fused graph gives besides embedding and norms.
#[derive(Clone, Copy)]
pub(crate) enum Purpose<'a> {
    /// `ood_logit` and `cause_logits`, as the product needs them.
    Serve(&'a LinearHead),
    /// `features`, as training needs them.
    Train,
}

/// The operators that the default pack's graph is written in.
pub(crate) fn operators() -> Vec<OperatorSet> {
    vec![OperatorSet {
        domain: Some(String::new()),
        version: Some(OPSET),
    }]
}

/// Joins the towers into one graph with input `face` `[N, 3, 112, 112]`, written in `operators`,
/// which are those of the towers' own nodes. It is an error if a tower lacks a tensor, or if the
/// head does not fit the towers.
pub(crate) fn fuse(
    towers: &[Tower],
    purpose: Purpose<'_>,
    operators: Vec<OperatorSet>,
) -> Result<Model, BuildError> {
    let shape = [None, Some(3), Some(112), Some(112)];
    let mut joined = Graph {
        name: Some("faceood embedder".to_owned()),
        input: vec![ValueInfo::floats("face", &shape)],
        ..Graph::default()
    };
    let mut parts = Vec::new();
    let mut norms = Vec::new();
    let mut features = Vec::new();
    for tower in towers {
        append_tower(&mut joined, tower)?;
        parts.push(append_part(&mut joined, tower));
        norms.push(fused(tower, "norm"));
        for number in 0..tower.taps.len() {
            features.extend(append_pooling(&mut joined, tower, number));
        }
    }
    concatenate(&mut joined, &parts, "embedding");
    concatenate(&mut joined, &norms, "network_norms");
    append_joint_norm(&mut joined, towers);
    features.push("network_norms".to_owned());
    concatenate(&mut joined, &features, FEATURES);

    let count = feature_count(towers);
    let mut give = |name: &str, shape: &[Option<usize>]| {
        joined.output.push(ValueInfo::floats(name, shape));
    };
    give("embedding", &[None, Some(EMBEDDING_LENGTH)]);
    give("embedding_norm", &[None]);
    give("network_norms", &[None, Some(towers.len())]);
    match purpose {
        Purpose::Serve(head) => {
            give(OOD_LOGIT, &[None]);
            give(CAUSE_LOGITS, &[None, Some(CauseName::LEARNT.len())]);
            append(&mut joined, head, count)?;
        }
        Purpose::Train => give(FEATURES, &[None, Some(count)]),
    }
    let standard = operators.iter().find(|set| set.domain().is_empty());
    let version = standard.map_or(OPSET, OperatorSet::version);
    rewrite::axes_as_settings(&mut joined, version, ADDED)?;
    joined.drop_unused_constants();
    Ok(Model {
        ir_version: Some(IR_VERSION),
        producer_name: Some("faceood".to_owned()),
        producer_version: None,
        graph: Some(joined),
        opset_import: operators,
    })
}

fn fused(tower: &Tower, part: &str) -> String {
    format!("{ADDED}{}.{part}", tower.name)
}

fn tap(tower: &Tower, number: usize, part: &str) -> String {
    fused(tower, &format!("tap{number}.{part}"))
}

fn concatenate(graph: &mut Graph, inputs: &[String], output: &str) {
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let node = Node::new("Concat", &inputs, output).with_int("axis", 1);
    graph.node.push(node);
}

/// Brings one network in, cleaned, behind its prefix, reading `face`.
fn append_tower(joined: &mut Graph, tower: &Tower) -> Result<(), BuildError> {
    let mut graph = tower.graph.clone();
    rewrite::drop_dropout(&mut graph);
    rewrite::free_final_reshape(&mut graph);
    rewrite::strip_constant_inputs(&mut graph);
    let missing = |tensor: &str| BuildError::MissingTensor(tower.name.clone(), tensor.to_owned());
    let tapped = tower.taps.iter().map(|(tensor, _)| tensor);
    for wanted in tapped.chain([&tower.output]) {
        if !graph.node.iter().any(|node| node.output.contains(wanted)) {
            return Err(missing(wanted));
        }
    }
    if graph.input.len() != 1 || graph.input[0].name() != tower.input {
        return Err(missing(&tower.input));
    }
    let name = |part: &str| fused(tower, part);
    let mut input = "face".to_owned();
    if let Some((mean, scale)) = tower.normalisation {
        input = name("input");
        let [subtracted, factor, centred] = ["input_mean", "input_scale", "centred"].map(name);
        joined.initializer.extend([
            Tensor::floats(&subtracted, &[1], &[mean]),
            Tensor::floats(&factor, &[1], &[scale]),
        ]);
        joined.node.extend([
            Node::new("Sub", &["face", &subtracted], &centred),
            Node::new("Mul", &[&centred, &factor], &input),
        ]);
    }
    let output = name("output");
    let taps: Vec<String> = (0..tower.taps.len())
        .map(|number| tap(tower, number, "activations"))
        .collect();
    let tapped = tower.taps.iter().zip(&taps);
    let renamed: HashMap<&str, &str> = [(&tower.input, &input), (&tower.output, &output)]
        .into_iter()
        .chain(tapped.map(|((tensor, _), name)| (tensor, name)))
        .map(|(from, to)| (from.as_str(), to.as_str()))
        .collect();
    rewrite::rename(&mut graph, &format!("{}.", tower.name), &renamed);
    joined.node.extend(graph.node);
    let constants = graph.initializer.into_iter().map(compact);
    joined.initializer.extend(constants);
    Ok(())
}

/// The same constant with its elements as raw bytes, which are smaller and quicker to read.
fn compact(tensor: Tensor) -> Tensor {
    if tensor.float_data.is_empty() {
        return tensor;
    }
    Tensor::floats(tensor.name(), &tensor.shape(), &tensor.float_data)
}

/// Norm and direction of a tower's output, and its part of the embedding: `√w · P · unit`.
fn append_part(graph: &mut Graph, tower: &Tower) -> String {
    let name = |part: &str| fused(tower, part);
    let [output, axes, norm, unit, part] = ["output", "axes", "norm", "unit", "part"].map(name);
    let root = tower.weight.sqrt();
    let (operator, factor) = match &tower.projection {
        None => ("Mul", Tensor::floats(&name("root_weight"), &[1], &[root])),
        Some(projection) => {
            let shape = [tower.length, projection.len() / tower.length];
            let column = |index| projection.iter().skip(index).step_by(tower.length);
            let transposed: Vec<f32> = (0..tower.length)
                .flat_map(|index| column(index).map(move |value| root * value))
                .collect();
            (
                "MatMul",
                Tensor::floats(&name("projection"), &shape, &transposed),
            )
        }
    };
    graph.node.extend([
        Node::new("ReduceL2", &[&output, &axes], &norm).with_int("keepdims", 1),
        Node::new("Div", &[&output, &norm], &unit),
        Node::new(operator, &[&unit, factor.name()], &part),
    ]);
    let axes = Tensor::integers(&axes, &[1]);
    graph.initializer.extend([axes, factor]);
    part
}

/// `embedding_norm` = √(Σ wᵢ (|xᵢ| / clean norm of i)²).
fn append_joint_norm(graph: &mut Graph, towers: &[Tower]) {
    let scales: Vec<f32> = towers
        .iter()
        .map(|tower| tower.weight.sqrt() / tower.clean_norm)
        .collect();
    let (relative, axes) = ("fused.relative_norms", "fused.norm_axes");
    graph.initializer.extend([
        Tensor::floats(NORM_SCALES, &[1, scales.len()], &scales),
        Tensor::integers(axes, &[1]),
    ]);
    graph.node.extend([
        Node::new("Mul", &["network_norms", NORM_SCALES], relative),
        Node::new("ReduceL2", &[relative, axes], "embedding_norm").with_int("keepdims", 0),
    ]);
}

/// Adds mean and standard deviation over the positions of a tap, each `[N, channels]`, and returns
/// their names. Deviations are taken around the mean, not as a difference of squares, so that
/// rounding cannot make them negative.
fn append_pooling(graph: &mut Graph, tower: &Tower, number: usize) -> [String; 2] {
    let name = |part: &str| tap(tower, number, part);
    let [seen, axes, kept, mean] = ["activations", "positions", "mean_kept", "mean"].map(name);
    let [apart, squared, variance] = ["apart", "squared", "variance"].map(name);
    let deviation = name("deviation");
    graph.initializer.push(Tensor::integers(&axes, &[2, 3]));
    graph.node.extend([
        Node::new("ReduceMean", &[&seen, &axes], &kept).with_int("keepdims", 1),
        Node::new("Flatten", &[&kept], &mean).with_int("axis", 1),
        Node::new("Sub", &[&seen, &kept], &apart),
        Node::new("Mul", &[&apart, &apart], &squared),
        Node::new("ReduceMean", &[&squared, &axes], &variance).with_int("keepdims", 0),
        Node::new("Sqrt", &[&variance], &deviation),
    ]);
    [mean, deviation]
}

/// The head's outputs are features · weights + bias. `ood_logit` starts with the first expert; each
/// other one in turn moves it towards itself by its share, σ(gate). `cause_logits` are the rest. It
/// is an error if the head does not read so many features.
pub(crate) fn append(
    graph: &mut Graph,
    head: &LinearHead,
    features: usize,
) -> Result<(), BuildError> {
    let weights = head.by_feature(features)?;
    let shape = [features, HEAD_OUTPUTS];
    let outputs = "fused.head";
    graph.initializer.extend([
        Tensor::floats(HEAD_WEIGHTS, &shape, &weights),
        Tensor::floats(HEAD_BIAS, &shape[1..], &head.bias),
    ]);
    let inputs = [FEATURES, HEAD_WEIGHTS, HEAD_BIAS];
    graph.node.push(Node::new("Gemm", &inputs, outputs));
    // One of the outputs alone, one number a face.
    let pick = |graph: &mut Graph, output: usize, name: &str| {
        let mut place = Tensor::integers(&format!("{name}_place"), &[output as i64]);
        // Without an extent of its own, `Gather` drops the axis.
        place.dims.clear();
        let gather = Node::new("Gather", &[outputs, place.name()], name).with_int("axis", 1);
        graph.node.push(gather);
        graph.initializer.push(place);
    };
    let [camera, covered, passed_on] = EXPERTS;
    let [first, mixed] = ["fused.camera", "fused.mixed"];
    pick(graph, camera, first);
    for (expert, place, before, after) in [
        ("covered", covered, first, mixed),
        ("passed_on", passed_on, mixed, OOD_LOGIT),
    ] {
        let name = |part: &str| format!("{ADDED}{expert}{part}");
        let [signal, gate, share, apart, shift] =
            ["", "_gate", "_share", "_apart", "_shift"].map(name);
        pick(graph, place, &signal);
        pick(graph, place + 1, &gate);
        graph.node.extend([
            Node::new("Sigmoid", &[&gate], &share),
            Node::new("Sub", &[&signal, before], &apart),
            Node::new("Mul", &[&share, &apart], &shift),
            Node::new("Add", &[before, &shift], after),
        ]);
    }
    let places = "fused.cause_places";
    graph
        .node
        .push(Node::new("Gather", &[outputs, places], CAUSE_LOGITS).with_int("axis", 1));
    let causes: Vec<i64> = (0..HEAD_OUTPUTS as i64).skip(EXPERT_OUTPUTS).collect();
    graph.initializer.push(Tensor::integers(places, &causes));
    Ok(())
}
