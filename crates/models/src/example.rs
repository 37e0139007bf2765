//! Input examples: the one that was saved with a model, or one made up from what is known about its columns.

use serde::Deserialize;
use serde_json::Value as Json;

use crate::estimator::Hint;
use crate::{Batch, Column, DataType, Field, Inputs, Scalar, Signature, Texts, Values};

/// Rows of a saved example that are kept.
const MAX_ROWS: usize = 16;

/// What MLflow saves, and what `forebay.yaml` may hold: a table, or numbers.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Saved {
    Split { columns: Vec<String>, data: Vec<Vec<Json>> },
    Inputs { inputs: Vec<Vec<f64>> },
}

/// Reads the example that MLflow saved; `None` if it is of a form that is not known.
pub(crate) fn parse(bytes: &[u8], signature: Option<&Signature>) -> Option<Batch> {
    batch(serde_json::from_slice(bytes).ok()?, signature)
}

/// The rows of an example; `None` if they are not of one length, or a column of no one type.
pub(crate) fn batch(saved: Saved, signature: Option<&Signature>) -> Option<Batch> {
    match saved {
        Saved::Inputs { inputs } => {
            let n_columns = inputs.first()?.len();
            let is_even = inputs.iter().all(|row| row.len() == n_columns);
            let values = inputs.into_iter().take(MAX_ROWS).flatten().collect();
            is_even.then(|| Batch::matrix(n_columns, values))
        }
        Saved::Split { columns, data } => {
            let is_even = data.iter().all(|row| row.len() == columns.len());
            let rows: Vec<&Vec<Json>> = data.iter().take(MAX_ROWS).collect();
            let column = |(index, name): (usize, String)| {
                let cells: Vec<&Json> = rows.iter().map(|row| &row[index]).collect();
                let values = values(&cells, datatype(signature, &name))?;
                Some(Column { name, values })
            };
            if !is_even || rows.is_empty() {
                return None;
            }
            columns.into_iter().enumerate().map(column).collect::<Option<_>>().map(Batch::table)
        }
    }
}

fn datatype(signature: Option<&Signature>, name: &str) -> DataType {
    let Some(Inputs::Columns(fields)) = signature.map(|signature| &signature.inputs) else {
        return DataType::Any;
    };
    fields.iter().find(|field| field.name == name).map_or(DataType::Any, |field| field.datatype)
}

/// Cells of one column, in the type that is declared or that they have.
fn values(cells: &[&Json], datatype: DataType) -> Option<Values> {
    let is_double = matches!(datatype, DataType::Double | DataType::Float);
    if !is_double && cells.iter().all(|cell| cell.is_i64()) {
        return cells.iter().map(|cell| cell.as_i64()).collect::<Option<_>>().map(Values::Long);
    }
    if cells.iter().all(|cell| cell.is_boolean()) {
        return cells.iter().map(|cell| cell.as_bool()).collect::<Option<_>>().map(Values::Boolean);
    }
    if cells.iter().all(|cell| cell.is_number() || cell.is_null()) {
        return Some(Values::Double(cells.iter().map(|cell| cell.as_f64().unwrap_or(f64::NAN)).collect()));
    }
    let is_text = cells.iter().all(|cell| cell.is_string() || cell.is_null());
    is_text.then(|| Values::Text(cells.iter().map(|cell| cell.as_str()).collect::<Texts>()))
}

/// One row of named columns.
pub(crate) fn table<'f>(fields: impl Iterator<Item = (&'f Field, Scalar)>) -> Batch {
    let column = |(field, value): (&Field, Scalar)| {
        let values = one(&value, field.datatype);
        Column { name: field.name.clone(), values }
    };
    Batch::table(fields.map(column).collect())
}

/// One row of numbers.
pub(crate) fn matrix(hints: &[Hint]) -> Batch {
    let number = |hint: &Hint| match hint.example {
        Scalar::Double(number) => number,
        Scalar::Long(long) => long as f64,
        Scalar::Boolean(flag) => f64::from(flag),
        Scalar::Text(_) => 0.0,
    };
    let values: Vec<f64> = hints.iter().map(number).collect();
    Batch::matrix(values.len(), values)
}

/// A column of one value, in the type that is declared if the value can have it.
fn one(value: &Scalar, datatype: DataType) -> Values {
    let is_whole = matches!(datatype, DataType::Long | DataType::Integer);
    let is_double = matches!(datatype, DataType::Double | DataType::Float);
    match value {
        Scalar::Double(number) if is_whole => Values::Long(vec![*number as i64]),
        Scalar::Double(number) if datatype == DataType::Boolean => Values::Boolean(vec![*number != 0.0]),
        Scalar::Double(number) => Values::Double(vec![*number]),
        Scalar::Long(long) if is_double => Values::Double(vec![*long as f64]),
        Scalar::Long(long) => Values::Long(vec![*long]),
        Scalar::Boolean(flag) => Values::Boolean(vec![*flag]),
        Scalar::Text(text) => Values::Text([Some(text.as_str())].into_iter().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keep_their_types() {
        let saved = br#"{"columns": ["a", "b", "c"], "data": [[1, null, "x"], [2, 0.5, null]]}"#;
        let Batch { n_rows: 2, columns: crate::Columns::Table(columns) } = parse(saved, None).unwrap() else {
            panic!()
        };
        assert_eq!(columns[0].values, Values::Long(vec![1, 2]));
        assert!(
            matches!(&columns[1].values, Values::Double(values) if values[0].is_nan() && values[1] == 0.5)
        );
        assert_eq!(columns[2].values, Values::Text([Some("x"), None].into_iter().collect()));
    }

    #[test]
    fn uneven_rows_are_no_example() {
        assert_eq!(parse(br#"{"columns": ["a"], "data": [[1], [1, 2]]}"#, None), None);
        assert_eq!(parse(br#"{"inputs": [[1.0], [1.0, 2.0]]}"#, None), None);
        assert_eq!(parse(b"[]", None), None);
        assert_eq!(parse(br#"{"inputs": [[1.0, 2.0]]}"#, None), Some(Batch::matrix(2, vec![1.0, 2.0])));
    }
}
