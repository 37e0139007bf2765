//! What a model takes, made ready for reading.

use std::collections::HashMap;

use models::{DataType, Field, Inputs, Signature};

use crate::fault::folded;

/// What a model takes, made ready for reading.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Schema {
    inputs: Inputs,
    is_declared: bool,
    positions: HashMap<String, usize>,
    /// Positions by [`folded`] name, when names are taken leniently.
    folded_positions: Option<HashMap<Vec<u8>, usize>>,
}

impl Schema {
    /// The schema of a signature. When lenient, `fixed_acidity` stands for a column `fixed acidity`.
    pub(crate) fn new(signature: &Signature, is_lenient: bool) -> Self {
        let mut schema = Self {
            inputs: signature.inputs.clone(),
            is_declared: signature.is_declared,
            positions: HashMap::new(),
            folded_positions: None,
        };
        let names = schema.fields().iter().map(|field| field.name.clone()).zip(0..);
        let folded_names = schema.fields().iter().map(|field| folded(&field.name)).zip(0..);
        let folded_positions = is_lenient.then(|| folded_names.collect());
        schema.positions = names.collect();
        schema.folded_positions = folded_positions;
        schema
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

    /// The position of the column of this name, which is most likely at `guess`.
    #[inline]
    pub(crate) fn position(&self, name: &str, guess: usize) -> Option<usize> {
        if self.fields().get(guess).is_some_and(|field| field.name == name) {
            return Some(guess);
        }
        let exact = self.positions.get(name);
        exact.or_else(|| self.folded_positions.as_ref()?.get(&folded(name))).copied()
    }
}
