//! Constants too small to matter become zero.
//!
//! MobileFaceNet as published has 8,948 subnormal weights. Intel processors take about a hundred cycles for each product
//! that is subnormal: with these weights the default embedder took 131 ms there, without them 45 ms. AMD processors show no
//! difference.

use super::graph::{FLOAT, Model, Tensor};

/// Constants below this become zero. The smallest normal `f32` is 1.2e-38: a constant above this times an activation of
/// 1e-8 or more is still normal.
const NEGLIGIBLE: f32 = 1e-30;

/// Sets every float constant below [`NEGLIGIBLE`] to zero, which changes no output beyond rounding.
///
/// [`Model::write`] calls this, and every graph that goes to a file or to the runtime passes there: packs that are built,
/// networks that are imported, and older packs when they are loaded.
pub(super) fn drop_negligible(model: &mut Model) {
    let Some(graph) = &mut model.graph else {
        return;
    };
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    let inside_nodes = attributes.filter_map(|attribute| attribute.t.as_mut());
    graph
        .initializer
        .iter_mut()
        .chain(inside_nodes)
        .filter(|tensor| tensor.data_type() == FLOAT)
        .for_each(clear);
}

/// Tensors without such a number keep their bytes, whichever form they have.
fn clear(tensor: &mut Tensor) {
    for value in &mut tensor.float_data {
        if is_negligible(*value) {
            *value = 0.0;
        }
    }
    let Some(raw) = &tensor.raw_data else {
        return;
    };
    let floats = raw.as_chunks::<4>().0;
    let is_small = |bytes: &[u8; 4]| is_negligible(f32::from_le_bytes(*bytes));
    if floats.iter().any(is_small) {
        let kept = floats
            .iter()
            .flat_map(|bytes| if is_small(bytes) { [0; 4] } else { *bytes });
        tensor.raw_data = Some(kept.collect());
    }
}

fn is_negligible(value: f32) -> bool {
    value != 0.0 && value.abs() < NEGLIGIBLE
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Attribute, Graph, Node};
    use super::*;

    const SUBNORMAL: f32 = 1e-39;

    /// Every float constant of the file in `bytes`.
    fn floats(bytes: Vec<u8>) -> Vec<f32> {
        let graph = Model::read("test", bytes).unwrap().into_graph();
        let attributes = graph.node.iter().flat_map(|node| &node.attribute);
        graph
            .initializer
            .iter()
            .chain(attributes.filter_map(|attribute| attribute.t.as_ref()))
            .filter(|tensor| tensor.data_type() == FLOAT)
            .flat_map(|tensor| tensor.to_floats().unwrap())
            .collect()
    }

    #[test]
    fn a_written_graph_has_no_subnormal_constant_in_any_form() {
        let values = [1.0, SUBNORMAL, -SUBNORMAL, 1e-31, 1e-29, 0.0, f32::NAN];
        let raw = Tensor::floats("raw", &[values.len()], &values);
        let listed = Tensor {
            name: Some("listed".to_owned()),
            raw_data: None,
            float_data: values.to_vec(),
            ..raw.clone()
        };
        let mut constant = Node::new("Constant", &[], "inside");
        constant.attribute.push(Attribute {
            name: Some("value".to_owned()),
            t: Some(raw.clone()),
            ..Attribute::default()
        });
        // Its bytes as floats would be subnormal.
        let integers = Tensor::integers("integers", &[1, 2]);
        let model = Model {
            graph: Some(Graph {
                node: vec![constant],
                initializer: vec![raw, listed, integers.clone()],
                ..Graph::default()
            }),
            ..Model::default()
        };
        let written = floats(model.write());
        assert_eq!(written.len(), 3 * values.len());
        for found in written.chunks(values.len()) {
            assert_eq!(found[..6], [1.0, 0.0, 0.0, 0.0, 1e-29, 0.0]);
            assert!(found[6].is_nan(), "a broken weight must not be hidden");
        }
        let again = Model::read("test", model.write()).unwrap().into_graph();
        assert_eq!(again.initializer[2], integers);
    }
}
