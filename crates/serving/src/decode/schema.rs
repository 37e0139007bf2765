//! What a model takes, made ready for reading.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use models::{DataType, Field, Inputs, NamedInput, Signature, folded, position_in_name};

/// What a model takes, made ready for reading.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Schema {
    inputs: Inputs,
    is_declared: bool,
    /// Whether the columns have names. Names that are made up for want of any do not count.
    has_names: bool,
    /// The type of all columns, when the model takes rows of numbers in their order.
    numbers: Option<DataType>,
    /// The names as JSON has them; empty where there is more than one way to write it.
    quoted: Vec<Vec<u8>>,
    positions: HashMap<String, usize>,
    /// The first column of each input that the model's file names and that has several, and how many it has.
    inputs_of_columns: HashMap<String, (usize, usize)>,
    /// Positions by [`folded`] name, when names are taken leniently.
    folded_positions: Option<HashMap<Vec<u8>, usize>>,
    /// The names of the columns that the model knows and does not use.
    unused: HashSet<String>,
    /// For each column that the model was fitted with: its position, if it is used. None when all are.
    of_full_rows: Vec<Option<usize>>,
}

/// How many columns a request may number when the model does not say how many it takes.
const MOST_UNCOUNTED_COLUMNS: usize = 4096;

impl Schema {
    /// The schema of a signature. When lenient, `fixed_acidity` stands for a column `fixed acidity`.
    pub(crate) fn new(signature: &Signature, is_lenient: bool) -> Self {
        let (fields, numbers) = match &signature.inputs {
            Inputs::Columns(fields) => (fields.as_slice(), None),
            Inputs::Matrix { datatype, .. } => (Default::default(), Some(*datatype)),
        };
        let folded_positions = || fields.iter().map(|field| folded(&field.name)).zip(0..).collect();
        Self {
            inputs: signature.inputs.clone(),
            is_declared: signature.is_declared,
            has_names: matches!(signature.inputs, Inputs::Columns(_)),
            numbers,
            quoted: fields.iter().map(|field| quoted(&field.name)).collect(),
            positions: fields.iter().map(|field| field.name.clone()).zip(0..).collect(),
            inputs_of_columns: HashMap::new(),
            folded_positions: is_lenient.then(folded_positions),
            unused: HashSet::new(),
            of_full_rows: Vec::new(),
        }
    }

    /// The same schema of a model that was fitted with these columns, of which it may not use all. People have rows with all
    /// of them, and they are taken; that they are asked for the others would be for nothing.
    pub(crate) fn with_columns<'c>(mut self, columns: impl Iterator<Item = &'c str>) -> Self {
        let columns: Vec<(&str, Option<usize>)> =
            columns.map(|name| (name, self.positions.get(name).copied())).collect();
        let unused = columns.iter().filter(|(_, position)| position.is_none());
        self.unused = unused.map(|(name, _)| (*name).to_owned()).collect();
        let is_full = columns.iter().flat_map(|(_, position)| position).count() == self.fields().len();
        if is_full && !self.unused.is_empty() && !self.is_declared {
            self.of_full_rows = columns.into_iter().map(|(_, position)| position).collect();
        }
        self
    }

    /// Whether the model knows a column and does not use it.
    pub(super) fn is_unused(&self, name: &str) -> bool {
        let is_it = |known: &String| folded(known) == folded(name);
        self.unused.contains(name) || self.folded_positions.is_some() && self.unused.iter().any(is_it)
    }

    /// The columns that the model knows and does not use.
    pub(super) fn unused(&self) -> impl Iterator<Item = &str> {
        self.unused.iter().map(String::as_str)
    }

    /// Whether rows may have values of columns that the model knows and does not use.
    pub(super) fn has_full_rows(&self) -> bool {
        !self.of_full_rows.is_empty()
    }

    /// The positions of the values of a row without names that has so many of them: of all columns that the model uses, or
    /// of all that it was fitted with.
    pub(super) fn positions_of_row(&self, n_values: usize) -> Cow<'_, [Option<usize>]> {
        let n_used = self.fields().len();
        match self.has_full_rows() && n_values != n_used {
            true => Cow::Borrowed(&self.of_full_rows),
            false => (0..n_used).map(Some).collect(),
        }
    }

    /// The same schema of a model whose file names its inputs, of which each may be several columns.
    pub(crate) fn with_inputs(mut self, inputs: &[NamedInput]) -> Self {
        let mut first = 0;
        for input in inputs.iter().filter(|_| inputs.len() > 1) {
            let n_columns = input.n_columns.unwrap_or(1);
            if n_columns > 1 {
                self.inputs_of_columns.insert(input.name.clone(), (first, n_columns));
            }
            first += n_columns;
        }
        self
    }

    /// The first column of an input that has several, and how many it has.
    pub(super) fn input(&self, name: &str) -> Option<(usize, usize)> {
        self.inputs_of_columns.get(name).copied()
    }

    /// The same schema of a model that was saved without names for its columns: those it has are made up.
    pub(crate) fn without_names(self) -> Self {
        Self { has_names: false, ..self }
    }

    /// The same schema of a model that takes its columns in their order, and without their names, if all are of one type
    /// of numbers.
    pub(crate) fn in_order(mut self) -> Self {
        let first = self.fields().first().map(|field| field.datatype);
        let is_number = matches!(first, Some(DataType::Double | DataType::Float));
        let is_uniform =
            self.fields().iter().all(|field| Some(field.datatype) == first && field.default.is_none());
        if is_number && is_uniform {
            self.numbers = first;
        }
        self
    }

    /// The columns in order; none when the model takes rows of numbers.
    pub(crate) fn fields(&self) -> &[Field] {
        match &self.inputs {
            Inputs::Columns(fields) => fields,
            Inputs::Matrix { .. } => &[],
        }
    }

    /// The type of all numbers, when the model takes rows of numbers.
    pub(crate) fn matrix(&self) -> Option<DataType> {
        match self.inputs {
            Inputs::Columns(_) => None,
            Inputs::Matrix { datatype, .. } => Some(datatype),
        }
    }

    /// The type of all numbers, when the model takes rows of numbers, whether it has names for its columns or not.
    pub(super) fn numbers(&self) -> Option<DataType> {
        self.numbers
    }

    /// Whether the columns have names. The columns of a model without are known by where they stand.
    pub(crate) fn has_names(&self) -> bool {
        self.has_names
    }

    /// The position of the column that is called so in a request, of a model whose columns have no names: of the only column,
    /// or where the name says by itself.
    pub(super) fn position_without_names(&self, name: &str) -> Option<usize> {
        match self.n_columns() {
            Some(1) => Some(0),
            n_columns => {
                position_in_name(name).filter(|at| *at < n_columns.unwrap_or(MOST_UNCOUNTED_COLUMNS))
            }
        }
    }

    /// The columns as messages name them.
    pub(crate) fn names(&self) -> Vec<String> {
        match &self.inputs {
            Inputs::Columns(fields) => fields.iter().map(|field| field.name.clone()).collect(),
            Inputs::Matrix { n_columns, .. } => {
                (0..n_columns.unwrap_or(0)).map(|column| format!("x{column}")).collect()
            }
        }
    }

    /// Whether the model file declares what it takes.
    pub(crate) fn is_declared(&self) -> bool {
        self.is_declared
    }

    /// How many columns the model takes, when that is known.
    pub(crate) fn n_columns(&self) -> Option<usize> {
        match &self.inputs {
            Inputs::Columns(fields) => Some(fields.len()),
            Inputs::Matrix { n_columns, .. } => *n_columns,
        }
    }

    /// The name of a column as JSON has it, in quotes, if there is one way to write it.
    #[inline]
    pub(super) fn quoted(&self, position: usize) -> Option<&[u8]> {
        self.quoted.get(position).map(Vec::as_slice).filter(|quoted| !quoted.is_empty())
    }

    /// The position of the column of this name, which is most likely at `guess`.
    #[inline]
    pub(crate) fn position(&self, name: &str, guess: usize) -> Option<usize> {
        if self.fields().get(guess).is_some_and(|field| field.name == name) {
            return Some(guess);
        }
        let exact = self.positions.get(name);
        // LightGBM writes the names that it was given with `_` for each space.
        let exact =
            exact.or_else(|| self.positions.get(&name.contains(' ').then(|| name.replace(' ', "_"))?));
        exact.or_else(|| self.folded_positions.as_ref()?.get(&folded(name))).copied()
    }
}

fn quoted(name: &str) -> Vec<u8> {
    let is_plain = name.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
    if is_plain { format!("\"{name}\"").into_bytes() } else { Vec::new() }
}
