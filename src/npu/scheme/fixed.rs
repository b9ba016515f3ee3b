//! Elements in fixed point, by their bits alone: the slow way that is right for all of them.

use super::real::{Real, Word};

/// A magnitude in fixed point: `units / 2^shift`, with `shift` from 1 to PRECISION + 2.
#[derive(Debug, Clone, Copy)]
pub struct Fixed<W> {
    /// The scaled magnitude.
    units: W,
    /// How many bits of `units` are behind the binary point.
    shift: u32,
}

impl<W: Word> Fixed<W> {
    /// |x| · 2^exponent for a finite x, where the product is below 2^31 for single, 2^63 for
    /// double precision.
    ///
    /// Products below 2^-2 may be shown as another number of (0, 1/2): rounding, truncation and
    /// whether something is lost do not change.
    #[inline(always)]
    pub fn scale<R: Real<Word = W>>(x: R, exponent: i32) -> Fixed<W> {
        let implicit = W::ONE.wrapping_shl(R::PRECISION - 1);
        let magnitude = x.magnitude();
        let field = magnitude.wrapping_shr(R::PRECISION - 1).to_u64() as i32;
        let fraction = magnitude & implicit.wrapping_sub(W::ONE);
        let mantissa = fraction | if field == 0 { W::ZERO } else { implicit };
        // |x| = mantissa · 2^(max(field, 1) - 1 + LEAST); one more bit is kept behind the point,
        // so that `shift` is never 0.
        let up = field.max(1) - 1 + R::LEAST + exponent;
        Fixed {
            units: mantissa.wrapping_shl(up.max(0) as u32 + 1),
            shift: 1 + up.wrapping_neg().clamp(0, R::PRECISION as i32 + 1) as u32,
        }
    }

    /// The nearest integer, ties to even.
    #[inline(always)]
    pub fn round(self) -> W {
        let odd = self.units.wrapping_shr(self.shift) & W::ONE;
        let below_half = W::ONE.wrapping_shl(self.shift - 1).wrapping_sub(W::ONE);
        self.units.wrapping_add(below_half.wrapping_add(odd)).wrapping_shr(self.shift)
    }

    /// The integer part.
    #[inline(always)]
    pub fn truncate(self) -> W {
        self.units.wrapping_shr(self.shift)
    }

    /// The part behind the point, 0 iff the number is an integer.
    #[inline(always)]
    pub fn fraction(self) -> W {
        self.units & W::ONE.wrapping_shl(self.shift).wrapping_sub(W::ONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit patterns over all exponents, with the mantissas where roundings go wrong.
    fn singles() -> impl Iterator<Item = f32> {
        let mantissas = [0, 1, 2, 3, 0x3F_FFFF, 0x40_0000, 0x40_0001, 0x7F_FFFE, 0x7F_FFFF];
        (0..255u32).flat_map(move |field| mantissas.map(|m| f32::from_bits(field << 23 | m)))
    }

    #[test]
    fn fixed_point_agrees_with_doubles() {
        for x in singles() {
            for exponent in -120..=179 {
                let exact = f64::from(x) * 2f64.powi(exponent);
                if exact >= 2_139_062_143.5 {
                    continue;
                }
                let fixed = Fixed::scale(x, exponent);
                assert_eq!(f64::from(fixed.round()), exact.round_ties_even(), "{x:e} {exponent}");
                assert_eq!(fixed.fraction() == 0, exact.fract() == 0.0, "{x:e} {exponent}");
                assert_eq!(f64::from(fixed.truncate()), exact.trunc(), "{x:e} {exponent}");
            }
        }
    }

    #[test]
    fn doubles_agree_with_wide_integers() {
        let fractions = [0, 1, 2, 3, 0x7_FFFF_FFFF_FFFF, 0x8_0000_0000_0000, 0xF_FFFF_FFFF_FFFF];
        for field in (0..2047u64).step_by(89).chain([1, 2, 3, 1022, 1023, 1024, 2046]) {
            for fraction in fractions.into_iter().flat_map(|f| [f, f & !0x3F_FFFF]) {
                let x = f64::from_bits(field << 52 | fraction);
                let mantissa = u128::from(fraction | if field == 0 { 0 } else { 1 << 52 });
                for up in -60..=10 {
                    // x · 2^exponent = mantissa · 2^up = units / 2^60.
                    let exponent = up + 1074 - (field.max(1) as i32 - 1);
                    let (units, one) = (mantissa << (60 + up), 1u128 << 60);
                    let (whole, rest) = (units / one, units % one);
                    let fixed = Fixed::scale(x, exponent);
                    let up_one = rest > one / 2 || rest == one / 2 && whole % 2 == 1;
                    let nearest = whole + u128::from(up_one);
                    assert_eq!(u128::from(fixed.round()), nearest, "{x:e} {exponent}");
                    assert_eq!(fixed.fraction() == 0, rest == 0, "{x:e} {exponent}");
                    assert_eq!(u128::from(fixed.truncate()), whole, "{x:e} {exponent}");
                    if f64::ORDINARY.contains(&exponent) {
                        let (scale, back) = (f64::pow2(exponent), f64::pow2(-exponent));
                        assert_eq!(u128::from(x.nearest(scale)), nearest, "{x:e} {exponent}");
                        let negative = (-x).nearest(scale).wrapping_neg();
                        assert_eq!(u128::from(negative), nearest, "{x:e} {exponent}");
                        assert_eq!(x.beside(scale, back) == 0, rest == 0, "{x:e} {exponent}");
                    }
                }
            }
        }
    }
}
