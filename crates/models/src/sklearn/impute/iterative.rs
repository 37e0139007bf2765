//! `IterativeImputer`: missing values guessed from the others, again and again.

use super::{Missing, MissingIndicator, indicated};
use crate::Method;
use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::Object;
use crate::rows::{Refusal, Rows};
use crate::sklearn::compile;
use crate::sklearn::inner::Inner;

pub(super) const FIT: &str = "\
    estimator _estimator fill_value imputation_order initial_strategy keep_empty_features max_iter \
    n_features_with_missing_ n_nearest_features random_state_ skip_complete _is_empty_feature";

#[derive(Debug)]
struct IterativeImputer {
    n_columns: usize,
    missing: Missing,
    first: Box<dyn Transformer>,
    turns: Vec<Turn>,
    n_rounds: usize,
    limits: Vec<[f64; 2]>,
    indicated: Vec<usize>,
}

/// The guess of one column from others.
#[derive(Debug)]
struct Turn {
    column: usize,
    others: Vec<usize>,
    model: Inner,
}

pub(super) fn iterative_imputer(object: &Object<'_>) -> Result<Step, Fault> {
    let missing = Missing::read(&object.get("missing_values")?)?;
    if missing != Missing::Nothing {
        return Err(object.get("missing_values")?.unsupported("a missing value is NaN"));
    }
    let posterior = object.get("sample_posterior")?;
    if posterior.flag()? {
        return Err(posterior.unsupported("values are not drawn at random"));
    }
    let Step::Transformer(first) = compile(&object.get("initial_imputer_")?, Some("initial_imputer_"))?.step
    else {
        return Err(object.problem("its first imputer does not transform"));
    };
    let n_columns = first.n_inputs().ok_or_else(|| object.problem("its first imputer takes any columns"))?;
    if first.n_outputs(n_columns) != n_columns {
        return Err(Fault::unsupported(format!("`{}` with columns that had no value", object.class())));
    }
    let n_rounds = object.get("n_iter_")?.count()?;
    let saved = object.get("imputation_sequence_")?;
    let mut turns = Vec::new();
    for turn in saved.items()? {
        let [column, others, model] = turn.fields()?[..] else {
            return Err(saved.problem("are not triples"));
        };
        let place = |column: i64| usize::try_from(column).ok().filter(|column| *column < n_columns);
        let others: Option<Vec<usize>> = others.integers()?.into_iter().map(place).collect();
        let (Some(column), Some(others)) = (place(column.integer()?), others) else {
            return Err(saved.problem("name a column that is not there"));
        };
        turns.push(Turn { column, others, model: Inner::read(&model, None)? });
    }
    if n_rounds > 0 && turns.len() % n_rounds != 0 {
        return Err(saved.problem("are not as many in each round"));
    }
    let limit = |saved: &'static str, plain: &'static str, default: f64| match object.find(saved) {
        // Until 0.22 it was one for all columns.
        Some(limit) if limit.number().is_ok() => Ok(vec![limit.number()?; n_columns]),
        Some(numbers) => numbers.n_numbers(n_columns),
        None => object
            .some(plain)
            .map_or(Ok(vec![default; n_columns]), |value| Ok(vec![value.number()?; n_columns])),
    };
    let least = limit("_min_value", "min_value", f64::NEG_INFINITY)?;
    let greatest = limit("_max_value", "max_value", f64::INFINITY)?;
    object.find("min_value");
    object.find("max_value");
    let limits = least.into_iter().zip(greatest).map(|(least, greatest)| [least, greatest]).collect();
    let indicated = indicated(object, &missing, n_columns)?;
    Ok(transformer(IterativeImputer { n_columns, missing, first, turns, n_rounds, limits, indicated }))
}

impl Part for IterativeImputer {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.n_columns)
    }

    fn hint(&self, column: usize) -> Hint {
        self.first.hint(column)
    }
}

impl Transformer for IterativeImputer {
    fn n_outputs(&self, n_inputs: usize) -> usize {
        n_inputs + self.indicated.len()
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let matrix = rows.into_matrix(self.missing.takes(), "IterativeImputer")?;
        let first = self.first.transform(Rows::matrix(matrix.n_rows, matrix.n_columns, &*matrix.values))?;
        let mut filled = first.into_matrix(self.missing.takes(), "IterativeImputer")?.values.into_owned();
        let turns = if self.n_rounds == 0 { &[][..] } else { &self.turns[..] };
        for turn in turns {
            for (row, known) in filled.chunks_exact_mut(self.n_columns.max(1)).zip(matrix.rows()) {
                if !known[turn.column].is_nan() {
                    continue;
                }
                let others: Vec<f64> = turn.others.iter().map(|column| row[*column]).collect();
                let others = Rows::matrix(1, others.len(), others);
                let guess =
                    turn.model.numbers(Method::Predict, &others).map_err(|refusal| refusal.after(1))?;
                let [least, greatest] = self.limits[turn.column];
                row[turn.column] =
                    guess.values.first().map_or(f64::NAN, |guess| guess.max(least).min(greatest));
            }
        }
        let n_outputs = self.n_outputs(self.n_columns);
        let mut values = Vec::with_capacity(matrix.n_rows * n_outputs);
        for (row, known) in filled.chunks_exact(self.n_columns.max(1)).zip(matrix.rows()) {
            values.extend_from_slice(row);
            values.extend(MissingIndicator::flags(&self.indicated, known));
        }
        Ok(Rows::matrix(matrix.n_rows, n_outputs, values))
    }
}
