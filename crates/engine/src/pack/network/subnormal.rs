//! Constants too small to matter become zero.
//!
//! MobileFaceNet as published has 8,948 subnormal weights, and some 77,000 that are small enough to
//! make its activations and products subnormal. Intel processors take about a hundred cycles for
//! each subnormal number: the default embedder took 131 ms on one there, and 45 ms without the
//! subnormal weights alone. AMD processors show no difference.

use super::onnx::{FLOAT, Model, Tensor};

/// Smaller constants become zero. The smallest normal `f32` is 1.2e-38.
const NEGLIGIBLE: f32 = 1e-30;
/// So do constants below this share of the largest in their tensor. Rounding of `f32` hides all
/// below 6e-8 of a sum. With 1e-12 every output of the default embedder stays what it was to the
/// last bit, and none of its activations and products is subnormal; with [`NEGLIGIBLE`] alone 3.7
/// million of 670 million products of a face still are.
const NEGLIGIBLE_SHARE: f32 = 1e-12;

/// Sets every negligible float constant to zero.
///
/// [`Model::write`] calls this, and every graph that goes to a file or to the runtime passes there:
/// packs that are built, networks that are imported, and older packs when they are loaded.
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
    let raw = tensor.raw_data.clone().unwrap_or_default();
    let raw = raw.as_chunks::<4>().0;
    let values = || {
        let raw = raw.iter().map(|bytes| f32::from_le_bytes(*bytes));
        tensor.float_data.iter().copied().chain(raw)
    };
    // A broken weight must show when the network runs: neither it nor what is beside it is touched.
    if values().any(|value| !value.is_finite()) {
        return;
    }
    let largest = values().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    let cut = NEGLIGIBLE.max(NEGLIGIBLE_SHARE * largest);
    let is_negligible = |value: f32| value != 0.0 && value.abs() < cut;
    if !values().any(is_negligible) {
        return;
    }
    let kept = |value: f32| if is_negligible(value) { 0.0 } else { value };
    if tensor.raw_data.is_some() {
        let kept = raw.iter().map(|bytes| kept(f32::from_le_bytes(*bytes)));
        tensor.raw_data = Some(kept.flat_map(f32::to_le_bytes).collect());
    }
    for value in &mut tensor.float_data {
        *value = kept(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::onnx::{Attribute, Graph, Node};
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
        let values = [1.0, SUBNORMAL, -SUBNORMAL, 1e-13, 1e-11, 0.0];
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
            assert_eq!(found, [1.0, 0.0, 0.0, 0.0, 1e-11, 0.0]);
        }
        let again = Model::read("test", model.write()).unwrap().into_graph();
        assert_eq!(again.initializer[2], integers);
    }

    #[test]
    fn small_numbers_that_matter_stay_and_broken_ones_show() {
        let cleared = |values: &[f32]| {
            let mut tensor = Tensor::floats("some", &[values.len()], values);
            clear(&mut tensor);
            tensor.to_floats().unwrap()
        };
        assert_eq!(cleared(&[1e-20, 2e-20]), [1e-20, 2e-20], "all are small");
        assert_eq!(cleared(&[SUBNORMAL]), [0.0], "nothing is that small");
        let broken = cleared(&[f32::INFINITY, 1.0, f32::NAN]);
        assert!(broken[0].is_infinite() && broken[1] == 1.0 && broken[2].is_nan());
    }
}
