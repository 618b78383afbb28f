//! Small graphs before and after.

use super::*;
use crate::pack::network::graph::INT8;

fn quantised(name: &str, dims: &[i64], values: &[i8]) -> Tensor {
    Tensor {
        dims: dims.to_vec(),
        data_type: Some(INT8),
        name: Some(name.to_owned()),
        raw_data: Some(
            values
                .iter()
                .map(|value| value.to_le_bytes()[0])
                .collect::<Vec<u8>>()
                .into(),
        ),
        ..Tensor::default()
    }
}

#[test]
fn blocks_along_the_last_axis_take_their_own_scale_and_zero() {
    let mut graph = Graph {
        node: vec![
            Node::new("DequantizeLinear", &["q", "s", "z"], "d")
                .with_int("axis", 1)
                .with_int("block_size", 2),
            Node::new("Reshape", &["d", "shape"], "w"),
            Node::new("MatMul", &["x", "w"], "y"),
        ],
        initializer: vec![
            quantised("q", &[2, 3], &[1, 2, 3, 4, 5, 6]),
            Tensor::floats("s", &[2, 2], &[1.0, 10.0, 100.0, 1000.0]),
            quantised("z", &[2, 2], &[0, 1, 2, 3]),
            Tensor::integers("shape", &[3, -1]),
        ],
        ..Graph::default()
    };
    expand_weights(&mut graph).unwrap();
    assert_eq!(graph.node.len(), 1);
    assert_eq!(graph.initializer.len(), 1);
    assert_eq!(graph.initializer[0].name(), "w");
    assert_eq!(graph.initializer[0].shape(), vec![3, 2]);
    assert_eq!(
        graph.initializer[0].to_floats().unwrap(),
        vec![1.0, 2.0, 20.0, 200.0, 300.0, 3000.0]
    );
}

#[test]
fn scales_of_the_wrong_shape_are_refused_by_the_name_of_the_tensor() {
    let mut graph = Graph {
        node: vec![
            Node::new("DequantizeLinear", &["q", "s"], "d")
                .with_int("axis", 1)
                .with_int("block_size", 2),
        ],
        initializer: vec![
            quantised("q", &[2, 3], &[1, 2, 3, 4, 5, 6]),
            Tensor::floats("s", &[2, 3], &[1.0; 6]),
        ],
        ..Graph::default()
    };
    let message = expand_weights(&mut graph).unwrap_err().to_string();
    assert!(message.contains("`q`"), "{message}");
}

#[test]
fn constants_are_no_inputs() {
    let mut graph = Graph {
        node: vec![Node::new("Mul", &["x", "c"], "y")],
        initializer: vec![Tensor::floats("c", &[1], &[2.0])],
        input: vec![
            ValueInfo::floats("x", &[None, Some(3)]),
            ValueInfo::floats("c", &[Some(1)]),
        ],
        output: vec![ValueInfo::floats("y", &[None, Some(3)])],
        ..Graph::default()
    };
    strip_constant_inputs(&mut graph);
    let names: Vec<&str> = graph.input.iter().map(ValueInfo::name).collect();
    assert_eq!(names, ["x"]);
}

#[test]
fn a_scalar_slope_is_left_as_it_is() {
    let mut graph = Graph {
        node: vec![Node::new("PRelu", &["x", "a"], "y")],
        initializer: vec![Tensor::floats("a", &[1], &[0.25])],
        output: vec![ValueInfo::floats("y", &[None, Some(3)])],
        ..Graph::default()
    };
    prelu_to_convolutions(&mut graph).unwrap();
    prelu_to_minimum(&mut graph).unwrap();
    assert!(graph.node[0].is("PRelu"));
    graph.initializer[0] = Tensor::floats("a", &[2, 1, 1], &[0.25, 0.5]);
    for (replace, count) in [
        (prelu_to_convolutions as fn(&mut Graph) -> _, 5),
        (prelu_to_minimum, 3),
    ] {
        let mut graph = graph.clone();
        replace(&mut graph).unwrap();
        assert!(graph.node.iter().all(|node| !node.is("PRelu")));
        assert_eq!(graph.node.len(), count);
        assert_eq!(graph.node[count - 1].output, ["y"]);
    }
}

#[test]
fn a_fixed_batch_leaves_the_other_extents() {
    let mut graph = Graph {
        input: vec![ValueInfo::floats("x", &[None, Some(3), None])],
        output: vec![ValueInfo::floats("y", &[None])],
        ..Graph::default()
    };
    fix_batch_to_one(&mut graph);
    assert_eq!(graph.input[0].shape(), [Some(1), Some(3), None]);
    assert_eq!(graph.output[0].shape(), [Some(1)]);
}
