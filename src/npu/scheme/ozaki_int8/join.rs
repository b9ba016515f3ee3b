//! From sums of digit products to values.

use super::Group;
use crate::npu::scheme::Real;
use crate::npu::widest::widest;
use std::ops::{Range, RangeInclusive};

/// Outputs that [`join`] handles at once.
const COLS: usize = 64;

/// Weights, from the last one on, whose sums share an i64; those before share another.
const WEIGHTS: usize = 4;

/// The weight of the last group, the unit of the joined sum T.
fn last_weight(groups: &[Group]) -> usize {
    groups.last().map_or(2, |group| group.weight)
}

/// A bound of |T| per unit of k, of the groups whose distance from the last one is in `range`,
/// over 256 to the start of the range: every digit product is at most 2^14 in magnitude.
fn per_term(groups: &[Group], range: Range<usize>) -> u128 {
    let last = last_weight(groups);
    let weights = groups.iter().map(|g| (g.count as u128, last - g.weight));
    let inside = weights.filter(|(_, distance)| range.contains(distance));
    inside.map(|(count, distance)| count << (14 + 8 * (distance - range.start))).sum()
}

/// Greatest inner dimension for which both halves of T, see [`join`], surely fit an i64.
pub fn max_k(groups: &[Group]) -> usize {
    let low = per_term(groups, 0..WEIGHTS);
    // The higher half takes what the lower one has above 2^32.
    let high = per_term(groups, WEIGHTS..2 * WEIGHTS) + (low >> 32) + 1;
    (i64::MAX as u128 / low.max(high)) as usize
}

/// Whether no value of [`join`] is subnormal, or overflows.
///
/// T is 0 or from 1 to k · Σ_g count_g · 2^14 · 256^(w - weight_g) in magnitude, and all scaling
/// is by 2^(8(2s - w) - e - f). With seven digits and lines whose maxima are a and b this asks
/// for a · b ≥ 2^-962 or so.
pub fn in_range(
    groups: &[Group],
    slices: usize,
    rows: RangeInclusive<i32>,
    cols: RangeInclusive<i32>,
    k: usize,
) -> bool {
    let greatest = k as u128 * per_term(groups, 0..2 * WEIGHTS);
    let bits = (u128::BITS - greatest.leading_zeros()) as i32;
    let base = 8 * (2 * slices as i32 - last_weight(groups) as i32);
    let (least_up, most_up) = (base - rows.end() - cols.end(), base - rows.start() - cols.start());
    least_up >= f64::MIN_EXP - 1 && bits + most_up < f64::MAX_EXP
}

widest! {
    /// Joins the group sums of one row of C, see [`Scheme::join`]. With w the weight of the last
    /// group and s = `slices`, T = Σ_g sums_g · 256^(w - weight_g) and
    /// `out[j]` = rne(T) · 2^(8(2s - w) - row_exponent - col_exponents\[j]).
    ///
    /// T is exact for k up to [`max_k`]. The exponents are added before anything is scaled, so
    /// that lines of 2^1000 and 2^-1000 give 1. Where they are [`in_range`] the scaling is exact
    /// and no value is subnormal or overflows; elsewhere values are some numbers. Exponents of
    /// single-precision lines, within -120 … 179, always are; those of double-precision lines
    /// are within -990 … 1140.
    pub fn join(
        groups: &[Group],
        slices: usize,
        sums: &[i64],
        row_exponent: i32,
        col_exponents: &[i32],
        out: &mut [f64],
    ) => join_any;
}

#[inline(always)]
fn join_any(
    groups: &[Group],
    slices: usize,
    sums: &[i64],
    row_exponent: i32,
    col_exponents: &[i32],
    out: &mut [f64],
) {
    let base = 8 * (2 * slices as i32 - last_weight(groups) as i32) - row_exponent;
    if groups.len() > WEIGHTS {
        join_halves::<true>(groups, sums, base, col_exponents, out);
    } else {
        join_halves::<false>(groups, sums, base, col_exponents, out);
    }
}

/// The values rne(T) · 2^(base - f) with the exponents f of the columns.
#[inline(always)]
fn join_halves<const WIDE: bool>(
    groups: &[Group],
    sums: &[i64],
    base: i32,
    col_exponents: &[i32],
    out: &mut [f64],
) {
    let cols = out.len();
    assert!(sums.len() == groups.len() * cols && col_exponents.len() == cols);
    let last = last_weight(groups);
    for start in (0..cols).step_by(COLS) {
        let width = COLS.min(cols - start);
        // T = high · 2^32 + low.
        let (mut high, mut low) = ([0i64; COLS], [0i64; COLS]);
        for (g, group) in groups.iter().enumerate() {
            let distance = last - group.weight;
            let half = if WIDE && distance >= WEIGHTS { &mut high } else { &mut low };
            let weight = 8 * (distance % WEIGHTS) as u32;
            let sums = &sums[g * cols + start..][..width];
            for (t, &sum) in half.iter_mut().zip(sums) {
                *t = t.wrapping_add(sum.wrapping_shl(weight));
            }
        }
        let exponents = &col_exponents[start..][..width];
        let values = &mut out[start..][..width];
        for (((value, &high), &low), &f) in values.iter_mut().zip(&high).zip(&low).zip(exponents) {
            // In range, see `in_range`, the bounds do nothing.
            *value = round::<WIDE>(high, low) * f64::pow2((base - f).clamp(-1022, 1023));
        }
    }
}

/// The double nearest to T = high · 2^32 + low, ties to even, |T| ≤ 2^95. Unless `WIDE`, `high`
/// is 0.
///
/// T is cut at bit 44 into two integers of at most 52 bits. Each becomes an exact double as the
/// low bits of one whose unit is its own, and their sum is rounded once, by the addition. 64-bit
/// integers are only shifted as unsigned ones, which every CPU can in vectors.
#[inline(always)]
fn round<const WIDE: bool>(high: i64, low: i64) -> f64 {
    const SIGN: u64 = 1 << 63;
    /// Doubles with units of 1 and of 2^44.
    const LOWER: f64 = f64::from_bits((1023 + 52) << 52);
    const UPPER: f64 = f64::from_bits((1023 + 96) << 52);
    // What taking T, or `high`, for an unsigned number adds to T.
    let bias = f64::from_bits((1023 + if WIDE { 95 } else { 63 }) << 52);
    let biased = low as u64 ^ SIGN;
    let (upper, lower) = if WIDE {
        // The carry of `low` is 2^31 too great until that is taken off.
        let high = (high as u64).wrapping_add(biased >> 32).wrapping_sub(1 << 31);
        ((high ^ SIGN) >> 12, (high & 0xFFF) << 32 | low as u64 & 0xFFFF_FFFF)
    } else {
        (biased >> 44, low as u64 & 0xFFF_FFFF_FFFF)
    };
    let upper = f64::from_bits(UPPER.to_bits() | upper) - (UPPER + bias);
    upper + (f64::from_bits(LOWER.to_bits() | lower) - LOWER)
}

#[cfg(test)]
mod tests {
    use super::super::{I_3S8P, I_7S28P, I_8S36P, SCHEMES};
    use super::*;
    use crate::npu::widest::Width;

    #[test]
    fn joining_is_one_rounding_of_the_exact_sum() {
        let mut state = 7u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 20) as i64 - (1 << 43)
        };
        for scheme in SCHEMES {
            let slices = scheme.planes();
            let last = scheme.groups.last().unwrap().weight;
            for cols in [0, 1, 63, 64, 65, 200] {
                let sums: Vec<i64> =
                    (0..scheme.groups.len() * cols).map(|i| draw() >> (7 + i % 37)).collect();
                let exponents: Vec<i32> = (0..cols).map(|j| -120 + (j as i32 * 3) % 300).collect();
                let mut out = vec![f64::NAN; cols];
                scheme.join(&sums, -77, &exponents, &mut out);
                for j in 0..cols {
                    let total = scheme
                        .groups
                        .iter()
                        .enumerate()
                        .fold(0, |total, (g, _)| 256 * total + i128::from(sums[g * cols + j]));
                    let up = 8 * (2 * slices as i32 - last as i32) + 77 - exponents[j];
                    assert_eq!(out[j], total as f64 * 2f64.powi(up), "{}", scheme.name);
                }
            }
        }
    }

    #[test]
    fn ties_and_what_is_next_to_them_round_as_the_language_does() {
        let check = |t: i128| {
            // Every way to share T out between the halves.
            for borrow in [0, 1, -1, 12_345] {
                let low = (t & 0xFFFF_FFFF) as i64 + (borrow << 32);
                let high = ((t >> 32) as i64).wrapping_sub(borrow);
                assert_eq!(round::<true>(high, low).to_bits(), (t as f64).to_bits(), "{t:x}");
            }
            if let Ok(low) = i64::try_from(t) {
                assert_eq!(round::<false>(0, low).to_bits(), (t as f64).to_bits(), "{t:x}");
            }
        };
        for bits in 0..=94u32 {
            let one = 1i128 << bits;
            // One and a half units in the last place and its neighbours, at every place.
            let half = one >> 53;
            for top in [one, one + 2 * half, one + 4 * half, one + one / 2, 2 * one - 2 * half] {
                for nudge in [-(1 << 32), -2, -1, 0, 1, 2, 1 << 20, 1 << 32, 1 << 44] {
                    for tie in [0, half, -half, half / 2] {
                        let t = top + tie + nudge;
                        if t.unsigned_abs() < 1 << 95 {
                            check(t);
                            check(-t);
                        }
                    }
                }
            }
        }
        assert_eq!(round::<true>(i64::MIN, 0), -(2f64.powi(95)));
        assert_eq!(round::<false>(0, i64::MIN), -(2f64.powi(63)));
        assert_eq!((round::<true>(0, 0).to_bits(), round::<false>(0, 0).to_bits()), (0, 0));
    }

    #[test]
    fn exponents_are_added_before_scaling() {
        let join = |row, col| {
            let mut out = [f64::NAN];
            let sums: Vec<i64> = (0..7).map(|g| i64::from(g == 0)).collect();
            I_7S28P.join(&sums, row, &[col], &mut out);
            // T = 2^48, and 2^48 stands before it.
            out[0]
        };
        for exponent in [0, 900, -900, 1100] {
            assert_eq!(join(48 + exponent, 48 - exponent), 1.0);
        }
        assert_eq!(join(0, -927), 2f64.powi(1023));
        assert_eq!(join(100, 970), 2f64.powi(48 - 1022));
        // Out of range: some numbers.
        join(-900, -900);
        join(i32::MAX / 2, 0);
    }

    #[test]
    fn values_in_range_are_normal() {
        for scheme in SCHEMES {
            let k = 1 << 20;
            assert!(scheme.in_range(-130..=179, -130..=179, k), "{}", scheme.name);
            let last = scheme.groups.last().unwrap().weight;
            let base = 8 * (2 * scheme.planes() - last) as i32;
            let bits = 128 - (k as u128 * per_term(scheme.groups, 0..8)).leading_zeros() as i32;
            let ones = vec![1; scheme.groups.len()];
            let full: Vec<i64> =
                scheme.groups.iter().map(|g| (g.count * k) as i64 * 16384).collect();
            let least: Vec<i64> =
                ones.iter().enumerate().map(|(g, _)| i64::from(g + 1 == ones.len())).collect();
            let value = |sums: &[i64], row: i32, col: i32| {
                let mut out = [0.0];
                scheme.join(sums, row, &[col], &mut out);
                out[0]
            };
            for e in -1000..1200 {
                for f in [-900, -400, 0, 500, 900] {
                    if scheme.in_range(e..=e, f..=f, k) {
                        let (small, great) = (value(&least, e, f), value(&full, e, f));
                        assert!(small.is_normal() && great.is_normal(), "{e} {f}");
                        // One step as exact as the sum is, to both sides.
                        assert_eq!(small.log2() as i32, base - e - f);
                        assert!(great.log2() < (bits + base - e - f) as f64);
                    }
                }
            }
            assert!(scheme.in_range(0..=0, 500..=500, k) && !scheme.in_range(0..=900, 0..=500, k));
            assert!(!scheme.in_range(-900..=0, -500..=0, k));
        }
    }

    #[test]
    fn sums_that_no_device_should_return_do_no_harm() {
        let mut out = [0.0; 2];
        let sums = [i64::MAX, i64::MIN, i64::MAX, -1, 1, 0, i64::MIN, 3];
        I_3S8P.join(&sums, 0, &[0, 0], &mut out);
        assert!(out.iter().all(|v| v.is_finite()));
        I_8S36P.join(&sums.repeat(2), 0, &[0, 0], &mut out);
        assert!(out.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn every_instruction_set_gives_the_same_values() {
        let sums: Vec<i64> = (0..8 * 99).map(|i| (i * 7919 - 99_999) * 131).collect();
        let exponents: Vec<i32> = (0..99).collect();
        for scheme in SCHEMES {
            let (groups, slices) = (scheme.groups, scheme.planes());
            let sums = &sums[..groups.len() * 99];
            let mut plain = vec![1.0; 99];
            join_any(groups, slices, sums, 5, &exponents, &mut plain);
            Width::each(|| {
                let mut wide = vec![0.0; 99];
                join(groups, slices, sums, 5, &exponents, &mut wide);
                assert_eq!(wide, plain);
            });
        }
    }
}
