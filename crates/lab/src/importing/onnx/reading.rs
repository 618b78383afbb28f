//! Reads a foreign graph: its inputs and outputs, the nodes that are needed, and the path from
//! picture to embedding.

use std::collections::HashSet;

use super::{OnnxError, SIDE};
use crate::building::BuildError;
use faceood_engine::pack::network::graph::{self, Graph, Model, Node, OperatorSet, ValueInfo};
use faceood_engine::pack::verify;

/// The oldest standard operators that ONNX Runtime runs.
const OLDEST_OPERATORS: i64 = 7;

/// Refuses what this program would lose on the way; gives the operator sets.
pub(super) fn supported(model: &Model) -> Result<Vec<OperatorSet>, OnnxError> {
    let mut sets = model.opset_import.iter();
    let standard = sets.find(|set| set.domain().is_empty());
    let version = standard.map_or(0, OperatorSet::version);
    if version < OLDEST_OPERATORS {
        return Err(OnnxError::Unsupported(
            format!("is written in operator set {version}"),
            "export it again with operator set 11 or newer",
        ));
    }
    let graph = model.graph.iter();
    for node in graph.clone().flat_map(|graph| &graph.node) {
        if ["If", "Loop", "Scan"].iter().any(|kind| node.is(kind)) {
            return Err(OnnxError::Unsupported(
                format!("branches or loops ({})", node.op_type()),
                "simplify it first, for example with onnxsim",
            ));
        }
    }
    for tensor in graph.flat_map(|graph| &graph.initializer) {
        let is_empty = tensor.raw_data.as_deref().unwrap_or_default().is_empty()
            && tensor.float_data.is_empty()
            && tensor.int32_data.is_empty()
            && tensor.int64_data.is_empty();
        if is_empty && tensor.shape().iter().product::<usize>() > 0 {
            return Err(OnnxError::Unsupported(
                format!("keeps the constant {} elsewhere", tensor.name()),
                "save it as one file, in 32-bit floats",
            ));
        }
    }
    Ok(model.opset_import.clone())
}

/// The name of the one input, an aligned face.
pub(super) fn picture_input(graph: &Graph) -> Result<String, OnnxError> {
    let fits = |value: &ValueInfo| {
        let shape = value.shape();
        let mut extents = shape.iter().zip([1, 3, SIDE, SIDE]);
        shape.len() == 4 && extents.all(|(extent, wanted)| extent.is_none_or(|e| e == wanted))
    };
    match graph.input.as_slice() {
        [value] if fits(value) => Ok(value.name().to_owned()),
        values => {
            let values = values.iter();
            let found = values
                .map(|value| format!("{} {}", value.name(), verify::describe(&value.shape())));
            Err(OnnxError::Input(found.collect::<Vec<_>>().join(", ")))
        }
    }
}

/// The output that is the embedding: the wanted one, or the only one.
pub(super) fn embedding_output(graph: &Graph, wanted: Option<&str>) -> Result<String, OnnxError> {
    let names: Vec<&str> = graph.output.iter().map(ValueInfo::name).collect();
    let chosen = match (wanted, names.as_slice()) {
        (Some(wanted), names) => names.iter().find(|name| **name == wanted),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    match chosen {
        Some(name) => Ok((*name).to_owned()),
        None => Err(OnnxError::Output(names.join(", "))),
    }
}

/// Moves the tensors of `Constant` nodes to the graph's constants, where the rest of this program
/// looks for them.
pub(super) fn hoist_constants(graph: &mut Graph) {
    let mut hoisted = Vec::new();
    graph.node.retain_mut(|node| {
        if !node.is("Constant") {
            return true;
        }
        let mut settings = node.attribute.iter_mut();
        let value = settings.find(|setting| setting.name() == "value");
        let tensor = value.and_then(|value| value.t.take());
        let (Some(mut tensor), Some(output)) = (tensor, node.output.first()) else {
            return true;
        };
        tensor.name = Some(output.clone());
        hoisted.push(tensor);
        false
    });
    graph.initializer.extend(hoisted);
}

/// Drops nodes that do not lead to `output`, and the other outputs.
pub(super) fn keep_only(graph: &mut Graph, output: &str) {
    let mut needed = HashSet::from([output.to_owned()]);
    // Nodes stand in the order of their execution, so one pass from the end sees every user of a
    // tensor before its maker.
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

/// The tensors on the way back from `output` to the picture, `output` first. The way leads along
/// each node's first input that is no constant.
pub(super) fn path_to(graph: &Graph, output: &str) -> Vec<String> {
    let constants = graph.constants();
    let mut path = Vec::new();
    let mut at = output.to_owned();
    while let Some(node) = graph.node.iter().find(|node| node.output.contains(&at)) {
        path.push(at);
        let mut inputs = node.input.iter();
        let variable = inputs.find(|input| !constants.contains_key(input.as_str()));
        let Some(input) = variable else { break };
        at = input.clone();
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
        graph.initializer.retain(|other| other.name != tensor.name);
        graph.initializer.push(tensor);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use faceood_engine::pack::network::graph::{Attribute, Tensor};

    #[test]
    fn only_constant_nodes_lose_their_tensor() {
        let with_value = |op_type: &str, output: &str| {
            let mut node = Node::new(op_type, &[], output);
            node.attribute.push(Attribute {
                name: Some("value".to_owned()),
                t: Some(Tensor::floats("value", &[1], &[7.0])),
                ..Attribute::default()
            });
            node
        };
        let mut graph = Graph {
            node: vec![
                with_value("Constant", "seven"),
                with_value("ConstantOfShape", "sevens"),
            ],
            ..Graph::default()
        };
        hoist_constants(&mut graph);
        assert_eq!(graph.initializer[0].name(), "seven");
        assert_eq!(graph.node.len(), 1);
        assert!(graph.node[0].is("ConstantOfShape"));
        assert!(graph.node[0].attribute[0].t.is_some());
    }
}
