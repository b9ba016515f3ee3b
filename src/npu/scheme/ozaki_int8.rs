//! Slices of balanced radix-256 digits, products of equal weight summed in the device.

use super::{Group, Scheme};

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

/// The exponent e of a line whose largest magnitude is `max_abs` (finite): every element times
/// 2^e, rounded, fits the digits. 0 for a line of zeros.
pub fn exponent(_max_abs: f32, _slices: usize) -> i32 {
    0
}

/// Splits one line into digit planes: plane p (1-based) goes to
/// `planes[(p - 1) * pitch..]`, `line.len()` digits and zeros up to `pitch`.
pub fn split(_line: &[f32], _exponent: i32, _slices: usize, _pitch: usize, planes: &mut [i8]) {
    planes.fill(0);
}

/// Joins the group sums of one row of C into the floating-point product, before α and β.
///
/// `sums[g * cols + j]` is the exact sum of group g at column j; `row_exponent` and
/// `col_exponents[j]` are those of the lines. `out[j]` becomes the value, rounded to f64 once.
pub fn join(
    _scheme: &Scheme,
    _sums: &[i64],
    _row_exponent: i32,
    _col_exponents: &[i32],
    out: &mut [f64],
) {
    out.fill(0.0);
}

/// The final formula: `alpha · value + beta · old` evaluated in f64 with one fused
/// multiply-add and rounded to f32 once; `old` is `None` where β = 0.
pub fn finish(_alpha: f32, value: f64, _beta: f32, _old: Option<f32>) -> f32 {
    value as f32
}
