//! The slow oracle: every scheme by definition.
//!
//! Nothing here comes from the library. Quantisation decodes the bits of a double, digits are
//! remainders, sums are plain loops over integers, and which products are kept is written down
//! once more. A modular scheme is no residues here at all: the exact product of the quantised
//! integers is what any way through the Chinese remainder theorem has to give.

use crate::common::exact::{decode, ldexp};
use crate::element::Element;
use crate::families::Operands;

/// A scheme by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `I-SsPp`: S balanced radix-256 digits, P digit products.
    Slices { slices: u32, products: u32 },
    /// `II-N`, and for complex products `II-N-3m`: the first N moduli.
    Residues { moduli: usize },
    /// `fp16` and `fp16x2`: the chip's own half precision, so many halves per element.
    Halves { halves: usize },
}

/// Products that the chip sums exactly in half precision, and those that one task takes at most.
const HALVES_GROUP: usize = 32;
const HALVES_TASK: usize = 1536;

/// Pairwise coprime.
const MODULI: [u128; 16] =
    [256, 255, 253, 251, 247, 241, 239, 233, 229, 227, 223, 217, 211, 199, 197, 193];

impl Scheme {
    /// A certificate (`+c`) is no part of the value.
    pub fn named(name: &str) -> Option<Scheme> {
        if let Some(halves) = name.strip_prefix("fp16") {
            return Some(Scheme::Halves { halves: if halves == "x2" { 2 } else { 1 } });
        }
        let name = name.strip_suffix("+c").unwrap_or(name);
        if let Some(moduli) = name.strip_prefix("II-") {
            let moduli = moduli.strip_suffix("-3m").unwrap_or(moduli);
            return Some(Scheme::Residues { moduli: moduli.parse().ok()? });
        }
        let (slices, products) = name.strip_prefix("I-")?.strip_suffix('p')?.split_once('s')?;
        Some(Scheme::Slices { slices: slices.parse().ok()?, products: products.parse().ok()? })
    }

    /// α·A·B + β·C, row-major; `old` is not read where β is 0. The rows are shared out between
    /// threads; each entry is plain loops.
    pub fn gemm<T: Element>(self, it: &Operands<T>, alpha: T, beta: T, old: &[T]) -> Vec<T> {
        let (m, n) = (it.m, it.n);
        let cols: Vec<[Line; 2]> = (0..n).map(|j| self.col(it, j)).collect();
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        let each = m.div_ceil(threads);
        let mut results = vec![T::ZERO; m * n];
        std::thread::scope(|scope| {
            for (t, results) in results.chunks_mut(each * n).enumerate() {
                let cols = &cols;
                scope.spawn(move || {
                    for (i, results) in results.chunks_mut(n).enumerate() {
                        let i = t * each + i;
                        let row = self.row(it, i);
                        for (j, (result, [re, im])) in results.iter_mut().zip(cols).enumerate() {
                            let im = if T::COMPLEX { self.entry(&row, im) } else { 0.0 };
                            let value = [self.entry(&row, re), im];
                            *result = finish(alpha, value, beta, old[i * n + j]);
                        }
                    }
                });
            }
        });
        results
    }

    /// Of every entry, row-major, whether a certificate leaves it without a proof, in a part at
    /// least: 4 E (1 + 2^-40) > 4 k_eff Σ F F' 2^(λ + λ' - p).
    pub fn doubts<T: Element>(self, it: &Operands<T>) -> Vec<bool> {
        let precision = if T::DOUBLE { 53 } else { 24 };
        let proofs = |line: &Line| Proof::new(self, line);
        let rows: Vec<Proof> = (0..it.m).map(|i| proofs(&self.row(it, i))).collect();
        let cols: Vec<_> = (0..it.n)
            .map(|j| {
                let mut col = self.col(it, j).each_ref().map(proofs);
                if T::COMPLEX {
                    Proof::share_roots(&mut col);
                }
                col
            })
            .collect();
        let is_doubtful = |row: &Proof, col: &Proof| {
            let error = self.error(row, col);
            let overlap: u64 = row.leading.iter().zip(&col.leading).map(|(a, b)| a * b).sum();
            let proven = 4 * row.nonzeros.min(col.nonzeros) * u128::from(overlap);
            error + error.div_ceil(1 << 40) > proven << (row.lambda + col.lambda - precision)
        };
        let of_entry = |row: &Proof, col: &[Proof; 2]| {
            is_doubtful(row, &col[0]) || T::COMPLEX && is_doubtful(row, &col[1])
        };
        rows.iter().flat_map(|row| cols.iter().map(move |col| of_entry(row, col))).collect()
    }

    /// 4 E, at most.
    fn error(self, row: &Proof, col: &Proof) -> u128 {
        let (x, y) = (u128::from(row.inexact), u128::from(col.inexact));
        let mut error = 2 * x * (col.norm << col.lambda) + 2 * y * (row.norm << row.lambda);
        error += x * y * row.nonzeros.min(col.nonzeros);
        if let Scheme::Slices { slices, products } = self {
            for p in 1..=slices {
                for q in (1..=slices).filter(|&q| !keeps(slices, products, p, q)) {
                    let roots = row.roots[p as usize - 1] * col.roots[q as usize - 1];
                    error += 4 * roots * 256u128.pow(2 * slices - p - q);
                }
            }
        }
        error
    }

    /// Row i of A. A complex product is two real ones of lines twice as long, real and imaginary
    /// parts by turns: [Ar, Ai]·[Br; -Bi] is the real part, [Ar, Ai]·[Bi; Br] the imaginary one.
    fn row<T: Element>(self, it: &Operands<T>, i: usize) -> Line {
        self.line(it.a[i * it.k..(i + 1) * it.k].iter(), |x| x[0], |x| x[1])
    }

    /// Column j of B, as the lines for both parts.
    fn col<T: Element>(self, it: &Operands<T>, j: usize) -> [Line; 2] {
        let col = || it.b[j..].iter().step_by(it.n);
        [self.line(col(), |x| x[0], |x| -x[1]), self.line(col(), |x| x[1], |x| x[0])]
    }

    fn line<'a, T: Element>(
        self,
        elements: impl Iterator<Item = &'a T>,
        first: impl Fn([f64; 2]) -> f64,
        second: impl Fn([f64; 2]) -> f64,
    ) -> Line {
        let parts = 1 + usize::from(T::COMPLEX);
        let both = |x: &T| [first(x.doubles()), second(x.doubles())].into_iter().take(parts);
        Line::new(self, elements.flat_map(both))
    }

    /// One real entry of the product: T as a double, times a power of two.
    fn entry(self, row: &Line, col: &Line) -> f64 {
        let (total, up) = match self {
            Scheme::Slices { slices, products } => {
                let last = last(slices, products);
                let mut total = 0i128;
                for p in 1..=slices {
                    for q in (1..=slices).filter(|&q| keeps(slices, products, p, q)) {
                        let sum = dot(&row.planes[p as usize - 1], &col.planes[q as usize - 1]);
                        total += i128::from(sum) * 256i128.pow(last - p - q);
                    }
                }
                (total, 8 * (2 * slices - last) as i32)
            }
            Scheme::Residues { moduli } => {
                let mut total = 0i128;
                for (&x, &y) in row.whole.iter().zip(&col.whole) {
                    total += i128::from(x) * i128::from(y);
                }
                assert!(total.unsigned_abs() < range(moduli) / 2, "beyond the moduli");
                (total, 0)
            }
            Scheme::Halves { halves } => {
                let exponent = row.exponent + col.exponent;
                return ldexp(
                    half_precision(&row.halves[..halves], &col.halves[..halves]),
                    -exponent,
                );
            }
        };
        ldexp(total as f64, up - row.exponent - col.exponent)
    }
}

/// Whether the product of digits p and q, 1 being the leading ones, is kept.
fn keeps(slices: u32, products: u32, p: u32, q: u32) -> bool {
    match (slices, products) {
        (3, 8) => (p, q) != (3, 3),
        _ if products == slices * (slices + 1) / 2 => p + q <= slices + 1,
        _ => panic!("nobody has said which are the {products} products of {slices} slices"),
    }
}

/// The greatest p + q that is kept.
fn last(slices: u32, products: u32) -> u32 {
    let all = (1..=slices).flat_map(|p| (1..=slices).map(move |q| (p, q)));
    all.filter(|&(p, q)| keeps(slices, products, p, q)).map(|(p, q)| p + q).max().unwrap_or(0)
}

/// A line of A or B, quantised.
#[derive(Debug)]
struct Line {
    elements: Vec<f64>,
    /// Elements are multiplied by 2 to this power.
    exponent: i32,
    /// The elements as integers.
    whole: Vec<i64>,
    /// The elements as halves in units of 2^-24, the leading ones first, padded as on the device.
    halves: [Vec<i64>; 2],
    /// Their digits, plane by plane, the leading ones first.
    planes: Vec<Vec<i16>>,
}

impl Line {
    fn new(scheme: Scheme, elements: impl Iterator<Item = f64>) -> Line {
        let elements: Vec<f64> = elements.collect();
        let (exponent, slices) = match scheme {
            Scheme::Slices { slices, .. } => (fixed_exponent(&elements, slices), slices as usize),
            Scheme::Residues { moduli } => (norm_exponent(&elements, moduli), 0),
            Scheme::Halves { .. } => (fixed_exponent(&elements, 2), 0),
        };
        if let Scheme::Halves { .. } = scheme {
            let padded = elements.len().next_multiple_of(HALVES_GROUP);
            let mut halves = [vec![0; padded], vec![0; padded]];
            for (l, &x) in elements.iter().enumerate() {
                halves[0][l] = half(x, exponent);
                // Exact: the difference has no more bits than the element.
                let rest = ldexp(x, exponent) - halves[0][l] as f64 * 2f64.powi(-24);
                halves[1][l] = half(rest, 11);
            }
            return Line { exponent, elements, whole: Vec::new(), halves, planes: Vec::new() };
        }
        let whole: Vec<i64> = elements.iter().map(|&x| quantise(x, exponent)).collect();
        let digits: Vec<_> = whole.iter().map(|&x| digits(x, slices)).collect();
        let plane = |p: usize| digits.iter().map(|digits| digits[p]).collect();
        let planes = (0..slices).map(plane).collect();
        Line { exponent, planes, whole, elements, halves: Default::default() }
    }
}

/// What a certificate asks of a line.
#[derive(Debug)]
struct Proof {
    /// λ: leading parts count 2^λ.
    lambda: u32,
    /// F of every element.
    leading: Vec<u64>,
    nonzeros: u128,
    /// Σ (F + 1) over the non-zeros.
    norm: u128,
    /// The 2-norm of every digit plane, rounded up.
    roots: Vec<u128>,
    /// Whether an element is no integer.
    inexact: bool,
}

impl Proof {
    /// The lines of a complex column differ in the digits of negative numbers; the greater norm of
    /// each plane stands for both.
    fn share_roots([one, other]: &mut [Proof; 2]) {
        for (one, other) in one.roots.iter_mut().zip(&mut other.roots) {
            let greater = (*one).max(*other);
            (*one, *other) = (greater, greater);
        }
    }

    fn new(scheme: Scheme, line: &Line) -> Proof {
        let max = greatest(&line.elements);
        let lambda = match scheme {
            Scheme::Slices { slices, .. } => 8 * (slices - 1),
            _ if max == 0.0 => 0,
            Scheme::Halves { .. } => panic!("halves have no certificate"),
            Scheme::Residues { .. } => (line.exponent + log2(max) - 6).max(0) as u32,
        };
        // |x| · 2^e without its fraction.
        let trunc = |x: f64, e: i32| match decode(x) {
            (mantissa, own) if own + e >= 0 => mantissa.unsigned_abs() << (own + e),
            (mantissa, own) => mantissa.unsigned_abs().checked_shr(-(own + e) as u32).unwrap_or(0),
        };
        let part = |&x: &f64| trunc(x, line.exponent - lambda as i32);
        let leading: Vec<u64> = line.elements.iter().map(part).collect();
        assert!(leading.iter().all(|&part| part < 128));
        let nonzeros = line.elements.iter().filter(|x| **x != 0.0).count() as u128;
        let root = |plane: &Vec<i16>| {
            let square: u128 = plane.iter().map(|&d| u128::from(d.unsigned_abs()).pow(2)).sum();
            let root = square.isqrt();
            root + u128::from(root * root < square)
        };
        let is_inexact =
            |&x: &f64| ldexp(trunc(x, line.exponent) as f64, -line.exponent) != x.abs();
        Proof {
            lambda,
            nonzeros,
            norm: u128::from(leading.iter().sum::<u64>()) + nonzeros,
            roots: line.planes.iter().map(root).collect(),
            inexact: line.elements.iter().any(is_inexact),
            leading,
        }
    }
}

/// The nearest integer to x · 2^e, ties to even.
fn quantise(x: f64, e: i32) -> i64 {
    let (mantissa, own) = decode(x);
    let (magnitude, up) = (mantissa.unsigned_abs(), own + e);
    let whole = if magnitude == 0 || up < -60 {
        0
    } else if up >= 0 {
        assert!(up < magnitude.leading_zeros() as i32, "{x:e} · 2^{e} is too great");
        magnitude << up
    } else {
        let (cut, half) = (magnitude >> -up, 1u64 << (-up - 1));
        let rest = magnitude & (2 * half - 1);
        cut + u64::from(rest > half || rest == half && cut % 2 == 1)
    };
    if x.is_sign_negative() { -(whole as i64) } else { whole as i64 }
}

/// The half nearest to x · 2^e, in units of 2^-24, the smallest half: 11 bits of it.
fn half(x: f64, e: i32) -> i64 {
    if x == 0.0 {
        return 0;
    }
    let unit = (log2(x.abs()) + e - 10).max(-24);
    quantise(x, e - unit) << (unit + 24)
}

/// Σ x·y over one or two halves per element: hi·hi + 2^-11 (hi·lo + lo·hi).
fn half_precision(x: &[Vec<i64>], y: &[Vec<i64>]) -> f64 {
    let high = half_sum(&x[0], &y[0]);
    match (x, y) {
        ([x, x_low], [y, y_low]) => {
            let low = half_sum(&[&x[..], x_low].concat(), &[&y_low[..], y].concat());
            high + low * 2f64.powi(-11)
        }
        _ => high,
    }
}

/// Σ x·y over halves as the chip has it: a task takes an even share of the whole, sums every 32
/// products exactly and rounds to single precision, and so when it adds them, one after the
/// other. Tasks are added in units of 2^-16.
fn half_sum(x: &[i64], y: &[i64]) -> f64 {
    let depth = x.len();
    let task = depth.div_ceil(depth.div_ceil(HALVES_TASK)).next_multiple_of(HALVES_GROUP);
    let mut units = 0;
    for (x, y) in x.chunks(task).zip(y.chunks(task)) {
        let mut sum = 0f32;
        for (x, y) in x.chunks(HALVES_GROUP).zip(y.chunks(HALVES_GROUP)) {
            let group: i128 = x.iter().zip(y).map(|(&x, &y)| i128::from(x) * i128::from(y)).sum();
            sum += group as f32 * 2f32.powi(-48);
        }
        units += (f64::from(sum) * 65_536.0).round_ties_even() as i64;
    }
    units as f64 / 65_536.0
}

/// The balanced digits of an integer, leading digit first.
fn digits(x: i64, slices: usize) -> Vec<i16> {
    let mut rest = i128::from(x);
    let mut digits = Vec::with_capacity(slices);
    for _ in 0..slices {
        let low = rest.rem_euclid(256);
        let digit = if low < 128 { low } else { low - 256 };
        digits.push(digit as i16);
        rest = (rest - digit) / 256;
    }
    assert!(slices == 0 || rest == 0, "{x} has more than {slices} digits");
    digits.reverse();
    digits
}

/// Of `slices` digits: the exponent that takes the greatest magnitude to [2^(8s-2), 2^(8s-1)),
/// or one less where the greatest number of balanced digits, 7F7F…, would be passed.
fn fixed_exponent(elements: &[f64], slices: u32) -> i32 {
    let max = greatest(elements);
    if max == 0.0 {
        return 0;
    }
    let e = 8 * slices as i32 - 1 - (log2(max) + 1);
    // 7F7F…7F over 2^(8s-1), as the mantissas of both precisions see it; a quotient by a power
    // of two is exact.
    let mantissa = ldexp(max, -(log2(max) + 1));
    let limit = if max == f64::from(max as f32) && slices <= 4 {
        f64::from(0xFE_FEFE_u32) / 2f64.powi(24)
    } else {
        0x1F_DFDF_DFDF_DFDF_u64 as f64 / 2f64.powi(53)
    };
    if mantissa > limit { e - 1 } else { e }
}

fn greatest(elements: &[f64]) -> f64 {
    elements.iter().fold(0.0, |max, x| max.max(x.abs()))
}

/// The exponent of the leading bit of a positive number.
fn log2(x: f64) -> i32 {
    let (mantissa, e) = decode(x);
    63 - mantissa.leading_zeros() as i32 + e
}

/// Of a modular scheme: the greatest with which the line is surely no longer than √(P/2), less a
/// hair, in the 2-norm, what rounding adds included. An element that is not 0 counts as the nearest
/// number of units, plus one; 2^15 units are the power of two below the greatest.
fn norm_exponent(elements: &[f64], moduli: usize) -> i32 {
    let max = greatest(elements);
    if max == 0.0 {
        return 0;
    }
    let unit = 15 - log2(max);
    let units = |x: f64| u128::from(quantise(x, unit).unsigned_abs()) + u128::from(x != 0.0);
    let square: u128 = elements.iter().map(|&x| units(x).pow(2)).sum();
    let root = (range(moduli) / 2 - 1).isqrt();
    let rounding = (1..).find(|h| 4 * h * h >= elements.len() as u128).unwrap_or(0);
    let radius = root - (root >> 30) - 1 - rounding;
    let fits = |d: i32| match d {
        0.. => square << (2 * d) <= radius * radius,
        _ => square <= (radius * radius) << (-2 * d),
    };
    // Beyond 2^126 nothing fits.
    let most = (square.leading_zeros() as i32 - 2) / 2;
    unit + (-20..=most).rev().find(|&d| fits(d)).expect("some exponent fits")
}

/// The product of the moduli.
fn range(moduli: usize) -> u128 {
    MODULI[..moduli].iter().product()
}

/// Σ x·y over digits, whose products are at most 2^14.
fn dot(x: &[i16], y: &[i16]) -> i64 {
    const RUN: usize = 1 << 16;
    let mut total = 0;
    for (x, y) in x.chunks(RUN).zip(y.chunks(RUN)) {
        let mut sum = 0i32;
        for (&x, &y) in x.iter().zip(y) {
            sum = sum.wrapping_add(i32::from(x).wrapping_mul(i32::from(y)));
        }
        total += i64::from(sum);
    }
    total
}

/// The final formula, in double precision and then rounded to the type: one fused multiply-add
/// and, where β takes part, β·C rounded before; for complex types each product of two numbers is
/// one rounded product and one fused multiply-add, and the two are added.
fn finish<T: Element>(alpha: T, value: [f64; 2], beta: T, old: T) -> T {
    let (a, b) = (alpha.doubles(), beta.doubles());
    let reads = b != [0.0, 0.0];
    let old = if reads { old.doubles() } else { [0.0; 2] };
    if !T::COMPLEX {
        let result = if reads { a[0].mul_add(value[0], b[0] * old[0]) } else { a[0] * value[0] };
        return T::new(result, 0.0);
    }
    let product = |x: [f64; 2], y: [f64; 2]| {
        [x[0].mul_add(y[0], -(x[1] * y[1])), x[0].mul_add(y[1], x[1] * y[0])]
    };
    let mut result = product(a, value);
    if reads {
        let added = product(b, old);
        result = [result[0] + added[0], result[1] + added[1]];
    }
    T::new(result[0], result[1])
}
