//! Small systems of linear equations.

use crate::object::Grid;

/// The inverse of a square table, if it has one: Gauss and Jordan's elimination, by the largest element of each column.
pub(crate) fn inverse(mut square: Grid) -> Option<Grid> {
    let n = square.n_rows;
    if square.n_columns != n {
        return None;
    }
    let mut inverse = Grid { n_rows: n, n_columns: n, values: vec![0.0; n * n] };
    (0..n).for_each(|index| inverse.values[index * (n + 1)] = 1.0);
    for column in 0..n {
        let size = |row: &usize| square.values[row * n + column].abs();
        let pivot = (column..n).max_by(|a, b| size(a).total_cmp(&size(b)))?;
        let divisor = square.values[pivot * n + column];
        if divisor == 0.0 || !divisor.is_finite() {
            return None;
        }
        for grid in [&mut square, &mut inverse] {
            (0..n).for_each(|place| grid.values.swap(column * n + place, pivot * n + place));
            grid.values[column * n..][..n].iter_mut().for_each(|x| *x /= divisor);
        }
        for row in (0..n).filter(|row| *row != column) {
            let factor = square.values[row * n + column];
            for grid in [&mut square, &mut inverse] {
                for place in 0..n {
                    grid.values[row * n + place] -= factor * grid.values[column * n + place];
                }
            }
        }
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_an_inverse_gets_it() {
        let square = |values: [f64; 4]| Grid { n_rows: 2, n_columns: 2, values: values.to_vec() };
        assert_eq!(inverse(square([0.0, 2.0, 4.0, 0.0])), Some(square([0.0, 0.25, 0.5, 0.0])));
        assert_eq!(inverse(square([1.0, 2.0, 2.0, 4.0])), None);
        assert_eq!(inverse(square([f64::NAN; 4])), None);
    }
}
