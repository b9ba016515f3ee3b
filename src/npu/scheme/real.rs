//! The real element types as schemes see them: their bits, and scaling by powers of two.
//!
//! The caller's thread may flush subnormal numbers to zero (FTZ and DAZ on x86, FZ on Arm),
//! other threads of the same call may not. What is decided or computed from elements therefore
//! goes through integers ([`Fixed`](super::fixed::Fixed)) wherever a subnormal number could
//! matter, and through floating-point arithmetic only where it could not
//! ([`Real::ORDINARY`]).

use super::finish;
use crate::scalar::Scalar;
use std::fmt::Debug;
use std::ops::{BitAnd, BitOr, BitXor, RangeInclusive};

/// An unsigned integer as wide as a real type.
pub trait Word:
    Copy
    + Ord
    + Debug
    + Send
    + Sync
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Its width.
    const BITS: u32;

    /// The low bits of a number.
    fn of(value: u64) -> Self;
    /// The same number.
    fn to_u64(self) -> u64;
    /// The lowest eight bits.
    fn low_byte(self) -> u8;
    /// The sum modulo 2^BITS.
    fn wrapping_add(self, other: Self) -> Self;
    /// The difference modulo 2^BITS.
    fn wrapping_sub(self, other: Self) -> Self;
    /// Shifted left by `bits` modulo BITS.
    fn wrapping_shl(self, bits: u32) -> Self;
    /// Shifted right by `bits` modulo BITS.
    fn wrapping_shr(self, bits: u32) -> Self;
}

macro_rules! word {
    ($t:ty) => {
        impl Word for $t {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            const BITS: u32 = <$t>::BITS;
            #[inline(always)]
            fn of(value: u64) -> Self {
                value as $t
            }
            #[inline(always)]
            fn to_u64(self) -> u64 {
                u64::from(self)
            }
            #[inline(always)]
            fn low_byte(self) -> u8 {
                self as u8
            }
            #[inline(always)]
            fn wrapping_add(self, other: Self) -> Self {
                <$t>::wrapping_add(self, other)
            }
            #[inline(always)]
            fn wrapping_sub(self, other: Self) -> Self {
                <$t>::wrapping_sub(self, other)
            }
            #[inline(always)]
            fn wrapping_shl(self, bits: u32) -> Self {
                <$t>::wrapping_shl(self, bits)
            }
            #[inline(always)]
            fn wrapping_shr(self, bits: u32) -> Self {
                <$t>::wrapping_shr(self, bits)
            }
        }
    };
}

word!(u32);
word!(u64);

/// A real element type that schemes take apart: `f32`, `f64`. Sealed, as [`Scalar`] is.
pub trait Real: Scalar<Real = Self> {
    /// Its bits.
    type Word: Word;
    /// Bits of a mantissa, the leading one included: the unit roundoff is 2^-PRECISION.
    const PRECISION: u32;
    /// The power of two that is the smallest subnormal number.
    const LEAST: i32;
    /// Bits of +∞; every finite magnitude is below.
    const INFINITE: Self::Word;
    /// Exponents e for which scaling by 2^e can be left to this type's arithmetic: 2^e, 2^-e and
    /// 2^e over the unit of a leading digit are normal numbers, and elements that are subnormal,
    /// or become so, stay far below 1/2.
    const ORDINARY: RangeInclusive<i32>;

    /// Its bits.
    fn bits(self) -> Self::Word;
    /// The number with these bits.
    fn of_bits(bits: Self::Word) -> Self;
    /// 2^n, a normal number.
    fn pow2(n: i32) -> Self;
    /// The same number as a double, subnormal numbers too.
    fn widen(self) -> f64;
    /// The integer nearest to `self · scale`, ties to even, as two's complement. Products beyond
    /// the range, and NaN, give some number.
    fn nearest(self, scale: Self) -> Self::Word;
    /// The integer part of `self · scale` for `self` ≥ 0, at most 127; 127 for NaN.
    ///
    /// # Safety
    /// Neither `self` nor `scale` is below 0.
    unsafe fn leading(self, scale: Self) -> i8;
    /// The nearest integer, ties to even.
    fn round(self) -> Self;
    /// The nearest single-precision number.
    fn to_f32(self) -> f32;
    /// For `self` ≥ 0: 0 iff `self · 2^e` is an integer, which is below 2^63.
    /// `up` is 2^e and `down` 2^-e for an e of [`Real::ORDINARY`]. Bits are compared, for a
    /// subnormal element may count as zero in arithmetic.
    fn beside(self, up: Self, down: Self) -> Self::Word;
    /// The final formula, see [`finish`].
    fn finish(alpha: Self, value: f64, beta: Self, old: Option<Self>) -> Self;
    /// [`Real::finish`] for a row of contiguous elements of C, which is read only where β ≠ 0.
    fn finish_row(alpha: Self, values: &[f64], beta: Self, c: &mut [Self]);

    /// The bits of |self|.
    #[inline(always)]
    fn magnitude(self) -> Self::Word {
        self.bits() & Self::Word::of(u64::MAX >> (65 - Self::Word::BITS))
    }

    /// 0 for zeros, else 1: the carry of an addition. A comparison of bits with 0 will not do,
    /// for the compiler may compare numbers instead, and a thread that flushes subnormal numbers
    /// then sees more zeros.
    #[inline(always)]
    fn nonzero(self) -> Self::Word {
        let all = Self::Word::of(u64::MAX >> (65 - Self::Word::BITS));
        self.magnitude().wrapping_add(all).wrapping_shr(Self::Word::BITS - 1)
    }

    /// The exponent of the leading bit of a number that is not zero.
    fn ilog2(self) -> i32 {
        let bits = self.magnitude().to_u64();
        let field = (bits >> (Self::PRECISION - 1)) as i32;
        let shift = Self::PRECISION as i32 - 2;
        Self::LEAST + if field == 0 { bits.ilog2() as i32 } else { field + shift }
    }
}

/// Bits of a fraction in double precision; 2^52 and 2^53 bound the doubles with units of 1.
const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;

/// 2^52 + 2^51: added to a number below 2^51 it leaves the nearest integer, ties to even, in the
/// low bits.
pub(super) const ROUNDER: f64 = 6_755_399_441_055_744.0;

const TWO_32: f64 = 4_294_967_296.0;

impl Real for f32 {
    type Word = u32;
    const PRECISION: u32 = f32::MANTISSA_DIGITS;
    const LEAST: i32 = -149;
    const INFINITE: u32 = f32::INFINITY.to_bits();
    const ORDINARY: RangeInclusive<i32> = -100..=120;

    #[inline(always)]
    fn bits(self) -> u32 {
        self.to_bits()
    }
    #[inline(always)]
    fn of_bits(bits: u32) -> f32 {
        f32::from_bits(bits)
    }
    #[inline(always)]
    fn pow2(n: i32) -> f32 {
        debug_assert!((-126..=127).contains(&n));
        f32::from_bits(((n + 127) as u32) << 23)
    }
    #[inline(always)]
    fn widen(self) -> f64 {
        finish::widen(self)
    }
    #[inline(always)]
    fn nearest(self, scale: f32) -> u32 {
        // The rounding comes last, so that with the conversion it is one instruction.
        let bounded = bounded(self * scale).round_ties_even();
        // SAFETY: bounded, and no rounding leads out of the bounds.
        unsafe { bounded.to_int_unchecked::<i32>() as u32 }
    }
    #[inline(always)]
    unsafe fn leading(self, scale: f32) -> i8 {
        // SAFETY: from 0 to 127, and no NaN, which the minimum takes away.
        unsafe { (self * scale).min(127.0).to_int_unchecked::<i32>() as i8 }
    }
    #[inline(always)]
    fn round(self) -> f32 {
        self.round_ties_even()
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn beside(self, up: f32, down: f32) -> u32 {
        let scaled = self * up;
        // SAFETY: bounded.
        let whole = unsafe { bounded(scaled).to_int_unchecked::<i32>() as f32 };
        // From 2^24 on every number is an integer.
        let part = if scaled < 16_777_216.0 { whole } else { scaled };
        (part * down).to_bits() ^ self.to_bits()
    }
    #[inline(always)]
    fn finish(alpha: f32, value: f64, beta: f32, old: Option<f32>) -> f32 {
        finish::single(alpha, value, beta, old)
    }
    #[inline]
    fn finish_row(alpha: f32, values: &[f64], beta: f32, c: &mut [f32]) {
        finish::single_row(alpha, values, beta, c);
    }
}

/// What is within ±2^31, and no NaN; some number of these for others.
#[inline(always)]
fn bounded(x: f32) -> f32 {
    /// The greatest number below 2^31.
    const BELOW: f32 = 2_147_483_520.0;
    // Not a clamp, which would let a NaN through: the maximum takes it away.
    let above = x.max(-BELOW);
    above.min(BELOW)
}

impl Real for f64 {
    type Word = u64;
    const PRECISION: u32 = f64::MANTISSA_DIGITS;
    const LEAST: i32 = -1074;
    const INFINITE: u64 = f64::INFINITY.to_bits();
    const ORDINARY: RangeInclusive<i32> = -960..=1000;

    #[inline(always)]
    fn bits(self) -> u64 {
        self.to_bits()
    }
    #[inline(always)]
    fn of_bits(bits: u64) -> f64 {
        f64::from_bits(bits)
    }
    #[inline(always)]
    fn pow2(n: i32) -> f64 {
        debug_assert!((-1022..=1023).contains(&n));
        f64::from_bits(((n + 1023) as u64) << FRACTION_BITS)
    }
    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
    #[inline(always)]
    fn nearest(self, scale: f64) -> u64 {
        // The bits of a sum with ROUNDER are its own plus the integer.
        let (high, low) = halves(self * scale);
        let integer = |sum: f64| sum.to_bits().wrapping_sub(ROUNDER.to_bits());
        integer(high).wrapping_shl(32).wrapping_add(integer(low))
    }
    #[inline(always)]
    unsafe fn leading(self, scale: f64) -> i8 {
        // SAFETY: from 0 to 127, and no NaN, which the minimum takes away.
        unsafe { (self * scale).min(127.0).to_int_unchecked::<i32>() as i8 }
    }
    #[inline(always)]
    fn round(self) -> f64 {
        self.round_ties_even()
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
    #[inline(always)]
    fn beside(self, up: f64, down: f64) -> u64 {
        let (high, low) = halves(self * up);
        let whole = (high - ROUNDER) * TWO_32 + (low - ROUNDER);
        (whole * down).to_bits() ^ self.to_bits()
    }
    #[inline(always)]
    fn finish(alpha: f64, value: f64, beta: f64, old: Option<f64>) -> f64 {
        finish::double(alpha, value, beta, old)
    }
    #[inline]
    fn finish_row(alpha: f64, values: &[f64], beta: f64, c: &mut [f64]) {
        finish::double_row(alpha, values, beta, c);
    }
}

/// The integer nearest to x, ties to even, within ±2^63: its multiple of 2^32 and the rest, both
/// behind [`ROUNDER`].
///
/// The multiple is exact, so is what it leaves of x, and it is even: what is rounded last decides
/// alone. Additions do it because not every CPU converts doubles to 64-bit integers in vectors.
#[inline(always)]
fn halves(x: f64) -> (f64, f64) {
    let high = x * (1.0 / TWO_32) + ROUNDER;
    (high, (x - (high - ROUNDER) * TWO_32) + ROUNDER)
}
