//! `DictVectorizer`: rows that are maps, each with some of many keys (`sklearn/feature_extraction/_dict_vectorizer.py`).
//!
//! A request is a table whose columns are the keys. A cell that is missing is a key that is not there.

use std::collections::HashMap;

use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::{MAX_COLUMNS, Object};
use crate::rows::{Cell, Refusal, Rows};
use crate::{DataType, Scalar};

/// What fitting was told.
pub(super) const FIT: &str = "dtype feature_names_ sort";

#[derive(Debug)]
struct DictVectorizer {
    names: Vec<String>,
    keys: Vec<Key>,
    n_outputs: usize,
    gives_sparse: bool,
}

/// What becomes of the values of a key.
#[derive(Debug, Default)]
struct Key {
    /// The output of numbers.
    number: Option<usize>,
    /// The output of each text.
    texts: HashMap<String, usize>,
}

pub(super) fn dict_vectorizer(object: &Object<'_>) -> Result<Step, Fault> {
    let vocabulary = object.get("vocabulary_")?;
    let separator = object.get("separator")?.text()?;
    let pairs = vocabulary.pairs()?;
    let n_outputs = pairs.len();
    if n_outputs > MAX_COLUMNS {
        return Err(Fault::TooLarge { what: "columns", limit: MAX_COLUMNS as u64 });
    }
    let mut names: Vec<String> = Vec::new();
    let mut keys: Vec<Key> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (feature, output) in pairs {
        let output = output.count()?;
        if output >= n_outputs {
            return Err(vocabulary.problem("has a column that is not there"));
        }
        let feature = feature.text()?;
        let (name, text) = match feature.split_once(&*separator).filter(|_| !separator.is_empty()) {
            Some((name, text)) => (name, Some(text)),
            None => (&*feature, None),
        };
        let place = *places.entry(name.to_owned()).or_insert_with(|| {
            names.push(name.to_owned());
            keys.push(Key::default());
            keys.len() - 1
        });
        match text {
            Some(text) => drop(keys[place].texts.insert(text.to_owned(), output)),
            None => keys[place].number = Some(output),
        }
    }
    let gives_sparse = object.flag_or("sparse", true)?;
    Ok(transformer(DictVectorizer { names, keys, n_outputs, gives_sparse }))
}

impl Part for DictVectorizer {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.keys.len())
    }

    fn hint(&self, column: usize) -> Hint {
        let text = self.keys.get(column).and_then(|key| key.texts.keys().min());
        let hint = text.map_or_else(Hint::default, |text| Hint {
            datatype: DataType::String,
            example: Scalar::Text(text.clone()),
            ..Hint::default()
        });
        Hint { is_optional: true, ..hint }
    }

    fn names(&self) -> Option<&[String]> {
        Some(&self.names)
    }
}

impl Transformer for DictVectorizer {
    fn n_outputs(&self, _n_inputs: usize) -> usize {
        self.n_outputs
    }

    fn gives_sparse(&self, _takes_sparse: bool) -> bool {
        self.gives_sparse
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let n_rows = rows.n_rows();
        let mut values = vec![0.0; n_rows * self.n_outputs];
        for (row, values) in values.chunks_exact_mut(self.n_outputs.max(1)).enumerate() {
            for (index, key) in self.keys.iter().enumerate() {
                let (output, value) = match rows.cell(row, index) {
                    Cell::Text(text) => (key.texts.get(text).copied(), 1.0),
                    Cell::Double(number) => (key.number, number),
                    Cell::Long(number) => (key.number, number as f64),
                    Cell::Boolean(flag) => (key.number, f64::from(flag)),
                    Cell::Missing => (None, 0.0),
                };
                if let Some(output) = output {
                    values[output] += value;
                }
            }
        }
        Ok(Rows::matrix(n_rows, self.n_outputs, values))
    }
}
