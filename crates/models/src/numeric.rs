//! Small sums that several estimators share, in the order in which scikit-learn does them.

pub(crate) mod normal;

/// `a · b`
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
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
    fn the_logarithm_of_a_sum_of_exponentials_does_not_overflow() {
        assert_eq!(log_sum_exp(&[1000.0, 1000.0]), 1000.0 + 2.0_f64.ln());
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY; 2]), f64::NEG_INFINITY);
    }
}
