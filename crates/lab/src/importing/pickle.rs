//! Reads the pickle in which `torch.save` keeps a dictionary of tensors, and nothing else.
//!
//! A pickle is a program: it may call any function of any module. This reader knows only the
//! opcodes and names that a dictionary of tensors needs. It calls nothing and refuses every
//! other name. Values live in one list and refer to each other by position, so shared values
//! stay shared, and deep nesting cannot exhaust the stack.

use std::collections::HashMap;

use super::checkpoint::CheckpointError;

/// Memory that the values of a pickle may take. Those of a thousand tensors take about 5 MB; a
/// pickle that recalls a long text or tuple again and again would copy it each time.
const MEMORY_LIMIT: usize = 128 << 20;

/// Position of a value in [`Values`].
pub(super) type Id = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Float,
    Half,
    Bfloat16,
    Double,
    Long,
}

impl Element {
    /// Bytes of one.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::Half | Self::Bfloat16 => 2,
            Self::Float => 4,
            Self::Double | Self::Long => 8,
        }
    }
}

/// A file of numbers in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) element: Element,
    /// Its file's name in the archive's folder `data`.
    pub(super) key: String,
    pub(super) elements: usize,
}

/// A tensor: which elements of a storage, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TensorView {
    pub(super) storage: Storage,
    /// Element at which it begins.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// For each axis how many elements lie between neighbours.
    pub(super) strides: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    StorageOf(Element),
}

impl Name {
    fn of(module: &str, name: &str) -> Result<Self, CheckpointError> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "FloatStorage") => Self::StorageOf(Element::Float),
            ("torch", "HalfStorage") => Self::StorageOf(Element::Half),
            ("torch", "BFloat16Storage") => Self::StorageOf(Element::Bfloat16),
            ("torch", "DoubleStorage") => Self::StorageOf(Element::Double),
            ("torch", "LongStorage") => Self::StorageOf(Element::Long),
            _ => {
                return Err(CheckpointError::Foreign {
                    name: format!("{module}.{name}"),
                });
            }
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum PickleValue {
    /// `None`, a truth value or a float: permitted, and of no use here.
    Other,
    Integer(i64),
    Text(String),
    Sequence(Vec<Id>),
    Dictionary(Vec<(Id, Id)>),
    Name(Name),
    Storage(Storage),
    Tensor(TensorView),
}

/// Every value of a pickle, and which of them is the whole.
#[derive(Debug)]
pub(super) struct Values {
    values: Vec<PickleValue>,
    root: Id,
}

impl Values {
    /// The value that the pickle stands for.
    pub(super) fn root(&self) -> &PickleValue {
        self.get(self.root)
    }

    pub(super) fn get(&self, id: Id) -> &PickleValue {
        &self.values[id]
    }

    /// A dictionary's entries whose keys are texts.
    pub(super) fn entries(&self, dictionary: &[(Id, Id)]) -> Vec<(&str, &PickleValue)> {
        dictionary
            .iter()
            .filter_map(|&(key, value)| match self.get(key) {
                PickleValue::Text(key) => Some((key.as_str(), self.get(value))),
                _ => None,
            })
            .collect()
    }
}

/// Reads a whole pickle.
///
/// # Errors
/// [`CheckpointError::Foreign`] for a name that no dictionary of tensors has, [`CheckpointError::Pickle`] for anything else
/// that is not understood.
pub(super) fn read(bytes: &[u8]) -> Result<Values, CheckpointError> {
    let mut machine = Machine {
        bytes,
        at: 0,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        taken: 0,
    };
    let root = machine.run()?;
    Ok(Values {
        values: machine.values,
        root,
    })
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<PickleValue>,
    stack: Vec<Id>,
    /// Heights of the stack at which sequences under construction begin.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Bytes that values have taken so far, copies that are gone again included.
    taken: usize,
}

impl<'a> Machine<'a> {
    /// Executes opcodes up to the last one. Their letters are those of Python's `pickletools`.
    fn run(&mut self) -> Result<Id, CheckpointError> {
        loop {
            let opcode = self.byte()?;
            match opcode {
                // PROTO, FRAME: what they announce is of no use here.
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'(' => self.marks.push(self.stack.len()),
                b'}' => self.push(PickleValue::Dictionary(Vec::new()))?,
                b']' | b')' => self.push(PickleValue::Sequence(Vec::new()))?,
                b't' => {
                    let items = self.above_mark()?;
                    self.push(PickleValue::Sequence(items))?;
                }
                0x85..=0x87 => {
                    let count = usize::from(opcode - 0x84);
                    let from = self.stack.len().checked_sub(count);
                    let items = self
                        .stack
                        .split_off(from.ok_or_else(|| self.wrong("a tuple of nothing"))?);
                    self.push(PickleValue::Sequence(items))?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.list()?.push(item);
                }
                b'e' => {
                    let items = self.above_mark()?;
                    self.list()?.extend(items);
                }
                b's' => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    self.dictionary()?.push((key, value));
                }
                b'u' => {
                    let items = self.above_mark()?;
                    let (pairs, rest) = items.as_chunks::<2>();
                    if !rest.is_empty() {
                        return Err(self.wrong("a key without a value"));
                    }
                    self.dictionary()?
                        .extend(pairs.iter().map(|&[key, value]| (key, value)));
                }
                b'N' | 0x88 | 0x89 => self.push(PickleValue::Other)?,
                b'G' => {
                    self.take(8)?;
                    self.push(PickleValue::Other)?;
                }
                b'K' => self.integer(1, false)?,
                b'M' => self.integer(2, false)?,
                b'J' => self.integer(4, true)?,
                0x8a => {
                    let length = usize::from(self.byte()?);
                    self.integer(length, true)?;
                }
                0x8c => {
                    let length = usize::from(self.byte()?);
                    self.text(length)?;
                }
                b'X' => {
                    let length = self.unsigned()? as usize;
                    self.text(length)?;
                }
                b'q' => {
                    let slot = u32::from(self.byte()?);
                    self.memorise(slot)?;
                }
                b'r' => {
                    let slot = self.unsigned()?;
                    self.memorise(slot)?;
                }
                0x94 => {
                    let slot = u32::try_from(self.memo.len()).unwrap_or(u32::MAX);
                    self.memorise(slot)?;
                }
                b'h' => {
                    let slot = u32::from(self.byte()?);
                    self.recall(slot)?;
                }
                b'j' => {
                    let slot = self.unsigned()?;
                    self.recall(slot)?;
                }
                b'c' => {
                    let module = self.line()?;
                    let name = self.line()?;
                    self.push(PickleValue::Name(Name::of(&module, &name)?))?;
                }
                0x93 => {
                    let name = self.pop_text()?;
                    let module = self.pop_text()?;
                    self.push(PickleValue::Name(Name::of(&module, &name)?))?;
                }
                b'Q' => self.storage()?,
                b'R' => self.reduce()?,
                b'b' => self.build()?,
                b'.' => return self.pop(),
                other => return Err(self.wrong(&format!("opcode 0x{other:02x}"))),
            }
        }
    }

    /// What `torch.save` says of a storage: `('storage', type, key, location, number of elements)`.
    fn storage(&mut self) -> Result<(), CheckpointError> {
        let parts = self.pop_sequence()?;
        let storage = match self.resolved(&parts)[..] {
            [
                PickleValue::Text(_),
                PickleValue::Name(Name::StorageOf(element)),
                PickleValue::Text(key),
                _,
                PickleValue::Integer(elements),
            ] => usize::try_from(*elements).ok().map(|elements| Storage {
                element: *element,
                key: key.clone(),
                elements,
            }),
            _ => None,
        };
        let storage = storage.ok_or_else(|| self.wrong("a storage that is none"))?;
        self.push(PickleValue::Storage(storage))?;
        Ok(())
    }

    /// What calling a permitted name would give.
    fn reduce(&mut self) -> Result<(), CheckpointError> {
        let arguments = self.pop_sequence()?;
        let name = self.pop()?;
        let arguments = self.resolved(&arguments);
        let made = match (&self.values[name], &arguments[..]) {
            (PickleValue::Name(Name::OrderedDict), []) => Some(PickleValue::Dictionary(Vec::new())),
            (PickleValue::Name(Name::RebuildParameter), [tensor @ PickleValue::Tensor(_), ..]) => {
                Some((*tensor).clone())
            }
            (
                PickleValue::Name(Name::RebuildTensor),
                [
                    PickleValue::Storage(storage),
                    PickleValue::Integer(offset),
                    PickleValue::Sequence(shape),
                    PickleValue::Sequence(strides),
                    ..,
                ],
            ) => self.view(storage, *offset, shape, strides),
            _ => None,
        };
        let made = made.ok_or_else(|| self.wrong("a call that a dictionary of tensors has not"))?;
        self.push(made)?;
        Ok(())
    }

    fn view(
        &self,
        storage: &Storage,
        offset: i64,
        shape: &[Id],
        strides: &[Id],
    ) -> Option<PickleValue> {
        let extents = |ids: &[Id]| -> Option<Vec<usize>> {
            ids.iter()
                .map(|&id| match self.values[id] {
                    PickleValue::Integer(extent) => usize::try_from(extent).ok(),
                    _ => None,
                })
                .collect()
        };
        Some(PickleValue::Tensor(TensorView {
            storage: storage.clone(),
            offset: usize::try_from(offset).ok()?,
            shape: extents(shape)?,
            strides: extents(strides)?,
        }))
    }

    /// State set on an object: on a dictionary it is `_metadata`, the versions of its layers, which nothing here needs.
    fn build(&mut self) -> Result<(), CheckpointError> {
        self.pop()?;
        self.dictionary().map(drop)
    }

    fn resolved(&self, ids: &[Id]) -> Vec<&PickleValue> {
        ids.iter().map(|&id| &self.values[id]).collect()
    }

    fn push(&mut self, value: PickleValue) -> Result<(), CheckpointError> {
        let held = match &value {
            PickleValue::Text(text) => text.len(),
            PickleValue::Sequence(items) => size_of_val(&items[..]),
            PickleValue::Dictionary(entries) => size_of_val(&entries[..]),
            PickleValue::Storage(storage) => storage.key.len(),
            PickleValue::Tensor(view) => {
                view.storage.key.len()
                    + size_of_val(&view.shape[..])
                    + size_of_val(&view.strides[..])
            }
            PickleValue::Other | PickleValue::Integer(_) | PickleValue::Name(_) => 0,
        };
        self.charge(size_of::<PickleValue>() + size_of::<Id>() + held)?;
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    /// Counts `bytes` of memory, or of work on so much of it.
    fn charge(&mut self, bytes: usize) -> Result<(), CheckpointError> {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken > MEMORY_LIMIT {
            return Err(self.wrong("more values than a dictionary of tensors has"));
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, CheckpointError> {
        self.stack.pop().ok_or_else(|| self.wrong("an empty stack"))
    }

    fn pop_text(&mut self) -> Result<String, CheckpointError> {
        let id = self.pop()?;
        match &self.values[id] {
            PickleValue::Text(text) => Ok(text.clone()),
            _ => Err(self.wrong("no text where one belongs")),
        }
    }

    fn pop_sequence(&mut self) -> Result<Vec<Id>, CheckpointError> {
        let id = self.pop()?;
        let PickleValue::Sequence(items) = &self.values[id] else {
            return Err(self.wrong("no tuple where one belongs"));
        };
        let items = items.clone();
        self.charge(size_of_val(&items[..]))?;
        Ok(items)
    }

    fn above_mark(&mut self) -> Result<Vec<Id>, CheckpointError> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Err(self.wrong("a missing mark")),
        }
    }

    fn list(&mut self) -> Result<&mut Vec<Id>, CheckpointError> {
        let refusal = self.wrong("no list where one belongs");
        match self.stack.last().map(|&id| &mut self.values[id]) {
            Some(PickleValue::Sequence(items)) => Ok(items),
            _ => Err(refusal),
        }
    }

    fn dictionary(&mut self) -> Result<&mut Vec<(Id, Id)>, CheckpointError> {
        let refusal = self.wrong("no dictionary where one belongs");
        match self.stack.last().map(|&id| &mut self.values[id]) {
            Some(PickleValue::Dictionary(entries)) => Ok(entries),
            _ => Err(refusal),
        }
    }

    fn memorise(&mut self, slot: u32) -> Result<(), CheckpointError> {
        let top = self.stack.last().copied();
        let top = top.ok_or_else(|| self.wrong("an empty stack"))?;
        self.charge(size_of::<(u32, Id)>())?;
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), CheckpointError> {
        let id = self.memo.get(&slot).copied();
        self.charge(size_of::<Id>())?;
        self.stack
            .push(id.ok_or_else(|| self.wrong("an unknown memo"))?);
        Ok(())
    }

    /// A little-endian integer of `length` bytes.
    fn integer(&mut self, length: usize, is_signed: bool) -> Result<(), CheckpointError> {
        let bytes = self.take(length)?;
        if length > 8 {
            return Err(self.wrong("an integer of more than 64 bits"));
        }
        let is_negative = is_signed && bytes.last().is_some_and(|&last| last >= 0x80);
        let mut wide = [if is_negative { 0xff } else { 0 }; 8];
        wide[..length].copy_from_slice(bytes);
        self.push(PickleValue::Integer(i64::from_le_bytes(wide)))?;
        Ok(())
    }

    fn text(&mut self, length: usize) -> Result<(), CheckpointError> {
        let bytes = self.take(length)?;
        let text =
            std::str::from_utf8(bytes).map_err(|_| self.wrong("a text that is not UTF-8"))?;
        self.push(PickleValue::Text(text.to_owned()))?;
        Ok(())
    }

    fn line(&mut self) -> Result<String, CheckpointError> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n');
        let length = length.ok_or_else(|| self.wrong("its end"))?;
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(line)
    }

    fn unsigned(&mut self) -> Result<u32, CheckpointError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn byte(&mut self) -> Result<u8, CheckpointError> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], CheckpointError> {
        let all: &'a [u8] = self.bytes;
        let end = self.at.checked_add(length);
        let Some(bytes) = end.and_then(|end| all.get(self.at..end)) else {
            return Err(self.wrong("its end"));
        };
        self.at += length;
        Ok(bytes)
    }

    fn wrong(&self, found: &str) -> CheckpointError {
        CheckpointError::Pickle {
            at: self.at,
            found: found.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
