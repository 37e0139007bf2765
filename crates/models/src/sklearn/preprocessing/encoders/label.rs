//! `LabelEncoder` and `LabelBinarizer`: classes to numbers (`sklearn/preprocessing/_label.py`). They are for targets, but
//! some are saved by themselves.

use super::categories::Categories;
use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::Object;
use crate::rows::{Refusal, Rows};

/// What fitting found of the targets.
pub(in crate::sklearn::preprocessing) const FIT: &str = "sparse_input_";

#[derive(Debug)]
struct Labels {
    classes: Categories,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// The place of the class.
    Place,
    /// A column per class, or just one for the second of two: what is in it, and what in others.
    Columns { positive: f64, negative: f64, gives_sparse: bool },
}

pub(in crate::sklearn::preprocessing) fn encoder(object: &Object<'_>) -> Result<Step, Fault> {
    Ok(transformer(Labels { classes: Categories::read(&object.get("classes_")?)?, form: Form::Place }))
}

pub(in crate::sklearn::preprocessing) fn binarizer(object: &Object<'_>) -> Result<Step, Fault> {
    let kind = object.get("y_type_")?;
    if !kind.is_text("binary") && !kind.is_text("multiclass") {
        return Err(kind.unsupported("targets are one class"));
    }
    let classes = Categories::read(&object.get("classes_")?)?;
    if classes.n_categories < 2 {
        return Err(object.problem("it has less than two classes"));
    }
    let [negative, positive] = ["neg_label", "pos_label"].map(|key| object.get(key)?.number());
    let gives_sparse = object.flag_or("sparse_output", false)?;
    let form = Form::Columns { positive: positive?, negative: negative?, gives_sparse };
    Ok(transformer(Labels { classes, form }))
}

impl Part for Labels {
    fn n_inputs(&self) -> Option<usize> {
        Some(1)
    }

    fn hint(&self, _column: usize) -> Hint {
        self.classes.hint()
    }
}

impl Transformer for Labels {
    fn n_outputs(&self, _n_inputs: usize) -> usize {
        match (&self.form, self.classes.n_categories) {
            (Form::Place, _) | (_, 2) => 1,
            (_, n_classes) => n_classes,
        }
    }

    fn gives_sparse(&self, _takes_sparse: bool) -> bool {
        matches!(self.form, Form::Columns { gives_sparse: true, .. })
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let (n_rows, n_outputs) = (rows.n_rows(), self.n_outputs(1));
        let mut values = Vec::with_capacity(n_rows * n_outputs);
        for row in 0..n_rows {
            let cell = rows.cell(row, 0);
            let class = self.classes.find(cell);
            match self.form {
                Form::Place => values.push(class.ok_or_else(|| self.classes.unknown(cell, row, 0))? as f64),
                // A class that is not known is none of them.
                Form::Columns { positive, negative, .. } => {
                    let first = usize::from(n_outputs == 1);
                    let is_own = |output: usize| class == Some(first + output);
                    values.extend(
                        (0..n_outputs).map(|output| if is_own(output) { positive } else { negative }),
                    );
                }
            }
        }
        Ok(Rows::matrix(n_rows, n_outputs, values))
    }
}
