//! The normal distribution.

use std::f64::consts::{PI, SQRT_2};

/// From here on, the fraction is used instead of the series.
const FAR: f64 = 2.5;

/// The error function.
pub(crate) fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.abs() < FAR { series(x) } else { 1.0 - erfc(x) }
}

/// The complement of the error function.
fn erfc(x: f64) -> f64 {
    match x {
        x if x < 0.0 => 2.0 - erfc(-x),
        x if x < 1.5 => 1.0 - series(x),
        x if x < FAR => fraction(x, 200),
        x => fraction(x, 80),
    }
}

/// Abramowitz and Stegun 7.1.6, in which all terms have one sign.
fn series(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    let mut n = 1.0;
    while term.abs() > f64::EPSILON * 0.1 * sum.abs() {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}

/// Abramowitz and Stegun 7.1.14, from its end.
fn fraction(x: f64, n_terms: u32) -> f64 {
    let below = (1..=n_terms).rev().fold(x, |below, n| x + f64::from(n) / 2.0 / below);
    (-x * x).exp() / PI.sqrt() / below
}

/// The share of values below this one.
pub(crate) fn share_below(x: f64) -> f64 {
    0.5 * erfc(-x / SQRT_2)
}

/// The value below which this share is: the inverse of [`share_below`].
pub(crate) fn value_above(share: f64) -> f64 {
    /// Steps of a search that trebles its digits with each.
    const STEPS: usize = 4;

    match share {
        _ if !(0.0..=1.0).contains(&share) => return f64::NAN,
        0.0 => return f64::NEG_INFINITY,
        1.0 => return f64::INFINITY,
        _ if share > 0.5 => return -value_above(1.0 - share),
        _ => {}
    }
    // Abramowitz and Stegun 26.2.23, which is right to three digits.
    let t = (-2.0 * share.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let mut x = above / below - t;
    // Halley's method.
    for _ in 0..STEPS {
        let density = (-0.5 * x * x).exp() / (2.0 * PI).sqrt();
        let step = (share_below(x) - share) / density;
        x -= step / (1.0 + 0.5 * x * step);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_is_exact_to_the_last_digits() {
        for (x, expected) in [
            (0.0, 0.0),
            (0.1, 0.112_462_916_018_284_9),
            (1.0, 0.842_700_792_949_714_9),
            (-2.0, -0.995_322_265_018_952_7),
            (3.0, 0.999_977_909_503_001_4),
        ] {
            assert!((erf(x) - expected).abs() < 4e-16, "{x}: {}", erf(x));
        }
        assert!(erf(f64::NAN).is_nan());
        for (x, expected) in [
            (0.6, 0.396_143_909_152_074_1),
            (2.0, 0.004_677_734_981_047_266),
            (5.0, 1.537_459_794_428_035e-12),
        ] {
            assert!((erfc(x) / expected - 1.0).abs() < 4e-15, "{x}: {}", erfc(x));
        }
    }

    #[test]
    fn values_and_shares_are_inverse() {
        assert_eq!(share_below(0.0), 0.5);
        assert!((value_above(0.975) - 1.959_963_984_540_054).abs() < 4e-15);
        assert!((value_above(1e-7) + 5.199_337_582_192_816_5).abs() < 1e-14);
        assert!((value_above(1e-300) + 37.047_096_299_361_2).abs() < 1e-12);
        assert_eq!([value_above(0.0), value_above(1.0)], [f64::NEG_INFINITY, f64::INFINITY]);
        assert!(value_above(1.5).is_nan());
    }
}
