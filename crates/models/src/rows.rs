//! Rows on their way through a model.

use std::borrow::Cow;
use std::ops::Range;

use crate::{Batch, Columns, InputProblem, Texts, Values};

/// Rows between two parts of a model: numbers only, or columns of several types. They have an order and no names.
#[derive(Debug, Clone)]
pub(crate) enum Rows<'a> {
    Matrix(Matrix<'a>),
    Table(Table<'a>),
}

/// Numbers, row after row; NaN where one is missing.
#[derive(Debug, Clone)]
pub(crate) struct Matrix<'a> {
    pub(crate) n_rows: usize,
    pub(crate) n_columns: usize,
    pub(crate) values: Cow<'a, [f64]>,
}

/// Columns of the same length.
#[derive(Debug, Clone)]
pub(crate) struct Table<'a> {
    pub(crate) n_rows: usize,
    pub(crate) columns: Vec<Column<'a>>,
}

/// The values of one column.
#[derive(Debug, Clone)]
pub(crate) enum Column<'a> {
    Double(Cow<'a, [f64]>),
    Long(Cow<'a, [i64]>),
    Boolean(Cow<'a, [bool]>),
    /// Texts from the `start`-th on.
    Text {
        texts: Cow<'a, Texts>,
        start: usize,
    },
}

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Double(f64),
    Long(i64),
    Boolean(bool),
    Text(&'a str),
    Missing,
}

/// Why rows are not taken. The column is counted from 0 in what the part that refuses was given.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) row: Option<usize>,
    pub(crate) column: Option<usize>,
    pub(crate) problem: InputProblem,
}

/// Which numbers an estimator takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Finite ones only.
    Finite,
    /// Finite ones, and NaN for missing ones.
    Missing,
    /// All of them.
    Everything,
}

impl Refusal {
    pub(crate) fn at(row: usize, column: usize, problem: InputProblem) -> Self {
        Self { row: Some(row), column: Some(column), problem }
    }

    /// The refusal, seen from before `n_parts` parts: behind the first one, columns are not those that were given.
    pub(crate) fn after(self, n_parts: usize) -> Self {
        Self { column: self.column.filter(|_| n_parts == 0), ..self }
    }
}

// === impl Rows ===

impl<'a> Rows<'a> {
    /// A batch as it is, without looking at names.
    pub(crate) fn of(batch: &'a Batch) -> Self {
        match &batch.columns {
            Columns::Matrix { n_columns, values } => Self::matrix(batch.n_rows, *n_columns, &values[..]),
            Columns::Table(columns) => {
                let columns = columns.iter().map(|column| Column::of(&column.values)).collect();
                Self::Table(Table { n_rows: batch.n_rows, columns })
            }
        }
    }

    pub(crate) fn matrix(n_rows: usize, n_columns: usize, values: impl Into<Cow<'a, [f64]>>) -> Self {
        Self::Matrix(Matrix { n_rows, n_columns, values: values.into() })
    }

    pub(crate) fn n_rows(&self) -> usize {
        match self {
            Self::Matrix(matrix) => matrix.n_rows,
            Self::Table(table) => table.n_rows,
        }
    }

    pub(crate) fn n_columns(&self) -> usize {
        match self {
            Self::Matrix(matrix) => matrix.n_columns,
            Self::Table(table) => table.columns.len(),
        }
    }

    pub(crate) fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        match self {
            Self::Matrix(matrix) => Cell::double(matrix.values[row * matrix.n_columns + column]),
            Self::Table(table) => table.columns[column].cell(row),
        }
    }

    pub(crate) fn borrowed(&self) -> Rows<'_> {
        match self {
            Self::Matrix(matrix) => Rows::matrix(matrix.n_rows, matrix.n_columns, &*matrix.values),
            Self::Table(table) => {
                let columns = table.columns.iter().map(Column::borrowed).collect();
                Rows::Table(Table { n_rows: table.n_rows, columns })
            }
        }
    }

    /// The rows multiplied with a weight, if there is one.
    pub(crate) fn weighted(self, weight: Option<f64>) -> Result<Self, Refusal> {
        let Some(weight) = weight else { return Ok(self) };
        let mut matrix = self.into_matrix(Takes::Everything, "transformer_weights")?;
        matrix.values.to_mut().iter_mut().for_each(|value| *value *= weight);
        Ok(Self::Matrix(matrix))
    }

    /// Some of the columns, in this order.
    pub(crate) fn select(&self, columns: &[usize]) -> Rows<'_> {
        match self {
            Self::Matrix(matrix) => {
                let rows = matrix.values.chunks_exact(matrix.n_columns.max(1));
                let values: Vec<f64> =
                    rows.flat_map(|row| columns.iter().map(|column| row[*column])).collect();
                Rows::matrix(matrix.n_rows, columns.len(), values)
            }
            Self::Table(table) => {
                let columns = columns.iter().map(|column| table.columns[*column].borrowed()).collect();
                Rows::Table(Table { n_rows: table.n_rows, columns })
            }
        }
    }

    /// Some of the rows.
    pub(crate) fn slice(&self, rows: Range<usize>) -> Rows<'_> {
        match self {
            Self::Matrix(matrix) => {
                let values = rows.start * matrix.n_columns..rows.end * matrix.n_columns;
                Rows::matrix(rows.len(), matrix.n_columns, &matrix.values[values])
            }
            Self::Table(table) => {
                let columns = table.columns.iter().map(|column| column.slice(&rows)).collect();
                Rows::Table(Table { n_rows: rows.len(), columns })
            }
        }
    }

    /// One column with values of its own.
    pub(crate) fn column(&self, index: usize) -> Column<'static> {
        match self {
            Self::Matrix(matrix) => {
                let values: Vec<f64> = matrix.rows().map(|row| row[index]).collect();
                Column::Double(values.into())
            }
            Self::Table(table) => table.columns[index].with_rows(table.n_rows),
        }
    }

    /// The rows as numbers, for an estimator that takes those; texts are refused.
    pub(crate) fn into_matrix(self, takes: Takes, estimator: &str) -> Result<Matrix<'a>, Refusal> {
        let matrix = match self {
            Self::Matrix(matrix) => matrix,
            Self::Table(table) => table.into_matrix()?,
        };
        matrix.check(takes, estimator)?;
        Ok(matrix)
    }
}

// === impl Matrix ===

impl Matrix<'_> {
    /// One row of zeros.
    pub(crate) fn zeros(n_columns: usize) -> Self {
        Self { n_rows: 1, n_columns, values: vec![0.0; n_columns].into() }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f64]> {
        (0..self.n_rows).map(|row| &self.values[row * self.n_columns..(row + 1) * self.n_columns])
    }

    pub(crate) fn check(&self, takes: Takes, estimator: &str) -> Result<(), Refusal> {
        match takes {
            Takes::Everything => Ok(()),
            Takes::Finite => self.check_each(f64::is_finite, estimator),
            Takes::Missing => self.check_each(|value| !value.is_infinite(), estimator),
        }
    }

    fn check_each(&self, is_taken: impl Fn(f64) -> bool, estimator: &str) -> Result<(), Refusal> {
        /// Values that are looked at without asking in between, which the compiler does several at once.
        const CHUNK: usize = 32;

        let are_taken = |chunk: &[f64]| chunk.iter().fold(true, |all, value| all & is_taken(*value));
        let chunk = self.values.chunks(CHUNK).position(|chunk| !are_taken(chunk));
        let place = chunk.and_then(|chunk| {
            let first = chunk * CHUNK;
            Some(first + self.values[first..].iter().position(|value| !is_taken(*value))?)
        });
        match place {
            None => Ok(()),
            Some(place) => {
                let got = if self.values[place].is_nan() { "a missing value" } else { "infinity" };
                let problem = InputProblem::NotFinite { got, estimator: estimator.to_owned() };
                Err(Refusal::at(place / self.n_columns, place % self.n_columns, problem))
            }
        }
    }
}

// === impl Table ===

impl Table<'_> {
    pub(crate) fn has_texts(&self) -> bool {
        self.columns.iter().any(|column| matches!(column, Column::Text { .. }))
    }

    pub(crate) fn has_only_texts(&self) -> bool {
        self.columns.iter().all(|column| matches!(column, Column::Text { .. }))
    }

    fn into_matrix(self) -> Result<Matrix<'static>, Refusal> {
        for (index, column) in self.columns.iter().enumerate() {
            if let Some((row, text)) = column.first_text(self.n_rows) {
                let got = format!("the text `{}`", short(text));
                return Err(Refusal::at(row, index, InputProblem::WrongType { expected: "a number", got }));
            }
        }
        let n_columns = self.columns.len();
        let values = if self.n_rows == 1 {
            self.columns.iter().map(|column| column.double(0)).collect()
        } else {
            let mut values = vec![0.0; self.n_rows * n_columns];
            for (index, column) in self.columns.iter().enumerate() {
                column.copy_to(values.iter_mut().skip(index).step_by(n_columns));
            }
            values
        };
        Ok(Matrix { n_rows: self.n_rows, n_columns, values: Cow::Owned(values) })
    }
}

/// A text as it may stand in a message.
pub(crate) fn short(text: &str) -> String {
    const MAX_SHOWN: usize = 40;
    match text.char_indices().nth(MAX_SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

// === impl Column ===

impl<'a> Column<'a> {
    pub(crate) fn of(values: &'a Values) -> Self {
        match values {
            Values::Double(doubles) => Self::Double(Cow::Borrowed(doubles)),
            Values::Long(longs) => Self::Long(Cow::Borrowed(longs)),
            Values::Boolean(flags) => Self::Boolean(Cow::Borrowed(flags)),
            Values::Text(texts) => Self::Text { texts: Cow::Borrowed(texts), start: 0 },
        }
    }

    pub(crate) fn texts(texts: Texts) -> Self {
        Self::Text { texts: Cow::Owned(texts), start: 0 }
    }

    pub(crate) fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Self::Double(doubles) => Cell::double(doubles[row]),
            Self::Long(longs) => Cell::Long(longs[row]),
            Self::Boolean(flags) => Cell::Boolean(flags[row]),
            Self::Text { texts, start } => texts.get(start + row).map_or(Cell::Missing, Cell::Text),
        }
    }

    pub(crate) fn borrowed(&self) -> Column<'_> {
        match self {
            Self::Double(doubles) => Column::Double(Cow::Borrowed(doubles)),
            Self::Long(longs) => Column::Long(Cow::Borrowed(longs)),
            Self::Boolean(flags) => Column::Boolean(Cow::Borrowed(flags)),
            Self::Text { texts, start } => Column::Text { texts: Cow::Borrowed(texts), start: *start },
        }
    }

    pub(crate) fn first_text(&self, n_rows: usize) -> Option<(usize, &str)> {
        let Self::Text { texts, start } = self else { return None };
        (0..n_rows).find_map(|row| Some((row, texts.get(start + row)?)))
    }

    /// Writes the values as numbers; NaN for those that are none.
    pub(crate) fn copy_to<'p>(&self, places: impl Iterator<Item = &'p mut f64>) {
        match self {
            Self::Double(doubles) => places.zip(&**doubles).for_each(|(place, double)| *place = *double),
            Self::Long(longs) => places.zip(&**longs).for_each(|(place, long)| *place = *long as f64),
            Self::Boolean(flags) => places.zip(&**flags).for_each(|(place, flag)| *place = f64::from(*flag)),
            Self::Text { .. } => places.for_each(|place| *place = f64::NAN),
        }
    }

    /// The value as a number; NaN if it is none.
    pub(crate) fn double(&self, row: usize) -> f64 {
        match self.cell(row) {
            Cell::Double(double) => double,
            Cell::Long(long) => long as f64,
            Cell::Boolean(flag) => f64::from(flag),
            Cell::Text(_) | Cell::Missing => f64::NAN,
        }
    }

    /// The column with values of its own.
    pub(crate) fn with_rows(&self, n_rows: usize) -> Column<'static> {
        match self {
            Self::Double(doubles) => Column::Double(doubles.to_vec().into()),
            Self::Long(longs) => Column::Long(longs.to_vec().into()),
            Self::Boolean(flags) => Column::Boolean(flags.to_vec().into()),
            Self::Text { texts, start } => {
                Column::texts((0..n_rows).map(|row| texts.get(start + row)).collect())
            }
        }
    }

    fn slice(&self, rows: &Range<usize>) -> Column<'_> {
        match self {
            Self::Double(doubles) => Column::Double(Cow::Borrowed(&doubles[rows.clone()])),
            Self::Long(longs) => Column::Long(Cow::Borrowed(&longs[rows.clone()])),
            Self::Boolean(flags) => Column::Boolean(Cow::Borrowed(&flags[rows.clone()])),
            Self::Text { texts, start } => {
                Column::Text { texts: Cow::Borrowed(texts), start: start + rows.start }
            }
        }
    }
}

// === impl Cell ===

impl Cell<'_> {
    fn double(value: f64) -> Self {
        if value.is_nan() { Self::Missing } else { Self::Double(value) }
    }

    /// The value as it may stand in a message.
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Double(double) => double.to_string(),
            Self::Long(long) => long.to_string(),
            Self::Boolean(flag) => flag.to_string(),
            Self::Text(text) => short(text),
            Self::Missing => "a missing value".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Column as NamedColumn;

    fn batch() -> Batch {
        let named = |name: &str, values| NamedColumn { name: name.to_owned(), values };
        Batch::table(vec![
            named("price", Values::Double(vec![1.5, f64::NAN, 2.0])),
            named("store", Values::Long(vec![1, 2, 3])),
            named("open", Values::Boolean(vec![true, false, true])),
            named("kind", Values::Text([Some("food"), None, Some("toys")].into_iter().collect())),
        ])
    }

    #[test]
    fn a_table_of_numbers_becomes_a_matrix() {
        let batch = batch();
        let rows = Rows::of(&batch);
        let matrix = rows.select(&[1, 2]).into_matrix(Takes::Finite, "Ridge").unwrap();
        assert_eq!(*matrix.values, [1.0, 1.0, 2.0, 0.0, 3.0, 1.0]);
        let refusal = rows.select(&[1, 0]).into_matrix(Takes::Finite, "Ridge").unwrap_err();
        assert_eq!((refusal.row, refusal.column), (Some(1), Some(1)));
        let refusal = rows.select(&[3]).into_matrix(Takes::Everything, "Ridge").unwrap_err();
        assert_eq!(refusal.problem.to_string(), "expected a number, got the text `food`");
    }

    #[test]
    fn slices_and_selections_keep_their_cells() {
        let batch = batch();
        let rows = Rows::of(&batch);
        let slice = rows.slice(1..3);
        let part = slice.select(&[3, 0]);
        assert_eq!((part.n_rows(), part.n_columns()), (2, 2));
        assert_eq!(part.cell(0, 0), Cell::Missing);
        assert_eq!(part.cell(1, 0), Cell::Text("toys"));
        assert_eq!(part.cell(0, 1), Cell::Missing);
        assert_eq!(part.slice(1..2).cell(0, 1), Cell::Double(2.0));
    }
}
