//! ONNX files in and out, and small readers and makers of what stands in them.

use std::collections::{HashMap, HashSet};

use prost::Message;
use prost::bytes::Bytes;

use super::NetworkError;
pub use super::onnx::{
    Attribute, Dimension, FLOAT, Graph, INT8, INT64, Model, Node, OperatorSet, Shape, Tensor,
    TensorType, ValueInfo, ValueType,
};

/// `AttributeProto.AttributeType` of one float.
const ATTRIBUTE_FLOAT: i32 = 1;
/// `AttributeProto.AttributeType` of one integer.
const ATTRIBUTE_INT: i32 = 2;
/// `AttributeProto.AttributeType` of a list of integers.
const ATTRIBUTE_INTS: i32 = 7;

impl Model {
    /// Reads an ONNX file. `name` stands in error messages.
    ///
    /// # Errors
    /// Where the bytes are no ONNX, or hold no graph.
    pub fn read(name: &str, bytes: impl Into<Bytes>) -> Result<Self, NetworkError> {
        let model = Self::decode(bytes.into())
            .map_err(|error| NetworkError::NotOnnx(name.to_owned(), error))?;
        if model.graph.is_none() {
            return Err(NetworkError::NoGraph(name.to_owned()));
        }
        Ok(model)
    }

    /// The bytes of the file, without subnormal constants. The same model gives the same bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut model = self.clone();
        super::subnormal::drop_negligible(&mut model);
        model.encode_to_vec()
    }

    /// The graph alone; [`Model::read`] made sure that there is one.
    pub fn into_graph(self) -> Graph {
        self.graph.unwrap_or_default()
    }
}

impl Graph {
    /// Constants by name.
    pub fn constants(&self) -> HashMap<&str, &Tensor> {
        let tensors = self.initializer.iter();
        tensors.map(|tensor| (tensor.name(), tensor)).collect()
    }

    /// Drops constants that no node and no output uses.
    pub fn drop_unused_constants(&mut self) {
        let read = self.node.iter().flat_map(|node| &node.input);
        let given = self.output.iter().map(ValueInfo::name);
        let used: HashSet<&str> = read.map(String::as_str).chain(given).collect();
        self.initializer
            .retain(|tensor| used.contains(tensor.name()));
    }
}

impl Node {
    /// A node of the standard operator set.
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

    fn with(mut self, name: &str, kind: i32, set: impl FnOnce(&mut Attribute)) -> Self {
        let mut setting = Attribute {
            name: Some(name.to_owned()),
            kind: Some(kind),
            ..Attribute::default()
        };
        set(&mut setting);
        self.attribute.push(setting);
        self
    }

    /// The same node with a setting that is a float.
    #[must_use]
    pub fn with_float(self, name: &str, value: f32) -> Self {
        self.with(name, ATTRIBUTE_FLOAT, |setting| setting.f = Some(value))
    }

    /// The same node with an integer setting.
    #[must_use]
    pub fn with_int(self, name: &str, value: i64) -> Self {
        self.with(name, ATTRIBUTE_INT, |setting| setting.i = Some(value))
    }

    /// The same node with a setting that is a list of integers.
    #[must_use]
    pub fn with_ints(self, name: &str, values: &[i64]) -> Self {
        let values = values.to_vec();
        self.with(name, ATTRIBUTE_INTS, |setting| setting.ints = values)
    }

    /// Whether this is the standard operator `op_type`.
    pub fn is(&self, op_type: &str) -> bool {
        self.op_type() == op_type && self.domain().is_empty()
    }

    /// An integer setting.
    pub fn int(&self, name: &str) -> Option<i64> {
        let mut settings = self.attribute.iter();
        settings.find(|setting| setting.name() == name)?.i
    }
}

impl Tensor {
    /// A constant of floats.
    pub fn floats(name: &str, dims: &[usize], values: &[f32]) -> Self {
        let raw = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Self::raw(name, dims, FLOAT, raw)
    }

    /// A constant of floats that are little-endian bytes already.
    pub fn float_bytes(name: &str, dims: &[usize], bytes: Vec<u8>) -> Self {
        Self::raw(name, dims, FLOAT, bytes)
    }

    /// A constant of 64-bit integers, in one dimension.
    pub fn integers(name: &str, values: &[i64]) -> Self {
        let raw = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Self::raw(name, &[values.len()], INT64, raw)
    }

    fn raw(name: &str, dims: &[usize], data_type: i32, raw: Vec<u8>) -> Self {
        Self {
            dims: dims.iter().map(|&extent| extent as i64).collect(),
            data_type: Some(data_type),
            name: Some(name.to_owned()),
            raw_data: Some(raw.into()),
            ..Self::default()
        }
    }

    /// The shape in `usize`; a negative extent counts as 0.
    pub fn shape(&self) -> Vec<usize> {
        let extents = self.dims.iter();
        extents
            .map(|&extent| extent.try_into().unwrap_or(0))
            .collect()
    }

    /// The elements as floats, whatever integer or float type they have.
    ///
    /// # Errors
    /// Where the type is another one, or the number of elements is not what the shape says.
    pub fn to_floats(&self) -> Result<Vec<f32>, NetworkError> {
        let raw = self.raw_data.as_deref().unwrap_or_default();
        let values: Vec<f32> = match self.data_type() {
            FLOAT if raw.is_empty() => self.float_data.clone(),
            FLOAT => {
                let numbers = raw.as_chunks::<4>().0.iter();
                numbers.map(|&bytes| f32::from_le_bytes(bytes)).collect()
            }
            // The integers in networks are small: quantised weights and shapes.
            INT8 if raw.is_empty() => self.int32_data.iter().map(|&x| x as f32).collect(),
            INT8 => raw.iter().map(|&x| f32::from(x as i8)).collect(),
            INT64 => self.to_integers()?.iter().map(|&x| x as f32).collect(),
            other => return Err(NetworkError::ElementType(self.name().to_owned(), other)),
        };
        let expected: usize = self.shape().iter().product();
        if values.len() != expected {
            let name = self.name().to_owned();
            return Err(NetworkError::ElementCount(name, values.len(), expected));
        }
        Ok(values)
    }

    /// The elements of a tensor of 64-bit integers.
    ///
    /// # Errors
    /// Where the elements are of another type.
    pub fn to_integers(&self) -> Result<Vec<i64>, NetworkError> {
        if self.data_type() != INT64 {
            let name = self.name().to_owned();
            return Err(NetworkError::ElementType(name, self.data_type()));
        }
        let raw = self.raw_data.as_deref().unwrap_or_default();
        if raw.is_empty() {
            return Ok(self.int64_data.clone());
        }
        let numbers = raw.as_chunks::<8>().0.iter();
        Ok(numbers.map(|&bytes| i64::from_le_bytes(bytes)).collect())
    }
}

impl ValueInfo {
    /// A float tensor; `None` in `shape` stands for a dynamic extent, which gets a name of its own.
    pub fn floats(name: &str, shape: &[Option<usize>]) -> Self {
        let name_of = |axis| match axis {
            0 => "batch".to_owned(),
            axis => format!("{name}_{axis}"),
        };
        let dimension = |(axis, extent): (usize, &Option<usize>)| Dimension {
            dim_value: extent.and_then(|extent| i64::try_from(extent).ok()),
            dim_param: extent.is_none().then(|| name_of(axis)),
        };
        let dim = shape.iter().enumerate().map(dimension).collect();
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
    pub fn shape(&self) -> Vec<Option<usize>> {
        let tensor = self
            .value_type
            .as_ref()
            .and_then(|kind| kind.tensor_type.as_ref());
        let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
        let dimensions = shape.iter().flat_map(|shape| &shape.dim);
        dimensions
            .map(|dim| dim.dim_value?.try_into().ok())
            .collect()
    }
}
