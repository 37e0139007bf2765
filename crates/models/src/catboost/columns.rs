//! What trees see of a row: numbers of 32 bits, for each category that a test asks for, whether it is that one, and
//! statistics over categories.

use super::ctr::Statistics;
use super::{LIBRARY, city};
use crate::estimator::Hint;
use crate::rows::{Cell, Matrix, Refusal, Rows, Takes};
use crate::{DataType, InputProblem, Scalar};

/// The columns of a model.
#[derive(Debug)]
pub(super) struct Columns {
    /// Their names, if it was fitted with names.
    pub(super) names: Option<Vec<String>>,
    pub(super) kinds: Vec<Kind>,
    /// Which columns are numbers, in the order in which trees count them.
    pub(super) numbers: Vec<usize>,
    /// Which columns of categories are looked at.
    pub(super) hashed: Vec<usize>,
    /// Tests by category: the place of the column in `hashed`, and the hash of the category.
    pub(super) one_hot: Vec<(usize, i32)>,
    pub(super) statistics: Statistics,
}

/// What is in a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Number,
    Category,
}

// === impl Columns ===

impl Columns {
    pub(super) fn n_columns(&self) -> usize {
        self.kinds.len()
    }

    /// How many numbers trees see.
    pub(super) fn n_encoded(&self) -> usize {
        self.numbers.len() + self.one_hot.len() + self.statistics.len()
    }

    pub(super) fn hint(&self, column: usize) -> Hint {
        let is_used = self.hashed.contains(&column);
        match self.kinds[column] {
            Kind::Number => Hint::default(),
            Kind::Category => Hint {
                datatype: DataType::Any,
                example: Scalar::Text(String::new()),
                is_used,
                ..Hint::default()
            },
        }
    }

    /// The rows as trees see them.
    pub(super) fn encode<'a>(&self, rows: Rows<'a>) -> Result<Matrix<'a>, Refusal> {
        let has_only_numbers = self.kinds.iter().all(|kind| *kind == Kind::Number);
        let is_in_order = self.numbers.iter().enumerate().all(|(index, number)| index == *number);
        if has_only_numbers && is_in_order && self.numbers.len() == self.kinds.len() {
            let mut matrix = rows.into_matrix(Takes::Everything, LIBRARY)?;
            matrix.values.to_mut().iter_mut().for_each(|value| *value = f64::from(*value as f32));
            return Ok(matrix);
        }
        let numbers = rows.select(&self.numbers).into_matrix(Takes::Everything, LIBRARY);
        let numbers = numbers.map_err(|refusal| Refusal {
            column: refusal.column.and_then(|column| self.numbers.get(column).copied()),
            ..refusal
        })?;
        let n_rows = rows.n_rows();
        let mut values = Vec::with_capacity(n_rows * self.n_encoded());
        let mut hashes = Vec::with_capacity(self.hashed.len());
        for (row, numbers) in numbers.rows().enumerate() {
            let start = values.len();
            values.extend(numbers.iter().map(|value| f64::from(*value as f32)));
            hashes.clear();
            for column in &self.hashed {
                hashes.push(self.hash(&rows, row, *column)?);
            }
            values.extend(self.one_hot.iter().map(|(place, wanted)| f64::from(hashes[*place] == *wanted)));
            self.statistics.add_to(&hashes, start, &mut values);
        }
        let matrix = Matrix { n_rows, n_columns: self.n_encoded(), values: values.into() };
        Ok(matrix)
    }

    /// The hash of a category: of a text, or of a whole number as a text.
    fn hash(&self, rows: &Rows<'_>, row: usize, column: usize) -> Result<i32, Refusal> {
        match rows.cell(row, column) {
            Cell::Text(text) => Ok(city::category(text)),
            Cell::Long(long) => Ok(city::category(&long.to_string())),
            Cell::Boolean(true) => Ok(city::category("True")),
            Cell::Boolean(false) => Ok(city::category("False")),
            Cell::Double(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Ok(city::category(&(number as i64).to_string()))
            }
            cell => {
                let problem = InputProblem::WrongType {
                    expected: "a category: a text or a whole number",
                    got: cell.show(),
                };
                Err(Refusal::at(row, column, problem))
            }
        }
    }
}
