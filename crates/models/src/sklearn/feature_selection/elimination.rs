//! `RFE` and `RFECV`: the columns that were left, and the estimator that was fitted with them.

use super::{Selection, support};
use crate::estimator::{Hint, Part, Predictor, Step, Transformer, predictor, transformer};
use crate::fault::Fault;
use crate::object::Object;
use crate::rows::{Refusal, Rows, Takes};
use crate::sklearn::compile;
use crate::{Data, Method, Prediction};

#[derive(Debug)]
struct Elimination {
    selection: Selection,
    last: Box<dyn Predictor>,
}

/// A predictor that can transform. In a pipeline nobody asks the estimator, and it may be one that is not known.
pub(super) fn elimination(object: &Object<'_>) -> Result<Step, Fault> {
    let selection = Selection::new(object, &support(object)?, Takes::Missing);
    let last = object.some("estimator_").and_then(|estimator| compile(&estimator, Some("estimator_")).ok());
    Ok(match last.map(|last| last.step) {
        Some(Step::Predictor(mut last)) if last.n_inputs().is_none_or(|n| n == selection.kept.len()) => {
            last.forget_leaves();
            predictor(Elimination { selection, last })
        }
        _ => transformer(selection),
    })
}

impl Part for Elimination {
    fn n_inputs(&self) -> Option<usize> {
        self.selection.n_inputs()
    }

    fn hint(&self, column: usize) -> Hint {
        self.selection.hint(column)
    }
}

impl Predictor for Elimination {
    fn methods(&self) -> Vec<Method> {
        let own = self.last.methods().into_iter().filter(|method| *method != Method::Transform);
        own.chain([Method::Transform]).collect()
    }

    fn classes(&self) -> Option<&Data> {
        self.last.classes()
    }

    fn widest(&self, n_inputs: usize) -> usize {
        n_inputs.max(self.last.widest(self.selection.kept.len()))
    }

    fn take_sparse(&mut self) {
        self.last.take_sparse();
    }

    fn rows_are_independent(&self) -> bool {
        self.last.rows_are_independent()
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let rows = self.selection.transform(rows)?;
        if method != Method::Transform {
            return self.last.predict(method, rows);
        }
        let matrix = rows.into_matrix(Takes::Missing, "a selection of columns")?;
        Ok(Prediction::rows(matrix.n_columns, Data::Double(matrix.values.into_owned())))
    }
}
