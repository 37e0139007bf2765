//! One value of a file, read as what is expected.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use super::{ESTIMATOR_BYTES, Grid, MAX_NESTING, Object, Outline, Source};
use crate::Data;
use crate::fault::Fault;
use crate::formats::numpy::{Array, Kind};
use crate::record::{Id, Record};

/// One value of a file, and the attribute it was found in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'s> {
    pub(super) source: &'s Source<'s>,
    pub(super) id: Id,
    /// The class and attribute, for errors.
    pub(super) class: &'s str,
    pub(super) key: &'s str,
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

    /// Whether it is what the file was saved for.
    pub(crate) fn is_root(&self) -> bool {
        self.key.is_empty()
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

    /// Bytes, as libraries keep a model of their own in.
    pub(crate) fn bytes(&self) -> Result<&'s [u8], Fault> {
        self.source.records.bytes(self.id).ok_or_else(|| self.problem("is no list of bytes"))
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

    /// The `module.name` of the class of an object, if it is one.
    pub(crate) fn class_name(&self) -> Option<&'s str> {
        match self.record() {
            Record::Instance(instance) => Some(&instance.class),
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

    /// The texts of a list, an array or a set.
    pub(crate) fn elements(&self) -> Result<Vec<String>, Fault> {
        let ids = match self.record() {
            Record::Set(ids) => ids,
            Record::Instance(instance)
                if matches!(&*instance.class, "builtins.frozenset" | "builtins.set") =>
            {
                let arguments = self.arguments()?;
                return arguments.first().map_or(Ok(Vec::new()), Self::texts);
            }
            _ => return self.texts(),
        };
        self.source.take(ids.len() * size_of::<Value<'_>>())?;
        let text = |id: &Id| Value { id: *id, ..*self }.text().map(Cow::into_owned);
        ids.iter().map(text).collect()
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
        if array.shape.len() != 1 || array.len() == 0 {
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
        let parts = instance.state.as_slice();
        let parts = instance.state.and_then(|state| records.sequence(state)).unwrap_or(parts);
        for part in parts.iter().take(2) {
            let Record::Dict(pairs) = records.get(*part) else { continue };
            self.source.take(pairs.len() * size_of::<(&str, Id)>())?;
            attributes.extend(pairs.iter().filter_map(|(key, value)| Some((records.text(*key)?, *value))));
        }
        Ok(Object {
            source: self.source,
            class: &instance.class,
            attributes,
            read: RefCell::default(),
            forgiven: RefCell::default(),
        })
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

    /// Reads an object that may have further ones inside, which `read` may read the same way. `name` is what the one
    /// around it calls it.
    pub(crate) fn nested<T>(
        &self,
        name: Option<&str>,
        read: impl FnOnce(Object<'s>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let object = self.object()?;
        let depth = self.source.nesting.get();
        if depth >= MAX_NESTING {
            return Err(Fault::TooLarge { what: "estimators inside each other", limit: MAX_NESTING as u64 });
        }
        self.source.take(ESTIMATOR_BYTES)?;
        let version = object.find("_sklearn_version").and_then(|version| version.text().ok());
        let version = version.map(|version| version.chars().take(32).collect());
        let name = name.map(str::to_owned);
        self.source.outline.borrow_mut().push(Outline {
            depth,
            name,
            class: object.class.to_owned(),
            version,
        });
        self.source.nesting.set(depth + 1);
        let result = read(object);
        self.source.nesting.set(depth);
        result
    }

    /// The fields of a tuple, which may have a class with names for them.
    pub(crate) fn fields(&self) -> Result<Vec<Value<'s>>, Fault> {
        if matches!(self.record(), Record::Instance(_)) { self.arguments() } else { self.items() }
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
