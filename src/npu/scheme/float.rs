//! Floating-point numbers by their bits.
//!
//! The caller's thread may flush subnormal numbers to zero (FTZ and DAZ on x86, FZ on Arm),
//! other threads of the same call may not. What is decided or computed from single-precision
//! data therefore goes through the integers of this file. Double-precision arithmetic needs no
//! such care: its values stay far from the subnormal range, see [`super::ozaki_int8::join`].

use std::ops::RangeInclusive;

/// Bits of +∞; every finite magnitude is below.
pub const INFINITY: u32 = 0x7F80_0000;
/// All bits but the sign.
pub const MAGNITUDE: u32 = 0x7FFF_FFFF;
const FRACTION: u32 = 0x007F_FFFF;
const IMPLICIT: u32 = 0x0080_0000;

/// Exponents e for which scaling by 2^e can be left to single-precision arithmetic: 2^e and 2^-e
/// are normal numbers, and elements that are subnormal, or become so, stay far below 1/2.
pub const ORDINARY: RangeInclusive<i32> = -120..=120;
/// The greatest number below 2^31.
pub const BELOW_2_31: f32 = 2_147_483_520.0;

/// A magnitude in fixed point: `units / 2^shift`, with `shift` from 1 to 26.
#[derive(Debug, Clone, Copy)]
pub struct Fixed {
    /// The scaled magnitude.
    pub units: u32,
    /// How many bits of `units` are behind the binary point.
    pub shift: u32,
}

impl Fixed {
    /// |x| · 2^exponent, where `bits` are those of a finite x and the product is below 2^31.
    ///
    /// Products below 2^-2 may be shown as another number of (0, 1/2): rounding, truncation and
    /// whether something is lost do not change.
    #[inline(always)]
    pub fn scale(bits: u32, exponent: i32) -> Fixed {
        let field = (bits & MAGNITUDE) >> 23;
        let mantissa = (bits & FRACTION) | if field == 0 { 0 } else { IMPLICIT };
        // |x| = mantissa · 2^(max(field, 1) - 150); one more bit is kept behind the point, so
        // that `shift` is never 0.
        let up = field.max(1) as i32 - 150 + exponent;
        Fixed {
            units: mantissa.wrapping_shl(up.max(0) as u32 + 1),
            shift: 1 + up.wrapping_neg().clamp(0, 25) as u32,
        }
    }

    /// The nearest integer, ties to even.
    #[inline(always)]
    pub fn round(self) -> u32 {
        let odd = self.units.wrapping_shr(self.shift) & 1;
        let below_half = 1u32.wrapping_shl(self.shift - 1) - 1;
        self.units.wrapping_add(below_half + odd).wrapping_shr(self.shift)
    }

    /// The integer part of the number over 2^`bits`.
    #[inline(always)]
    pub fn truncate(self, bits: u32) -> u32 {
        // Where the minimum cuts, `units` has at most 25 bits and the result is 0.
        self.units.wrapping_shr((self.shift + bits).min(31))
    }

    /// The part behind the point, 0 iff the number is an integer.
    #[inline(always)]
    pub fn fraction(self) -> u32 {
        self.units & (1u32.wrapping_shl(self.shift) - 1)
    }
}

/// 2^n for n from -1022 to 1023.
#[inline(always)]
pub fn pow2(n: i32) -> f64 {
    debug_assert!((-1022..=1023).contains(&n));
    f64::from_bits(((n + 1023) as u64) << 52)
}

/// The nearest double, ties to even: two exact halves and one rounded addition.
#[inline(always)]
pub fn round_i64(t: i64) -> f64 {
    f64::from((t >> 32) as i32) * 4_294_967_296.0 + f64::from(t as u32)
}

/// `x` as a double, exact for subnormal numbers too.
#[inline(always)]
pub fn widen(x: f32) -> f64 {
    let bits = x.to_bits();
    if bits & INFINITY == 0 {
        let magnitude = f64::from((bits & FRACTION) as i32) * pow2(-149);
        f64::from_bits(magnitude.to_bits() | u64::from(bits & !MAGNITUDE) << 32)
    } else {
        f64::from(x)
    }
}

/// The nearest single-precision number, ties to even; subnormal numbers too.
#[inline(always)]
pub fn narrow(x: f64) -> f32 {
    if x.abs() < pow2(-126) {
        // Added to 2^52, a multiple of the smallest subnormal number is rounded to an integer
        // that is also the bit pattern of the result.
        let grid = (x.abs() * pow2(149) + pow2(52)).to_bits() as u32;
        f32::from_bits(grid | (x.to_bits() >> 32) as u32 & !MAGNITUDE)
    } else {
        x as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit patterns over all exponents, with the mantissas where roundings go wrong.
    fn patterns() -> impl Iterator<Item = u32> {
        let mantissas = [0, 1, 2, 3, 0x3F_FFFF, 0x40_0000, 0x40_0001, 0x7F_FFFE, 0x7F_FFFF];
        (0..255u32).flat_map(move |field| mantissas.map(|m| field << 23 | m))
    }

    #[test]
    fn fixed_point_agrees_with_doubles() {
        for bits in patterns() {
            let x = f64::from(f32::from_bits(bits));
            for exponent in -120..=179 {
                let exact = x * 2f64.powi(exponent);
                if exact >= 2_139_062_143.5 {
                    continue;
                }
                let fixed = Fixed::scale(bits, exponent);
                assert_eq!(f64::from(fixed.round()), exact.round_ties_even(), "{x:e} {exponent}");
                assert_eq!(fixed.fraction() == 0, exact.fract() == 0.0, "{x:e} {exponent}");
                for cut in [0, 8, 16, 24] {
                    let part = (exact / 2f64.powi(cut)).trunc();
                    assert_eq!(f64::from(fixed.truncate(cut as u32)), part, "{x:e} {exponent}");
                }
            }
        }
    }

    #[test]
    fn widening_and_narrowing_are_the_conversions_of_the_language() {
        for bits in patterns().chain([INFINITY]) {
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
    fn integers_round_like_the_language() {
        let edges = [0, 1, 0xFFFF_FFFF, 1 << 32, (1 << 53) + 1, (1 << 53) + 3, i64::MAX];
        for t in edges.into_iter().chain((0..62).map(|b| (3 << b) + 1)) {
            for t in [t, -t] {
                assert_eq!(round_i64(t).to_bits(), (t as f64).to_bits(), "{t}");
            }
        }
        assert_eq!(round_i64(i64::MIN), i64::MIN as f64);
    }
}
