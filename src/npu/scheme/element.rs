//! Elements of matrices as real numbers, and the final formula.
//!
//! A complex product is a real one of doubled length: with the parts of an element side by side,
//! as they lie in memory, a row of A is `(re, im, re, im, …)`, and a column of B becomes two lines,
//! `(re, -im, …)` and `(im, re, …)`, whose products with the row are the real and the imaginary
//! part of an element of C. These, too, come out side by side. Both lines have the same
//! magnitudes, and so the same exponent and, but for the digits of negative numbers, the same
//! statistics.
//!
//! Schemes of residues can do better: they take complex numbers as such, and a column of B is one
//! line, `(re, im, …)`, see [`Scheme::lines`](super::Scheme::lines).

use super::real::Real;
use crate::scalar::{Scalar, c32, c64};
use num_complex::Complex;

/// An element type whose products the NPU path runs: f32, f64, c32, c64.
pub trait Element: Scalar<Real: Real> {
    /// Real numbers per element.
    const PARTS: usize;

    /// The final formula for elements of C that lie side by side: `c ← alpha · value + beta · c`,
    /// where `values` holds the [`Element::PARTS`] of each value. C is not read where β = 0.
    ///
    /// Real types: one fused multiply-add, evaluated in f64, rounded to the type once. Complex
    /// types: with α = a + bi, v = x + yi: re = fma(a, x, -(b·y)), im = fma(a, y, b·x); β·c
    /// likewise; then the sum of both; all of it in f64, rounded to the type once. IEEE rules
    /// throughout: non-finite α, β and c act as in any other BLAS.
    fn finish_row(alpha: Self, values: &[f64], beta: Self, c: &mut [Self]);

    /// Whether every part is.
    fn is_finite(self) -> bool;

    /// The real numbers that the elements consist of.
    fn parts(elements: &[Self]) -> &[Self::Real] {
        let len = elements.len() * Self::PARTS;
        // SAFETY: an element is `PARTS` reals without padding: itself, or the `repr(C)` pair of
        // real and imaginary part.
        unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), len) }
    }
}

/// Names the real types; what they do is in [`Real`].
macro_rules! real {
    ($($t:ty),*) => {$(
        impl Element for $t {
            const PARTS: usize = 1;
            fn finish_row(alpha: $t, values: &[f64], beta: $t, c: &mut [$t]) {
                Real::finish_row(alpha, values, beta, c);
            }
            fn is_finite(self) -> bool {
                <$t>::is_finite(self)
            }
        }
    )*};
}
real!(f32, f64);

/// Names the complex types; what they do is in [`finish_complex`].
macro_rules! complex {
    ($($t:ty),*) => {$(
        impl Element for $t {
            const PARTS: usize = 2;
            fn finish_row(alpha: $t, values: &[f64], beta: $t, c: &mut [$t]) {
                finish_complex(alpha, values, beta, c);
            }
            fn is_finite(self) -> bool {
                Complex::is_finite(self)
            }
        }
    )*};
}
complex!(c32, c64);

fn finish_complex<R: Real + Into<f64>>(
    alpha: Complex<R>,
    values: &[f64],
    beta: Complex<R>,
    c: &mut [Complex<R>],
) {
    let (alpha, beta) = (wide(alpha), wide(beta));
    let (values, rest) = values.as_chunks::<2>();
    assert!(values.len() == c.len() && rest.is_empty());
    let keeps = beta.re != 0.0 || beta.im != 0.0;
    for (c, &[re, im]) in c.iter_mut().zip(values) {
        let mut new = times(alpha, Complex { re, im });
        if keeps {
            let old = times(beta, wide(*c));
            new = Complex { re: new.re + old.re, im: new.im + old.im };
        }
        *c = Complex { re: narrow(new.re), im: narrow(new.im) };
    }
}

fn wide<R: Into<f64>>(x: Complex<R>) -> Complex<f64> {
    Complex { re: x.re.into(), im: x.im.into() }
}

/// Rounded to the type once.
fn narrow<R: Real>(x: f64) -> R {
    R::finish(R::ONE, x, R::ZERO, None)
}

#[inline(always)]
fn times(x: Complex<f64>, y: Complex<f64>) -> Complex<f64> {
    Complex { re: x.re.mul_add(y.re, -(x.im * y.im)), im: x.re.mul_add(y.im, x.im * y.re) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(re: f32, im: f32) -> c32 {
        Complex { re, im }
    }

    #[test]
    fn complex_products_follow_the_formula() {
        let mut out = [c(f32::NAN, 1.0); 2];
        Element::finish_row(c(2.0, 3.0), &[5.0, 7.0, 0.0, -1.0], c(0.0, 0.0), &mut out);
        assert_eq!(out, [c(-11.0, 29.0), c(3.0, -2.0)]);
        Element::finish_row(c(1.0, 0.0), &[1.0, 1.0, 0.5, 0.25], c(0.0, 1.0), &mut out);
        assert_eq!(out, [c(1.0 - 29.0, 1.0 - 11.0), c(0.5 + 2.0, 0.25 + 3.0)]);
    }

    #[test]
    fn parts_are_what_lies_in_memory() {
        assert_eq!(c32::parts(&[c(1.0, 2.0), c(3.0, 4.0)]), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(f32::parts(&[1.0, 2.0]), [1.0, 2.0]);
        assert!(Element::is_finite(c(1.0, 2.0)) && !Element::is_finite(c(1.0, f32::NAN)));
    }
}
