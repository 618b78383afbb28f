//! A PyTorch checkpoint: the archive that `torch.save` writes. Names and shapes of its tensors
//! are read at once, numbers one tensor at a time, so that memory never holds the whole file.
//!
//! This is our own code because the existing readers depend on a whole tensor framework, and
//! because what a pickle may do should be reviewed in one place.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::pickle::{self, Element, PickleError, PickleValue, TensorView};

/// Bytes that every zip archive begins with.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
/// Largest pickle that is read: the names of a thousand tensors take a tenth of a megabyte.
const PICKLE_LIMIT: u64 = 4 << 20;
/// Keys under which a training script keeps the dictionary of tensors among other things.
const NESTED_UNDER: [&str; 3] = ["state_dict", "model", "model_state_dict"];
/// What `DataParallel` puts before every name.
const PARALLEL_PREFIX: &str = "module.";

/// Why a checkpoint cannot be read. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {error}", path = .0.display(), error = .1)]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is of the form that PyTorch wrote before version 1.6.
    #[error(
        "this is a checkpoint of the old form, or none at all: it is no zip archive; with any PyTorch from 1.6 on, save it again: torch.save(torch.load(OLD, map_location=\"cpu\"), NEW)"
    )]
    NoArchive,
    /// The archive is damaged.
    #[error("the archive is damaged: {0}; get the checkpoint again")]
    Archive(#[from] zip::result::ZipError),
    /// The archive has no entry of this name.
    #[error("the archive has no entry {0}; it is no checkpoint, or a damaged one")]
    NoEntry(String),
    /// The archive was written on a machine of the other byte order.
    #[error(
        "the checkpoint has byte order {0:?}, only little is read; save it again on a usual machine"
    )]
    ByteOrder(String),
    /// The pickle is refused.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// There is no dictionary of tensors, only these keys at the top.
    #[error(
        "the checkpoint holds no dictionary of tensors, neither at the top nor under state_dict or model (it holds: {0}); save the tensors alone: torch.save(model.state_dict(), NEW)"
    )]
    NoTensors(String),
    /// There is no tensor of this name.
    #[error("the checkpoint has no tensor {0}")]
    NoTensor(String),
    /// The file of this tensor is shorter than the shape asks for, or the shape overlaps itself.
    #[error("the tensor {0} does not fit its file in the archive; get the checkpoint again")]
    Damaged(String),
}

/// An open checkpoint.
#[derive(Debug)]
pub struct TorchCheckpoint {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    /// What stands before `data.pkl` in the names of the archive's entries.
    root: String,
    tensors: BTreeMap<String, TensorView>,
    others: Vec<String>,
}

impl TorchCheckpoint {
    /// Opens the file and reads names and shapes; no tensor's numbers yet.
    ///
    /// # Errors
    /// If it is no archive of `torch.save`, or holds something else than a dictionary of tensors,
    /// alone or under `state_dict` or `model`.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let unreadable = |error| CheckpointError::Read(path.to_owned(), error);
        let mut file = File::open(path).map_err(unreadable)?;
        let mut magic = Vec::new();
        let mut start = (&mut file).take(ZIP_MAGIC.len() as u64);
        start.read_to_end(&mut magic).map_err(unreadable)?;
        if magic != ZIP_MAGIC {
            return Err(CheckpointError::NoArchive);
        }
        let archive = ZipArchive::new(BufReader::new(file))?;
        let root = archive
            .file_names()
            .filter_map(Result::ok)
            .find_map(|name| {
                let root = name.strip_suffix("data.pkl")?;
                (root.is_empty() || root.ends_with('/')).then(|| root.to_owned())
            })
            .ok_or_else(|| CheckpointError::NoEntry("data.pkl".to_owned()))?;
        let mut checkpoint = Self {
            path: path.to_owned(),
            tensors: BTreeMap::new(),
            others: Vec::new(),
            archive,
            root,
        };
        if let Ok(order) = checkpoint.entry("byteorder", 16)
            && order != b"little"
        {
            let order = String::from_utf8_lossy(&order).into_owned();
            return Err(CheckpointError::ByteOrder(order));
        }
        let bytes = checkpoint.entry("data.pkl", PICKLE_LIMIT)?;
        checkpoint.take_tensors(&pickle::read(&bytes)?)?;
        Ok(checkpoint)
    }

    /// Names and shapes, in the order of the names.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors
            .iter()
            .map(|(name, view)| (name.as_str(), view.shape.as_slice()))
    }

    /// Names of the entries that are no tensors.
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// A tensor's numbers as little-endian 32-bit floats, row-major.
    ///
    /// # Errors
    /// If there is no such tensor, or its file does not hold what its shape says.
    pub fn floats(&mut self, name: &str) -> Result<Vec<u8>, CheckpointError> {
        let view = self.tensors.get(name).cloned();
        let view = view.ok_or_else(|| CheckpointError::NoTensor(name.to_owned()))?;
        let damaged = || CheckpointError::Damaged(name.to_owned());
        let size = view.storage.element.size();
        let stored = view.storage.elements.checked_mul(size);
        let stored = stored.ok_or_else(damaged)?;
        let count = extent_of(&view).ok_or_else(damaged)?;
        let mut bytes = self.entry(&format!("data/{}", view.storage.key), stored as u64)?;
        if bytes.len() != stored {
            return Err(damaged());
        }
        if count > 0 && is_row_major(&view) {
            bytes.drain(..view.offset * size);
            bytes.truncate(count * size);
        } else {
            bytes = gathered(&bytes, &view, count);
        }
        Ok(as_floats(bytes, view.storage.element))
    }

    /// An entry's bytes, `limit` at most.
    fn entry(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, CheckpointError> {
        let name = format!("{}{name}", self.root);
        let entry = self.archive.by_name(&name).map_err(|error| match error {
            zip::result::ZipError::FileNotFound => CheckpointError::NoEntry(name.clone()),
            error => error.into(),
        })?;
        let mut bytes = Vec::new();
        match entry.take(limit).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(CheckpointError::Read(self.path.join(name), error)),
        }
    }

    /// Finds the dictionary of tensors, at the top or one level below.
    fn take_tensors(&mut self, values: &pickle::Values) -> Result<(), CheckpointError> {
        let entries = |value: &PickleValue| match value {
            PickleValue::Dictionary(entries) => values.entries(entries),
            _ => Vec::new(),
        };
        let top = entries(values.root());
        let nested = NESTED_UNDER.iter().filter_map(|key| {
            let (_, value) = top.iter().find(|(name, _)| name == key)?;
            Some(entries(value))
        });
        let found = std::iter::once(top.clone()).chain(nested).find(|entries| {
            let mut values = entries.iter().map(|(_, value)| value);
            values.any(|value| matches!(value, PickleValue::Tensor(_)))
        });
        let Some(entries) = found else {
            let keys: Vec<&str> = top.iter().map(|(key, _)| *key).take(10).collect();
            return Err(CheckpointError::NoTensors(keys.join(", ")));
        };
        let is_parallel = entries
            .iter()
            .all(|(name, _)| name.starts_with(PARALLEL_PREFIX));
        for (name, value) in entries {
            let name = match name.strip_prefix(PARALLEL_PREFIX) {
                Some(rest) if is_parallel => rest,
                _ => name,
            };
            match value {
                PickleValue::Tensor(view) => {
                    self.tensors.insert(name.to_owned(), view.clone());
                }
                _ => self.others.push(name.to_owned()),
            }
        }
        Ok(())
    }
}

/// How many numbers a view has; `None` if it reaches beyond its storage or has more numbers.
fn extent_of(view: &TensorView) -> Option<usize> {
    let (mut count, mut last) = (1_usize, view.offset);
    for (&extent, &stride) in view.shape.iter().zip(&view.strides) {
        count = count.checked_mul(extent)?;
        last = last.checked_add(extent.saturating_sub(1).checked_mul(stride)?)?;
    }
    let fits = view.shape.len() == view.strides.len()
        && count <= view.storage.elements
        && (count == 0 || last < view.storage.elements);
    fits.then_some(count)
}

/// Whether the view's numbers lie one after the other.
fn is_row_major(view: &TensorView) -> bool {
    let mut expected = 1;
    let mut axes = view.shape.iter().zip(&view.strides).rev();
    axes.all(|(&extent, &stride)| {
        let fits = extent == 1 || stride == expected;
        expected *= extent;
        fits
    })
}

/// The view's elements in row-major order, of bytes that hold its whole storage.
fn gathered(bytes: &[u8], view: &TensorView, count: usize) -> Vec<u8> {
    let size = view.storage.element.size();
    let mut ordered = Vec::with_capacity(count * size);
    let mut index = vec![0; view.shape.len()];
    for _ in 0..count {
        let steps = index.iter().zip(&view.strides);
        let at = view.offset + steps.map(|(&i, &stride)| i * stride).sum::<usize>();
        ordered.extend_from_slice(&bytes[at * size..(at + 1) * size]);
        for (place, &extent) in index.iter_mut().zip(&view.shape).rev() {
            *place += 1;
            if *place < extent {
                break;
            }
            *place = 0;
        }
    }
    ordered
}

/// Elements of any type → 32-bit floats, in which the network computes.
fn as_floats(bytes: Vec<u8>, element: Element) -> Vec<u8> {
    fn converted<const N: usize>(bytes: &[u8], to_float: impl Fn([u8; N]) -> f32) -> Vec<u8> {
        let (elements, _) = bytes.as_chunks();
        elements
            .iter()
            .flat_map(|&element| to_float(element).to_le_bytes())
            .collect()
    }
    match element {
        Element::Float => bytes,
        Element::Half => converted(&bytes, |two| half_to_float(u16::from_le_bytes(two))),
        Element::Bfloat16 => converted(&bytes, |[low, high]| f32::from_le_bytes([0, 0, low, high])),
        Element::Double => converted(&bytes, |eight| f64::from_le_bytes(eight) as f32),
        Element::Long => converted(&bytes, |eight| i64::from_le_bytes(eight) as f32),
    }
}

/// IEEE 754 binary16 → binary32; exact for every number.
fn half_to_float(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let fraction = f32::from(bits & 0x3ff);
    match exponent {
        0 => sign * fraction * 2.0_f32.powi(-24),
        0x1f if fraction == 0.0 => sign * f32::INFINITY,
        0x1f => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2.0_f32.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        for (bits, expected) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x0001, 5.960_464_5e-8),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half_to_float(bits), expected, "{bits:04x}");
        }
        assert!(half_to_float(0x7e00).is_nan());
        assert!(half_to_float(0x8000).is_sign_negative());
    }

    fn view(offset: usize, shape: &[usize], strides: &[usize], elements: usize) -> TensorView {
        TensorView {
            storage: pickle::Storage {
                element: Element::Half,
                key: "0".to_owned(),
                elements,
            },
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        }
    }

    #[test]
    fn a_transposed_view_is_put_in_order() {
        let bytes: Vec<u8> = (0_u16..8).flat_map(u16::to_le_bytes).collect();
        let transposed = view(1, &[3, 2], &[1, 3], 8);
        assert!(!is_row_major(&transposed));
        assert_eq!(extent_of(&transposed), Some(6));
        let expected: Vec<u8> = [1_u16, 4, 2, 5, 3, 6]
            .into_iter()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(gathered(&bytes, &transposed, 6), expected);
    }

    #[test]
    fn a_tensor_without_elements_may_begin_anywhere() {
        let empty = view(9, &[0], &[1], 4);
        assert_eq!(extent_of(&empty), Some(0));
        assert!(gathered(&[0; 8], &empty, 0).is_empty());
    }

    #[test]
    fn a_view_beyond_its_storage_has_no_extent() {
        assert_eq!(extent_of(&view(0, &[2, 2], &[2, 1], 4)), Some(4));
        assert_eq!(extent_of(&view(1, &[2, 2], &[2, 1], 4)), None);
        assert_eq!(extent_of(&view(0, &[1 << 40, 2], &[0, 0], 4)), None);
        assert_eq!(extent_of(&view(0, &[usize::MAX, 3], &[1, 1], 4)), None);
        assert_eq!(extent_of(&view(0, &[2, 2], &[usize::MAX, 1], 4)), None);
        assert_eq!(extent_of(&view(usize::MAX, &[], &[], 4)), None);
        assert_eq!(extent_of(&view(3, &[], &[], 4)), Some(1));
        assert_eq!(extent_of(&view(0, &[4], &[1, 1], 4)), None);
    }
}
