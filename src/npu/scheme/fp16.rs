//! The chip's own half precision: no digits, but binary16 numbers, one or two per element.
//!
//! A line is scaled by the power of two that two slices would have, which takes its largest
//! magnitude to about [2^14, 2^15): no product exceeds 2^30, so that sums do not overflow. A scaled
//! element x becomes hi, its nearest half, and in `fp16x2` also lo, the half nearest to
//! (x - hi) · 2^11, which without that factor would be lost where x is small (Ootomo and Yokota,
//! IJHPCA 36(4), 2022). Elements down to 2^-28 of the largest keep 11 bits in hi and 11 in lo,
//! smaller ones fewer, and what is below 2^-39 of it is lost. Of the products lo · lo is dropped.
//!
//! The chip sums every aligned group of 32 products exactly, rounds the sum to binary32, and adds
//! the groups in order of k, rounding likewise. That is how others characterised it on boards, bit
//! for bit, but for every 16th column: there they saw rare sums of a group that are low by
//! 2^(4c - 44), where c is the greatest sum of the exponent fields, each over 4, of two factors in
//! the group. So two devices may differ in last bits. That is at most 2^-14 of the largest product,
//! or 2^-16 where one factor is subnormal, and never more than [`COARSE`]. Here sums count in units
//! of 2^-16 ([`add`]), in which those of several tasks are added exactly.
//!
//! **Error.** With x and y the scaled lines, S = Σ|xy|, u = 2^-24 and g groups of 32 (all products of
//! a sum counted), an entry is off by at most
//!
//! | | `fp16` | `fp16x2` |
//! |---|---|---|
//! | elements, and lo · lo | 1.001 · 2^-10 S | 1.001 · 3 · 2^-22 S |
//! | elements that become subnormal | 1.001 · 2^-25 (‖x‖₁ + ‖y‖₁) | the same of 2^-36 |
//! | roundings of the device | (g + 1) u S | (1.01 g + 1) u S |
//! | sums that are low, in every 16th column | 2^-14 S + 2^-16 g | the same |
//! | units, per task | 2^-17 | the same |
//!
//! The second row follows from 2^-25 being half the smallest half. As ‖x‖∞ is 0.996 · 2^14 or more,
//! and g no more than k, what does not depend on S is below 2^-37 k max a max b in units of A·B.
//! With g ≤ k/32 + 1 ≤ 2^12 the rest is below 2^-9 Σ|ab| for `fp16`, and below
//! (k/31 + 15) u Σ|ab| for `fp16x2`, and 2^-14 Σ|ab| more in every 16th column.

use super::Real;
use super::{Group, Numbers, Scheme};
use crate::npu::widest::widest;
use std::ops::RangeInclusive;

/// Half precision as the chip has it: one product.
pub static FP16: Scheme = Scheme {
    name: "fp16",
    numbers: Numbers::Halves(1),
    groups: &[Group { weight: 2, first: 1, count: 1 }],
    certificate: false,
    precision: 24,
};

/// Two halves per element, 22 bits, and three products.
pub static FP16X2: Scheme = Scheme {
    name: "fp16x2",
    numbers: Numbers::Halves(2),
    groups: &[Group { weight: 2, first: 1, count: 1 }, Group { weight: 3, first: 1, count: 2 }],
    certificate: false,
    precision: 24,
};

/// Most halves that an element becomes.
pub const MAX_HALVES: usize = 2;

/// Greatest inner dimension whose sum, of 2^46 units per product, surely fits an i64.
pub const MAX_K: usize = (1 << 17) - 1;

/// By how much the sum of a group of 32 products may be low in every 16th column.
pub const COARSE: f64 = 4096.0;

/// Units in which sums count, per 1.
pub const UNITS: f64 = 65_536.0;

/// By which factor, as a power of two, an element's second half is scaled.
const RESIDUAL_BITS: i32 = 11;

/// Bytes of a half.
const BYTES: usize = 2;

widest! {
    /// Splits one line of finite elements times 2^exponent into `halves` planes of binary16, as the
    /// chip reads it, of `pitch` halves each; `exponent` is that of two slices. What is behind the
    /// line in a plane becomes zero.
    pub fn split<R: Real>(
        line: &[R],
        exponent: i32,
        halves: usize,
        pitch: usize,
        planes: &mut [i8],
    ) => split_any;
}

#[inline(always)]
fn split_any<R: Real>(line: &[R], exponent: i32, halves: usize, pitch: usize, planes: &mut [i8]) {
    // In two steps, each by a normal number. What becomes subnormal in between is far below the
    // smallest half.
    let first = f64::pow2(exponent / 2);
    let second = f64::pow2(exponent - exponent / 2);
    let scaled = |x: &R| x.widen() * first * second;
    let mut planes = planes.chunks_exact_mut(BYTES * pitch.max(1));
    let mut plane = || {
        let (used, rest) = planes.next().unwrap_or_default().split_at_mut(BYTES * line.len());
        rest.fill(0);
        used.as_chunks_mut().0
    };
    let high = plane();
    for (high, x) in high.iter_mut().zip(line) {
        *high = bytes(half(scaled(x)));
    }
    if halves == MAX_HALVES {
        for ((low, &high), x) in plane().iter_mut().zip(&*high).zip(line) {
            *low = bytes(half((scaled(x) - number(high)) * f64::pow2(RESIDUAL_BITS)));
        }
    }
}

/// A half as it lies in memory.
#[inline(always)]
fn bytes(half: u16) -> [i8; BYTES] {
    half.to_le_bytes().map(u8::cast_signed)
}

/// The nearest binary16 number, ties to even, of one of at most 2^15 in magnitude.
#[inline(always)]
fn half(x: f64) -> u16 {
    let bits = x.to_bits();
    let magnitude = x.abs();
    // A normal number: the upper bits of the fraction, rounded, with another bias of the exponent.
    let odd = bits >> 42 & 1;
    let normal = (bits + (0x1FF_FFFF_FFFF + odd)) >> 42;
    let normal = (normal as u32 & 0x1F_FFFF).wrapping_sub((1023 - 15) << 10);
    // Added to 2^28, a subnormal number is rounded to a multiple of 2^-24, whose number is also
    // the bit pattern.
    let subnormal = (magnitude + f64::pow2(28)).to_bits() as u32 & 0x7FF;
    let pattern = if magnitude < f64::pow2(-14) { subnormal } else { normal };
    (pattern | (bits >> 48) as u32 & 0x8000) as u16
}

/// The half that [`split`] wrote as these bytes.
#[inline(always)]
pub fn number(bytes: [i8; BYTES]) -> f64 {
    let half = u16::from_le_bytes(bytes.map(i8::cast_unsigned));
    let (field, fraction) = (half >> 10 & 0x1F, half & 0x3FF);
    let mantissa = i32::from(fraction) + if field == 0 { 0 } else { 0x400 };
    let magnitude = f64::from(mantissa) * f64::pow2(i32::from(field.max(1)) - 25);
    if half & 0x8000 == 0 { magnitude } else { -magnitude }
}

/// The sum that the chip stored as this word.
#[inline(always)]
pub fn sum(word: i32) -> f64 {
    f64::from(f32::from_bits(word.cast_unsigned()))
}

/// A sum in units of 2^-16; some number for one that no device should return.
#[inline(always)]
pub fn units(sum: f64) -> i64 {
    (sum * UNITS).round_ties_even() as i64
}

widest! {
    /// Joins the group sums of one row of C, see [`Scheme::join`]: with T = Σ_g sums_g · 2^-11g, g
    /// from 0, `out[j]` = T · 2^(-16 - row_exponent - col_exponents\[j]).
    pub fn join(
        groups: usize,
        sums: &[i64],
        row_exponent: i32,
        col_exponents: &[i32],
        out: &mut [f64],
    ) => join_any;
}

#[inline(always)]
fn join_any(
    groups: usize,
    sums: &[i64],
    row_exponent: i32,
    col_exponents: &[i32],
    out: &mut [f64],
) {
    let cols = out.len();
    assert!(sums.len() == groups * cols && col_exponents.len() == cols);
    out.fill(0.0);
    for sums in sums.chunks_exact(cols.max(1)).rev() {
        for (value, &sum) in out.iter_mut().zip(sums) {
            *value = *value * f64::pow2(-RESIDUAL_BITS) + sum as f64 / UNITS;
        }
    }
    for (value, f) in out.iter_mut().zip(col_exponents) {
        // In range, see `in_range`, the bounds do nothing.
        *value *= f64::pow2((-row_exponent - f).clamp(-1022, 1023));
    }
}

/// Whether no value of [`join`] is subnormal, or overflows: T, see there, is 0 or from 2^-27 to
/// 2^48 in magnitude.
pub fn in_range(rows: RangeInclusive<i32>, cols: RangeInclusive<i32>) -> bool {
    let (least_up, most_up) = (-rows.end() - cols.end(), -rows.start() - cols.start());
    least_up - 27 >= f64::MIN_EXP - 1 && most_up + 48 < f64::MAX_EXP
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::scheme::ozaki_int8;
    use crate::npu::widest::Width;

    fn of(pattern: u16) -> f64 {
        number(pattern.to_le_bytes().map(u8::cast_signed))
    }

    #[test]
    fn every_pattern_is_its_own_number() {
        for pattern in (0..=0x7800).chain(0x8000..=0xF800) {
            let x = of(pattern);
            assert_eq!(half(x), pattern, "{x:e}");
            assert!(x.abs() <= 32768.0);
        }
        let known =
            [(0x3C00, 1.0), (0x7800, 32768.0), (0x8001, -f64::pow2(-24)), (0x4248, 3.140625)];
        assert!(known.into_iter().all(|(pattern, x)| of(pattern) == x));
    }

    #[test]
    fn between_two_numbers_the_nearest_is_taken_and_ties_are_even() {
        for pattern in 0..0x7800u16 {
            let (low, high) = (of(pattern), of(pattern + 1));
            let middle = (low + high) / 2.0;
            let even = pattern + (pattern & 1);
            for (x, expected) in [
                (middle, even),
                (f64::from_bits(middle.to_bits() - 1), pattern),
                (f64::from_bits(middle.to_bits() + 1), pattern + 1),
            ] {
                assert_eq!(half(x), expected, "{x:e}");
                assert_eq!(half(-x), expected | 0x8000, "{x:e}");
            }
        }
    }

    /// Halves of a plane.
    const PITCH: usize = 256;

    fn check_lines<R: Real>(of: impl Fn(f64) -> R, shrinks: &[i32]) {
        for &shrink in shrinks {
            let small =
                |i: usize| 2f64.powi(shrink / 2 - (i as i32 % 45)) * 2f64.powi(shrink - shrink / 2);
            let wave = |i: usize| ((i * i) as f64).sin() * small(i);
            let line: Vec<R> = (0..201).map(|i| of(wave(i))).collect();
            let max = line.iter().map(|x| x.widen().abs()).fold(0.0, f64::max);
            let e = ozaki_int8::exponent(of(max), 2);
            let scale = |x: f64| x * 2f64.powi(e / 2) * 2f64.powi(e - e / 2);
            assert!((0.99 * f64::pow2(14)..f64::pow2(15)).contains(&scale(max)), "{max:e}");
            Width::each(|| {
                for halves in 1..=MAX_HALVES {
                    let mut out = vec![-1; halves * 2 * PITCH];
                    split(&line, e, halves, PITCH, &mut out);
                    let mut rest: Vec<f64> = line.iter().map(|x| scale(x.widen())).collect();
                    for (p, plane) in out.chunks(2 * PITCH).enumerate() {
                        let unit = f64::pow2(-RESIDUAL_BITS * p as i32);
                        for (x, &bytes) in rest.iter_mut().zip(plane.as_chunks().0) {
                            // Half a unit in the last of 11 bits, and half the smallest number.
                            let room = (x.abs() * f64::pow2(-11)).max(unit * f64::pow2(-25));
                            *x -= number(bytes) * unit;
                            assert!(x.abs() <= room, "{x:?}");
                        }
                        assert!(plane[2 * line.len()..].iter().all(|byte| *byte == 0));
                    }
                }
            });
        }
    }

    #[test]
    fn lines_are_rounded_by_every_instruction_set() {
        check_lines(|x| x as f32, &[0, 127, -100, -125, -140]);
        check_lines(|x| x, &[0, 1023, -900, -1020, -1060]);
    }

    #[test]
    fn sums_become_whole_units_and_units_values() {
        let sums = [0.0, -0.0, 1.0, -1.5, 3.0e-6, 2f32.powi(-17), 2f32.powi(46), -2f32.powi(30)];
        for x in sums {
            let word = x.to_bits().cast_signed();
            assert_eq!(sum(word), f64::from(x));
            assert_eq!(units(sum(word)) as f64, (f64::from(x) * UNITS).round_ties_even());
        }
        for wrong in [f32::NAN, f32::INFINITY, f32::MAX, f32::MIN] {
            units(sum(wrong.to_bits().cast_signed()));
        }
        let count = 99;
        let high: Vec<i64> = (0..count).map(|j| (j - 50) << 35).collect();
        let low: Vec<i64> = (0..count).map(|j| 3 * j - 7).collect();
        let exponents: Vec<i32> = (0..count as i32).map(|j| 3 * j - 120).collect();
        Width::each(|| {
            for planes in [vec![&high], vec![&high, &low]] {
                let groups = planes.len();
                let sums: Vec<i64> = planes.into_iter().flatten().copied().collect();
                let mut out = vec![f64::NAN; exponents.len()];
                join(groups, &sums, 5, &exponents, &mut out);
                for (j, (value, f)) in out.iter().zip(&exponents).enumerate() {
                    let t = if groups == 1 { high[j] << 11 } else { (high[j] << 11) + low[j] };
                    assert_eq!(*value, t as f64 * f64::pow2(-27 - 5 - f));
                }
            }
        });
    }

    #[test]
    fn the_range_ends_where_values_do() {
        assert!(in_range(-113..=163, -113..=163), "all lines of single precision");
        assert!(in_range(-975..=0, 0..=0) && !in_range(-976..=0, 0..=0));
        assert!(in_range(0..=995, 0..=0) && !in_range(0..=996, 0..=0));
    }
}
