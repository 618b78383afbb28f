//! Reads the pickle in which `torch.save` keeps a dictionary of tensors, and nothing else.
//!
//! A pickle is a program: it may call any function of any module. This reader knows only the
//! opcodes and names that a dictionary of tensors needs. It calls nothing and refuses every
//! other name. Values live in one list and refer to each other by position, so shared values
//! stay shared, and deep nesting cannot exhaust the stack.

use std::collections::HashMap;

use PickleValue::{Dictionary, Integer, Sequence, Text};

/// Why a pickle is refused.
#[derive(Debug, thiserror::Error)]
pub enum PickleError {
    /// The pickle names a module and a name that no dictionary of tensors needs.
    #[error(
        "the checkpoint holds a `{0}`, and only tensors are read: nothing in the file is executed; save the tensors alone: torch.save(model.state_dict(), NEW)"
    )]
    Foreign(String),
    /// The pickle is not understood at this byte.
    #[error(
        "the checkpoint's pickle is not understood at byte {0}: {1}; save the tensors alone: torch.save(model.state_dict(), NEW)"
    )]
    NotUnderstood(usize, String),
}

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
    fn of(module: &str, name: &str) -> Result<Self, PickleError> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "FloatStorage") => Self::StorageOf(Element::Float),
            ("torch", "HalfStorage") => Self::StorageOf(Element::Half),
            ("torch", "BFloat16Storage") => Self::StorageOf(Element::Bfloat16),
            ("torch", "DoubleStorage") => Self::StorageOf(Element::Double),
            ("torch", "LongStorage") => Self::StorageOf(Element::Long),
            _ => return Err(PickleError::Foreign(format!("{module}.{name}"))),
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
        let entry = |&(key, value): &(Id, Id)| match self.get(key) {
            Text(key) => Some((key.as_str(), self.get(value))),
            _ => None,
        };
        dictionary.iter().filter_map(entry).collect()
    }
}

/// Reads a whole pickle.
///
/// # Errors
/// [`PickleError::Foreign`] for a name that no dictionary of tensors has,
/// [`PickleError::NotUnderstood`] for anything else that is not understood.
pub(super) fn read(bytes: &[u8]) -> Result<Values, PickleError> {
    let mut machine = Machine {
        bytes,
        ..Machine::default()
    };
    let root = machine.run()?;
    Ok(Values {
        values: machine.values,
        root,
    })
}

#[derive(Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<PickleValue>,
    stack: Vec<Id>,
    /// Heights of the stack at which sequences under construction begin.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
    /// Bytes that values have taken so far, copies that are gone again included.
    taken: usize,
}

impl<'a> Machine<'a> {
    /// Executes opcodes up to the last one. Their letters are those of Python's `pickletools`.
    fn run(&mut self) -> Result<Id, PickleError> {
        loop {
            let opcode = self.take(1)?[0];
            match opcode {
                // PROTO, FRAME: what they announce is of no use here.
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'(' => self.marks.push(self.stack.len()),
                b'}' => self.push(Dictionary(Vec::new()))?,
                b']' | b')' => self.push(Sequence(Vec::new()))?,
                b't' => {
                    let items = self.above_mark()?;
                    self.push(Sequence(items))?;
                }
                0x85..=0x87 => {
                    let from = self.stack.len().checked_sub(usize::from(opcode - 0x84));
                    let from = from.ok_or_else(|| self.wrong("a tuple of nothing"))?;
                    let items = self.stack.split_off(from);
                    self.push(Sequence(items))?;
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
                    let pairs = pairs.iter().map(|&[key, value]| (key, value));
                    self.dictionary()?.extend(pairs);
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
                    let length = self.unsigned(1)?;
                    self.integer(length, true)?;
                }
                0x8c => self.text(1)?,
                b'X' => self.text(4)?,
                b'q' | b'r' => {
                    let slot = self.unsigned(if opcode == b'q' { 1 } else { 4 })?;
                    self.memorise(slot)?;
                }
                0x94 => self.memorise(self.memo.len())?,
                b'h' => self.recall(1)?,
                b'j' => self.recall(4)?,
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(PickleValue::Name(Name::of(&module, &name)?))?;
                }
                0x93 => {
                    let (name, module) = (self.pop_text()?, self.pop_text()?);
                    self.push(PickleValue::Name(Name::of(&module, &name)?))?;
                }
                b'Q' => self.storage()?,
                b'R' => self.reduce()?,
                // State set on an object: on a dictionary it is `_metadata`, the versions of its
                // layers, which nothing here needs.
                b'b' => {
                    self.pop()?;
                    self.dictionary()?;
                }
                b'.' => return self.pop(),
                other => return Err(self.wrong(&format!("opcode 0x{other:02x}"))),
            }
        }
    }

    /// What `torch.save` says of a storage: `('storage', type, key, location, number of elements)`.
    fn storage(&mut self) -> Result<(), PickleError> {
        let parts = self.pop_sequence()?;
        let storage = match self.resolved(&parts)[..] {
            [
                Text(_),
                &PickleValue::Name(Name::StorageOf(element)),
                Text(key),
                _,
                &Integer(elements),
            ] => usize::try_from(elements).ok().map(|elements| Storage {
                element,
                key: key.clone(),
                elements,
            }),
            _ => None,
        };
        let storage = storage.ok_or_else(|| self.wrong("a storage that is none"))?;
        self.push(PickleValue::Storage(storage))
    }

    /// What calling a permitted name would give.
    fn reduce(&mut self) -> Result<(), PickleError> {
        let arguments = self.pop_sequence()?;
        let name = self.pop()?;
        let made = match &self.values[name] {
            PickleValue::Name(name) => self.called(*name, &self.resolved(&arguments)),
            _ => None,
        };
        let made = made.ok_or_else(|| self.wrong("a call that a dictionary of tensors has not"))?;
        self.push(made)
    }

    fn called(&self, name: Name, arguments: &[&PickleValue]) -> Option<PickleValue> {
        let extents = |ids: &[Id]| -> Option<Vec<usize>> {
            let extent = |&id: &Id| match self.values[id] {
                Integer(extent) => usize::try_from(extent).ok(),
                _ => None,
            };
            ids.iter().map(extent).collect()
        };
        match (name, arguments) {
            (Name::OrderedDict, []) => Some(Dictionary(Vec::new())),
            (Name::RebuildParameter, [tensor @ PickleValue::Tensor(_), ..]) => {
                Some((*tensor).clone())
            }
            (
                Name::RebuildTensor,
                [
                    PickleValue::Storage(storage),
                    Integer(offset),
                    Sequence(shape),
                    Sequence(strides),
                    ..,
                ],
            ) => Some(PickleValue::Tensor(TensorView {
                storage: storage.clone(),
                offset: usize::try_from(*offset).ok()?,
                shape: extents(shape)?,
                strides: extents(strides)?,
            })),
            _ => None,
        }
    }

    fn resolved(&self, ids: &[Id]) -> Vec<&PickleValue> {
        ids.iter().map(|&id| &self.values[id]).collect()
    }

    fn push(&mut self, value: PickleValue) -> Result<(), PickleError> {
        let held = match &value {
            Text(text) => text.len(),
            Sequence(items) => size_of_val(&items[..]),
            Dictionary(entries) => size_of_val(&entries[..]),
            PickleValue::Storage(storage) => storage.key.len(),
            PickleValue::Tensor(view) => {
                view.storage.key.len()
                    + size_of_val(&view.shape[..])
                    + size_of_val(&view.strides[..])
            }
            PickleValue::Other | Integer(_) | PickleValue::Name(_) => 0,
        };
        self.charge(size_of::<PickleValue>() + size_of::<Id>() + held)?;
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    /// Counts `bytes` of memory, or of work on so much of it.
    fn charge(&mut self, bytes: usize) -> Result<(), PickleError> {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken > MEMORY_LIMIT {
            return Err(self.wrong("more values than a dictionary of tensors has"));
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, PickleError> {
        self.stack.pop().ok_or_else(|| self.wrong("an empty stack"))
    }

    fn pop_text(&mut self) -> Result<String, PickleError> {
        let id = self.pop()?;
        match &self.values[id] {
            Text(text) => Ok(text.clone()),
            _ => Err(self.wrong("no text where one belongs")),
        }
    }

    fn pop_sequence(&mut self) -> Result<Vec<Id>, PickleError> {
        let id = self.pop()?;
        let Sequence(items) = &self.values[id] else {
            return Err(self.wrong("no tuple where one belongs"));
        };
        let items = items.clone();
        self.charge(size_of_val(&items[..]))?;
        Ok(items)
    }

    fn above_mark(&mut self) -> Result<Vec<Id>, PickleError> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Err(self.wrong("a missing mark")),
        }
    }

    fn list(&mut self) -> Result<&mut Vec<Id>, PickleError> {
        let refusal = self.wrong("no list where one belongs");
        match self.stack.last().map(|&id| &mut self.values[id]) {
            Some(Sequence(items)) => Ok(items),
            _ => Err(refusal),
        }
    }

    fn dictionary(&mut self) -> Result<&mut Vec<(Id, Id)>, PickleError> {
        let refusal = self.wrong("no dictionary where one belongs");
        match self.stack.last().map(|&id| &mut self.values[id]) {
            Some(Dictionary(entries)) => Ok(entries),
            _ => Err(refusal),
        }
    }

    fn memorise(&mut self, slot: usize) -> Result<(), PickleError> {
        let top = self.stack.last().copied();
        let top = top.ok_or_else(|| self.wrong("an empty stack"))?;
        self.charge(size_of::<(usize, Id)>())?;
        self.memo.insert(slot, top);
        Ok(())
    }

    /// Pushes a value that was memorised. Its slot is an integer of `width` bytes.
    fn recall(&mut self, width: usize) -> Result<(), PickleError> {
        let slot = self.unsigned(width)?;
        self.charge(size_of::<Id>())?;
        let id = self.memo.get(&slot).copied();
        self.stack
            .push(id.ok_or_else(|| self.wrong("an unknown memo"))?);
        Ok(())
    }

    /// A little-endian integer of `length` bytes.
    fn integer(&mut self, length: usize, is_signed: bool) -> Result<(), PickleError> {
        let bytes = self.take(length)?;
        if length > 8 {
            return Err(self.wrong("an integer of more than 64 bits"));
        }
        let is_negative = is_signed && bytes.last().is_some_and(|&last| last >= 0x80);
        let mut wide = [if is_negative { 0xff } else { 0 }; 8];
        wide[..length].copy_from_slice(bytes);
        self.push(Integer(i64::from_le_bytes(wide)))
    }

    /// A text whose length is an integer of `width` bytes.
    fn text(&mut self, width: usize) -> Result<(), PickleError> {
        let length = self.unsigned(width)?;
        let text = std::str::from_utf8(self.take(length)?);
        let text = text.map_err(|_| self.wrong("a text that is not UTF-8"))?;
        self.push(Text(text.to_owned()))
    }

    fn line(&mut self) -> Result<String, PickleError> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n');
        let length = length.ok_or_else(|| self.wrong("its end"))?;
        self.at += length + 1;
        Ok(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    /// A little-endian integer of `width` bytes, 4 at most.
    fn unsigned(&mut self, width: usize) -> Result<usize, PickleError> {
        let bytes = self.take(width)?.iter().rev();
        Ok(bytes.fold(0, |value, &byte| value << 8 | usize::from(byte)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], PickleError> {
        let rest = &self.bytes[self.at..];
        let bytes = rest.get(..length);
        let bytes = bytes.ok_or_else(|| self.wrong("its end"))?;
        self.at += length;
        Ok(bytes)
    }

    fn wrong(&self, found: &str) -> PickleError {
        PickleError::NotUnderstood(self.at, found.to_owned())
    }
}

#[cfg(test)]
mod tests;
