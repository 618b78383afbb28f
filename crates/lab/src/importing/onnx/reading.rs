//! Reads a foreign graph: its inputs and outputs, the nodes that are needed, and the path from
//! picture to embedding.

use std::collections::HashSet;

use super::{OnnxError, SIDE};
use crate::building::BuildError;
use faceood::pack::network::graph::{self, Graph, Model, Node, OperatorSet, ValueInfo};
use faceood::pack::verify;

/// The oldest standard operators that ONNX Runtime runs.
const OLDEST_OPERATORS: i64 = 7;

/// Refuses what this program would lose on the way; gives the operator sets.
pub(super) fn supported(model: &Model) -> Result<Vec<OperatorSet>, OnnxError> {
    let unsupported = |what: String, way_out| Err(OnnxError::Unsupported { what, way_out });
    let version = model
        .opset_import
        .iter()
        .find(|set| set.domain().is_empty())
        .map_or(0, OperatorSet::version);
    if version < OLDEST_OPERATORS {
        return unsupported(
            format!("is written in operator set {version}"),
            "export it again with operator set 11 or newer",
        );
    }
    let graph = model.graph.iter();
    for node in graph.clone().flat_map(|graph| &graph.node) {
        if ["If", "Loop", "Scan"].iter().any(|kind| node.is(kind)) {
            return unsupported(
                format!("branches or loops ({})", node.op_type()),
                "simplify it first, for example with onnxsim",
            );
        }
    }
    for tensor in graph.flat_map(|graph| &graph.initializer) {
        let is_empty = tensor.raw_data.as_deref().unwrap_or_default().is_empty()
            && tensor.float_data.is_empty()
            && tensor.int32_data.is_empty()
            && tensor.int64_data.is_empty();
        if is_empty && tensor.shape().iter().product::<usize>() > 0 {
            return unsupported(
                format!("keeps the constant {} elsewhere", tensor.name()),
                "save it as one file, in 32-bit floats",
            );
        }
    }
    Ok(model.opset_import.clone())
}

/// The name of the one input, an aligned face.
pub(super) fn picture_input(graph: &Graph) -> Result<String, OnnxError> {
    let fits = |value: &ValueInfo| match value.shape().as_slice() {
        [batch, planes, height, width] => {
            let is = |extent: &Option<usize>, wanted| extent.is_none_or(|extent| extent == wanted);
            is(batch, 1) && is(planes, 3) && is(height, SIDE) && is(width, SIDE)
        }
        _ => false,
    };
    match graph.input.as_slice() {
        [value] if fits(value) => Ok(value.name().to_owned()),
        values => Err(OnnxError::Input {
            found: values
                .iter()
                .map(|value| format!("{} {}", value.name(), verify::describe(&value.shape())))
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

/// The output that is the embedding: the one that is wanted, or the only one.
pub(super) fn embedding_output(graph: &Graph, wanted: Option<&str>) -> Result<String, OnnxError> {
    let names: Vec<&str> = graph.output.iter().map(ValueInfo::name).collect();
    let chosen = match (wanted, names.as_slice()) {
        (Some(wanted), names) => names.iter().find(|name| **name == wanted),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    chosen
        .map(|name| (*name).to_owned())
        .ok_or_else(|| OnnxError::Output {
            found: names.join(", "),
        })
}

/// Keeps what `Constant` nodes hold among the graph's constants, where the rest of this program looks for them.
pub(super) fn hoist_constants(graph: &mut Graph) {
    let mut hoisted = Vec::new();
    graph.node.retain_mut(|node| {
        let is_constant = node.is("Constant");
        let value = node
            .attribute
            .iter_mut()
            .find(|attribute| attribute.name() == "value");
        match (
            is_constant,
            value.and_then(|value| value.t.take()),
            node.output.first(),
        ) {
            (true, Some(mut tensor), Some(output)) => {
                tensor.name = Some(output.clone());
                hoisted.push(tensor);
                false
            }
            _ => true,
        }
    });
    graph.initializer.extend(hoisted);
}

/// Drops nodes that do not lead to `output`, and the other outputs.
pub(super) fn keep_only(graph: &mut Graph, output: &str) {
    let mut needed = HashSet::from([output.to_owned()]);
    // Nodes stand in the order of their execution, so that one pass from the end sees every user before its maker.
    let mut kept: Vec<Node> = Vec::with_capacity(graph.node.len());
    for node in graph.node.drain(..).rev() {
        if node.output.iter().any(|name| needed.contains(name)) {
            needed.extend(node.input.iter().cloned());
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    graph.output.retain(|value| value.name() == output);
    graph.value_info.clear();
    graph.drop_unused_constants();
}

/// The tensors on the way back from `output` to the picture, along each node's first input that is no constant; the output comes first.
pub(super) fn path_to(graph: &Graph, output: &str) -> Vec<String> {
    let constants = graph.constants();
    let mut path = Vec::new();
    let mut at = output.to_owned();
    while let Some(node) = graph.node.iter().find(|node| node.output.contains(&at)) {
        path.push(at);
        let mut inputs = node.input.iter();
        match inputs.find(|input| !constants.contains_key(input.as_str())) {
            Some(input) => at = input.clone(),
            None => break,
        }
    }
    path
}

/// A batch of one that is written into a flattening `Reshape` becomes whatever batch comes in.
pub(super) fn free_batch(graph: &mut Graph) -> Result<(), BuildError> {
    let constants = graph.constants();
    let mut freed = Vec::new();
    for node in &graph.node {
        if let (true, [data, shape]) = (node.is("Reshape"), node.input.as_slice())
            && !constants.contains_key(data.as_str())
            && let Some(tensor) = constants.get(shape.as_str())
        {
            let mut extents = tensor.to_integers()?;
            if extents.first() == Some(&1) {
                extents[0] = 0;
                freed.push(graph::Tensor::integers(shape, &extents));
            }
        }
    }
    for tensor in freed {
        let name = tensor.name().to_owned();
        graph.initializer.retain(|other| other.name() != name);
        graph.initializer.push(tensor);
    }
    Ok(())
}
