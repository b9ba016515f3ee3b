//! Numeric schemes: how many products of the device, of int8 numbers or of halves, stand for one
//! floating-point product, in what order, with what bound.
//!
//! A scheme is a value. The engine packs the planes of each operand, runs one product per
//! [`Group`], and joins the sums; it does not know which scheme it runs. Whatever differs
//! between kinds of schemes is decided here, by [`Numbers`].

pub mod crt_int8;
pub mod element;
mod finish;
pub mod fixed;
pub mod fp16;
pub mod ladder;
pub mod ozaki_int8;
pub mod real;
mod scan;

pub use element::Element;
pub use real::Real;
pub use scan::LineScan;

use crate::npu::chip::Arithmetic;
use std::ops::{Range, RangeInclusive};

/// Most digits that a scheme may have.
pub const MAX_DIGITS: usize = 8;

/// Greatest number of int8 products whose sum surely fits an int32: each is at most 2^14, and
/// 131071 · 2^14 < 2^31. A device task takes no more of a [`Group`], all its products counted.
pub const MAX_INT32_TERMS: usize = 131_071;

/// How elements become numbers of the device, which products of these are kept, and for what precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// Name in traces and documents.
    pub name: &'static str,
    /// What an element becomes.
    pub numbers: Numbers,
    /// The kept products by weight, heaviest first; behind them that of the certificate, if any.
    pub groups: &'static [Group],
    /// Whether the last plane holds the leading parts of the elements themselves, and the last
    /// group is the product of these planes. It is no part of the value: it proves the error bound
    /// entry by entry, see [`crate::npu::guard`].
    pub certificate: bool,
    /// Bits of precision of the type whose conventional product the guard measures this scheme
    /// against: 24 or 53.
    pub precision: u32,
}

/// What an element becomes: one number per plane, of [`Scheme::arithmetic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// So many balanced radix-256 digits; plane 1 holds the leading ones. See [`ozaki_int8`].
    Digits(usize),
    /// The residues modulo so many numbers, one plane each, multiplied each with its like. See
    /// [`crt_int8`].
    Residues(usize),
    /// Of a complex number: the residues modulo so many numbers of its real part, its imaginary
    /// part and the sum of both, multiplied each with its like. See [`crt_int8`].
    Pairs(usize),
    /// So many of the chip's own halves, the leading ones in plane 1. See [`fp16`].
    Halves(usize),
}

impl Scheme {
    /// Planes per operand line.
    pub fn planes(&self) -> usize {
        self.value_planes() + usize::from(self.certificate)
    }

    /// Planes that the value comes from: all but that of the certificate.
    pub fn value_planes(&self) -> usize {
        match self.numbers {
            Numbers::Digits(slices) => slices,
            Numbers::Residues(residues) => residues,
            Numbers::Pairs(residues) => 3 * residues,
            Numbers::Halves(halves) => halves,
        }
    }

    /// What the device computes with.
    pub fn arithmetic(&self) -> Arithmetic {
        match self.numbers {
            Numbers::Digits(_) | Numbers::Residues(_) | Numbers::Pairs(_) => Arithmetic::Int8,
            Numbers::Halves(_) => Arithmetic::Fp16,
        }
    }

    /// Bytes of all planes of a line, per place in them.
    pub fn bytes(&self) -> usize {
        self.planes() * self.arithmetic().bytes()
    }

    /// Real numbers that share a place in the planes: 2 where complex numbers are split as such.
    /// So many values come of a row and a line of B, too.
    pub fn parts(&self) -> usize {
        match self.numbers {
            Numbers::Digits(_) | Numbers::Residues(_) | Numbers::Halves(_) => 1,
            Numbers::Pairs(_) => 2,
        }
    }

    /// Lines that a column of B becomes; see [`element`].
    pub fn lines<T: Element>(&self) -> usize {
        T::PARTS / self.parts()
    }

    /// The columns of C that some lines of B belong to, all those of any column.
    pub fn columns<T: Element>(&self, lines: Range<usize>) -> Range<usize> {
        lines.start / self.lines::<T>()..lines.end / self.lines::<T>()
    }

    /// m, n and k of the products of planes that stand for one of m × n × k elements.
    pub fn shape<T: Element>(&self, (m, n, k): (usize, usize, usize)) -> (usize, usize, usize) {
        (m, n * self.lines::<T>(), k * self.lines::<T>())
    }

    /// Groups that the value comes from: all but that of the certificate.
    fn value_groups(&self) -> &'static [Group] {
        &self.groups[..self.groups.len() - usize::from(self.certificate)]
    }

    /// Number of products, that of the certificate included.
    pub fn products(&self) -> usize {
        self.groups.iter().map(|g| g.count).sum()
    }

    /// Greatest number of real numbers in a line for which [`Scheme::join`] is exact up to its one
    /// rounding.
    pub fn max_k(&self) -> usize {
        match self.numbers {
            Numbers::Digits(_) => ozaki_int8::max_k(self.value_groups()),
            Numbers::Residues(_) | Numbers::Pairs(_) => crt_int8::MAX_K,
            Numbers::Halves(_) => fp16::MAX_K,
        }
    }

    /// The exponent by which `line`, whose scan is `scan`, is scaled before it is split. It
    /// depends on the whole line and on nothing else; 0 for a line of zeros. The line is finite.
    pub fn exponent<R: Real>(&self, line: &[R], scan: &LineScan<R>) -> i32 {
        match self.numbers {
            Numbers::Digits(slices) => ozaki_int8::exponent(scan.max_abs, slices),
            Numbers::Residues(residues) | Numbers::Pairs(residues) => {
                crt_int8::exponent(line, scan.max_abs, residues)
            }
            Numbers::Halves(_) => ozaki_int8::exponent(scan.max_abs, 2),
        }
    }

    /// How many bits below its leading seven a line has integers for: a non-zero element times
    /// 2^(exponent - bits), without its fraction, is a number of 0 … 127, and the largest is not
    /// far below. `exponent` is the line's own.
    pub fn trailing_bits<R: Real>(&self, exponent: i32, scan: &LineScan<R>) -> u32 {
        match self.numbers {
            Numbers::Digits(slices) => 8 * (slices as u32 - 1),
            Numbers::Residues(_) | Numbers::Pairs(_) if scan.nonzeros == 0 => 0,
            Numbers::Residues(_) | Numbers::Pairs(_) => {
                (exponent + scan.max_abs.ilog2() - 6).max(0) as u32
            }
            // Nothing is proven of halves.
            Numbers::Halves(_) => 0,
        }
    }

    /// Splits one line of finite real numbers into the planes of its value: plane p (1-based) goes
    /// to `planes[(p - 1) * pitch..]`, `line.len() / parts` numbers and zeros up to `pitch`, with
    /// [`Scheme::parts`] numbers of the line for each; those of halves, as they lie in memory, take
    /// two bytes each. A plane of the certificate is the guard's to make.
    ///
    /// `exponent` is the line's own [`Scheme::exponent`], or a smaller one. The bits do not
    /// depend on whether the thread flushes subnormal numbers.
    ///
    /// # Panics
    /// Where the digits of the scheme are more than the type has bits.
    pub fn split<R: Real>(&self, line: &[R], exponent: i32, pitch: usize, planes: &mut [i8]) {
        match self.numbers {
            Numbers::Digits(slices) => ozaki_int8::split(line, exponent, slices, pitch, planes),
            Numbers::Residues(residues) => {
                crt_int8::split(line, exponent, residues, pitch, planes);
            }
            Numbers::Pairs(residues) => {
                crt_int8::split_pairs(line, exponent, residues, pitch, planes);
            }
            Numbers::Halves(halves) => fp16::split(line, exponent, halves, pitch, planes),
        }
    }

    /// Joins the group sums of one row of C into the floating-point product, before α and β.
    ///
    /// `sums[g * cols + j]` is the sum of group g at column j of `cols = col_exponents.len()`, exact
    /// or, of halves, in units of 2^-16; that of a certificate is not looked at. `row_exponent` and
    /// `col_exponents[j]` are those of the lines. `out[parts * j..]` become the [`Scheme::parts`]
    /// values of column j, each, of integers, rounded to f64 once; see [`ozaki_int8::join`],
    /// [`crt_int8::join`] and [`fp16::join`] for the formulas. Sums that no device should return give
    /// some number, never a panic.
    pub fn join(&self, sums: &[i64], row_exponent: i32, col_exponents: &[i32], out: &mut [f64]) {
        let groups = self.value_groups();
        let sums = &sums[..groups.len() * col_exponents.len()];
        match self.numbers {
            Numbers::Digits(slices) => {
                ozaki_int8::join(groups, slices, sums, row_exponent, col_exponents, out);
            }
            Numbers::Residues(residues) => {
                crt_int8::join(residues, sums, row_exponent, col_exponents, out);
            }
            Numbers::Pairs(residues) => {
                crt_int8::join_pairs(residues, sums, row_exponent, col_exponents, out);
            }
            Numbers::Halves(_) => {
                fp16::join(self.groups.len(), sums, row_exponent, col_exponents, out);
            }
        }
    }

    /// Whether every value that [`Scheme::join`] gives for lines with such exponents, over the
    /// inner dimension `k`, is zero or a normal and finite number; then its scaling is exact.
    ///
    /// Always so for lines of single precision.
    pub fn in_range(&self, rows: RangeInclusive<i32>, cols: RangeInclusive<i32>, k: usize) -> bool {
        match self.numbers {
            Numbers::Digits(slices) => {
                ozaki_int8::in_range(self.value_groups(), slices, rows, cols, k)
            }
            Numbers::Residues(residues) | Numbers::Pairs(residues) => {
                crt_int8::in_range(residues, rows, cols)
            }
            Numbers::Halves(_) => fp16::in_range(rows, cols),
        }
    }

    /// Whether the product A_p · B_q belongs to the result and no group keeps it.
    pub fn drops(&self, p: usize, q: usize) -> bool {
        if let Numbers::Residues(_) | Numbers::Pairs(_) = self.numbers {
            return false;
        }
        let keeps = |g: &Group| g.weight == p + q && (g.first..g.first + g.count).contains(&p);
        !self.groups.iter().any(keeps)
    }

    /// The (p, q) of the products that belong to the result and that no group keeps.
    pub fn dropped(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let planes = self.value_planes();
        let all = (1..=planes).flat_map(move |p| (1..=planes).map(move |q| (p, q)));
        all.filter(|&(p, q)| self.drops(p, q))
    }
}

/// All kept products A_p · B_q of equal `p + q`. They share one sum of the device: the planes of A, with
/// p ascending, and those of B, with q descending, are laid end to end along the inner
/// dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// p + q of every product in the group.
    pub weight: usize,
    /// Smallest p.
    pub first: usize,
    /// Number of products: p runs from `first` to `first + count - 1`.
    pub count: usize,
}

impl Group {
    /// The (p, q) of the group's products in the order in which they are laid end to end.
    pub fn products(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (self.first..self.first + self.count).map(|p| (p, self.weight - p))
    }
}

#[cfg(test)]
mod tests {
    use super::ozaki_int8::{I_3S8P, I_4S10P, SCHEMES};

    #[test]
    fn dropped_products_are_those_of_the_names() {
        assert!(I_3S8P.dropped().eq([(3, 3)]));
        assert!(I_4S10P.dropped().eq([(2, 4), (3, 3), (3, 4), (4, 2), (4, 3), (4, 4)]));
        for scheme in SCHEMES {
            let planes = scheme.planes();
            assert_eq!(scheme.name, format!("I-{planes}s{}p", scheme.products()));
            assert_eq!(scheme.dropped().count(), planes * planes - scheme.products());
        }
    }

    #[test]
    fn joined_sums_fit_up_to_max_k() {
        // |T| ≤ k · 2^38.02 in one half; k · 2^40.1 and 2^40.4 in the lower of two.
        for scheme in [&I_3S8P, &I_4S10P] {
            assert!((1 << 24..1 << 25).contains(&scheme.max_k()), "{}", scheme.max_k());
        }
        for scheme in SCHEMES {
            assert!(scheme.max_k() >= 1 << 22, "{}: {}", scheme.name, scheme.max_k());
        }
    }
}
