//! `Normalizer`: each row stretched to the same length.

use crate::estimator::{Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::rows::{Refusal, Rows, Takes};

#[derive(Debug)]
struct Normalizer {
    n_columns: Option<usize>,
    norm: Norm,
}

/// What the length of a row is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::sklearn) enum Norm {
    Manhattan,
    Euclidean,
    Largest,
}

pub(super) fn normalizer(object: &Object<'_>) -> Result<Step, Fault> {
    let norm = Norm::read(&object.get("norm")?)?;
    Ok(transformer(Normalizer { n_columns: object.n_columns(&["n_features_in_"])?, norm }))
}

impl Norm {
    pub(in crate::sklearn) fn read(value: &Value<'_>) -> Result<Self, Fault> {
        Ok(match value.text()?.as_ref() {
            "l1" => Self::Manhattan,
            "l2" => Self::Euclidean,
            "max" => Self::Largest,
            _ => return Err(value.unsupported("it is `l1`, `l2` or `max`")),
        })
    }

    /// Stretches a row, unless it is all zero.
    pub(in crate::sklearn) fn apply(self, row: &mut [f64]) {
        let length = match self {
            Self::Manhattan => row.iter().map(|x| x.abs()).sum(),
            Self::Euclidean => row.iter().map(|x| x * x).sum::<f64>().sqrt(),
            Self::Largest => row.iter().fold(0.0, |largest, x| f64::max(largest, x.abs())),
        };
        if length != 0.0 {
            row.iter_mut().for_each(|x| *x /= length);
        }
    }
}

impl Part for Normalizer {
    fn n_inputs(&self) -> Option<usize> {
        self.n_columns
    }
}

impl Transformer for Normalizer {
    fn n_outputs(&self, n_inputs: usize) -> usize {
        n_inputs
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let mut matrix = rows.into_matrix(Takes::Finite, "Normalizer")?;
        let n_columns = matrix.n_columns.max(1);
        matrix.values.to_mut().chunks_exact_mut(n_columns).for_each(|row| self.norm.apply(row));
        Ok(Rows::Matrix(matrix))
    }
}
