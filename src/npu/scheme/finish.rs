//! The final formula: α · value + β · old, and what comes before the one rounding.
//!
//! Single precision is evaluated in double precision, whose values stay far from the subnormal
//! range, and narrowed once by integers: its bits do not depend on whether the thread flushes
//! subnormal numbers. Double precision has no such refuge; the door sees to it that nothing is
//! flushed during a call.

use super::real::Real;
use crate::npu::widest::widest;
use crate::scalar::Scalar;

/// Elements of C that are finished at once.
const COLS: usize = 64;

const SIGN: u32 = 0x8000_0000;

/// `x` as a double, exact for subnormal numbers too.
#[inline(always)]
pub fn widen(x: f32) -> f64 {
    let bits = x.to_bits();
    if bits & f32::INFINITE == 0 {
        let magnitude = f64::from((bits & !SIGN) as i32) * f64::pow2(-149);
        f64::from_bits(magnitude.to_bits() | u64::from(bits & SIGN) << 32)
    } else {
        f64::from(x)
    }
}

/// The nearest single-precision number, ties to even; subnormal numbers too.
#[inline(always)]
fn narrow(x: f64) -> f32 {
    if x.abs() < f64::pow2(-126) {
        // Added to 2^52, a multiple of the smallest subnormal number is rounded to an integer
        // that is also the bit pattern of the result.
        let grid = (x.abs() * f64::pow2(149) + f64::pow2(52)).to_bits() as u32;
        f32::from_bits(grid | (x.to_bits() >> 32) as u32 & SIGN)
    } else {
        x as f32
    }
}

/// `alpha · value + beta · old` evaluated in f64 with one fused multiply-add and rounded to f32
/// once; `old` is `None` where β = 0.
///
/// IEEE rules throughout: non-finite α, β and `old` act as in any other BLAS.
#[inline(always)]
pub fn single(alpha: f32, value: f64, beta: f32, old: Option<f32>) -> f32 {
    narrow(match old {
        None => widen(alpha) * value,
        Some(old) => widen(alpha).mul_add(value, widen(beta) * widen(old)),
    })
}

/// `alpha · value + rne(beta · old)` with one fused multiply-add; `old` is `None` where β = 0.
#[inline(always)]
pub fn double(alpha: f64, value: f64, beta: f64, old: Option<f64>) -> f64 {
    match old {
        None => alpha * value,
        Some(old) => alpha.mul_add(value, beta * old),
    }
}

widest! {
    /// [`single`] for a row of contiguous elements of C, which is read only where β ≠ 0.
    pub fn single_row(alpha: f32, values: &[f64], beta: f32, c: &mut [f32]) => single_each;
}

#[inline(always)]
fn single_each(alpha: f32, values: &[f64], beta: f32, c: &mut [f32]) {
    assert!(values.len() == c.len());
    let beta_is_zero = beta.is_zero();
    for (values, c) in values.chunks(COLS).zip(c.chunks_mut(COLS)) {
        if beta_is_zero {
            for (c, &value) in c.iter_mut().zip(values) {
                *c = single(alpha, value, beta, None);
            }
        } else if !single_ordinary(alpha, values, beta, c) {
            for (c, &value) in c.iter_mut().zip(values) {
                *c = single(alpha, value, beta, Some(*c));
            }
        }
    }
}

/// [`single`] where neither an element of C nor a result is subnormal or zero: `false`, with C
/// as it was, when there is one.
#[inline(always)]
fn single_ordinary(alpha: f32, values: &[f64], beta: f32, c: &mut [f32]) -> bool {
    let mut new = [0f32; COLS];
    let (alpha, beta) = (widen(alpha), widen(beta));
    let mut odd = false;
    for ((new, &value), &old) in new.iter_mut().zip(values).zip(&*c) {
        let result = alpha.mul_add(value, beta * f64::from(old));
        odd |= old.to_bits() & f32::INFINITE == 0 || result.abs() < f64::pow2(-126);
        *new = result as f32;
    }
    if !odd {
        c.copy_from_slice(&new[..c.len()]);
    }
    !odd
}

widest! {
    /// [`double`] for a row of contiguous elements of C, which is read only where β ≠ 0.
    pub fn double_row(alpha: f64, values: &[f64], beta: f64, c: &mut [f64]) => double_each;
}

#[inline(always)]
fn double_each(alpha: f64, values: &[f64], beta: f64, c: &mut [f64]) {
    assert!(values.len() == c.len());
    if beta.is_zero() {
        for (c, &value) in c.iter_mut().zip(values) {
            *c = double(alpha, value, beta, None);
        }
    } else {
        for (c, &value) in c.iter_mut().zip(values) {
            *c = double(alpha, value, beta, Some(*c));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::widest::Width;

    #[test]
    fn widening_and_narrowing_are_the_conversions_of_the_language() {
        let mantissas = [0, 1, 2, 3, 0x3F_FFFF, 0x40_0000, 0x40_0001, 0x7F_FFFE, 0x7F_FFFF];
        let patterns = (0..255u32).flat_map(move |field| mantissas.map(|m| field << 23 | m));
        for bits in patterns.chain([f32::INFINITE]) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                assert_eq!(widen(x).to_bits(), f64::from(x).to_bits());
                for nudge in -2..=2i64 {
                    for base in [f64::from(x), f64::from(x) * 1.5, f64::from(x) * 0.5] {
                        let y = f64::from_bits(base.to_bits().wrapping_add_signed(nudge));
                        if !y.is_nan() {
                            assert_eq!(narrow(y).to_bits(), (y as f32).to_bits(), "{y:e}");
                        }
                    }
                }
            }
        }
        assert!(widen(f32::NAN).is_nan() && narrow(f64::NAN).is_nan());
    }

    #[test]
    fn single_precision_rounds_once_and_follows_the_standard() {
        // (1 + 2^-23)(1 + 2^-52) - (1 + 2^-23); a product rounded by itself would give 2^-52.
        let near_one = 1.0 + 2f32.powi(-23);
        let c = single(near_one, 1.0 + 2f64.powi(-52), -near_one, Some(1.0));
        assert_eq!(c, near_one * 2f32.powi(-52));
        assert_eq!(single(-1.0, 0.0, 0.0, None).to_bits(), (-0.0f32).to_bits());
        assert_eq!(single(1.0, 1e300, 0.0, None), f32::INFINITY);
        assert!(single(1.0, 1.0, 1.0, Some(f32::NAN)).is_nan());
        assert!(single(f32::INFINITY, 0.0, 0.0, None).is_nan());
        assert_eq!(single(1.0, 1.0, f32::INFINITY, Some(-1.0)), f32::NEG_INFINITY);
        let mut c = [f32::NAN; 3];
        single_row(2.0, &[1.0, 2.0, 3.0], -0.0, &mut c);
        assert_eq!(c, [2.0, 4.0, 6.0]);
        single_row(2.0, &[1.0, 2.0, 3.0], f32::from_bits(1), &mut c);
        assert_eq!(c, [2.0, 4.0, 6.0]);
        single_row(0.0, &[1.0, 2.0, 3.0], 0.5, &mut c);
        assert_eq!(c, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn double_precision_fuses_and_follows_the_standard() {
        let near_one = 1.0 + 2f64.powi(-52);
        assert_eq!(double(near_one, near_one, -near_one, Some(1.0)), near_one * 2f64.powi(-52));
        assert_eq!(double(-1.0, 0.0, 0.0, None).to_bits(), (-0.0f64).to_bits());
        assert!(double(f64::INFINITY, 0.0, 0.0, None).is_nan());
        let mut c = [f64::NAN; 3];
        double_row(2.0, &[1.0, 2.0, 3.0], -0.0, &mut c);
        assert_eq!(c, [2.0, 4.0, 6.0]);
        double_row(0.0, &[1.0, 2.0, 3.0], 0.5, &mut c);
        assert_eq!(c, [1.0, 2.0, 3.0]);
        double_row(1.0, &[1.0, 2.0, 3.0], f64::from_bits(1), &mut c);
        assert_eq!(c, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let values: Vec<f64> = (0..99).map(|j| f64::from(j * j - 4000) / 7.0).collect();
        for beta in [0.0, 0.3, 1e-40] {
            for odd in [0.1, 0.0, -0.0, 1e-39, f32::INFINITY] {
                let old: Vec<f32> = (0..99).map(|j| if j == 70 { odd } else { 0.1 }).collect();
                let entry = |(&c, &v): (&f32, &f64)| {
                    single(0.7, v, beta, (beta != 0.0).then_some(c)).to_bits()
                };
                let slow: Vec<u32> = old.iter().zip(&values).map(entry).collect();
                let wide: Vec<f64> = old.iter().map(|&c| f64::from(c)).collect();
                let entry = |(&c, &v): (&f64, &f64)| {
                    let beta = f64::from(beta);
                    double(0.7, v, beta, (beta != 0.0).then_some(c)).to_bits()
                };
                let slow_double: Vec<u64> = wide.iter().zip(&values).map(entry).collect();
                Width::each(|| {
                    let mut fast = old.clone();
                    single_row(0.7, &values, beta, &mut fast);
                    assert!(fast.iter().map(|c| c.to_bits()).eq(slow.iter().copied()));
                    let mut fast = wide.clone();
                    double_row(0.7, &values, f64::from(beta), &mut fast);
                    assert!(fast.iter().map(|c| c.to_bits()).eq(slow_double.iter().copied()));
                });
            }
        }
    }
}
