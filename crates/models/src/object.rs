//! Reading records as what an estimator expects: typed, with errors that name class and attribute, and bounded.

mod grid;
mod value;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use crate::fault::Fault;
use crate::record::{Id, Records};

pub(crate) use grid::Grid;
pub(crate) use value::Value;

/// Bytes that may be taken out of a file per byte in it: numbers widen to 64 bits, and some parts are read twice.
const READ_PER_BYTE: usize = 32;

/// Bytes that may be taken out of a file of any size.
const FREE_READ_BYTES: usize = 16 << 20;

/// Bytes that an estimator counts for, besides its attributes.
const ESTIMATOR_BYTES: usize = 4 << 10;

/// Estimators inside each other.
const MAX_NESTING: usize = 32;

/// Columns that a model may take.
pub(crate) const MAX_COLUMNS: usize = 1 << 20;

/// The records of a file, and how much was taken out of them. A part that is shared counts each time it is read, so
/// that a small file cannot unfold into a large model.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    records: Records<'a>,
    left: Cell<usize>,
    limit: usize,
    /// Estimators that are being read right now, each inside the one before.
    nesting: Cell<usize>,
    outline: RefCell<Vec<Outline>>,
}

/// An estimator that was met, in the order in which rows come by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outline {
    /// How many estimators it is inside of.
    pub(crate) depth: usize,
    /// What the estimator around it calls it.
    pub(crate) name: Option<String>,
    /// `module.name` of its class.
    pub(crate) class: String,
    /// The version of the library that wrote it, if it says so.
    pub(crate) version: Option<String>,
}

/// An object of a file. It remembers which attributes were read, so that the others can be refused.
#[derive(Debug)]
pub(crate) struct Object<'s> {
    source: &'s Source<'s>,
    class: &'s str,
    attributes: HashMap<&'s str, Id>,
    read: RefCell<HashSet<&'s str>>,
    /// Attributes that stand in another one too.
    forgiven: RefCell<HashSet<String>>,
}

// === impl Source ===

impl<'a> Source<'a> {
    /// The records of a file of `n_bytes`.
    pub(crate) fn new(records: Records<'a>, n_bytes: usize) -> Self {
        let limit = n_bytes.saturating_mul(READ_PER_BYTE).saturating_add(FREE_READ_BYTES);
        Self { records, left: Cell::new(limit), limit, nesting: Cell::new(0), outline: RefCell::default() }
    }

    /// The estimators that were met.
    pub(crate) fn into_outline(self) -> Vec<Outline> {
        self.outline.into_inner()
    }

    /// The value of a record.
    pub(crate) fn value(&self, id: Id) -> Value<'_> {
        Value { source: self, id, class: "the file", key: "" }
    }

    fn take(&self, n_bytes: usize) -> Result<(), Fault> {
        let left = self.left.get().checked_sub(n_bytes);
        let limit = self.limit as u64;
        self.left.set(left.ok_or(Fault::TooLarge { what: "bytes in the unfolded model", limit })?);
        Ok(())
    }
}

// === impl Object ===

impl<'s> Object<'s> {
    /// The `module.name` of the class.
    pub(crate) fn class(&self) -> &'s str {
        self.class
    }

    /// The name of the class.
    pub(crate) fn name(&self) -> &'s str {
        self.class.rsplit_once('.').map_or(self.class, |(_, name)| name)
    }

    /// An error about this object.
    pub(crate) fn problem(&self, problem: impl Into<String>) -> Fault {
        Fault::inconsistent(self.class, problem)
    }

    /// An attribute, if it is there.
    pub(crate) fn find(&self, key: &'static str) -> Option<Value<'s>> {
        self.read.borrow_mut().insert(key);
        let id = self.attributes.get(key)?;
        Some(Value { source: self.source, id: *id, class: self.class, key })
    }

    /// An attribute, if it is there and not None.
    pub(crate) fn some(&self, key: &'static str) -> Option<Value<'s>> {
        self.find(key).filter(|value| !value.is_none())
    }

    /// An attribute that must be there.
    pub(crate) fn get(&self, key: &'static str) -> Result<Value<'s>, Fault> {
        let is_fitted_by = key.ends_with('_') && !key.starts_with('_');
        let problem = if is_fitted_by { "is missing; was the model fitted?" } else { "is missing" };
        self.find(key).ok_or_else(|| self.problem(format!("`{key}` {problem}")))
    }

    /// The first of several attributes that is there; older versions have other names.
    pub(crate) fn get_any(&self, keys: &[&'static str]) -> Result<Value<'s>, Fault> {
        let found = keys.iter().map(|key| self.find(key)).fold(None, Option::or);
        found.ok_or_else(|| self.problem(format!("`{}` is missing; was the model fitted?", keys[0])))
    }

    /// A truth value that older versions do not have.
    pub(crate) fn flag_or(&self, key: &'static str, default: bool) -> Result<bool, Fault> {
        self.some(key).map_or(Ok(default), |value| value.flag())
    }

    /// A number of columns, by the first of several attributes that is there.
    pub(crate) fn n_columns(&self, keys: &[&'static str]) -> Result<Option<usize>, Fault> {
        let found = keys.iter().map(|key| self.some(key)).fold(None, Option::or);
        let Some(value) = found else { return Ok(None) };
        let n_columns = value.count()?;
        if n_columns > MAX_COLUMNS {
            return Err(Fault::TooLarge { what: "columns", limit: MAX_COLUMNS as u64 });
        }
        Ok(Some(n_columns))
    }

    /// The version of scikit-learn that wrote the object, as major and minor number.
    pub(crate) fn sklearn_version(&self) -> Option<(u32, u32)> {
        let version = self.find("_sklearn_version")?.text().ok()?;
        let mut numbers = version.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    /// Notes that an attribute does not matter, for a class that lists such attributes itself.
    pub(crate) fn forgive(&self, key: &str) {
        self.forgiven.borrow_mut().insert(key.to_owned());
    }

    /// Attributes that nobody read, in order.
    pub(crate) fn unread(&self) -> Vec<&'s str> {
        let read = self.read.borrow();
        let forgiven = self.forgiven.borrow();
        let mut unread: Vec<&str> = self
            .attributes
            .keys()
            .copied()
            .filter(|key| !read.contains(key) && !forgiven.contains(*key))
            .collect();
        unread.sort_unstable();
        unread
    }
}
