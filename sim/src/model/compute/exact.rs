//! When a sum of 32 products of halves is exact in double precision, and what to do when not.

/// Significant bits of a double.
const DOUBLE_BITS: u32 = 53;
/// Bits that the sum of 32 values has more than its largest term.
const SUM_BITS: u32 = 5;
/// Halves are whole multiples of 2^-24.
const HALF_UNIT: f64 = 16_777_216.0;

/// Bits between the highest and the lowest one that is set among some numbers; 0 when all are 0.
/// Infinities and NaN do not count: they make the sum infinite or NaN whatever the rest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread(u32);

impl Spread {
    /// The spread of halves.
    pub fn of(values: &[f64]) -> Self {
        let mut all = 0u64;
        for value in values.iter().filter(|v| v.is_finite()) {
            all |= (value.abs() * HALF_UNIT) as u64;
        }
        Spread(if all == 0 { 0 } else { u64::BITS - all.leading_zeros() - all.trailing_zeros() })
    }
}

/// Whether double precision holds every sum of products of 32 such operands.
pub fn fits(features: Spread, weights: Spread) -> bool {
    features.0 + weights.0 + SUM_BITS <= DOUBLE_BITS
}

/// The sum of the products of halves, rounded once to single precision.
pub fn sum(features: &[f64], weights: impl Iterator<Item = f64> + Clone) -> f64 {
    let pairs = features.iter().copied().zip(weights);
    if !pairs.clone().all(|(a, b)| a.is_finite() && b.is_finite()) {
        return pairs.map(|(a, b)| a * b).sum();
    }
    // in units of 2^-48: 40 bits times 40 bits, 32 of them
    let units = |value: f64| i128::from((value * HALF_UNIT) as i64);
    let sum: i128 = pairs.map(|(a, b)| units(a) * units(b)).sum();
    // the conversion rounds to nearest even; the division only moves the exponent
    f64::from(sum as f32) / (HALF_UNIT * HALF_UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_count_from_the_highest_to_the_lowest_bit() {
        assert_eq!(Spread::of(&[]), Spread(0));
        assert_eq!(Spread::of(&[0.0, -0.0, f64::INFINITY, f64::NAN]), Spread(0));
        assert_eq!(Spread::of(&[1.0, -2.0]), Spread(2));
        assert_eq!(Spread::of(&[65504.0, 2f64.powi(-24)]), Spread(40));
        assert!(fits(Spread(24), Spread(24)) && !fits(Spread(25), Spread(24)));
    }

    #[test]
    fn one_rounding_sees_bits_that_double_precision_loses() {
        // 65504² + 2⁻⁴⁸ - 65504² : the last bit survives only in an exact sum
        let tiny = 2f64.powi(-24);
        let features = [65504.0, tiny, 65504.0];
        let weights = [65504.0, tiny, -65504.0];
        assert_eq!(sum(&features, weights.into_iter()), tiny * tiny);
        // a tie of single precision that a far away bit decides
        let half_ulp = 2f64.powi(-24);
        let features = [1.0, half_ulp, tiny];
        assert_eq!(sum(&features, [1.0, 1.0, 0.0].into_iter()), 1.0);
        assert_eq!(sum(&features, [1.0, 1.0, tiny].into_iter()), 1.0 + 2f64.powi(-23));
    }

    #[test]
    fn infinities_and_nan_follow_ieee() {
        let sum =
            |a: f64, b: f64| sum(&[a, 65504.0, 2f64.powi(-24)], [b, 65504.0, 1.0].into_iter());
        assert_eq!(sum(f64::INFINITY, -1.0), f64::NEG_INFINITY);
        assert!(sum(f64::INFINITY, 0.0).is_nan() && sum(f64::NAN, 1.0).is_nan());
    }
}
