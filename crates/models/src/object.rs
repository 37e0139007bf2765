//! Reading records as what an estimator expects: typed, with errors that name class and attribute, and bounded.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use crate::Data;
use crate::fault::Fault;
use crate::formats::numpy::{Array, Kind};
use crate::record::{Id, Record, Records};

/// Bytes that may be taken out of a file per byte in it: numbers widen to 64 bits, and some parts are read twice.
const READ_PER_BYTE: usize = 32;

/// Bytes that may be taken out of a file of any size.
const FREE_READ_BYTES: usize = 16 << 20;

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
    /// `module.name` of its class.
    pub(crate) class: String,
    /// The version of the library that wrote it, if it says so.
    pub(crate) version: Option<String>,
}

/// One value of a file, and the attribute it was found in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'s> {
    source: &'s Source<'s>,
    id: Id,
    /// The class and attribute, for errors.
    class: &'s str,
    key: &'s str,
}

/// An object of a file. It remembers which attributes were read, so that the others can be refused.
#[derive(Debug)]
pub(crate) struct Object<'s> {
    source: &'s Source<'s>,
    class: &'s str,
    attributes: HashMap<&'s str, Id>,
    read: RefCell<HashSet<&'s str>>,
}

/// Numbers in rows of the same length.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    pub(crate) n_rows: usize,
    pub(crate) n_columns: usize,
    /// Row after row.
    pub(crate) values: Vec<f64>,
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

// === impl Value ===

impl<'s> Value<'s> {
    /// An error about this value.
    pub(crate) fn problem(&self, problem: &str) -> Fault {
        let problem =
            if self.key.is_empty() { problem.to_owned() } else { format!("`{}` {problem}", self.key) };
        Fault::inconsistent(self.class, problem)
    }

    /// A refusal of this value, as a parameter that this build does not know.
    pub(crate) fn unsupported(&self, help: &str) -> Fault {
        let shown = self.show();
        Fault::Unsupported {
            what: format!("`{}` with {}={shown}", self.class, self.key),
            help: Some(help.to_owned()),
        }
    }

    /// The value in short, for messages.
    pub(crate) fn show(&self) -> String {
        match self.record() {
            Record::None => "None".to_owned(),
            Record::Bool(bool) => if *bool { "True" } else { "False" }.to_owned(),
            Record::Int(int) => int.to_string(),
            Record::Float(float) => float.to_string(),
            Record::Text(text) => format!("'{}'", text.chars().take(60).collect::<String>()),
            Record::Class(path) => path.to_string(),
            Record::Instance(instance) => format!("<{}>", instance.class),
            Record::HugeInt => "a huge number".to_owned(),
            Record::Bytes(_) => "bytes".to_owned(),
            Record::List(_) => "a list".to_owned(),
            Record::Tuple(_) => "a tuple".to_owned(),
            Record::Set(_) => "a set".to_owned(),
            Record::Dict(_) => "a dict".to_owned(),
            Record::Array(_) => "an array".to_owned(),
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self.record(), Record::None)
    }

    /// Whether it is a number that is none, which is how Python code says "missing".
    pub(crate) fn is_nan(&self) -> bool {
        self.number().is_ok_and(f64::is_nan)
    }

    pub(crate) fn flag(&self) -> Result<bool, Fault> {
        match self.record() {
            Record::Bool(bool) => Ok(*bool),
            Record::Int(int @ (0 | 1)) => Ok(*int == 1),
            _ => match self.scalar()? {
                Some(array) if array.kind() == Kind::Bool => Ok(array.longs() == Some(vec![1])),
                _ => Err(self.problem("is neither True nor False")),
            },
        }
    }

    pub(crate) fn integer(&self) -> Result<i64, Fault> {
        let problem = || self.problem("is no whole number");
        match self.record() {
            Record::Int(int) => Ok(*int),
            Record::Bool(bool) => Ok(i64::from(*bool)),
            _ => {
                let array = self.scalar()?.ok_or_else(problem)?;
                array.longs().and_then(|longs| longs.first().copied()).ok_or_else(problem)
            }
        }
    }

    /// A whole number that counts something.
    pub(crate) fn count(&self) -> Result<usize, Fault> {
        usize::try_from(self.integer()?).map_err(|_| self.problem("is negative"))
    }

    pub(crate) fn number(&self) -> Result<f64, Fault> {
        let problem = || self.problem("is no number");
        match self.record() {
            Record::Float(float) => Ok(*float),
            Record::Int(int) => Ok(*int as f64),
            Record::Bool(bool) => Ok(f64::from(*bool)),
            _ => {
                let array = self.scalar()?.ok_or_else(problem)?;
                array.doubles().and_then(|doubles| doubles.first().copied()).ok_or_else(problem)
            }
        }
    }

    /// A text; numpy has texts of its own.
    pub(crate) fn text(&self) -> Result<Cow<'s, str>, Fault> {
        if let Record::Text(text) = self.record() {
            return Ok(Cow::Borrowed(text));
        }
        let texts = self.scalar()?.and_then(|array| array.texts());
        let text = texts.and_then(|mut texts| texts.pop());
        text.map(Cow::Owned).ok_or_else(|| self.problem("is no text"))
    }

    /// Whether it is this text.
    pub(crate) fn is_text(&self, text: &str) -> bool {
        matches!(self.record(), Record::Text(own) if own == text)
    }

    /// The `module.name` of a class or function, if it is one.
    pub(crate) fn class_path(&self) -> Option<&'s str> {
        match self.record() {
            Record::Class(path) => Some(path),
            _ => None,
        }
    }

    /// The elements of a list, a tuple, or an array of objects.
    pub(crate) fn items(&self) -> Result<Vec<Value<'s>>, Fault> {
        let ids: Cow<'s, [Id]> = match self.source.records.sequence(self.id) {
            Some(ids) => Cow::Borrowed(ids),
            None => {
                let array = self.array()?;
                Cow::Owned(array.object_ids().ok_or_else(|| self.problem("is no list"))?)
            }
        };
        self.source.take(ids.len() * size_of::<Value<'_>>())?;
        Ok(ids.iter().map(|id| Value { id: *id, ..*self }).collect())
    }

    /// The keys and values of a dict, of any class.
    pub(crate) fn pairs(&self) -> Result<Vec<(Value<'s>, Value<'s>)>, Fault> {
        let pairs = match self.record() {
            Record::Dict(pairs) => pairs,
            Record::Instance(instance) if !instance.pairs.is_empty() => &instance.pairs,
            _ => return Err(self.problem("is no dict")),
        };
        self.source.take(pairs.len() * 2 * size_of::<Value<'_>>())?;
        Ok(pairs
            .iter()
            .map(|(key, value)| (Value { id: *key, ..*self }, Value { id: *value, ..*self }))
            .collect())
    }

    /// An array of numpy.
    pub(crate) fn array(&self) -> Result<Cow<'s, Array<'s>>, Fault> {
        let array = Array::from_records(&self.source.records, self.id)?;
        let array = array.ok_or_else(|| self.problem("is no array"))?;
        self.source.take(array.len().saturating_mul(array.item_size().max(size_of::<f64>())))?;
        Ok(array)
    }

    /// The numbers of an array, the last index running fastest, or of a list.
    pub(crate) fn numbers(&self) -> Result<Vec<f64>, Fault> {
        if self.source.records.sequence(self.id).is_some() {
            return self.items()?.iter().map(Value::number).collect();
        }
        let array = self.array()?;
        if let Some(doubles) = array.doubles() {
            return Ok(doubles);
        }
        self.items()?.iter().map(Value::number).collect()
    }

    /// The whole numbers of an array or list.
    pub(crate) fn integers(&self) -> Result<Vec<i64>, Fault> {
        if self.source.records.sequence(self.id).is_some() {
            return self.items()?.iter().map(Value::integer).collect();
        }
        let array = self.array()?;
        if let Some(longs) = array.longs() {
            return Ok(longs);
        }
        self.items()?.iter().map(Value::integer).collect()
    }

    /// Numbers that must be this many.
    pub(crate) fn n_numbers(&self, n: usize) -> Result<Vec<f64>, Fault> {
        let numbers = self.numbers()?;
        if numbers.len() != n {
            return Err(self.problem(&format!("has {} values instead of {n}", numbers.len())));
        }
        Ok(numbers)
    }

    /// The texts of an array or list.
    pub(crate) fn texts(&self) -> Result<Vec<String>, Fault> {
        if self.source.records.sequence(self.id).is_none()
            && let Some(texts) = self.array()?.texts()
        {
            return Ok(texts);
        }
        self.items()?.iter().map(|item| item.text().map(Cow::into_owned)).collect()
    }

    /// A two-dimensional array, or a sparse matrix of scipy in compressed rows.
    pub(crate) fn grid(&self) -> Result<Grid, Fault> {
        if let Record::Instance(instance) = self.record()
            && instance.class.starts_with("scipy.sparse.")
        {
            return self.object()?.sparse_rows();
        }
        let array = self.array()?;
        let [n_rows, n_columns] = array.shape[..] else { return Err(self.problem("is no table of numbers")) };
        let values = array.doubles().ok_or_else(|| self.problem("holds no numbers"))?;
        Ok(Grid { n_rows, n_columns, values })
    }

    /// Class labels, in the type they have in Python.
    pub(crate) fn labels(&self) -> Result<Data, Fault> {
        let array = self.array()?;
        if array.shape.len() != 1 {
            return Err(self.problem("is no list of classes"));
        }
        let labels = match (array.kind(), array.item_size()) {
            (Kind::Bool, _) => {
                array.longs().map(|longs| Data::Boolean(longs.iter().map(|long| *long == 1).collect()))
            }
            (Kind::Int, 4) => {
                let narrow =
                    |longs: Vec<i64>| longs.into_iter().map(i32::try_from).collect::<Result<_, _>>().ok();
                array.longs().and_then(narrow).map(Data::Integer)
            }
            (Kind::Int | Kind::Uint, _) => array.longs().map(Data::Long),
            (Kind::Float, _) => array.doubles().map(Data::Double),
            (Kind::Text | Kind::Bytes, _) => array.texts().map(Data::Text),
            (Kind::Object, _) => return self.object_labels(),
            (Kind::Struct | Kind::Opaque, _) => None,
        };
        labels.ok_or_else(|| self.problem("holds classes of an unknown type"))
    }

    fn object_labels(&self) -> Result<Data, Fault> {
        let items = self.items()?;
        let records = || items.iter().map(Value::record);
        if records().all(|record| matches!(record, Record::Bool(_))) {
            return items.iter().map(Value::flag).collect::<Result<_, _>>().map(Data::Boolean);
        }
        if records().all(|record| matches!(record, Record::Int(_))) {
            return items.iter().map(Value::integer).collect::<Result<_, _>>().map(Data::Long);
        }
        if records().all(|record| matches!(record, Record::Float(_) | Record::Int(_))) {
            return items.iter().map(Value::number).collect::<Result<_, _>>().map(Data::Double);
        }
        self.texts().map(Data::Text)
    }

    /// An object with attributes.
    pub(crate) fn object(&self) -> Result<Object<'s>, Fault> {
        let records = &self.source.records;
        let Record::Instance(instance) = self.record() else { return Err(self.problem("is no object")) };
        let mut attributes = HashMap::new();
        // Classes with `__slots__` have a pair of dicts.
        let parts = match instance.state {
            None => Vec::new(),
            Some(state) => records.sequence(state).map_or_else(|| vec![state], <[Id]>::to_vec),
        };
        for part in parts.into_iter().take(2) {
            let Record::Dict(pairs) = records.get(part) else { continue };
            self.source.take(pairs.len() * size_of::<(&str, Id)>())?;
            attributes.extend(pairs.iter().filter_map(|(key, value)| Some((records.text(*key)?, *value))));
        }
        Ok(Object { source: self.source, class: &instance.class, attributes, read: RefCell::default() })
    }

    /// The state of an object as a list, for those few that have no attributes.
    pub(crate) fn state_items(&self) -> Result<Vec<Value<'s>>, Fault> {
        match self.record() {
            Record::Instance(instance) if let Some(state) = instance.state => {
                Value { id: state, ..*self }.items()
            }
            _ => Err(self.problem("has no state")),
        }
    }

    /// Reads an object that may have further ones inside, which `read` may read the same way.
    pub(crate) fn nested<T>(&self, read: impl FnOnce(Object<'s>) -> Result<T, Fault>) -> Result<T, Fault> {
        let object = self.object()?;
        let depth = self.source.nesting.get();
        if depth >= MAX_NESTING {
            return Err(Fault::TooLarge { what: "estimators inside each other", limit: MAX_NESTING as u64 });
        }
        let version = object.find("_sklearn_version").and_then(|version| version.text().ok());
        let version = version.map(|version| version.chars().take(32).collect());
        self.source.outline.borrow_mut().push(Outline { depth, class: object.class.to_owned(), version });
        self.source.nesting.set(depth + 1);
        let result = read(object);
        self.source.nesting.set(depth);
        result
    }

    /// What the constructor of an object was given.
    pub(crate) fn arguments(&self) -> Result<Vec<Value<'s>>, Fault> {
        let Record::Instance(instance) = self.record() else { return Err(self.problem("is no object")) };
        Value { id: instance.arguments, ..*self }.items()
    }

    pub(crate) fn record(&self) -> &'s Record<'s> {
        self.source.records.get(self.id)
    }

    /// A number or text of numpy's own type, or an array of just one.
    fn scalar(&self) -> Result<Option<Cow<'s, Array<'s>>>, Fault> {
        let array = Array::from_records(&self.source.records, self.id)?;
        Ok(array.filter(|array| array.len() == 1))
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
        let found = keys.iter().filter_map(|key| self.find(key)).next();
        found.ok_or_else(|| self.problem(format!("`{}` is missing; was the model fitted?", keys[0])))
    }

    /// A truth value that older versions do not have.
    pub(crate) fn flag_or(&self, key: &'static str, default: bool) -> Result<bool, Fault> {
        self.some(key).map_or(Ok(default), |value| value.flag())
    }

    /// A number of columns, by the first of several attributes that is there.
    pub(crate) fn n_columns(&self, keys: &[&'static str]) -> Result<Option<usize>, Fault> {
        let Some(value) = keys.iter().filter_map(|key| self.some(key)).next() else { return Ok(None) };
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

    /// Attributes that nobody read, in order.
    pub(crate) fn unread(&self) -> Vec<&'s str> {
        let read = self.read.borrow();
        let mut unread: Vec<&str> =
            self.attributes.keys().copied().filter(|key| !read.contains(key)).collect();
        unread.sort_unstable();
        unread
    }

    /// A matrix of scipy in compressed rows, written out.
    fn sparse_rows(&self) -> Result<Grid, Fault> {
        let problem = || self.problem("it is no sparse matrix in compressed rows");
        let is_rows = matches!(self.name(), "csr_matrix" | "csr_array");
        let shape = self.get_any(&["_shape", "shape"])?.integers()?;
        let (true, &[n_rows, n_columns]) = (is_rows, &shape[..]) else { return Err(problem()) };
        let sizes = (usize::try_from(n_rows), usize::try_from(n_columns));
        let (Ok(n_rows), Ok(n_columns)) = sizes else { return Err(problem()) };
        let n_values = n_rows.checked_mul(n_columns).ok_or_else(problem)?;
        self.source.take(n_values.saturating_mul(size_of::<f64>()))?;

        let entries = self.get("data")?.numbers()?;
        let columns = self.get("indices")?.integers()?;
        let starts = self.get("indptr")?.integers()?;
        let mut values = vec![0.0; n_values];
        let mut start = 0;
        for row in 0..n_rows {
            let Some(&end) = starts.get(row + 1).filter(|end| **end >= start) else { return Err(problem()) };
            for entry in start..end {
                let entry = usize::try_from(entry).ok();
                let column = entry.and_then(|entry| usize::try_from(*columns.get(entry)?).ok());
                let number = entry.and_then(|entry| entries.get(entry));
                let (Some(column), Some(number)) = (column.filter(|column| *column < n_columns), number)
                else {
                    return Err(problem());
                };
                values[row * n_columns + column] += number;
            }
            start = end;
        }
        Ok(Grid { n_rows, n_columns, values })
    }
}
