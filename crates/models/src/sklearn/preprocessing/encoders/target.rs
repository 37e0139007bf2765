//! `TargetEncoder`: for each category the mean of what it was fitted to predict.

use super::{Categories, check_finite};
use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::rows::{Refusal, Rows};

/// What fitting was told.
pub(in crate::sklearn::preprocessing) const FIT: &str =
    "categories classes_ cv _infrequent_enabled shuffle smooth target_type";

#[derive(Debug)]
struct TargetEncoder {
    columns: Vec<Categories>,
    /// For each column, one per target: the means by category.
    means: Vec<Vec<f64>>,
    /// For each target: the mean of all, which is that of an unknown category.
    mean_of_all: Vec<f64>,
}

pub(in crate::sklearn::preprocessing) fn target_encoder(object: &Object<'_>) -> Result<Step, Fault> {
    let columns = super::categories(object)?;
    let kind = object.get("target_type_")?;
    let mean = object.get("target_mean_")?;
    let mean_of_all = match kind.text()?.as_ref() {
        "continuous" | "binary" => vec![mean.number().or_else(|_| mean.n_numbers(1).map(|means| means[0]))?],
        "multiclass" => mean.numbers()?,
        _ => return Err(kind.unsupported("it is `continuous`, `binary` or `multiclass`")),
    };
    let saved = object.get("encodings_")?;
    let means: Vec<Vec<f64>> = saved.items()?.iter().map(Value::numbers).collect::<Result<_, _>>()?;
    let n_targets = mean_of_all.len();
    let fits = |(index, means): (usize, &Vec<f64>)| {
        columns.get(index / n_targets.max(1)).is_some_and(|column| column.n_categories == means.len())
    };
    if means.len() != columns.len() * n_targets || !means.iter().enumerate().all(fits) {
        return Err(saved.problem("do not fit the categories"));
    }
    Ok(transformer(TargetEncoder { columns, means, mean_of_all }))
}

impl Part for TargetEncoder {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.columns.len())
    }

    fn hint(&self, column: usize) -> Hint {
        self.columns.get(column).map_or_else(Hint::unused, Categories::hint)
    }
}

impl Transformer for TargetEncoder {
    fn knows_none(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|column| column.none.is_some())
    }

    fn n_outputs(&self, n_inputs: usize) -> usize {
        n_inputs * self.mean_of_all.len()
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let n_targets = self.mean_of_all.len();
        let mut values = Vec::with_capacity(rows.n_rows() * self.means.len());
        for row in 0..rows.n_rows() {
            for (index, column) in self.columns.iter().enumerate() {
                let cell = rows.cell(row, index);
                check_finite(cell, "TargetEncoder", row, index)?;
                let category = column.find(cell);
                let of_target = self.means[index * n_targets..][..n_targets].iter().zip(&self.mean_of_all);
                values
                    .extend(of_target.map(|(means, of_all)| category.map_or(*of_all, |place| means[place])));
            }
        }
        Ok(Rows::matrix(rows.n_rows(), self.means.len(), values))
    }
}
