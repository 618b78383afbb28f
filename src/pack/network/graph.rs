//! ONNX files in and out: the part of the published protobuf schema that a network's graph needs, and small readers of
//! tensors. No protobuf compiler is involved; the field numbers are those of `onnx.proto`.

use std::collections::{HashMap, HashSet};

use prost::Message;
use prost::bytes::Bytes;

use super::NetworkError;

/// `TensorProto.DataType` of 32-bit floats.
pub const FLOAT: i32 = 1;
/// `TensorProto.DataType` of signed bytes.
pub const INT8: i32 = 3;
/// `TensorProto.DataType` of 64-bit integers.
pub const INT64: i32 = 7;

/// `AttributeProto.AttributeType` of one float.
const ATTRIBUTE_FLOAT: i32 = 1;
/// `AttributeProto.AttributeType` of one integer.
const ATTRIBUTE_INT: i32 = 2;
/// `AttributeProto.AttributeType` of a list of integers.
const ATTRIBUTE_INTS: i32 = 7;

/// A whole ONNX file.
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    /// Version of the file format.
    #[prost(int64, optional, tag = "1")]
    pub ir_version: Option<i64>,
    /// What wrote the file.
    #[prost(string, optional, tag = "2")]
    pub producer_name: Option<String>,
    /// Its version.
    #[prost(string, optional, tag = "3")]
    pub producer_version: Option<String>,
    /// The network.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    /// Which versions of which operator sets the nodes mean.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSet>,
}

/// One operator set.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSet {
    /// Empty for the standard operators.
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    /// Its version.
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
}

/// Nodes in the order of their execution, with constants, inputs and outputs.
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    /// The operations.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    /// The graph's name.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    /// Constant tensors.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    /// What has to be fed.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    /// What comes out.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
    /// Shapes of what lies between.
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<ValueInfo>,
}

/// One operation.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    /// Names of the tensors it reads; an empty name is an absent optional input.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the tensors it makes.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Its own name; may be empty.
    #[prost(string, optional, tag = "3")]
    pub name: Option<String>,
    /// Which operator.
    #[prost(string, optional, tag = "4")]
    pub op_type: Option<String>,
    /// Settings.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
    /// Operator set; empty for the standard one.
    #[prost(string, optional, tag = "7")]
    pub domain: Option<String>,
}

/// A named setting of a node.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    /// Its name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The value where it is one float.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// The value where it is one integer.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// The value where it is a string.
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub s: Option<Bytes>,
    /// The value where it is a tensor.
    #[prost(message, optional, tag = "5")]
    pub t: Option<Tensor>,
    /// The value where it is a list of floats.
    #[prost(float, repeated, packed = "false", tag = "7")]
    pub floats: Vec<f32>,
    /// The value where it is a list of integers.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// The value where it is a list of strings.
    #[prost(bytes = "bytes", repeated, tag = "9")]
    pub strings: Vec<Bytes>,
    /// Which of the values counts.
    #[prost(int32, optional, tag = "20")]
    pub kind: Option<i32>,
}

/// A constant tensor.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    /// Its shape.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// Type of its elements.
    #[prost(int32, optional, tag = "2")]
    pub data_type: Option<i32>,
    /// Elements, where they are floats and not raw.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Elements, where they are small integers and not raw.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Elements, where they are 64-bit integers and not raw.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// Its name.
    #[prost(string, optional, tag = "8")]
    pub name: Option<String>,
    /// Elements as little-endian bytes.
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub raw_data: Option<Bytes>,
}

/// Name and type of a tensor at the graph's edge or inside.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfo {
    /// Its name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// Its type.
    #[prost(message, optional, tag = "2")]
    pub value_type: Option<ValueType>,
}

/// Type of a value; only tensors are understood.
#[derive(Clone, PartialEq, Message)]
pub struct ValueType {
    /// Element type and shape of a tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorType>,
}

/// Element type and shape.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    /// Type of the elements.
    #[prost(int32, optional, tag = "1")]
    pub elem_type: Option<i32>,
    /// The shape, where it is known.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

/// Extents of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct Shape {
    /// One entry a dimension.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// One extent: a number, or a name for "any".
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// The extent, where it is fixed.
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
    /// Its name, where it is not.
    #[prost(string, optional, tag = "2")]
    pub dim_param: Option<String>,
}

impl Model {
    /// Reads an ONNX file. `name` stands in error messages.
    ///
    /// # Errors
    /// Where the bytes are no ONNX, or hold no graph.
    pub fn read(name: &str, bytes: impl Into<Bytes>) -> Result<Self, NetworkError> {
        let model = Self::decode(bytes.into()).map_err(|source| NetworkError::NotOnnx {
            file: name.to_owned(),
            source,
        })?;
        if model.graph.is_none() {
            return Err(NetworkError::NoGraph {
                file: name.to_owned(),
            });
        }
        Ok(model)
    }

    /// The bytes of the file, without subnormal constants. The same model gives the same bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut model = self.clone();
        super::subnormal::drop_negligible(&mut model);
        model.encode_to_vec()
    }

    /// The graph alone; [`Model::read`] made sure that there is one.
    #[must_use]
    pub fn into_graph(self) -> Graph {
        self.graph.unwrap_or_default()
    }
}

impl Graph {
    /// Constants by name.
    #[must_use]
    pub fn constants(&self) -> HashMap<&str, &Tensor> {
        self.initializer
            .iter()
            .map(|tensor| (tensor.name(), tensor))
            .collect()
    }

    /// Drops constants that no node and no output uses.
    pub fn drop_unused_constants(&mut self) {
        let used: HashSet<String> = self
            .node
            .iter()
            .flat_map(|node| node.input.iter().cloned())
            .chain(self.output.iter().map(|value| value.name().to_owned()))
            .collect();
        self.initializer
            .retain(|tensor| used.contains(tensor.name()));
    }
}

impl Node {
    /// A node of the standard operator set.
    #[must_use]
    pub fn new(op_type: &str, inputs: &[&str], output: &str) -> Self {
        Self {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: Some(format!("{op_type}:{output}")),
            op_type: Some(op_type.to_owned()),
            attribute: Vec::new(),
            domain: None,
        }
    }

    /// The same node with a setting that is a float.
    #[must_use]
    pub fn with_float(mut self, name: &str, value: f32) -> Self {
        self.attribute.push(Attribute {
            name: Some(name.to_owned()),
            f: Some(value),
            kind: Some(ATTRIBUTE_FLOAT),
            ..Attribute::default()
        });
        self
    }

    /// The same node with an integer setting.
    #[must_use]
    pub fn with_int(mut self, name: &str, value: i64) -> Self {
        self.attribute.push(Attribute {
            name: Some(name.to_owned()),
            i: Some(value),
            kind: Some(ATTRIBUTE_INT),
            ..Attribute::default()
        });
        self
    }

    /// The same node with a setting that is a list of integers.
    #[must_use]
    pub fn with_ints(mut self, name: &str, values: &[i64]) -> Self {
        self.attribute.push(Attribute {
            name: Some(name.to_owned()),
            ints: values.to_vec(),
            kind: Some(ATTRIBUTE_INTS),
            ..Attribute::default()
        });
        self
    }

    /// Whether this is the standard operator `op_type`.
    #[must_use]
    pub fn is(&self, op_type: &str) -> bool {
        self.op_type() == op_type && self.domain().is_empty()
    }

    /// An integer setting.
    #[must_use]
    pub fn int(&self, name: &str) -> Option<i64> {
        self.attribute
            .iter()
            .find(|attribute| attribute.name() == name)
            .and_then(|attribute| attribute.i)
    }
}

impl Tensor {
    /// A constant of floats.
    #[must_use]
    pub fn floats(name: &str, dims: &[usize], values: &[f32]) -> Self {
        let raw: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Self::raw(name, dims, FLOAT, raw)
    }

    /// A constant of floats that are little-endian bytes already.
    #[must_use]
    pub fn float_bytes(name: &str, dims: &[usize], bytes: Vec<u8>) -> Self {
        Self::raw(name, dims, FLOAT, bytes)
    }

    /// A constant of 64-bit integers, in one dimension.
    #[must_use]
    pub fn integers(name: &str, values: &[i64]) -> Self {
        let raw: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Self::raw(name, &[values.len()], INT64, raw)
    }

    fn raw(name: &str, dims: &[usize], data_type: i32, raw: Vec<u8>) -> Self {
        Self {
            dims: dims
                .iter()
                .map(|&extent| i64::try_from(extent).unwrap_or(i64::MAX))
                .collect(),
            data_type: Some(data_type),
            name: Some(name.to_owned()),
            raw_data: Some(raw.into()),
            ..Self::default()
        }
    }

    /// The shape in `usize`; a negative extent counts as 0.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.dims
            .iter()
            .map(|&extent| usize::try_from(extent).unwrap_or(0))
            .collect()
    }

    /// The elements as floats, whatever integer or float type they have.
    ///
    /// # Errors
    /// Where the type is another one, or the number of elements is not what the shape says.
    pub fn to_floats(&self) -> Result<Vec<f32>, NetworkError> {
        let raw = self.raw_data.as_deref().unwrap_or_default();
        #[expect(
            clippy::cast_precision_loss,
            reason = "the integers read here are small: quantised weights and shapes"
        )]
        let values: Vec<f32> = match self.data_type() {
            FLOAT if raw.is_empty() => self.float_data.clone(),
            FLOAT => raw
                .as_chunks::<4>()
                .0
                .iter()
                .map(|&bytes| f32::from_le_bytes(bytes))
                .collect(),
            INT8 if raw.is_empty() => self.int32_data.iter().map(|&value| value as f32).collect(),
            INT8 => raw
                .iter()
                .map(|&byte| f32::from(i8::from_le_bytes([byte])))
                .collect(),
            INT64 if raw.is_empty() => self.int64_data.iter().map(|&value| value as f32).collect(),
            INT64 => self
                .to_integers()?
                .iter()
                .map(|&value| value as f32)
                .collect(),
            other => {
                return Err(NetworkError::ElementType {
                    tensor: self.name().to_owned(),
                    data_type: other,
                });
            }
        };
        let expected: usize = self.shape().iter().product();
        if values.len() == expected {
            Ok(values)
        } else {
            Err(NetworkError::ElementCount {
                tensor: self.name().to_owned(),
                got: values.len(),
                expected,
            })
        }
    }

    /// The elements of a tensor of 64-bit integers.
    ///
    /// # Errors
    /// Where the elements are of another type.
    pub fn to_integers(&self) -> Result<Vec<i64>, NetworkError> {
        if self.data_type() != INT64 {
            return Err(NetworkError::ElementType {
                tensor: self.name().to_owned(),
                data_type: self.data_type(),
            });
        }
        Ok(match self.raw_data.as_deref() {
            Some(raw) if !raw.is_empty() => raw
                .as_chunks::<8>()
                .0
                .iter()
                .map(|&bytes| i64::from_le_bytes(bytes))
                .collect(),
            _ => self.int64_data.clone(),
        })
    }
}

impl ValueInfo {
    /// A float tensor; `None` in `shape` stands for a dynamic extent, which gets a name of its own.
    #[must_use]
    pub fn floats(name: &str, shape: &[Option<usize>]) -> Self {
        let dim = shape
            .iter()
            .enumerate()
            .map(|(axis, extent)| match extent {
                Some(extent) => Dimension {
                    dim_value: i64::try_from(*extent).ok(),
                    dim_param: None,
                },
                None if axis == 0 => Dimension {
                    dim_value: None,
                    dim_param: Some("batch".to_owned()),
                },
                None => Dimension {
                    dim_value: None,
                    dim_param: Some(format!("{name}_{axis}")),
                },
            })
            .collect();
        Self {
            name: Some(name.to_owned()),
            value_type: Some(ValueType {
                tensor_type: Some(TensorType {
                    elem_type: Some(FLOAT),
                    shape: Some(Shape { dim }),
                }),
            }),
        }
    }

    /// The extents; `None` for a dynamic one. Empty where the file says nothing.
    #[must_use]
    pub fn shape(&self) -> Vec<Option<usize>> {
        self.value_type
            .as_ref()
            .and_then(|value| value.tensor_type.as_ref())
            .and_then(|tensor| tensor.shape.as_ref())
            .map(|shape| {
                shape
                    .dim
                    .iter()
                    .map(|dim| dim.dim_value.and_then(|value| usize::try_from(value).ok()))
                    .collect()
            })
            .unwrap_or_default()
    }
}
