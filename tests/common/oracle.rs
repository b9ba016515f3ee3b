//! The slow oracle: schemes by definition, and products without rounding.
//!
//! Nothing here comes from the library. Quantisation is floating-point arithmetic that happens
//! to be exact, digits are remainders, sums are plain loops, and which products are kept is
//! written down once more: a lost digit plane shows.

use super::data::Operands;

/// A slice scheme by definition.
#[derive(Debug, Clone, Copy)]
pub struct Slices {
    pub slices: u32,
    pub keeps: fn(u32, u32) -> bool,
    /// The greatest p + q that is kept.
    pub last: u32,
}

/// Three slices, all products but (3, 3).
pub const I_3S8P: Slices = Slices { slices: 3, keeps: |p, q| (p, q) != (3, 3), last: 5 };

/// Four slices, p + q ≤ 5.
pub const I_4S10P: Slices = Slices { slices: 4, keeps: |p, q| p + q <= 5, last: 5 };

/// The greatest number of `slices` balanced digits whose first is 127.
fn limit(slices: u32) -> i64 {
    (0..slices).map(|p| 127 * 256i64.pow(p)).sum()
}

/// The nearest integer to x · 2^e, ties to even; the product is exact in double precision.
fn quantise(x: f32, e: i32) -> i64 {
    (f64::from(x) * 2f64.powi(e)).round_ties_even() as i64
}

/// The greatest exponent with which every element still has `slices` digits.
pub fn exponent(line: &[f32], slices: u32) -> i32 {
    let max = line.iter().fold(0f32, |max, x| max.max(x.abs()));
    if max == 0.0 {
        return 0;
    }
    (-200..200).rev().find(|&e| quantise(max, e) <= limit(slices)).expect("some exponent fits")
}

/// The balanced digits of x · 2^e, leading digit first.
pub fn digits(x: f32, e: i32, slices: u32) -> Vec<i64> {
    let mut rest = quantise(x, e);
    let mut digits = Vec::new();
    for _ in 0..slices {
        let low = rest.rem_euclid(256);
        let digit = if low < 128 { low } else { low - 256 };
        digits.push(digit);
        rest = (rest - digit) / 256;
    }
    assert_eq!(rest, 0, "{x:e} · 2^{e} has more than {slices} digits");
    digits.reverse();
    digits
}

/// The exponent of a line and its digits: `planes[p - 1][l]` is digit p of element l.
fn split(line: &[f32], slices: u32) -> (i32, Vec<Vec<i32>>) {
    let e = exponent(line, slices);
    let elements: Vec<_> = line.iter().map(|&x| digits(x, e, slices)).collect();
    let plane = |p: usize| elements.iter().map(|digits| digits[p] as i32).collect();
    (e, (0..slices as usize).map(plane).collect())
}

/// A·B under a scheme, before α and β, row-major. The rows are shared out between threads; each
/// entry is plain loops.
pub fn product(scheme: &Slices, it: &Operands) -> Vec<f64> {
    let cols: Vec<_> = (0..it.n).map(|j| split(&it.col(j), scheme.slices)).collect();
    let mut values = vec![0.0; it.m * it.n];
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let rows_each = it.m.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (t, values) in values.chunks_mut(rows_each * it.n.max(1)).enumerate() {
            let cols = &cols;
            scope.spawn(move || {
                for (i, values) in values.chunks_mut(it.n).enumerate() {
                    let row = split(it.row(t * rows_each + i), scheme.slices);
                    for (value, col) in values.iter_mut().zip(cols) {
                        *value = entry(scheme, &row, col);
                    }
                }
            });
        }
    });
    values
}

/// One entry of A·B under a scheme.
fn entry(scheme: &Slices, row: &(i32, Vec<Vec<i32>>), col: &(i32, Vec<Vec<i32>>)) -> f64 {
    let s = scheme.slices;
    let mut total = 0i128;
    for p in 1..=s {
        for q in (1..=s).filter(|&q| (scheme.keeps)(p, q)) {
            let (x, y) = (&row.1[p as usize - 1], &col.1[q as usize - 1]);
            let mut sum = 0i64;
            for (&x, &y) in x.iter().zip(y) {
                sum += i64::from(x * y);
            }
            total += i128::from(sum) * 256i128.pow(scheme.last - p - q);
        }
    }
    total as f64 * 2f64.powi(8 * (2 * s - scheme.last) as i32 - row.0 - col.0)
}

/// α·A·B + β·C under a scheme; `c` is not read where β is 0.
pub fn sgemm(scheme: &Slices, it: &Operands, alpha: f32, beta: f32, c: &[f32]) -> Vec<f32> {
    let entry = |(j, value): (usize, &f64)| {
        if beta == 0.0 {
            (f64::from(alpha) * value) as f32
        } else {
            f64::from(alpha).mul_add(*value, f64::from(beta) * f64::from(c[j])) as f32
        }
    };
    product(scheme, it).iter().enumerate().map(entry).collect()
}

/// One entry of a product as exact arithmetic has it.
#[derive(Debug, Clone, Copy)]
pub struct Exact {
    /// The entry, as the sum of two doubles.
    pub value: (f64, f64),
    /// Σ |a||b|.
    pub magnitude: f64,
    /// The smaller number of non-zeros of the row and the column.
    pub k_eff: usize,
}

impl Exact {
    /// The distance of a computed value from the entry.
    pub fn distance(&self, computed: f64) -> f64 {
        ((computed - self.value.0) - self.value.1).abs()
    }

    /// The bound of a conventional single-precision product, with half the smallest number for
    /// results that are subnormal.
    pub fn bound(&self) -> f64 {
        (self.k_eff + 2) as f64 * 2f64.powi(-24) * self.magnitude + 2f64.powi(-150)
    }
}

/// The exact product, up to 2^-90 or so of Σ |a||b|: products of two single-precision numbers
/// are exact doubles, and their sum is kept in two.
pub fn exact(it: &Operands) -> Vec<Exact> {
    let cols: Vec<_> = (0..it.n).map(|j| it.col(j)).collect();
    let nonzeros = |line: &[f32]| line.iter().filter(|x| **x != 0.0).count();
    let mut entries = Vec::new();
    for i in 0..it.m {
        for col in &cols {
            let (mut high, mut low, mut magnitude) = (0f64, 0f64, 0f64);
            for (&a, &b) in it.row(i).iter().zip(col) {
                let term = f64::from(a) * f64::from(b);
                let sum = high + term;
                let shadow = sum - high;
                low += (high - (sum - shadow)) + (term - shadow);
                high = sum;
                magnitude += term.abs();
            }
            let k_eff = nonzeros(it.row(i)).min(nonzeros(col));
            entries.push(Exact { value: (high, low), magnitude, k_eff });
        }
    }
    entries
}
