//! Networks as ONNX graphs: read, rewritten into what the runtime computes fastest, and written.
//!
//! The large recogniser's weights are block-quantised integers on disk, as they were published; [`prepare`] expands them when
//! the pack is opened.

pub mod graph;
pub mod rewrite;
mod subnormal;

use graph::Model;

use crate::runtime::GraphForm;

/// Why a network cannot be read or rewritten.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The bytes are no ONNX.
    #[error("{file} is not an ONNX file: {source}")]
    NotOnnx {
        /// Which file.
        file: String,
        /// What the reader said.
        source: prost::DecodeError,
    },
    /// The file holds no graph.
    #[error("{file} holds no graph")]
    NoGraph {
        /// Which file.
        file: String,
    },
    /// A constant is of a type that is not understood here.
    #[error(
        "constant `{tensor}` has ONNX element type {data_type}; float, int8 and int64 are understood"
    )]
    ElementType {
        /// Which constant.
        tensor: String,
        /// Its type's number.
        data_type: i32,
    },
    /// A constant has another number of elements than its shape says.
    #[error("constant `{tensor}` has {got} elements where its shape says {expected}")]
    ElementCount {
        /// Which constant.
        tensor: String,
        /// How many there are.
        got: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Scales or zero points do not fit a quantised constant.
    #[error("the scales or zero points of the quantised constant `{tensor}` do not fit its shape")]
    Quantisation {
        /// Which constant.
        tensor: String,
    },
}

/// Makes a network ready for the runtime: weights as floats, only pictures as inputs, and what suits `form`.
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
