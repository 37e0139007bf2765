//! Tables of numbers, dense or sparse.

use super::Object;
use crate::fault::Fault;

/// Numbers in rows of the same length.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    pub(crate) n_rows: usize,
    pub(crate) n_columns: usize,
    /// Row after row.
    pub(crate) values: Vec<f64>,
}

impl Grid {
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        (0..self.n_rows).map(|row| self.row(row))
    }

    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.n_columns..(row + 1) * self.n_columns]
    }

    /// Columns as rows.
    pub(crate) fn transposed(&self) -> Self {
        let values = (0..self.n_columns).flat_map(|column| self.column(column)).collect();
        Self { n_rows: self.n_columns, n_columns: self.n_rows, values }
    }

    /// The values of a column; NaN if there is no such column.
    pub(crate) fn column(&self, column: usize) -> Vec<f64> {
        self.rows().map(|row| row.get(column).copied().unwrap_or(f64::NAN)).collect()
    }
}

impl Object<'_> {
    /// A matrix of scipy in compressed rows, written out.
    pub(super) fn sparse_rows(&self) -> Result<Grid, Fault> {
        let problem = || self.problem("it is no sparse matrix in compressed rows");
        let is_rows = matches!(self.name(), "csr_matrix" | "csr_array");
        let shape = self.get_any(&["_shape", "shape"])?.integers()?;
        let (true, &[n_rows, n_columns]) = (is_rows, &shape[..]) else { return Err(problem()) };
        let sizes = (usize::try_from(n_rows), usize::try_from(n_columns));
        let (Ok(n_rows), Ok(n_columns)) = sizes else { return Err(problem()) };
        let n_values = n_rows.checked_mul(n_columns).ok_or_else(problem)?;
        self.source.take(n_values.saturating_mul(size_of::<f64>()))?;

        let entries = self.get("data")?.numbers()?;
        let columns = self.get("indices")?.integers()?;
        let starts = self.get("indptr")?.integers()?;
        let mut values = vec![0.0; n_values];
        let mut start = 0;
        for row in 0..n_rows {
            let Some(&end) = starts.get(row + 1).filter(|end| **end >= start) else { return Err(problem()) };
            for entry in start..end {
                let entry = usize::try_from(entry).map_err(|_| problem())?;
                let (Some(column), Some(number)) = (columns.get(entry), entries.get(entry)) else {
                    return Err(problem());
                };
                let column =
                    usize::try_from(*column).ok().filter(|column| *column < n_columns).ok_or_else(problem)?;
                values[row * n_columns + column] += number;
            }
            start = end;
        }
        Ok(Grid { n_rows, n_columns, values })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;
    use crate::formats::cursor::Cursor;
    use crate::formats::pickle;
    use crate::record::Records;

    /// A matrix whose parts are lists of small numbers, as a pickle.
    fn matrix(shape: [u8; 2], data: &[u8], indices: &[u8], indptr: &[u8]) -> Option<Grid> {
        let mut bytes = b"\x80\x02cscipy.sparse._csr\ncsr_matrix\n)\x81}(".to_vec();
        let lists = [("_shape", &shape[..]), ("data", data), ("indices", indices), ("indptr", indptr)];
        for (key, numbers) in lists {
            bytes.extend([b"X".as_slice(), &[key.len() as u8, 0, 0, 0], key.as_bytes(), b"]("].concat());
            numbers.iter().for_each(|number| bytes.extend([b'K', *number]));
            bytes.push(b'e');
        }
        bytes.extend(b"ub.");
        let mut records = Records::new();
        let root = pickle::read(&mut Cursor::new(&bytes), &mut records).unwrap().root;
        Source::new(records, bytes.len()).value(root).grid().ok()
    }

    #[test]
    fn a_sparse_matrix_is_written_out() {
        let grid = matrix([2, 3], &[5, 7, 9], &[0, 2, 1], &[0, 2, 3]).unwrap();
        assert_eq!(grid.values, [5.0, 0.0, 7.0, 0.0, 9.0, 0.0]);
        assert_eq!(matrix([0, 3], &[], &[], &[0]).unwrap().values, Vec::<f64>::new());
    }

    #[test]
    fn a_sparse_matrix_that_contradicts_itself_is_refused() {
        assert_eq!(matrix([2, 3], &[5], &[3], &[0, 1, 1]), None);
        assert_eq!(matrix([2, 3], &[5], &[0], &[0, 2, 2]), None);
        assert_eq!(matrix([2, 3], &[5], &[0], &[0, 1, 0]), None);
        assert_eq!(matrix([2, 3], &[5], &[0], &[0, 1]), None);
        assert_eq!(matrix([255, 255], &[], &[], &[0]), None);
    }
}
