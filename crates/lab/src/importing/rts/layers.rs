//! The layers of the network as ONNX operators.

use crate::importing::checkpoint::CheckpointError;
use faceood_engine::pack::network::graph::{Graph, Node, Tensor};

/// What squeeze and excitation divides the channels by.
const REDUCTION: usize = 16;
/// PyTorch's `BatchNorm` default.
const EPSILON: f32 = 1e-5;

/// Gives the numbers of the tensor with this name and shape.
pub(super) type Take<'a> = dyn FnMut(&str, &[usize]) -> Result<Vec<u8>, CheckpointError> + 'a;

/// The name of a layer's output.
type Output = Result<String, CheckpointError>;

/// Writes layers into a graph. Each takes the name of its input and its own name in the checkpoint.
pub(super) struct Writer<'a> {
    pub(super) graph: Graph,
    pub(super) take: &'a mut Take<'a>,
}

impl Writer<'_> {
    pub(super) fn push(&mut self, node: Node) -> String {
        let output = node.output[0].clone();
        self.graph.node.push(node);
        output
    }

    /// Takes a tensor of shape `stored` and keeps it with shape `dims`.
    fn reshaped(
        &mut self,
        name: &str,
        stored: &[usize],
        dims: &[usize],
    ) -> Result<(), CheckpointError> {
        let tensor = Tensor::float_bytes(name, dims, (self.take)(name, stored)?);
        self.graph.initializer.push(tensor);
        Ok(())
    }

    fn constant(&mut self, name: &str, shape: &[usize]) -> Result<(), CheckpointError> {
        self.reshaped(name, shape, shape)
    }

    /// `[outputs, inputs, kernel]`, padded so that a stride of one keeps the size; no bias.
    pub(super) fn convolution(
        &mut self,
        input: &str,
        layer: &str,
        [outputs, inputs, kernel]: [usize; 3],
        stride: i64,
    ) -> Output {
        let weight = format!("{layer}.weight");
        self.constant(&weight, &[outputs, inputs, kernel, kernel])?;
        let (side, padding) = if kernel == 3 { (3, 1) } else { (1, 0) };
        Ok(self.push(
            Node::new("Conv", &[input, &weight], layer)
                .with_ints("kernel_shape", &[side; 2])
                .with_ints("strides", &[stride; 2])
                .with_ints("pads", &[padding; 4]),
        ))
    }

    pub(super) fn batch_norm(&mut self, input: &str, layer: &str, channels: usize) -> Output {
        self.batch_norm_as(input, layer, channels, layer)
    }

    pub(super) fn batch_norm_as(
        &mut self,
        input: &str,
        layer: &str,
        channels: usize,
        output: &str,
    ) -> Output {
        let names =
            ["weight", "bias", "running_mean", "running_var"].map(|part| format!("{layer}.{part}"));
        for name in &names {
            self.constant(name, &[channels])?;
        }
        let [scale, bias, mean, variance] = &names;
        let inputs = [input, scale, bias, mean, variance];
        let node = Node::new("BatchNormalization", &inputs, output);
        Ok(self.push(node.with_float("epsilon", EPSILON)))
    }

    pub(super) fn prelu(&mut self, input: &str, layer: &str, channels: usize) -> Output {
        let slope = format!("{layer}.weight");
        // ONNX aligns the slope with the last axes, PyTorch with the channels.
        self.reshaped(&slope, &[channels], &[channels, 1, 1])?;
        Ok(self.push(Node::new("PRelu", &[input, &slope], layer)))
    }

    pub(super) fn linear(&mut self, input: &str, layer: &str, shape: [usize; 2]) -> Output {
        let (weight, bias) = (format!("{layer}.weight"), format!("{layer}.bias"));
        self.constant(&weight, &shape)?;
        self.constant(&bias, &shape[..1])?;
        Ok(self.push(Node::new("Gemm", &[input, &weight, &bias], layer).with_int("transB", 1)))
    }

    /// BN, conv3×3, PReLU, conv3×3 with the stride, BN, squeeze and excitation; plus the shortcut.
    pub(super) fn unit(
        &mut self,
        input: &str,
        number: usize,
        [channels, depth]: [usize; 2],
        stride: i64,
    ) -> Output {
        let unit = format!("features.1.{number}");
        let shortcut = if channels != depth {
            let layer = |part: usize| format!("{unit}.shortcut_layer.{part}");
            let x = self.convolution(input, &layer(0), [depth, channels, 1], stride)?;
            self.batch_norm(&x, &layer(1), depth)?
        } else if stride == 1 {
            input.to_owned()
        } else {
            let pool = Node::new("MaxPool", &[input], &format!("{unit}.shortcut_layer"));
            let pool = pool.with_ints("kernel_shape", &[1, 1]);
            self.push(pool.with_ints("strides", &[stride; 2]))
        };
        let layer = |part: usize| format!("{unit}.res_layer.{part}");
        let x = self.batch_norm(input, &layer(0), channels)?;
        let x = self.convolution(&x, &layer(1), [depth, channels, 3], 1)?;
        let x = self.prelu(&x, &layer(2), depth)?;
        let x = self.convolution(&x, &layer(3), [depth, depth, 3], stride)?;
        let x = self.batch_norm(&x, &layer(4), depth)?;
        let x = self.squeeze_and_excitation(&x, &layer(5), depth)?;
        Ok(self.push(Node::new("Add", &[&x, &shortcut], &unit)))
    }

    fn squeeze_and_excitation(&mut self, input: &str, layer: &str, channels: usize) -> Output {
        let name = |part: &str| format!("{layer}.{part}");
        let inner = channels / REDUCTION;
        let x = self.push(Node::new("GlobalAveragePool", &[input], &name("pool")));
        let x = self.convolution(&x, &name("fc1"), [inner, channels, 1], 1)?;
        let x = self.push(Node::new("Relu", &[&x], &name("relu")));
        let x = self.convolution(&x, &name("fc2"), [channels, inner, 1], 1)?;
        let gate = self.push(Node::new("Sigmoid", &[&x], &name("sigmoid")));
        Ok(self.push(Node::new("Mul", &[input, &gate], layer)))
    }

    /// `[N, count]` log variances → `[N, 1]`: the logarithm of their variances' mean.
    pub(super) fn log_of_mean_variance(&mut self, input: &str, count: usize) {
        self.graph.initializer.extend([
            Tensor::integers("plus.axes", &[1]),
            Tensor::floats("plus.log_count", &[1], &[(count as f32).ln()]),
        ]);
        let sum = Node::new("ReduceLogSumExp", &[input, "plus.axes"], "plus.log_sum");
        let inputs = ["plus.log_sum", "plus.log_count"];
        let mean = Node::new("Sub", &inputs, super::OOD_LOGIT);
        self.graph.node.extend([sum.with_int("keepdims", 1), mean]);
    }
}
