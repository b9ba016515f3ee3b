//! Slices of balanced radix-256 digits, products of equal weight summed in the device.
//!
//! A line is scaled by one power of two and rounded to integers X = rne(x · 2^e) of s digits,
//! X = Σ_p d_p · 256^(s-p) with d_p in [-128, 127]. Then x_i · y_j · 2^(e_i + f_j) is the sum of
//! d_p · d_q · 256^(2s-p-q), of which a scheme keeps the heavy terms. Everything up to
//! [`join`]'s single rounding is exact integer arithmetic, so the bits of the result depend on
//! neither order nor tiling nor device.

use super::float::{
    BELOW_2_31, Fixed, INFINITY, MAGNITUDE, ORDINARY, narrow, pow2, round_i64, widen,
};
use super::{Group, MAX_SLICES, Scheme};
use crate::npu::widest::widest;

/// 3 slices, 8 products: all but (3, 3). As accurate as a native sgemm on ordinary data.
pub static I_3S8P: Scheme = Scheme {
    name: "I-3s8p",
    slices: 3,
    groups: &[
        Group { weight: 2, first: 1, count: 1 },
        Group { weight: 3, first: 1, count: 2 },
        Group { weight: 4, first: 1, count: 3 },
        Group { weight: 5, first: 2, count: 2 },
    ],
    guard_shift: 8,
};

/// 4 slices, the 10 products with p + q ≤ 5.
pub static I_4S10P: Scheme = Scheme {
    name: "I-4s10p",
    slices: 4,
    groups: &[
        Group { weight: 2, first: 1, count: 1 },
        Group { weight: 3, first: 1, count: 2 },
        Group { weight: 4, first: 1, count: 3 },
        Group { weight: 5, first: 1, count: 4 },
    ],
    guard_shift: 24,
};

/// Elements that [`split`] handles at once.
const BLOCK: usize = 64;

/// Outputs that [`join`] handles at once.
const COLS: usize = 64;

/// The exponent e of a line whose largest magnitude is `max_abs` (finite): every element times
/// 2^e, rounded, fits `slices` digits (2, 3, 4, 7 or 8). 0 for a line of zeros.
///
/// 2^e takes the maximum into [2^(8s-2), 2^(8s-1)), or one binade lower where its mantissa is
/// above 0xFEFEFE: the greatest number of s balanced digits is 0x7F7F…7F, not 2^(8s-1) - 1. The
/// comparison is one of integers because 0x7F7F7F7F7F7F7F has no exact double.
pub fn exponent(max_abs: f32, slices: usize) -> i32 {
    let bits = max_abs.to_bits() & MAGNITUDE;
    debug_assert!(bits < INFINITY);
    if bits == 0 {
        return 0;
    }
    let (field, fraction) = (bits >> 23, bits & 0x7F_FFFF);
    // max_abs = mantissa · 2^power with a mantissa of 24 bits, subnormal numbers too.
    let (mantissa, power) = match field {
        0 => (fraction << (fraction.leading_zeros() - 8), -141 - fraction.leading_zeros() as i32),
        _ => (fraction | 0x80_0000, field as i32 - 150),
    };
    8 * slices as i32 - 25 - power - i32::from(mantissa > 0xFE_FEFE)
}

widest! {
    /// Splits one line of finite elements into digit planes: plane p (1-based) goes to
    /// `planes[(p - 1) * pitch..]`, `line.len()` digits and zeros up to `pitch`.
    ///
    /// `exponent` is the line's own [`exponent()`], or a smaller one. Leading digits are at
    /// least -127. `slices` is 2, 3 or 4.
    pub fn split(
        line: &[f32],
        exponent: i32,
        slices: usize,
        pitch: usize,
        planes: &mut [i8],
    ) => split_any;
}

#[inline(always)]
fn split_any(line: &[f32], exponent: i32, slices: usize, pitch: usize, planes: &mut [i8]) {
    match slices {
        2 => split_into::<2>(line, exponent, pitch, planes),
        3 => split_into::<3>(line, exponent, pitch, planes),
        MAX_SLICES => split_into::<MAX_SLICES>(line, exponent, pitch, planes),
        _ => panic!("single precision is split into 2, 3 or 4 slices, not {slices}"),
    }
}

#[inline(always)]
fn split_into<const S: usize>(line: &[f32], exponent: i32, pitch: usize, planes: &mut [i8]) {
    assert!(line.len() <= pitch && planes.len() == S * pitch);
    let (blocks, tail) = line.as_chunks();
    for (i, block) in blocks.iter().enumerate() {
        let digits = digits::<S>(block, exponent);
        for p in 0..S {
            planes[p * pitch + i * BLOCK..][..BLOCK].copy_from_slice(&digits[p]);
        }
    }
    let mut block = [0.0; BLOCK];
    block[..tail.len()].copy_from_slice(tail);
    let digits = digits::<S>(&block, exponent);
    for p in 0..S {
        let rest = &mut planes[p * pitch..][line.len() - tail.len()..pitch];
        rest[..tail.len()].copy_from_slice(&digits[p][..tail.len()]);
        rest[tail.len()..].fill(0);
    }
}

/// The digits of some elements, plane by plane.
#[inline(always)]
fn digits<const S: usize>(elements: &[f32; BLOCK], exponent: i32) -> [[i8; BLOCK]; S] {
    // With 0x80 added to every digit at once, the bytes of the sum are the digits plus 0x80: no
    // digit borrows from the next.
    let offset = 0x8080_8080u32 >> (32 - 8 * S);
    let mut biased = nearest(elements, exponent);
    for x in &mut biased {
        *x = x.wrapping_add(offset) ^ offset;
    }
    let mut digits = [[0; BLOCK]; S];
    for p in 0..S {
        for i in 0..BLOCK {
            digits[p][i] = (biased[i] >> (8 * (S - 1 - p))) as i8;
        }
    }
    digits
}

/// The integers nearest to some elements times 2^exponent, ties to even, as two's complement.
#[inline(always)]
fn nearest(elements: &[f32; BLOCK], exponent: i32) -> [u32; BLOCK] {
    let mut whole = [0; BLOCK];
    if ORDINARY.contains(&exponent) {
        // What is subnormal, before or after, is rounded to zero.
        let scale = pow2(exponent) as f32;
        for (whole, &x) in whole.iter_mut().zip(elements) {
            // Not a clamp, which would let a NaN through.
            let bounded = (x * scale).max(-BELOW_2_31);
            let scaled = bounded.min(BELOW_2_31).round_ties_even();
            // SAFETY: within ±2^31, and no NaN, which the maximum takes away.
            *whole = unsafe { scaled.to_int_unchecked::<i32>() } as u32;
        }
    } else {
        for (whole, x) in whole.iter_mut().zip(elements) {
            let negative = (x.to_bits() as i32 >> 31) as u32;
            let magnitude = Fixed::scale(x.to_bits(), exponent).round();
            *whole = (magnitude ^ negative).wrapping_sub(negative);
        }
    }
    whole
}

widest! {
    /// Joins the group sums of one row of C into the floating-point product, before α and β.
    ///
    /// `sums[g * cols + j]` is the exact sum of group g at column j of `cols = out.len()`;
    /// `row_exponent` and `col_exponents[j]` are those of the lines. `out[j]` becomes the
    /// value, rounded to f64 once: with w the weight of the last group,
    /// T = Σ_g sums_g · 256^(w - weight_g), and
    /// `out[j]` = rne(T) · 2^(8(2s - w) - row_exponent - col_exponents\[j]).
    ///
    /// T fits an i64 for k up to [`Scheme::max_k`]. The exponents are added before anything is
    /// scaled, and exponents of single-precision lines are within -120 … 179: the one scaling
    /// by at most 2^±374 is exact, and no value comes near the ends of the double range. Sums
    /// that no device should return give some number, never a panic.
    pub fn join(
        scheme: &Scheme,
        sums: &[i64],
        row_exponent: i32,
        col_exponents: &[i32],
        out: &mut [f64],
    ) => join_any;
}

#[inline(always)]
fn join_any(
    scheme: &Scheme,
    sums: &[i64],
    row_exponent: i32,
    col_exponents: &[i32],
    out: &mut [f64],
) {
    let cols = out.len();
    assert!(sums.len() == scheme.groups.len() * cols && col_exponents.len() == cols);
    let last = scheme.last_weight();
    let base = 8 * (2 * scheme.slices as i32 - last as i32) - row_exponent;
    for start in (0..cols).step_by(COLS) {
        let width = COLS.min(cols - start);
        let mut joined = [0i64; COLS];
        for (g, group) in scheme.groups.iter().enumerate() {
            let weight = 8 * (last - group.weight) as u32;
            let sums = &sums[g * cols + start..][..width];
            for (t, &sum) in joined.iter_mut().zip(sums) {
                *t = t.wrapping_add(sum.wrapping_shl(weight));
            }
        }
        let exponents = &col_exponents[start..][..width];
        let values = &mut out[start..][..width];
        for ((value, &t), &f) in values.iter_mut().zip(&joined).zip(exponents) {
            *value = round_i64(t) * pow2(base - f);
        }
    }
}

/// The final formula: `alpha · value + beta · old` evaluated in f64 with one fused
/// multiply-add and rounded to f32 once; `old` is `None` where β = 0.
///
/// IEEE rules throughout: non-finite α, β and `old` act as in any other BLAS. The bits do not
/// depend on whether the thread flushes subnormal numbers.
#[inline(always)]
pub fn finish(alpha: f32, value: f64, beta: f32, old: Option<f32>) -> f32 {
    narrow(match old {
        None => widen(alpha) * value,
        Some(old) => widen(alpha).mul_add(value, widen(beta) * widen(old)),
    })
}

widest! {
    /// [`finish`] for a row of contiguous elements of C, which is read only where β ≠ 0.
    pub fn finish_row(alpha: f32, values: &[f64], beta: f32, c: &mut [f32]) => finish_each;
}

#[inline(always)]
fn finish_each(alpha: f32, values: &[f64], beta: f32, c: &mut [f32]) {
    assert!(values.len() == c.len());
    // As a double, a subnormal β is not zero, whatever the thread's mode.
    let beta_is_zero = widen(beta) == 0.0;
    for (values, c) in values.chunks(COLS).zip(c.chunks_mut(COLS)) {
        if beta_is_zero {
            for (c, &value) in c.iter_mut().zip(values) {
                *c = finish(alpha, value, beta, None);
            }
        } else if !finish_ordinary(alpha, values, beta, c) {
            for (c, &value) in c.iter_mut().zip(values) {
                *c = finish(alpha, value, beta, Some(*c));
            }
        }
    }
}

/// [`finish`] where neither an element of C nor a result is subnormal or zero: `false`, with C
/// as it was, when there is one.
#[inline(always)]
fn finish_ordinary(alpha: f32, values: &[f64], beta: f32, c: &mut [f32]) -> bool {
    let mut new = [0f32; COLS];
    let (alpha, beta) = (widen(alpha), widen(beta));
    let mut odd = false;
    for ((new, &value), &old) in new.iter_mut().zip(values).zip(&*c) {
        let result = alpha.mul_add(value, beta * f64::from(old));
        odd |= old.to_bits() & INFINITY == 0 || result.abs() < pow2(-126);
        *new = result as f32;
    }
    if !odd {
        c.copy_from_slice(&new[..c.len()]);
    }
    !odd
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::widest::Width;

    /// Σ_p 127 · 256^(s-p), the greatest magnitude of s digits, for s from 2 to 8.
    fn limit(slices: usize) -> u128 {
        127 * ((1u128 << (8 * slices)) - 1) / 255
    }

    fn planes(line: &[f32], exponent: i32, slices: usize) -> Vec<Vec<i8>> {
        let pitch = line.len().next_multiple_of(32);
        let mut planes = vec![0x55; slices * pitch];
        split(line, exponent, slices, pitch, &mut planes);
        planes.chunks(pitch.max(1)).map(<[i8]>::to_vec).collect()
    }

    #[test]
    fn exponent_is_the_greatest_that_fits() {
        let mantissas = [0x80_0000u32, 0x80_0001, 0xFE_FEFD, 0xFE_FEFE, 0xFE_FEFF, 0xFF_FFFF];
        for slices in [2, 3, 4, 7, 8] {
            for mantissa in mantissas {
                for power in [-149, -126, -24, 0, 1, 104] {
                    let max = (f64::from(mantissa) * 2f64.powi(power)) as f32;
                    let e = exponent(max, slices);
                    assert_eq!(exponent(-max, slices), e);
                    let rounded = |e: i32| {
                        // The maximum times 2^e is `mantissa · 2^up`, rounded half to even.
                        let up = power + e;
                        let cut = u128::from(mantissa) << (64 + up);
                        let (whole, rest) = (cut >> 64, cut & u128::from(u64::MAX));
                        whole + u128::from(rest > 1 << 63 || (rest == 1 << 63 && whole & 1 == 1))
                    };
                    assert!(rounded(e) <= limit(slices), "{max:e} {slices}");
                    // With two slices 0xFEFEFF would fit as well; one rule serves all.
                    if (slices, mantissa) != (2, 0xFE_FEFF) {
                        assert!(rounded(e + 1) > limit(slices), "{max:e} {slices}");
                    }
                }
            }
        }
        assert_eq!(exponent(0.0, 3), 0);
        assert_eq!(exponent(-0.0, 3), 0);
        // Fewer than 24 bits, all the way down.
        for bit in 0..23 {
            assert_eq!(exponent(f32::from_bits(1 << bit), 3), 171 - bit);
        }
    }

    #[test]
    fn digits_add_up_to_the_rounded_element() {
        let mut bits = 1u32;
        let mut line: Vec<f32> = (0..1003)
            .map(|_| {
                bits = bits.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
                f32::from_bits(bits.rotate_left(16))
            })
            .filter(|x| x.is_finite())
            .collect();
        for shrink in [1.0, 2f32.powi(-60), 2f32.powi(-100), 2f32.powi(-126), 2f32.powi(-140)] {
            line.iter_mut().for_each(|x| *x = x.clamp(-1e30, 1e30) * shrink);
            for len in [0, 1, 31, 32, 33, line.len()] {
                let line = &line[..len];
                let max = line.iter().fold(0f32, |max, x| max.max(x.abs()));
                for slices in [2, 3, 4] {
                    let e = exponent(max, slices);
                    let planes = planes(line, e, slices);
                    for (l, &x) in line.iter().enumerate() {
                        let whole: i64 = planes.iter().fold(0, |v, p| 256 * v + i64::from(p[l]));
                        let exact = (f64::from(x) * 2f64.powi(e)).round_ties_even();
                        assert_eq!(whole as f64, exact, "{x:e} {slices}");
                        assert!(planes[0][l] >= -127);
                    }
                    assert!(planes.iter().flat_map(|plane| &plane[len..]).all(|d| *d == 0));
                }
            }
        }
    }

    #[test]
    fn the_greatest_mantissas_do_not_wrap() {
        // 0xFEFEFE is 0x7F7F7F in three slices; 0xFEFEFF would round to 0x7F7F80, whose digits
        // are all wrong.
        let at = |mantissa: u32| f32::from_bits(0x3F00_0000 | mantissa & 0x7F_FFFF);
        let leading = |x: f32| {
            let e = exponent(x, 3);
            let planes = planes(&[x, -x], e, 3);
            (planes[0][0], planes[1][0], planes[2][0], planes[0][1])
        };
        assert_eq!(leading(at(0xFE_FEFE)), (127, 127, 127, -127));
        assert_eq!(leading(at(0xFE_FEFF)), (64, -64, -64, -64));
        assert_eq!(leading(at(0xFF_FFFF)), (64, 0, 0, -64));
    }

    #[test]
    fn joining_is_one_rounding_of_the_exact_sum() {
        let mut state = 7u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 20) as i64 - (1 << 43)
        };
        for scheme in [&I_3S8P, &I_4S10P] {
            for cols in [0, 1, 63, 64, 65, 200] {
                let sums: Vec<i64> =
                    (0..scheme.groups.len() * cols).map(|i| draw() >> (5 + i % 39)).collect();
                let exponents: Vec<i32> = (0..cols).map(|j| -120 + (j as i32 * 3) % 300).collect();
                let mut out = vec![f64::NAN; cols];
                join(scheme, &sums, -77, &exponents, &mut out);
                for j in 0..cols {
                    let sum = |g: usize| i128::from(sums[g * cols + j]);
                    let total = ((sum(0) * 256 + sum(1)) * 256 + sum(2)) * 256 + sum(3);
                    let up = 8 * (2 * scheme.slices as i32 - 5) + 77 - exponents[j];
                    assert_eq!(out[j], total as f64 * 2f64.powi(up));
                }
            }
        }
    }

    #[test]
    fn sums_that_no_device_should_return_do_no_harm() {
        let mut out = [0.0; 2];
        join(&I_3S8P, &[i64::MAX, i64::MIN, i64::MAX, -1, 1, 0, i64::MIN, 3], 0, &[0, 0], &mut out);
        assert!(out.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn the_final_formula_rounds_once_and_follows_the_standard() {
        // (1 + 2^-23)(1 + 2^-52) - (1 + 2^-23); a product rounded by itself would give 2^-52.
        let near_one = 1.0 + 2f32.powi(-23);
        let c = finish(near_one, 1.0 + 2f64.powi(-52), -near_one, Some(1.0));
        assert_eq!(c, near_one * 2f32.powi(-52));
        assert_eq!(finish(-1.0, 0.0, 0.0, None).to_bits(), (-0.0f32).to_bits());
        assert_eq!(finish(1.0, 1e300, 0.0, None), f32::INFINITY);
        assert!(finish(1.0, 1.0, 1.0, Some(f32::NAN)).is_nan());
        assert!(finish(f32::INFINITY, 0.0, 0.0, None).is_nan());
        assert_eq!(finish(1.0, 1.0, f32::INFINITY, Some(-1.0)), f32::NEG_INFINITY);
        let mut c = [f32::NAN; 3];
        finish_row(2.0, &[1.0, 2.0, 3.0], -0.0, &mut c);
        assert_eq!(c, [2.0, 4.0, 6.0]);
        finish_row(2.0, &[1.0, 2.0, 3.0], f32::from_bits(1), &mut c);
        assert_eq!(c, [2.0, 4.0, 6.0]);
        finish_row(0.0, &[1.0, 2.0, 3.0], 0.5, &mut c);
        assert_eq!(c, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        // Zeros and subnormal numbers in some blocks, a tail behind the last.
        let wave = |i: usize| if i % 100 > 96 { 0.0 } else { ((i * i) as f32).sin() * 3e-3 };
        let line: Vec<f32> = (0..777).map(wave).collect();
        for (slices, shrink) in [(2, 1.0), (3, 1.0), (4, 1.0), (3, 2f32.powi(-120))] {
            let pitch = 800;
            let line: Vec<f32> = line.iter().map(|x| x * shrink).collect();
            let e = exponent(3e-3 * shrink, slices);
            let mut plain = vec![2; slices * pitch];
            split_any(&line, e, slices, pitch, &mut plain);
            Width::each(|| {
                let mut wide = vec![1; slices * pitch];
                split(&line, e, slices, pitch, &mut wide);
                assert_eq!(wide, plain);
            });
        }
        let sums: Vec<i64> = (0..4 * 99).map(|i| (i * 7919 - 99_999) * 131).collect();
        let exponents: Vec<i32> = (0..99).collect();
        let mut plain = vec![1.0; 99];
        join_any(&I_3S8P, &sums, 5, &exponents, &mut plain);
        Width::each(|| {
            let mut wide = vec![0.0; 99];
            join(&I_3S8P, &sums, 5, &exponents, &mut wide);
            assert_eq!(wide, plain);
        });
        for beta in [0.0, 0.3, 1e-40] {
            for odd in [0.1, 0.0, -0.0, 1e-39, f32::INFINITY] {
                let old: Vec<f32> = (0..99).map(|j| if j == 70 { odd } else { 0.1 }).collect();
                let slow: Vec<u32> = old
                    .iter()
                    .zip(&plain)
                    .map(|(&c, &v)| finish(0.7, v, beta, (beta != 0.0).then_some(c)).to_bits())
                    .collect();
                Width::each(|| {
                    let mut fast = old.clone();
                    finish_row(0.7, &plain, beta, &mut fast);
                    assert!(fast.iter().map(|c| c.to_bits()).eq(slow.iter().copied()));
                });
            }
        }
    }
}
