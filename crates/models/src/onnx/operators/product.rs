//! Products of matrices: multiplied and added in one rounding, in the order of the shared dimension.
//!
//! The same sum comes out wherever this runs and however many rows are asked about at once. Where the processor has
//! such an instruction, and vectors of 256 bits, it runs in those.

use crate::numeric::vectors::in_vectors;

/// Numbers of the shared dimension that are summed up before they are added to the result.
const BLOCK: usize = 128;

/// Rows of the result that are worked on together.
const ROWS: usize = 4;

/// The same, where the result has one column only: one sum by itself waits for every addition.
const ROWS_OF_ONE: usize = 16;

/// A number that products are made of.
pub(super) trait Real: Copy + Default + std::ops::AddAssign {
    fn times_plus(self, times: Self, plus: Self) -> Self;
}

impl Real for f32 {
    #[inline(always)]
    fn times_plus(self, times: Self, plus: Self) -> Self {
        self.mul_add(times, plus)
    }
}

impl Real for f64 {
    #[inline(always)]
    fn times_plus(self, times: Self, plus: Self) -> Self {
        self.mul_add(times, plus)
    }
}

/// The lengths of a product: rows of the left matrix, what both share, columns of the right one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) shared: usize,
    pub(super) columns: usize,
}

/// Adds `a · b` to `result`.
pub(super) fn add_product<T: Real>(a: &[T], b: &[T], size: Size, result: &mut [T]) {
    assert!(a.len() == size.rows * size.shared && b.len() == size.shared * size.columns);
    assert_eq!(result.len(), size.rows * size.columns);
    in_vectors(
        #[inline(always)]
        || add_blocks(a, b, size, result),
    );
}

#[inline(always)]
fn add_blocks<T: Real>(a: &[T], b: &[T], size: Size, result: &mut [T]) {
    for start in (0..size.shared).step_by(BLOCK) {
        let block = start..size.shared.min(start + BLOCK);
        let mut row = 0;
        while size.columns == 1 && row + ROWS_OF_ONE <= size.rows {
            add_rows::<T, ROWS_OF_ONE>(a, b, size, (row, block.clone()), result);
            row += ROWS_OF_ONE;
        }
        while row + ROWS <= size.rows {
            add_rows::<T, ROWS>(a, b, size, (row, block.clone()), result);
            row += ROWS;
        }
        for row in row..size.rows {
            add_rows::<T, 1>(a, b, size, (row, block.clone()), result);
        }
    }
}

#[inline(always)]
fn add_rows<T: Real, const N: usize>(
    a: &[T],
    b: &[T],
    size: Size,
    (row, block): (usize, std::ops::Range<usize>),
    result: &mut [T],
) {
    let mut column = 0;
    macro_rules! columns {
        ($width:literal) => {
            while column + $width <= size.columns {
                add_tile::<T, N, $width>(a, b, size, (row, column, block.clone()), result);
                column += $width;
            }
        };
    }
    columns!(16);
    columns!(8);
    columns!(4);
    for column in column..size.columns {
        add_tile::<T, N, 1>(a, b, size, (row, column, block.clone()), result);
    }
}

/// `N` rows and `W` columns of the result.
#[inline(always)]
fn add_tile<T: Real, const N: usize, const W: usize>(
    a: &[T],
    b: &[T],
    size: Size,
    (row, column, block): (usize, usize, std::ops::Range<usize>),
    result: &mut [T],
) {
    let mut sums = [[T::default(); W]; N];
    for index in block {
        let right: &[T; W] = b[index * size.columns + column..].first_chunk().expect("the tile is inside");
        for (n, sums) in sums.iter_mut().enumerate() {
            let left = a[(row + n) * size.shared + index];
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = left.times_plus(*right, *sum);
            }
        }
    }
    for (n, sums) in sums.iter().enumerate() {
        let start = (row + n) * size.columns + column;
        result[start..start + W].iter_mut().zip(sums).for_each(|(result, sum)| *result += *sum);
    }
}

/// The matrix with rows and columns exchanged.
pub(super) fn turned<T: Copy>(matrix: &[T], n_rows: usize, n_columns: usize) -> Vec<T> {
    (0..n_columns).flat_map(|column| (0..n_rows).map(move |row| matrix[row * n_columns + column])).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn vectors_and_tiles_change_no_bit(
            (rows, shared, columns) in (0..40_usize, 0..300_usize, 0..40_usize),
            first in -2.0..2.0_f32,
        ) {
            let number = |index: usize| ((index * 7919 % 1009) as f32 / 100.0 - 5.0) * first;
            let a: Vec<f32> = (0..rows * shared).map(number).collect();
            let b: Vec<f32> = (0..shared * columns).map(|index| number(index + 31)).collect();
            let mut expected = vec![first; rows * columns];
            for (index, value) in expected.iter_mut().enumerate() {
                let (row, column) = (index / columns, index % columns);
                for start in (0..shared).step_by(BLOCK) {
                    let mut sum = 0.0_f32;
                    for index in start..shared.min(start + BLOCK) {
                        sum = a[row * shared + index].mul_add(b[index * columns + column], sum);
                    }
                    *value += sum;
                }
            }
            let mut result = vec![first; rows * columns];
            add_product(&a, &b, Size { rows, shared, columns }, &mut result);
            prop_assert_eq!(result, expected);
        }
    }
}
