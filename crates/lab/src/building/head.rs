//! Fuses the pack's two recognisers, the projection of one, and the OOD head into one graph, so
//! that one run gives embedding, norms and OOD logit.
//!
//! Tensors of each network have its prefix in their names; tensors added here have the prefix
//! `fused.`.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use faceood::cause::CauseName;
use faceood::embed::EMBEDDING_LENGTH;
use faceood::pack::network::graph::{Graph, Model, Node, OperatorSet, Tensor, ValueInfo};
use faceood::pack::network::rewrite;

use super::BuildError;

/// What the names of all begin with that is added to the networks.
const ADDED: &str = "fused.";
/// Version of the standard operators the fused graph is written in: the first with blocks in `DequantizeLinear`.
const OPSET: i64 = 21;
/// Version of the file format that came with it.
const IR_VERSION: i64 = 10;

/// Constant `[features, outputs]`: the head's weights.
pub const HEAD_WEIGHTS: &str = "fused.head_weights";
/// Constant `[outputs]`: what the head adds.
pub const HEAD_BIAS: &str = "fused.head_bias";
/// Constant `[1, networks]`: what each network's norm is multiplied with for the joint one.
pub const NORM_SCALES: &str = "fused.norm_scales";
/// Tensor `[N, features]`: what the head reads.
pub const FEATURES: &str = "features";
/// Tensor `[N]`: the similarity that the head expects.
pub const OOD_LOGIT: &str = "ood_logit";
/// Tensor `[N, causes]`: how much each of [`CauseName::LEARNT`] is to be seen; 0 is not at all, 1
/// is plainly.
pub const CAUSE_LOGITS: &str = "cause_logits";
/// Outputs of the head before the causes: two experts on similarity, and the gate between them.
pub const EXPERT_OUTPUTS: usize = 3;
/// All outputs of the head.
pub const HEAD_OUTPUTS: usize = EXPERT_OUTPUTS + CauseName::LEARNT.len();

/// One recogniser on its way into the fused graph.
#[derive(Clone, Debug)]
pub struct Tower {
    /// Its name in the manifest and in the log.
    pub name: String,
    /// Its graph, as published.
    pub graph: Graph,
    /// Name of the input tensor.
    pub input: String,
    /// Name of the output tensor: `[N, length]`, not normalised.
    pub output: String,
    /// Length of the output.
    pub length: usize,
    /// Activations that still have positions, `[N, channels, h, w]`, the last ones among them: the OOD head reads them.
    pub taps: Vec<Tap>,
    /// What it wants in place of RGB 0–255: `(x − mean) · scale`; `None` where its graph normalises by itself.
    pub normalisation: Option<(f32, f32)>,
    /// Its share of the fused similarity, 0…1.
    pub weight: f32,
    /// Mean length of its output over clean faces.
    pub clean_norm: f32,
    /// Row-major `[directions, length]` projection, where its part of the embedding is shorter than its output.
    pub projection: Option<Vec<f32>>,
}

/// Activations within a tower.
#[derive(Clone, Debug)]
pub struct Tap {
    /// Name of the tensor.
    pub tensor: String,
    /// How many channels it has.
    pub channels: usize,
}

/// Linear functions of the pooled activations: what ridge regression learnt, with the standardisation folded in.
///
/// The features, in order: for each tower and each of its taps the mean, then the standard deviation over positions; then the
/// towers' norms. The outputs, in order: the similarity that an expert on camera pictures expects, and one on pictures that have been
/// passed around; the gate, whose logistic function is the second expert's share (a mixture of experts: Jacobs et al. 1991); and
/// [`CauseName::LEARNT`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearHead {
    /// For each output one weight a feature.
    pub weights: Vec<Vec<f32>>,
    /// What is added to each output.
    pub bias: Vec<f32>,
}

impl LinearHead {
    /// The weights as the graph has them: `[features, outputs]`, row-major.
    ///
    /// # Errors
    /// Where they are not [`HEAD_OUTPUTS`] times `features`.
    pub fn by_feature(&self, features: usize) -> Result<Vec<f32>, BuildError> {
        let misfit = self.weights.iter().find(|row| row.len() != features);
        if misfit.is_some() || self.weights.len() != HEAD_OUTPUTS || self.bias.len() != HEAD_OUTPUTS
        {
            return Err(BuildError::HeadLength {
                got: self.weights.iter().map(Vec::len).sum(),
                expected: features * HEAD_OUTPUTS,
            });
        }
        Ok((0..features)
            .flat_map(|feature| self.weights.iter().map(move |row| row[feature]))
            .collect())
    }
}

/// How many numbers the head reads of these towers.
#[must_use]
pub fn feature_count(towers: &[Tower]) -> usize {
    towers
        .iter()
        .map(|tower| 2 * tower.taps.iter().map(|tap| tap.channels).sum::<usize>() + 1)
        .sum::<usize>()
}

/// What the fused graph gives besides embedding and norms.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// `ood_logit` and `cause_logits`, as the product needs them.
    Serve(&'a LinearHead),
    /// `features`, as training needs them.
    Train,
}

/// The operators that the default pack's graph is written in.
#[must_use]
pub fn operators() -> Vec<OperatorSet> {
    vec![OperatorSet {
        domain: Some(String::new()),
        version: Some(OPSET),
    }]
}

/// Joins the towers into one graph with input `face` `[N, 3, 112, 112]`, written in `operators`, which are those that the
/// towers' own nodes mean.
///
/// # Errors
/// Where a tower lacks a tensor that it is said to have, or the head does not fit the towers.
pub fn fuse(
    towers: &[Tower],
    purpose: Purpose<'_>,
    operators: Vec<OperatorSet>,
) -> Result<Model, BuildError> {
    let mut joined = Graph {
        name: Some("faceood embedder".to_owned()),
        input: vec![ValueInfo::floats(
            "face",
            &[None, Some(3), Some(112), Some(112)],
        )],
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
    concatenate(&mut joined, &features, "features");

    joined.output = vec![
        ValueInfo::floats("embedding", &[None, Some(EMBEDDING_LENGTH)]),
        ValueInfo::floats("embedding_norm", &[None]),
        ValueInfo::floats("network_norms", &[None, Some(towers.len())]),
    ];
    match purpose {
        Purpose::Serve(head) => {
            append_head(&mut joined, head, feature_count(towers))?;
            joined.output.push(ValueInfo::floats(OOD_LOGIT, &[None]));
            joined.output.push(ValueInfo::floats(
                CAUSE_LOGITS,
                &[None, Some(CauseName::LEARNT.len())],
            ));
        }
        Purpose::Train => joined.output.push(ValueInfo::floats(
            "features",
            &[None, Some(feature_count(towers))],
        )),
    }
    let version = operators
        .iter()
        .find(|set| set.domain().is_empty())
        .map_or(OPSET, OperatorSet::version);
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

fn concatenate(graph: &mut Graph, inputs: &[String], output: &str) {
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    graph
        .node
        .push(Node::new("Concat", &inputs, output).with_int("axis", 1));
}

/// Brings one network in, cleaned, behind its prefix, reading `face`.
fn append_tower(joined: &mut Graph, tower: &Tower) -> Result<(), BuildError> {
    let mut graph = tower.graph.clone();
    rewrite::drop_dropout(&mut graph);
    rewrite::free_final_reshape(&mut graph);
    rewrite::strip_constant_inputs(&mut graph);
    for wanted in tower
        .taps
        .iter()
        .map(|tap| &tap.tensor)
        .chain([&tower.output])
    {
        if !graph.node.iter().any(|node| node.output.contains(wanted)) {
            return Err(BuildError::MissingTensor {
                network: tower.name.clone(),
                tensor: wanted.clone(),
            });
        }
    }
    if graph.input.len() != 1 || graph.input[0].name() != tower.input {
        return Err(BuildError::MissingTensor {
            network: tower.name.clone(),
            tensor: tower.input.clone(),
        });
    }
    let input = match tower.normalisation {
        None => "face".to_owned(),
        Some((mean, scale)) => {
            let name = |part: &str| fused(tower, part);
            joined
                .initializer
                .push(Tensor::floats(&name("input_mean"), &[1], &[mean]));
            joined
                .initializer
                .push(Tensor::floats(&name("input_scale"), &[1], &[scale]));
            joined.node.push(Node::new(
                "Sub",
                &["face", &name("input_mean")],
                &name("centred"),
            ));
            joined.node.push(Node::new(
                "Mul",
                &[&name("centred"), &name("input_scale")],
                &name("input"),
            ));
            name("input")
        }
    };
    let output = fused(tower, "output");
    let taps: Vec<String> = (0..tower.taps.len())
        .map(|number| tap(tower, number, "activations"))
        .collect();
    let mut renamed = HashMap::from([
        (tower.input.as_str(), input.as_str()),
        (tower.output.as_str(), output.as_str()),
    ]);
    renamed.extend(
        tower
            .taps
            .iter()
            .zip(&taps)
            .map(|(tap, name)| (tap.tensor.as_str(), name.as_str())),
    );
    rewrite::rename(&mut graph, &format!("{}.", tower.name), &renamed);
    joined.node.extend(graph.node);
    joined
        .initializer
        .extend(graph.initializer.into_iter().map(compact));
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
    let (output, norm, unit) = (name("output"), name("norm"), name("unit"));
    graph
        .initializer
        .push(Tensor::integers(&name("axes"), &[1]));
    graph
        .node
        .push(Node::new("ReduceL2", &[&output, &name("axes")], &norm).with_int("keepdims", 1));
    graph.node.push(Node::new("Div", &[&output, &norm], &unit));
    let root = tower.weight.sqrt();
    match &tower.projection {
        None => {
            graph
                .initializer
                .push(Tensor::floats(&name("root_weight"), &[1], &[root]));
            graph.node.push(Node::new(
                "Mul",
                &[&unit, &name("root_weight")],
                &name("part"),
            ));
        }
        Some(projection) => {
            let directions = projection.len() / tower.length;
            let mut transposed = vec![0.0; projection.len()];
            for (direction, row) in projection.chunks_exact(tower.length).enumerate() {
                for (column, value) in row.iter().enumerate() {
                    transposed[column * directions + direction] = root * value;
                }
            }
            graph.initializer.push(Tensor::floats(
                &name("projection"),
                &[tower.length, directions],
                &transposed,
            ));
            graph.node.push(Node::new(
                "MatMul",
                &[&unit, &name("projection")],
                &name("part"),
            ));
        }
    }
    name("part")
}

/// `embedding_norm` = √(Σ wᵢ (|xᵢ| / clean norm of i)²).
fn append_joint_norm(graph: &mut Graph, towers: &[Tower]) {
    let scales: Vec<f32> = towers
        .iter()
        .map(|tower| tower.weight.sqrt() / tower.clean_norm)
        .collect();
    graph
        .initializer
        .push(Tensor::floats(NORM_SCALES, &[1, scales.len()], &scales));
    graph
        .initializer
        .push(Tensor::integers("fused.norm_axes", &[1]));
    graph.node.push(Node::new(
        "Mul",
        &["network_norms", NORM_SCALES],
        "fused.relative_norms",
    ));
    graph.node.push(
        Node::new(
            "ReduceL2",
            &["fused.relative_norms", "fused.norm_axes"],
            "embedding_norm",
        )
        .with_int("keepdims", 0),
    );
}

fn tap(tower: &Tower, number: usize, part: &str) -> String {
    fused(tower, &format!("tap{number}.{part}"))
}

/// Mean and standard deviation over the positions of a tap, each `[N, channels]`; gives their names. Deviations are taken around
/// the mean, not as a difference of squares, so that rounding cannot make them negative.
fn append_pooling(graph: &mut Graph, tower: &Tower, number: usize) -> [String; 2] {
    let name = |part: &str| tap(tower, number, part);
    let activations = name("activations");
    graph
        .initializer
        .push(Tensor::integers(&name("positions"), &[2, 3]));
    let mean = |from: &str, to: &str, keepdims: i64| {
        Node::new("ReduceMean", &[from, &name("positions")], to).with_int("keepdims", keepdims)
    };
    graph.node.push(mean(&activations, &name("mean_kept"), 1));
    graph
        .node
        .push(Node::new("Flatten", &[&name("mean_kept")], &name("mean")).with_int("axis", 1));
    graph.node.push(Node::new(
        "Sub",
        &[&activations, &name("mean_kept")],
        &name("apart"),
    ));
    graph.node.push(Node::new(
        "Mul",
        &[&name("apart"), &name("apart")],
        &name("squared"),
    ));
    graph
        .node
        .push(mean(&name("squared"), &name("variance"), 0));
    graph
        .node
        .push(Node::new("Sqrt", &[&name("variance")], &name("deviation")));
    [name("mean"), name("deviation")]
}

/// The head's outputs are features · weights + bias; `ood_logit` = first expert + σ(gate) · (second − first), `cause_logits` are the rest.
fn append_head(graph: &mut Graph, head: &LinearHead, features: usize) -> Result<(), BuildError> {
    let weights = head.by_feature(features)?;
    graph.initializer.push(Tensor::floats(
        HEAD_WEIGHTS,
        &[features, HEAD_OUTPUTS],
        &weights,
    ));
    graph
        .initializer
        .push(Tensor::floats(HEAD_BIAS, &[HEAD_OUTPUTS], &head.bias));
    graph.node.push(Node::new(
        "Gemm",
        &[FEATURES, HEAD_WEIGHTS, HEAD_BIAS],
        "fused.head",
    ));
    // Experts and gate, one number a face each.
    for (index, part) in (0_i64..).zip(["camera", "passed_on", "gate"]) {
        let place = format!("fused.{part}_place");
        let mut place_constant = Tensor::integers(&place, &[index]);
        // Without an extent of its own: `Gather` then drops the axis.
        place_constant.dims.clear();
        graph.initializer.push(place_constant);
        graph.node.push(
            Node::new("Gather", &["fused.head", &place], &format!("fused.{part}"))
                .with_int("axis", 1),
        );
    }
    graph
        .node
        .push(Node::new("Sigmoid", &["fused.gate"], "fused.share"));
    graph.node.push(Node::new(
        "Sub",
        &["fused.passed_on", "fused.camera"],
        "fused.between_experts",
    ));
    graph.node.push(Node::new(
        "Mul",
        &["fused.share", "fused.between_experts"],
        "fused.shift",
    ));
    graph.node.push(Node::new(
        "Add",
        &["fused.camera", "fused.shift"],
        OOD_LOGIT,
    ));
    let causes: Vec<i64> = (0_i64..)
        .skip(EXPERT_OUTPUTS)
        .take(CauseName::LEARNT.len())
        .collect();
    graph
        .initializer
        .push(Tensor::integers("fused.cause_places", &causes));
    graph.node.push(
        Node::new(
            "Gather",
            &["fused.head", "fused.cause_places"],
            CAUSE_LOGITS,
        )
        .with_int("axis", 1),
    );
    Ok(())
}
