//! The four element types, as pairs of doubles that hold their parts exactly.

use npublas::runtime::Runs;
use npublas::{c32, c64};

/// An element type of BLAS.
pub trait Element: Runs {
    /// Whether the precision is double.
    const DOUBLE: bool;

    /// The nearest element; a real type drops the second part.
    fn new(re: f64, im: f64) -> Self;
    /// Its parts; the second of a real type is 0.
    fn doubles(self) -> [f64; 2];

    /// The unit in which errors are counted: 2^-23 or 2^-52, twice the unit roundoff.
    fn eps() -> f64 {
        if Self::DOUBLE { f64::EPSILON } else { f64::from(f32::EPSILON) }
    }

    /// Half the least number: what one rounding may lose below the normal range. That of double
    /// precision is none itself, so the least number stands for it.
    fn tiny() -> f64 {
        if Self::DOUBLE { f64::from_bits(1) } else { 2f64.powi(-150) }
    }

    /// Whether both have the same bits. One NaN is as good as another.
    fn is(self, other: Self) -> bool {
        let same = |(a, b): (f64, f64)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        self.doubles().into_iter().zip(other.doubles()).all(same)
    }
}

impl Element for f32 {
    const DOUBLE: bool = false;
    fn new(re: f64, _: f64) -> f32 {
        re as f32
    }
    fn doubles(self) -> [f64; 2] {
        [f64::from(self), 0.0]
    }
}

impl Element for f64 {
    const DOUBLE: bool = true;
    fn new(re: f64, _: f64) -> f64 {
        re
    }
    fn doubles(self) -> [f64; 2] {
        [self, 0.0]
    }
}

impl Element for c32 {
    const DOUBLE: bool = false;
    fn new(re: f64, im: f64) -> c32 {
        c32::new(re as f32, im as f32)
    }
    fn doubles(self) -> [f64; 2] {
        [f64::from(self.re), f64::from(self.im)]
    }
}

impl Element for c64 {
    const DOUBLE: bool = true;
    fn new(re: f64, im: f64) -> c64 {
        c64::new(re, im)
    }
    fn doubles(self) -> [f64; 2] {
        [self.re, self.im]
    }
}
