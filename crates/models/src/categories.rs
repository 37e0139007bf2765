//! Columns of categories, as boosting libraries save what a `DataFrame` had: the place of a value in the list of its
//! categories is what trees see.

use std::collections::HashMap;

use crate::estimator::Hint;
use crate::rows::{Cell, Matrix, Refusal, Rows, Table, Takes};
use crate::{DataType, InputProblem, Scalar};

/// The categories of one column, each with its code.
#[derive(Debug)]
pub(crate) enum Codes {
    Texts {
        codes: HashMap<String, u32>,
        first: String,
    },
    /// In ascending order.
    Numbers(Vec<(f64, u32)>),
}

/// What is done with a value that is none of the categories.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Unknown {
    Missing,
    Refuse,
}

impl Codes {
    pub(crate) fn texts(categories: Vec<String>) -> Self {
        let first = categories.first().cloned().unwrap_or_default();
        Self::Texts { codes: categories.into_iter().zip(0..).collect(), first }
    }

    pub(crate) fn numbers(categories: &[f64]) -> Self {
        let mut codes: Vec<(f64, u32)> = categories.iter().copied().zip(0..).collect();
        codes.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self::Numbers(codes)
    }

    pub(crate) fn hint(&self) -> Hint {
        match self {
            Self::Texts { first, .. } => {
                Hint { datatype: DataType::String, example: Scalar::Text(first.clone()), ..Hint::default() }
            }
            Self::Numbers(codes) => Hint::number(codes.first().map_or(0.0, |(number, _)| *number)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Texts { codes, .. } => codes.len(),
            Self::Numbers(codes) => codes.len(),
        }
    }

    /// The first categories, for an error.
    fn first_known(&self) -> Vec<String> {
        let is_first = |code: u32| (code as usize) < InputProblem::MAX_KNOWN_SHOWN;
        let mut known: Vec<(u32, String)> = match self {
            Self::Texts { codes, .. } => {
                let first = codes.iter().filter(|(_, code)| is_first(**code));
                first.map(|(text, code)| (*code, text.clone())).collect()
            }
            Self::Numbers(codes) => {
                let first = codes.iter().filter(|(_, code)| is_first(*code));
                first.map(|(number, code)| (*code, number.to_string())).collect()
            }
        };
        known.sort_unstable();
        known.into_iter().map(|(_, category)| category).collect()
    }

    fn code(&self, cell: Cell<'_>) -> Option<u32> {
        let number = match cell {
            Cell::Text(text) => match self {
                Self::Texts { codes, .. } => return codes.get(text).copied(),
                Self::Numbers(_) => return None,
            },
            Cell::Double(number) => number,
            Cell::Long(long) => long as f64,
            Cell::Boolean(flag) => f64::from(flag),
            Cell::Missing => return None,
        };
        match self {
            Self::Texts { .. } => None,
            Self::Numbers(codes) => {
                let place = codes.binary_search_by(|(known, _)| known.total_cmp(&(number + 0.0))).ok()?;
                Some(codes[place].1)
            }
        }
    }
}

/// Rows as numbers. In a table, categories become their codes; a matrix has codes already, since numbers without column
/// names never were a `DataFrame`.
pub(crate) fn encode<'a>(
    rows: Rows<'a>,
    columns: &[Option<Codes>],
    unknown: Unknown,
    library: &str,
) -> Result<Matrix<'a>, Refusal> {
    let Rows::Table(mut table) = rows else { return rows.into_matrix(Takes::Everything, library) };
    let n_rows = table.n_rows;
    for (index, codes) in columns.iter().enumerate() {
        if let Some(codes) = codes {
            let encoded = encode_column(&table, index, codes, unknown)?;
            table.columns[index] = crate::rows::Column::Double(encoded.into());
        }
    }
    Rows::Table(Table { n_rows, columns: table.columns }).into_matrix(Takes::Everything, library)
}

fn encode_column(
    table: &Table<'_>,
    index: usize,
    codes: &Codes,
    unknown: Unknown,
) -> Result<Vec<f64>, Refusal> {
    let column = &table.columns[index];
    let code = |row: usize| {
        let cell = column.cell(row);
        match (codes.code(cell), unknown) {
            (Some(code), _) => Ok(f64::from(code)),
            (None, Unknown::Refuse) if cell != Cell::Missing => {
                let (value, n_known, known) = (cell.show(), codes.len(), codes.first_known());
                Err(Refusal::at(row, index, InputProblem::UnknownCategory { value, n_known, known }))
            }
            (None, _) => Ok(f64::NAN),
        }
    };
    (0..table.n_rows).map(code).collect()
}
