//! The exponential function of many numbers.

use std::f64::consts::LOG2_E;

use super::vectors;

/// What is added to round to a whole number, which then stands in the lowest bits: 1.5 · 2⁵².
const ROUNDING: f64 = 6_755_399_441_055_744.0;

/// The logarithm of 2 in two parts, of which the first has so few digits that whole numbers times it are exact.
const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fefa_3800);
const LN_2_LOW: f64 = f64::from_bits(0x3d2e_f357_93c7_6730);

/// Below it everything is zero, above it everything is infinite.
const LEAST: f64 = -746.0;
const MOST: f64 = 710.0;

/// `1 / n!` from the last summand of the power series that counts to the third.
const SUMMANDS: [f64; 11] = {
    let mut factorial = 2.0;
    let mut summands = [0.0; 11];
    let mut n = 0;
    while n < summands.len() {
        factorial *= n as f64 + 3.0;
        summands[summands.len() - 1 - n] = 1.0 / factorial;
        n += 1;
    }
    summands
};

/// `exp` of every number, in place, less than one unit in the last place from the exact value.
///
/// Several numbers at a time where the processor multiplies and adds in one rounding, and with the C library's
/// function elsewhere, so that the last bit may be another one on another processor, as with the C library itself.
pub(crate) fn exp_each(values: &mut [f64]) {
    if !vectors::can_fuse() {
        values.iter_mut().for_each(|value| *value = value.exp());
        return;
    }
    vectors::in_vectors(
        #[inline(always)]
        || values.iter_mut().for_each(|value| *value = exp(*value)),
    );
}

/// `2ⁿ · exp(rest)` with the power series of the rest, which is at most half of the logarithm of 2.
#[inline(always)]
fn exp(x: f64) -> f64 {
    let x = if x < LEAST { LEAST } else { x };
    let x = if x > MOST { MOST } else { x };
    let n = x.mul_add(LOG2_E, ROUNDING) - ROUNDING;
    let rest = n.mul_add(-LN_2_HIGH, x);
    let rest = n.mul_add(-LN_2_LOW, rest);
    let series = SUMMANDS.iter().fold(0.0_f64, |sum, summand| sum.mul_add(rest, *summand));
    let series = 1.0 + (rest * rest).mul_add(series.mul_add(rest, 0.5), rest);
    // In two steps, because 2ⁿ by itself may be no number.
    let half = n.mul_add(0.5, ROUNDING) - ROUNDING;
    series * power_of_two(half) * power_of_two(n - half)
}

#[inline(always)]
fn power_of_two(n: f64) -> f64 {
    f64::from_bits(((n + ROUNDING).to_bits() << 52).wrapping_add(1.0_f64.to_bits()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many numbers lie between two positive ones.
    fn ulps(a: f64, b: f64) -> u64 {
        a.to_bits().abs_diff(b.to_bits())
    }

    #[test]
    fn at_the_edges_it_is_what_it_should_be() {
        let mut values =
            [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 709.78, 709.79, -745.13, -745.14, 1e300];
        exp_each(&mut values);
        assert_eq!(values[..4], [1.0, 1.0, f64::INFINITY, 0.0]);
        assert!(values[4].is_finite() && values[5].is_infinite());
        assert_eq!(values[6..], [f64::from_bits(1), 0.0, f64::INFINITY]);
        let mut none = [f64::NAN];
        exp_each(&mut none);
        assert!(none[0].is_nan());
    }

    proptest! {
        #[test]
        fn it_is_the_neighbour_of_the_c_library_at_most(values in prop::collection::vec(-760.0..720.0_f64, 1..40)) {
            let mut found = values.clone();
            exp_each(&mut found);
            for (value, found) in values.iter().zip(&found) {
                prop_assert!(ulps(*found, value.exp()) <= 1, "exp({value}) is {found}");
            }
        }

        #[test]
        fn near_zero_too(values in prop::collection::vec(-1.0..1.0_f64, 1..40)) {
            let mut found = values.clone();
            exp_each(&mut found);
            for (value, found) in values.iter().zip(&found) {
                prop_assert!(ulps(*found, value.exp()) <= 1, "exp({value}) is {found}");
            }
        }
    }
}
