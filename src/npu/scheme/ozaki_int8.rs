//! Slices of balanced radix-256 digits, products of equal weight summed in the device.
//!
//! A line is scaled by one power of two and rounded to integers X = rne(x · 2^e) of s digits,
//! X = Σ_p d_p · 256^(s-p) with d_p in [-128, 127]. Then x_i · y_j · 2^(e_i + f_j) is the sum of
//! d_p · d_q · 256^(2s-p-q), of which a scheme keeps the heavy terms. Everything up to
//! [`join`]'s single rounding is exact integer arithmetic, so the bits of the result depend on
//! neither order nor tiling nor device.

use super::float::{Fixed, INFINITY, MAGNITUDE, narrow, pow2, round_i64, widen};
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
const BLOCK: usize = 32;

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
    let mut start = 0;
    for block in line.chunks(BLOCK) {
        let digits = digits::<S>(block, exponent);
        for p in 0..S {
            let plane = &mut planes[p * pitch + start..][..block.len()];
            match <&mut [i8; BLOCK]>::try_from(&mut *plane) {
                Ok(whole) => *whole = digits[p],
                Err(_) => plane.copy_from_slice(&digits[p][..block.len()]),
            }
        }
        start += block.len();
    }
    for p in 0..S {
        planes[p * pitch + start..(p + 1) * pitch].fill(0);
    }
}

/// The digits of up to [`BLOCK`] elements, and those of zeros behind them.
#[inline(always)]
fn digits<const S: usize>(elements: &[f32], exponent: i32) -> [[i8; BLOCK]; S] {
    let mut block = [0.0; BLOCK];
    block[..elements.len()].copy_from_slice(elements);
    // With 0x80 added to every digit at once, the bytes of the sum are the digits plus 0x80: no
    // digit borrows from the next.
    let offset = 0x8080_8080u32 >> (32 - 8 * S);
    let mut biased = [0u32; BLOCK];
    for (biased, x) in biased.iter_mut().zip(block) {
        let bits = x.to_bits();
        let magnitude = Fixed::scale(bits, exponent).round();
        let negative = (bits as i32 >> 31) as u32;
        *biased = (magnitude ^ negative).wrapping_sub(negative).wrapping_add(offset);
    }
    let mut digits = [[0; BLOCK]; S];
    for p in 0..S {
        for i in 0..BLOCK {
            digits[p][i] = ((biased[i] >> (8 * (S - 1 - p))) as u8 ^ 0x80) as i8;
        }
    }
    digits
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
    // A subnormal β is not zero, whatever the thread's mode.
    if beta.to_bits() & MAGNITUDE == 0 {
        for (c, &value) in c.iter_mut().zip(values) {
            *c = finish(alpha, value, beta, None);
        }
    } else {
        for (c, &value) in c.iter_mut().zip(values) {
            *c = finish(alpha, value, beta, Some(*c));
        }
    }
}
