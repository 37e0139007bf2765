//! Around the gamma function.

/// The logarithmic derivative of the gamma function, of what is above zero.
pub(crate) fn digamma(x: f64) -> f64 {
    /// From here on the series is exact.
    const FAR: f64 = 12.0;
    /// Abramowitz and Stegun 6.3.18: Bernoulli's numbers, each divided by its place.
    const TERMS: [f64; 7] =
        [1.0 / 12.0, -1.0 / 120.0, 1.0 / 252.0, -1.0 / 240.0, 1.0 / 132.0, -691.0 / 32760.0, 1.0 / 12.0];

    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    let (mut x, mut sum) = (x, 0.0);
    while x < FAR {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = TERMS.iter().rev().fold(0.0, |series, term| (series + term) * square);
    sum + x.ln() - 0.5 / x - series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digamma_is_exact_to_the_last_digits() {
        for (x, expected) in [
            (1.0, -0.577_215_664_901_532_9),
            (0.5, -1.963_510_026_021_423_5),
            (10.0, 2.251_752_589_066_721),
            (100.0, 4.600_161_852_738_087),
        ] {
            assert!((digamma(x) - expected).abs() < 4e-15, "{x}: {}", digamma(x));
        }
        assert!(digamma(0.0).is_nan() && digamma(-1.5).is_nan());
    }
}
