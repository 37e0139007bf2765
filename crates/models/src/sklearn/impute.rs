//! `SimpleImputer`: a value in the place of what is missing. `MissingIndicator`: where something was. Imputers that look
//! at other columns have files of their own.

mod iterative;
mod nearest;

use super::{Kind, member};
use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::record::Record;
use crate::rows::{Cell, Column, Refusal, Rows, Table, Takes};
use crate::{DataType, InputProblem, Scalar};

/// What fitting was told; `statistics_` says what became of it.
const FIT: &str = "fill_value _fill_dtype _fit_dtype strategy";
const INDICATOR: &str = "features _precomputed sparse";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.impute.SimpleImputer", ignores: &[FIT], compile: simple_imputer },
    Kind { path: "sklearn.impute.MissingIndicator", ignores: &[INDICATOR], compile: missing_indicator },
    Kind { path: "sklearn.impute.KNNImputer", ignores: &[nearest::FIT], compile: nearest::nearest_imputer },
    Kind {
        path: "sklearn.impute.IterativeImputer",
        ignores: &[iterative::FIT],
        compile: iterative::iterative_imputer,
    },
];

#[derive(Debug)]
struct SimpleImputer {
    missing: Missing,
    /// For each column: what takes the place of a missing value; `None` if the column is left out.
    fills: Vec<Option<Scalar>>,
    /// The columns, counted as they come out, in which None is a value and not a missing one.
    keeps_none: Vec<usize>,
    /// The columns of which a further column says where they were missing.
    indicated: Vec<usize>,
}

#[derive(Debug)]
struct MissingIndicator {
    missing: Missing,
    n_columns: usize,
    indicated: Vec<usize>,
    /// Whether a value may be missing in the other columns.
    refuses_others: bool,
}

/// Which values count as missing.
#[derive(Debug, Clone, PartialEq)]
enum Missing {
    /// NaN, None and `pandas.NA`.
    Nothing,
    Number(f64),
    Text(String),
}

fn simple_imputer(object: &Object<'_>) -> Result<Step, Fault> {
    let missing = Missing::read(&object.get("missing_values")?)?;
    let statistics = object.get("statistics_")?;
    let fills = match statistics.items() {
        Ok(items) => items.iter().map(fill).collect::<Result<Vec<_>, _>>()?,
        Err(_) => statistics.numbers()?.into_iter().map(|number| Some(Scalar::Double(number))).collect(),
    };
    // A column of which nothing was known in fitting has NaN here.
    let is_known = |fill: &Scalar| !matches!(fill, Scalar::Double(number) if number.is_nan());
    let fills: Vec<Option<Scalar>> = fills.into_iter().map(|fill| fill.filter(is_known)).collect();
    let keeps_empty = object.flag_or("keep_empty_features", false)?;
    if keeps_empty && fills.iter().any(Option::is_none) {
        return Err(statistics.problem("have no value for a column that is kept"));
    }
    let indicated = indicated(object, &missing, fills.len())?;
    Ok(transformer(SimpleImputer { missing, fills, keeps_none: Vec::new(), indicated }))
}

/// The columns of which an imputer adds another one that says where they were missing.
fn indicated(object: &Object<'_>, missing: &Missing, n_columns: usize) -> Result<Vec<usize>, Fault> {
    let wants_indicator = object.flag_or("add_indicator", false)?;
    let Some(indicator) = object.some("indicator_").filter(|_| wants_indicator) else {
        return Ok(Vec::new());
    };
    let indicator = member(&indicator, MissingIndicator::read)?;
    if indicator.missing != *missing || indicator.n_columns != n_columns {
        return Err(object.problem("its indicator does not fit it"));
    }
    Ok(indicator.indicated)
}

fn missing_indicator(object: &Object<'_>) -> Result<Step, Fault> {
    MissingIndicator::read(object).map(transformer)
}

/// A value to fill in. None is as good as NaN: the column is left out.
fn fill(value: &Value<'_>) -> Result<Option<Scalar>, Fault> {
    Ok(match value.record() {
        Record::None => None,
        Record::Text(text) => Some(Scalar::Text(text.to_string())),
        Record::Bool(flag) => Some(Scalar::Boolean(*flag)),
        Record::Int(long) => Some(Scalar::Long(*long)),
        _ => match value.number() {
            Ok(number) => Some(Scalar::Double(number)),
            Err(_) => Some(Scalar::Text(value.text()?.into_owned())),
        },
    })
}

// === impl Missing ===

impl Missing {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let is_pandas_na = value.class_path() == Some("pandas._libs.missing.NA");
        if value.is_none() || value.is_nan() || is_pandas_na {
            return Ok(Self::Nothing);
        }
        if let Ok(text) = value.text() {
            return Ok(Self::Text(text.into_owned()));
        }
        value
            .number()
            .map(Self::Number)
            .map_err(|_| value.unsupported("a missing value is NaN, a number or a text"))
    }

    fn is(&self, cell: Cell<'_>) -> bool {
        match (self, cell) {
            (Self::Nothing, Cell::Missing) => true,
            (Self::Number(number), Cell::Double(double)) => double == *number,
            (Self::Number(number), Cell::Long(long)) => long as f64 == *number,
            (Self::Text(text), Cell::Text(own)) => text == own,
            _ => false,
        }
    }

    fn is_number(&self, number: f64) -> bool {
        match self {
            Self::Nothing => number.is_nan(),
            Self::Number(missing) => number == *missing,
            Self::Text(_) => false,
        }
    }

    /// Whether NaN, not being what is filled in, is refused.
    fn takes(&self) -> Takes {
        if *self == Self::Nothing { Takes::Missing } else { Takes::Finite }
    }
}

// === impl SimpleImputer ===

impl Part for SimpleImputer {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.fills.len())
    }

    fn hint(&self, column: usize) -> Hint {
        match self.fills.get(column) {
            Some(Some(Scalar::Double(number))) => Hint::number(*number),
            Some(Some(Scalar::Text(text))) => {
                Hint { datatype: DataType::String, example: Scalar::Text(text.clone()), ..Hint::default() }
            }
            _ => Hint::default(),
        }
    }
}

impl Transformer for SimpleImputer {
    fn keep_none(&mut self, column: usize) {
        self.keeps_none.push(column);
    }

    fn n_outputs(&self, _n_inputs: usize) -> usize {
        self.fills.iter().flatten().count() + self.indicated.len()
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        match rows {
            Rows::Table(table) if table.has_texts() || self.fills_texts() => self.transform_table(&table),
            rows => self.transform_numbers(rows),
        }
    }
}

impl SimpleImputer {
    fn fills_texts(&self) -> bool {
        self.fills.iter().flatten().any(|fill| matches!(fill, Scalar::Text(_)))
    }

    fn transform_numbers<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let matrix = rows.into_matrix(self.missing.takes(), "SimpleImputer")?;
        let is_missing = |value: f64| self.missing.is_number(value);
        let n_columns = self.n_outputs(matrix.n_columns);
        let mut values = Vec::with_capacity(matrix.n_rows * n_columns);
        for (row_index, row) in matrix.rows().enumerate() {
            for (column, (value, fill)) in row.iter().zip(&self.fills).enumerate() {
                values.push(match fill {
                    None => continue,
                    Some(_) if !is_missing(*value) => *value,
                    Some(Scalar::Double(number)) => *number,
                    Some(Scalar::Long(long)) => *long as f64,
                    Some(Scalar::Boolean(flag)) => f64::from(*flag),
                    Some(Scalar::Text(text)) => return Err(cannot_fill(row_index, column, text)),
                });
            }
            values.extend(self.indicated.iter().map(|column| f64::from(is_missing(row[*column]))));
        }
        Ok(Rows::matrix(matrix.n_rows, n_columns, values))
    }

    fn transform_table(&self, table: &Table<'_>) -> Result<Rows<'static>, Refusal> {
        let mut columns = Vec::with_capacity(self.n_outputs(table.columns.len()));
        for (index, (column, fill)) in table.columns.iter().zip(&self.fills).enumerate() {
            columns.push(match fill {
                None => continue,
                Some(_) if self.keeps_none.contains(&columns.len()) => column.with_rows(table.n_rows),
                Some(fill) => self.filled(index, column, fill, table.n_rows)?,
            });
        }
        for column in &self.indicated {
            let is_missing = |row| f64::from(self.missing.is(table.columns[*column].cell(row)));
            columns.push(Column::Double((0..table.n_rows).map(is_missing).collect()));
        }
        Ok(Rows::Table(Table { n_rows: table.n_rows, columns }))
    }

    fn filled(
        &self,
        index: usize,
        column: &Column<'_>,
        fill: &Scalar,
        n_rows: usize,
    ) -> Result<Column<'static>, Refusal> {
        let is_missing = |row| self.missing.is(column.cell(row));
        if let Column::Text { .. } = column {
            let fill = match fill {
                Scalar::Text(text) => text.as_str(),
                _ => match (0..n_rows).find(|row| is_missing(*row)) {
                    None => "",
                    Some(row) => return Err(cannot_fill(row, index, "a number")),
                },
            };
            let text = |row| match column.cell(row) {
                cell if self.missing.is(cell) => Some(fill),
                Cell::Text(text) => Some(text),
                _ => None,
            };
            return Ok(Column::texts((0..n_rows).map(text).collect()));
        }
        let fill = match fill {
            Scalar::Double(number) => *number,
            Scalar::Long(long) => *long as f64,
            Scalar::Boolean(flag) => f64::from(*flag),
            Scalar::Text(text) => match (0..n_rows).find(|row| is_missing(*row)) {
                // A column without any value has no type of its own.
                Some(_) if (0..n_rows).all(is_missing) => {
                    return Ok(Column::texts(std::iter::repeat_n(Some(text.as_str()), n_rows).collect()));
                }
                Some(row) => return Err(cannot_fill(row, index, text)),
                None => f64::NAN,
            },
        };
        let double = |row| if is_missing(row) { fill } else { column.double(row) };
        Ok(Column::Double((0..n_rows).map(double).collect()))
    }
}

// === impl MissingIndicator ===

impl MissingIndicator {
    /// One where a value of these columns is missing, and else zero.
    fn flags<'r>(indicated: &'r [usize], row: &'r [f64]) -> impl Iterator<Item = f64> + 'r {
        indicated.iter().map(|column| f64::from(row[*column].is_nan()))
    }

    fn read(object: &Object<'_>) -> Result<Self, Fault> {
        let n_columns = object.n_columns(&["_n_features", "n_features_in_"])?;
        let n_columns =
            n_columns.ok_or_else(|| object.problem("it does not say how many columns it takes"))?;
        let columns = object.get("features_")?;
        let in_range = |column: i64| usize::try_from(column).ok().filter(|column| *column < n_columns);
        let indicated: Option<Vec<usize>> = columns.integers()?.into_iter().map(in_range).collect();
        Ok(Self {
            missing: Missing::read(&object.get("missing_values")?)?,
            n_columns,
            indicated: indicated.ok_or_else(|| columns.problem("name a column that is not there"))?,
            refuses_others: object.flag_or("error_on_new", true)?,
        })
    }
}

impl Part for MissingIndicator {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.n_columns)
    }
}

impl Transformer for MissingIndicator {
    fn n_outputs(&self, _n_inputs: usize) -> usize {
        self.indicated.len()
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let (n_rows, n_outputs) = (rows.n_rows(), self.indicated.len());
        let mut values = Vec::with_capacity(n_rows * n_outputs);
        for row in 0..n_rows {
            let is_missing = |column: usize| self.missing.is(rows.cell(row, column));
            let other =
                (0..self.n_columns).find(|column| !self.indicated.contains(column) && is_missing(*column));
            if let Some(column) = other.filter(|_| self.refuses_others) {
                let (got, estimator) = ("a missing value", "MissingIndicator".to_owned());
                return Err(Refusal::at(row, column, InputProblem::NotFinite { got, estimator }));
            }
            values.extend(self.indicated.iter().map(|column| f64::from(is_missing(*column))));
        }
        Ok(Rows::matrix(n_rows, n_outputs, values))
    }
}

/// A value is missing, and the one to fill in has another type.
fn cannot_fill(row: usize, column: usize, fill: &str) -> Refusal {
    let got = format!("a missing value, which would become `{fill}`");
    Refusal::at(row, column, InputProblem::WrongType { expected: "a value of the other type", got })
}
