//! Small sums that several estimators share, in the order in which scikit-learn does them.

pub(crate) mod exp;
pub(crate) mod gamma;
pub(crate) mod inverse;
pub(crate) mod normal;
pub(crate) mod vectors;

/// `a · b`
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// [`dot`] of each row with each vector, row after row. Rows have as many numbers as vectors, and at least one.
///
/// Several rows are summed up side by side, each in the order of its columns, because a sum by itself waits for every
/// addition.
pub(crate) fn dot_rows(rows: &[f64], vectors: &[f64], n_columns: usize) -> Vec<f64> {
    const ROWS: usize = 8;

    let n_vectors = vectors.len() / n_columns;
    let mut sums = Vec::with_capacity(rows.len() / n_columns * n_vectors);
    let groups = rows.chunks_exact(n_columns * ROWS);
    let rest = groups.remainder();
    for group in groups {
        let group: [&[f64]; ROWS] = std::array::from_fn(|row| &group[row * n_columns..][..n_columns]);
        let start = sums.len();
        sums.resize(start + n_vectors * ROWS, 0.0);
        for (index, vector) in vectors.chunks_exact(n_columns).enumerate() {
            let places = sums[start + index..].iter_mut().step_by(n_vectors);
            places.zip(dot_each(group, vector)).for_each(|(place, sum)| *place = sum);
        }
    }
    for row in rest.chunks_exact(n_columns) {
        sums.extend(vectors.chunks_exact(n_columns).map(|vector| dot(row, vector)));
    }
    sums
}

/// [`dot`] of some rows with one vector of the same length.
fn dot_each<const N: usize>(rows: [&[f64]; N], vector: &[f64]) -> [f64; N] {
    let rows = rows.map(|row| &row[..vector.len()]);
    // What the empty sum is.
    let mut sums = [-0.0; N];
    for (column, weight) in vector.iter().enumerate() {
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum += row[column] * weight;
        }
    }
    sums
}

/// `scipy.special.expit`: the logistic function.
pub(crate) fn expit(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `sklearn.utils.extmath.softmax` of one row, in place.
pub(crate) fn softmax(scores: &mut [f64]) {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - max).exp();
        sum += *score;
    }
    for score in scores {
        *score /= sum;
    }
}

/// `numpy.argmax`: the place of the first greatest value.
pub(crate) fn argmax(values: &[f64]) -> usize {
    argmax_of(values)
}

/// [`argmax`] of numbers of any type.
pub(crate) fn argmax_of<T: PartialOrd>(values: &[T]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

/// `scipy.special.logsumexp`
pub(crate) fn log_sum_exp(values: &[f64]) -> f64 {
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !max.is_finite() {
        return max;
    }
    max + values.iter().map(|value| (value - max).exp()).sum::<f64>().ln()
}

/// `a - b`, squared and summed.
pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// `numpy.interp`: on the line through the points (`xs` ascending), and level beyond its ends.
pub(crate) fn interpolate(x: f64, xs: &[f64], ys: &[f64]) -> f64 {
    let n_before = xs.partition_point(|known| *known <= x);
    match (xs.len(), n_before) {
        _ if x.is_nan() => x,
        (0, _) => f64::NAN,
        (_, 0) => ys[0],
        (n, place) if place == n || xs[place - 1] == x => ys[place - 1],
        (_, place) => {
            let slope = (ys[place] - ys[place - 1]) / (xs[place] - xs[place - 1]);
            slope * (x - xs[place - 1]) + ys[place - 1]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_points_is_a_line_and_beyond_them_a_level() {
        let at = |x| interpolate(x, &[0.0, 1.0, 1.0, 3.0], &[0.0, 2.0, 4.0, 8.0]);
        assert_eq!(
            [at(-1.0), at(0.0), at(0.5), at(1.0), at(2.0), at(3.0), at(9.0)],
            [0.0, 0.0, 1.0, 4.0, 6.0, 8.0, 8.0]
        );
        assert!(at(f64::NAN).is_nan());
        assert!(interpolate(1.0, &[], &[]).is_nan());
    }

    #[test]
    fn rows_side_by_side_have_the_sums_of_rows_by_themselves() {
        let numbers: Vec<f64> = (0..57).map(|index| (f64::from(index) * 0.7).sin() / 3.0).collect();
        for (n_columns, n_vectors) in [(3, 1), (3, 2), (1, 4), (5, 0)] {
            let (vectors, rows) = numbers.split_at(n_columns * n_vectors);
            let rows = &rows[..rows.len() / n_columns * n_columns];
            let found = dot_rows(rows, vectors, n_columns);
            let vectors = || vectors.chunks_exact(n_columns);
            let expected: Vec<f64> = rows
                .chunks_exact(n_columns)
                .flat_map(|row| vectors().map(move |vector| dot(row, vector)))
                .collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_logarithm_of_a_sum_of_exponentials_does_not_overflow() {
        assert_eq!(log_sum_exp(&[1000.0, 1000.0]), 1000.0 + 2.0_f64.ln());
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY; 2]), f64::NEG_INFINITY);
    }
}
