//! Checkpoints as `torch.save` writes them, with weights that are hashes of names and positions:
//! the same ones that tests/reference/rts_reference.py gives to PyTorch.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use faceood_lab::importing::rts::Architecture;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The network that is small enough for every test: a unit a stage, or two, and few channels.
pub(crate) const SMALL: Architecture = Architecture {
    units: [1, 2, 1, 1],
    channels: [16, 16, 32, 32],
};
/// Outputs of the RTS plus head.
pub(crate) const ALPHA: usize = 16;

/// Name and shape of a tensor.
pub(crate) type Shape = (String, Vec<usize>);

/// Every tensor of the network, as PyTorch's `state_dict` has them, both heads included.
pub(crate) fn shapes(architecture: &Architecture) -> Vec<Shape> {
    let mut shapes: Vec<Shape> = Vec::new();
    let mut add = |name: String, shape: &[usize]| shapes.push((name, shape.to_vec()));
    let norm = |name: &str, channels: usize, add: &mut dyn FnMut(String, &[usize])| {
        for part in ["weight", "bias", "running_mean", "running_var"] {
            add(format!("{name}.{part}"), &[channels]);
        }
        add(format!("{name}.num_batches_tracked"), &[]);
    };
    let stem = architecture.channels[0];
    add("features.0.0.weight".to_owned(), &[stem, 3, 3, 3]);
    norm("features.0.1", stem, &mut add);
    add("features.0.2.weight".to_owned(), &[stem]);
    let (mut inputs, mut number) = (stem, 0);
    for (depth, units) in architecture.channels.into_iter().zip(architecture.units) {
        for _ in 0..units {
            let unit = format!("features.1.{number}");
            if inputs != depth {
                add(
                    format!("{unit}.shortcut_layer.0.weight"),
                    &[depth, inputs, 1, 1],
                );
                norm(&format!("{unit}.shortcut_layer.1"), depth, &mut add);
            }
            let unit = format!("{unit}.res_layer");
            norm(&format!("{unit}.0"), inputs, &mut add);
            add(format!("{unit}.1.weight"), &[depth, inputs, 3, 3]);
            add(format!("{unit}.2.weight"), &[depth]);
            add(format!("{unit}.3.weight"), &[depth, depth, 3, 3]);
            norm(&format!("{unit}.4"), depth, &mut add);
            add(format!("{unit}.5.fc1.weight"), &[depth / 16, depth, 1, 1]);
            add(format!("{unit}.5.fc2.weight"), &[depth, depth / 16, 1, 1]);
            (inputs, number) = (depth, number + 1);
        }
    }
    norm("features.2.0", inputs, &mut add);
    for (head, outputs) in [
        ("features_backbone", 512),
        ("logvar_rts_backbone", 1),
        ("logvar_rts_plus_backbone", ALPHA),
    ] {
        add(format!("{head}.0.weight"), &[outputs, inputs * 49]);
        add(format!("{head}.0.bias"), &[outputs]);
        norm(&format!("{head}.1"), outputs, &mut add);
    }
    shapes
}

/// `count` numbers of −1…1 with 24 bits each, a hash of name and position.
pub(crate) fn hashed(name: &str, count: usize) -> impl Iterator<Item = f32> {
    let seed = name.bytes().fold(2_166_136_261_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    (0..count as u32).map(move |position| {
        let mut x = position.wrapping_mul(2_654_435_761).wrapping_add(seed);
        x ^= x >> 16;
        x = x.wrapping_mul(0x85eb_ca6b);
        x ^= x >> 13;
        x = x.wrapping_mul(0xc2b2_ae35);
        x ^= x >> 16;
        (x >> 8) as f32 / 8_388_608.0 - 1.0
    })
}

/// The tensor's numbers, of a size that keeps activations in bounds through the whole network.
fn weights(name: &str, shape: &[usize]) -> Vec<f32> {
    let (centre, reach) = if name.ends_with("running_var") {
        (1.0, 0.5)
    } else if name.ends_with("running_mean") || name.ends_with("bias") {
        (0.0, 0.1)
    } else if name.ends_with(".2.weight") {
        (0.25, 0.25)
    } else if shape.len() == 1 {
        (1.0, 0.5)
    } else {
        let gain = if shape.len() == 4 { 3.0 } else { 0.1 };
        let inputs: usize = shape[1..].iter().product();
        (0.0, f64::sqrt(gain / inputs as f64) as f32)
    };
    hashed(name, shape.iter().product())
        .map(|u| centre + reach * u)
        .collect()
}

/// Writes a checkpoint of these tensors.
pub(crate) fn write(path: &Path, shapes: &[Shape]) {
    let mut archive = Archive::new(path);
    let mut pickle = Pickle::new();
    for (index, (name, shape)) in shapes.iter().enumerate() {
        let is_counter = name.ends_with("num_batches_tracked");
        let bytes: Vec<u8> = if is_counter {
            1000_i64.to_le_bytes().to_vec()
        } else {
            let weights = weights(name, shape);
            weights.into_iter().flat_map(f32::to_le_bytes).collect()
        };
        let kind = if is_counter {
            "LongStorage"
        } else {
            "FloatStorage"
        };
        pickle.tensor(name, kind, index, shape);
        archive.entry(&format!("data/{index}"), &bytes);
    }
    archive.entry("data.pkl", &pickle.end());
    archive.end();
}

/// Writes a checkpoint whose pickle is `pickle`, without any tensor's numbers.
pub(crate) fn write_pickle(path: &Path, pickle: &[u8]) {
    let mut archive = Archive::new(path);
    archive.entry("data.pkl", pickle);
    archive.end();
}

struct Archive(ZipWriter<BufWriter<File>>);

impl Archive {
    fn new(path: &Path) -> Self {
        Self(ZipWriter::new(BufWriter::new(File::create(path).unwrap())))
    }

    fn entry(&mut self, name: &str, bytes: &[u8]) {
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        self.0
            .start_file(format!("archive/{name}"), stored)
            .unwrap();
        self.0.write_all(bytes).unwrap();
    }

    fn end(self) {
        self.0.finish().unwrap();
    }
}

/// The opcodes that PyTorch writes for an `OrderedDict` of tensors, in protocol 2.
struct Pickle(Vec<u8>);

impl Pickle {
    fn new() -> Self {
        Self(b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec())
    }

    fn tensor(&mut self, name: &str, kind: &str, key: usize, shape: &[usize]) {
        self.text(name);
        self.0
            .extend_from_slice(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.0
            .extend_from_slice(format!("ctorch\n{kind}\n").as_bytes());
        self.text(&key.to_string());
        self.text("cpu");
        self.integer(shape.iter().product());
        self.0.extend_from_slice(b"tQK\x00");
        self.tuple(shape);
        let strides: Vec<usize> = (0..shape.len())
            .map(|axis| shape[axis + 1..].iter().product())
            .collect();
        self.tuple(&strides);
        self.0
            .extend_from_slice(b"\x89ccollections\nOrderedDict\n)RtR");
    }

    fn tuple(&mut self, numbers: &[usize]) {
        self.0.push(b'(');
        for &number in numbers {
            self.integer(number);
        }
        self.0.push(b't');
    }

    fn integer(&mut self, number: usize) {
        self.0.push(b'J');
        self.0.extend_from_slice(&(number as i32).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"u.");
        self.0
    }
}
