//! `KBinsDiscretizer` and `Binarizer`: numbers by the range they fall in.

use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::Object;
use crate::rows::{Refusal, Rows, Takes};
use crate::sklearn::by_row::{RowTransformer, transforms_rows};

/// What fitting was told.
pub(super) const FIT: &str = "dtype _encoder n_bins n_bins_ quantile_method strategy subsample";

#[derive(Debug)]
struct Bins {
    /// For each column: the edges between the bins.
    edges: Vec<Vec<f64>>,
    /// Whether each bin is a column that is one or zero.
    is_one_hot: bool,
    /// Until 1.0 numbers that are hardly below an edge were above it.
    is_lenient: bool,
}

#[derive(Debug)]
struct Threshold {
    n_columns: Option<usize>,
    threshold: f64,
}

pub(super) fn discretizer(object: &Object<'_>) -> Result<Step, Fault> {
    let is_lenient = object.sklearn_version().is_some_and(|version| version < (1, 1));
    let encode = object.get("encode")?;
    let is_one_hot = match encode.text()?.as_ref() {
        "onehot" | "onehot-dense" => true,
        "ordinal" => false,
        _ => return Err(encode.unsupported("it is `onehot`, `onehot-dense` or `ordinal`")),
    };
    let saved = object.get("bin_edges_")?;
    let between = |mut edges: Vec<f64>| {
        edges.pop();
        edges.drain(..edges.len().min(1));
        edges
    };
    let edges: Vec<Vec<f64>> =
        saved.items()?.iter().map(|edges| edges.numbers().map(between)).collect::<Result<_, _>>()?;
    if edges.iter().any(|edges| !edges.is_sorted()) {
        return Err(saved.problem("are not in order"));
    }
    Ok(transforms_rows(object, Bins { edges, is_one_hot, is_lenient }))
}

pub(super) fn binarizer(object: &Object<'_>) -> Result<Step, Fault> {
    let n_columns = object.n_columns(&["n_features_in_"])?;
    Ok(transformer(Threshold { n_columns, threshold: object.get("threshold")?.number()? }))
}

impl RowTransformer for Bins {
    fn n_inputs(&self) -> usize {
        self.edges.len()
    }

    fn n_outputs(&self) -> usize {
        match self.is_one_hot {
            true => self.edges.iter().map(|edges| edges.len() + 1).sum(),
            false => self.edges.len(),
        }
    }

    fn hint(&self, column: usize) -> Hint {
        let edge = self.edges.get(column).and_then(|edges| edges.first());
        edge.map_or_else(Hint::default, |edge| Hint::number(*edge))
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        for (x, edges) in row.iter().zip(&self.edges) {
            let x = if self.is_lenient { x + (1e-8 + 1e-5 * x.abs()) } else { *x };
            let bin = edges.partition_point(|edge| *edge <= x);
            if self.is_one_hot {
                transformed.extend((0..=edges.len()).map(|index| f64::from(index == bin)));
            } else {
                transformed.push(bin as f64);
            }
        }
    }
}

impl Part for Threshold {
    fn n_inputs(&self) -> Option<usize> {
        self.n_columns
    }
}

impl Transformer for Threshold {
    fn n_outputs(&self, n_inputs: usize) -> usize {
        n_inputs
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let mut matrix = rows.into_matrix(Takes::Finite, "Binarizer")?;
        matrix.values.to_mut().iter_mut().for_each(|x| *x = f64::from(*x > self.threshold));
        Ok(Rows::Matrix(matrix))
    }
}
