//! What a model file says, as inert data: the one tree that pickle, joblib and skops all fill.
//!
//! Records lie side by side and name each other by [`Id`], so a shared part stays shared, a cycle is harmless until
//! somebody walks it, and dropping needs no recursion. Whoever walks the tree bounds their own walk.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use crate::fault::Fault;
use crate::formats::numpy::Array;

/// Records in one file; real models stay far below.
const MAX_RECORDS: usize = 16 << 20;

/// The length of `module.name` of one class.
pub(crate) const MAX_NAME_BYTES: usize = 512;

/// Keys of a dict that [`Records::attribute`] looks through: it serves the small dicts of numpy and joblib only.
const MAX_ATTRIBUTES: usize = 64;

/// A record's place in [`Records`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(u32);

/// One value of a model file.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number beyond 64 bits. Only states of random generators have them, so its value is not kept.
    HugeInt,
    Float(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function that is named but not called, as `module.name`.
    Class(Rc<str>),
    Instance(Box<Instance>),
    Array(Box<Array<'a>>),
}

/// An object: its class and what its constructor, its state and its containers were given.
#[derive(Debug)]
pub(crate) struct Instance {
    /// `module.name` of its class, or of the function that would have made it.
    pub(crate) class: Rc<str>,
    /// What the constructor was given, a tuple.
    pub(crate) arguments: Id,
    /// Its attributes, mostly a dict.
    pub(crate) state: Option<Id>,
    /// What was appended, if it is a list.
    pub(crate) items: Vec<Id>,
    /// What was inserted, if it is a dict.
    pub(crate) pairs: Vec<(Id, Id)>,
}

/// All records of one file.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    records: Vec<Record<'a>>,
    names: HashMap<Rc<str>, Id>,
}

impl Id {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const TRUE: Self = Self(1);
    pub(crate) const FALSE: Self = Self(2);
}

impl Instance {
    pub(crate) fn new(class: Rc<str>, arguments: Id) -> Self {
        Self { class, arguments, state: None, items: Vec::new(), pairs: Vec::new() }
    }
}

// === impl Records ===

impl<'a> Records<'a> {
    pub(crate) fn new() -> Self {
        Self { records: vec![Record::None, Record::Bool(true), Record::Bool(false)], names: HashMap::new() }
    }

    pub(crate) fn add(&mut self, record: Record<'a>) -> Result<Id, Fault> {
        if self.records.len() >= MAX_RECORDS {
            return Err(Fault::TooLarge { what: "values", limit: MAX_RECORDS as u64 });
        }
        let id = Id(u32::try_from(self.records.len()).expect("MAX_RECORDS fits 32 bits"));
        self.records.push(record);
        Ok(id)
    }

    /// The class or function of this name; each name is kept once.
    pub(crate) fn class(&mut self, path: &str) -> Result<Id, Fault> {
        if let Some(id) = self.names.get(path) {
            return Ok(*id);
        }
        if path.len() > MAX_NAME_BYTES {
            return Err(Fault::TooLarge { what: "bytes in a class name", limit: MAX_NAME_BYTES as u64 });
        }
        let name: Rc<str> = path.into();
        let id = self.add(Record::Class(name.clone()))?;
        self.names.insert(name, id);
        Ok(id)
    }

    pub(crate) fn get(&self, id: Id) -> &Record<'a> {
        &self.records[id.0 as usize]
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> &mut Record<'a> {
        &mut self.records[id.0 as usize]
    }

    /// Puts a record in the place of another, for all who name it.
    pub(crate) fn replace(&mut self, id: Id, record: Record<'a>) {
        self.records[id.0 as usize] = record;
    }

    /// The text of a record, if it is one.
    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Record::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of a record. What Python 2 called `str` is bytes too.
    pub(crate) fn bytes(&self, id: Id) -> Option<&[u8]> {
        match self.get(id) {
            Record::Bytes(bytes) => Some(bytes),
            Record::Text(text) if text.is_ascii() => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// The elements of a list or tuple.
    pub(crate) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Record::List(items) | Record::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// What the constructor of an object was given.
    pub(crate) fn arguments(&self, instance: &Instance) -> &[Id] {
        self.sequence(instance.arguments).unwrap_or_default()
    }

    /// The object in a record, if it is one.
    pub(crate) fn instance(&self, id: Id) -> Option<&Instance> {
        match self.get(id) {
            Record::Instance(instance) => Some(instance),
            _ => None,
        }
    }

    /// The whole number of a record, if it is one.
    pub(crate) fn int(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            Record::Int(int) => Some(*int),
            Record::Bool(bool) => Some(i64::from(*bool)),
            _ => None,
        }
    }

    /// The value of a key in a small dict with text keys.
    pub(crate) fn attribute(&self, dict: Id, key: &str) -> Option<Id> {
        let Record::Dict(pairs) = self.get(dict) else { return None };
        if pairs.len() > MAX_ATTRIBUTES {
            return None;
        }
        pairs.iter().rev().find(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| *value)
    }
}
