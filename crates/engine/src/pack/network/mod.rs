//! Networks as ONNX graphs: read, rewritten into what the runtime computes fastest, and written.
//!
//! The large recogniser's weights are block-quantised integers on disk, as they were published;
//! [`prepare`] expands them when the pack is opened.

pub mod graph;
mod onnx;
pub mod rewrite;
mod subnormal;

use graph::Model;

use crate::runtime::GraphForm;

/// Why a network cannot be read or rewritten.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The bytes of this file are no ONNX.
    #[error("{0} is not an ONNX file: {1}")]
    NotOnnx(String, #[source] prost::DecodeError),
    /// This file holds no graph.
    #[error("{0} holds no graph")]
    NoGraph(String),
    /// A constant is of a type that is not understood here.
    #[error("constant `{0}` has ONNX element type {1}; float, int8 and int64 are understood")]
    ElementType(String, i32),
    /// A constant has another number of elements than its shape says: constant, elements, shape's.
    #[error("constant `{0}` has {1} elements where its shape says {2}")]
    ElementCount(String, usize, usize),
    /// Scales or zero points do not fit this quantised constant.
    #[error("the scales or zero points of the quantised constant `{0}` do not fit its shape")]
    Quantisation(String),
}

/// Makes a network ready for the runtime: float weights, only picture inputs, of this `form`.
///
/// # Errors
/// Where a quantised weight is damaged.
pub fn prepare(model: &mut Model, form: GraphForm) -> Result<(), NetworkError> {
    if let Some(graph) = &mut model.graph {
        rewrite::expand_weights(graph)?;
        rewrite::strip_constant_inputs(graph);
        match form {
            GraphForm::Convolutions => rewrite::prelu_to_convolutions(graph)?,
            GraphForm::Minimum => {
                rewrite::prelu_to_minimum(graph)?;
                rewrite::fix_batch_to_one(graph);
            }
            GraphForm::Published => {}
        }
    }
    Ok(())
}

/// As [`prepare`] for CPUs, from a file's bytes to bytes. `name` stands in error messages.
///
/// # Errors
/// Where the bytes are no network, or a quantised weight is damaged.
pub fn prepare_bytes(name: &str, bytes: &[u8]) -> Result<Vec<u8>, NetworkError> {
    let mut model = Model::read(name, bytes.to_vec())?;
    prepare(&mut model, GraphForm::Convolutions)?;
    Ok(model.write())
}
