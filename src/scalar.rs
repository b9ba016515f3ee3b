//! The four element types of BLAS.

use num_complex::Complex;
use std::arch::asm;
use std::fmt::Debug;
use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// Single-precision complex, laid out as C's `float _Complex`.
#[allow(non_camel_case_types)]
pub type c32 = Complex<f32>;
/// Double-precision complex, laid out as C's `double _Complex`.
#[allow(non_camel_case_types)]
pub type c64 = Complex<f64>;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for super::c32 {}
    impl Sealed for super::c64 {}
}

/// An element type of BLAS: `f32`, `f64`, [`c32`], [`c64`]. Sealed.
pub trait Scalar:
    sealed::Sealed
    + Copy
    + Send
    + Sync
    + Debug
    + PartialEq
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + 'static
{
    /// The real type of the same precision.
    type Real: Scalar;
    /// Additive identity, positive zero.
    const ZERO: Self;
    /// Multiplicative identity.
    const ONE: Self;
    /// The letter of the type in routine names: `s`, `d`, `c` or `z`.
    const LETTER: char;
    /// Whether the type has an imaginary part.
    const COMPLEX: bool;

    /// Whether the number is 0 of either sign, told by its bits: a thread that flushes subnormal numbers
    /// takes these for zeros too when it compares numbers, which is also what compilers make of a
    /// plain comparison of bits.
    fn is_zero(self) -> bool;
    /// The complex conjugate; the number itself for real types.
    fn conj(self) -> Self;
    /// `self * a + b`: fused for the real types, four fused operations for the complex ones.
    fn mul_add(self, a: Self, b: Self) -> Self;
}

/// The same bits, of which the compiler shall not know that they were a number's. (`black_box` would do,
/// by way of memory.)
#[inline(always)]
fn opaque(mut bits: u64) -> u64 {
    // SAFETY: there is no instruction, only a comment.
    unsafe {
        asm!("/* {0} */", inout(reg) bits, options(pure, nomem, nostack, preserves_flags));
    }
    bits
}

macro_rules! real_scalar {
    ($t:ty, $letter:literal) => {
        impl Scalar for $t {
            type Real = $t;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const LETTER: char = $letter;
            const COMPLEX: bool = false;
            #[inline(always)]
            fn is_zero(self) -> bool {
                opaque((self.to_bits() << 1).into()) == 0
            }
            #[inline(always)]
            fn conj(self) -> Self {
                self
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                <$t>::mul_add(self, a, b)
            }
        }
    };
}

macro_rules! complex_scalar {
    ($t:ty, $real:ty, $letter:literal) => {
        impl Scalar for $t {
            type Real = $real;
            const ZERO: Self = Complex { re: 0.0, im: 0.0 };
            const ONE: Self = Complex { re: 1.0, im: 0.0 };
            const LETTER: char = $letter;
            const COMPLEX: bool = true;
            #[inline(always)]
            fn is_zero(self) -> bool {
                self.re.is_zero() && self.im.is_zero()
            }
            #[inline(always)]
            fn conj(self) -> Self {
                Complex { re: self.re, im: -self.im }
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                Complex {
                    re: (-self.im).mul_add(a.im, self.re.mul_add(a.re, b.re)),
                    im: self.im.mul_add(a.re, self.re.mul_add(a.im, b.im)),
                }
            }
        }
    };
}

real_scalar!(f32, 's');
real_scalar!(f64, 'd');
complex_scalar!(c32, f32, 'c');
complex_scalar!(c64, f64, 'z');
