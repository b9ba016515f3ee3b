//! The obvious product in twice the precision, with the bound that a result must keep.

use npublas::cpu::Kernels;
use npublas::{Gemm, c32, c64};

/// An element type with what the tests ask of it.
pub trait Element: Kernels {
    /// Half the distance from 1 to the next number.
    const U: f64;
    fn new(re: f64, im: f64) -> Self;
    fn re_im(self) -> (f64, f64);
    /// The bits; all NaNs look alike.
    fn bits(self) -> (u64, u64) {
        let bits = |x: f64| if x.is_nan() { u64::MAX } else { x.to_bits() };
        let (re, im) = self.re_im();
        (bits(re), bits(im))
    }
}

impl Element for f32 {
    const U: f64 = f32::EPSILON as f64 / 2.0;
    fn new(re: f64, _: f64) -> Self {
        re as f32
    }
    fn re_im(self) -> (f64, f64) {
        (self as f64, 0.0)
    }
}
impl Element for f64 {
    const U: f64 = f64::EPSILON / 2.0;
    fn new(re: f64, _: f64) -> Self {
        re
    }
    fn re_im(self) -> (f64, f64) {
        (self, 0.0)
    }
}
impl Element for c32 {
    const U: f64 = f32::EPSILON as f64 / 2.0;
    fn new(re: f64, im: f64) -> Self {
        c32::new(re as f32, im as f32)
    }
    fn re_im(self) -> (f64, f64) {
        (self.re as f64, self.im as f64)
    }
}
impl Element for c64 {
    const U: f64 = f64::EPSILON / 2.0;
    fn new(re: f64, im: f64) -> Self {
        c64::new(re, im)
    }
    fn re_im(self) -> (f64, f64) {
        (self.re, self.im)
    }
}

/// A number as an unevaluated sum of two: about 106 bits.
#[derive(Clone, Copy, Default)]
struct Twofold {
    high: f64,
    low: f64,
}

impl Twofold {
    fn plus(self, x: f64) -> Self {
        let sum = self.high + x;
        let of_x = sum - self.high;
        let error = (self.high - (sum - of_x)) + (x - of_x);
        Twofold { high: sum, low: self.low + error }
    }
    /// `self + x·y`, the product without error.
    fn plus_product(self, x: f64, y: f64) -> Self {
        let product = x * y;
        let mut sum = self.plus(product);
        sum.low += x.mul_add(y, -product);
        sum
    }
    /// `self + factor·x`.
    fn plus_scaled(self, factor: f64, x: Twofold) -> Self {
        let mut sum = self.plus_product(factor, x.high);
        sum.low += factor * x.low;
        sum
    }
    /// How far `x` is away.
    fn distance(self, x: f64) -> f64 {
        ((x - self.high) - self.low).abs()
    }
}

/// Entry (i, j) of `α·A·B + β·C`, both parts, and Σ|a|·|b| with |x| = |re| + |im|.
fn entry<T: Element>(p: &Gemm<'_, T>, old: T, i: usize, j: usize) -> (Twofold, Twofold, f64) {
    let (mut re, mut im, mut size) = (Twofold::default(), Twofold::default(), 0.0);
    for l in 0..p.k() {
        // SAFETY: (i, l) and (l, j) lie inside the views.
        let (a, b) = unsafe { (*p.a.at(i, l), *p.b.at(l, j)) };
        let (ar, ai) = if p.conj_a { a.conj() } else { a }.re_im();
        let (br, bi) = if p.conj_b { b.conj() } else { b }.re_im();
        re = re.plus_product(ar, br).plus_product(-ai, bi);
        im = im.plus_product(ar, bi).plus_product(ai, br);
        size += (ar.abs() + ai.abs()) * (br.abs() + bi.abs());
    }
    let ((alpha_re, alpha_im), (beta_re, beta_im)) = (p.alpha.re_im(), p.beta.re_im());
    let zero = Twofold::default();
    let (mut c_re, mut c_im) = (
        zero.plus_scaled(alpha_re, re).plus_scaled(-alpha_im, im),
        zero.plus_scaled(alpha_re, im).plus_scaled(alpha_im, re),
    );
    if p.beta != T::ZERO {
        let (old_re, old_im) = old.re_im();
        c_re = c_re.plus_product(beta_re, old_re).plus_product(-beta_im, old_im);
        c_im = c_im.plus_product(beta_re, old_im).plus_product(beta_im, old_re);
    }
    (c_re, c_im, size)
}

/// Asserts that entry (i, j) of C, which was `old` and is `new`, keeps the bound of a
/// conventional product: `(k+2)·u·|α||A||B| + (s+2)·u·|β||C|`, where s, the number of steps in
/// which the sum is taken, is far below k/64 + 1; twice that many roundings when complex numbers
/// are multiplied.
pub fn assert_entry<T: Element>(p: &Gemm<'_, T>, old: T, new: T, i: usize, j: usize) {
    let (re, im, size) = entry(p, old, i, j);
    let norm = |x: T| x.re_im().0.abs() + x.re_im().1.abs();
    let extra = if T::COMPLEX { 4.0 } else { 2.0 };
    let k = p.k() as f64;
    let old = if p.beta == T::ZERO { 0.0 } else { norm(p.beta) * norm(old) };
    let bound =
        T::U * ((k + extra) * norm(p.alpha) * size + (k / 64.0 + 1.0 + extra) * old) * 1.0001;
    let (new_re, new_im) = new.re_im();
    assert!(
        re.distance(new_re) <= bound && im.distance(new_im) <= bound,
        "entry ({i}, {j}) of {}×{}×{}: {new:?}, not {} + {}i within {bound:e}",
        p.m(),
        p.n(),
        p.k(),
        re.high,
        im.high,
    );
}
