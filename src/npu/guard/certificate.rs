//! The test of single entries, by the product of their leading parts.
//!
//! With both sides over 2^(λ+μ), see [the units](super), an entry is proven when
//!
//! E / 2^(λ+μ) · (1 + 2^-40) ≤ k_eff · 2^-p · Σ F F',
//!
//! and the left side comes apart into numbers of the row and numbers of the column: with
//! ρ = q / 2^λ, n the bound of ‖X‖₁ in units of F, r_p = ‖d_p(X)‖₂, and the same with a prime for
//! the column,
//!
//! E / 2^(λ+μ) = ρ n' + n ρ' + ρ ρ' k_eff + Σ_q (Σ_p 256^(2-p-q) r_p) r'_q, over dropped (p, q).
//!
//! All of it are sums and products of at most a dozen numbers that are not negative and that a
//! double holds exactly, so that in floating point neither side is off by more than 2^-48 of
//! itself: what passes meets the bound, the 2^-40 being there for this.

use super::LineStats;
use crate::npu::scheme::{MAX_DIGITS, Real, Scheme};
use crate::npu::widest::widest;
use std::iter::repeat_n;
use std::ops::Range;

/// Entries that are tested at once.
const COLS: usize = 64;

/// What the error is given on top.
const MARGIN: f64 = 1.0 + 1.0 / (1u64 << 40) as f64;

/// Numbers of a line whose products with those of another sum up to the error, but for ρ ρ' k_eff:
/// ρ and n, then one for each digit plane of the column that meets a dropped product.
const FACTORS: usize = 2 + MAX_DIGITS;

/// What proves single entries of a product under a scheme, given the products of their leading
/// parts.
#[derive(Debug)]
pub struct Certificate {
    rows: Vec<Row>,
    cols: Cols,
    /// 2^-p.
    unit: f64,
}

/// Numbers of a row.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// ρ, n, and for each plane q the sum of 256^(2-p-q) r_p.
    factors: [f64; FACTORS],
    nonzeros: f64,
}

/// Numbers of the lines of the columns, each kind side by side.
#[derive(Debug)]
struct Cols {
    /// n', ρ', and r'_q for each plane q.
    factors: Vec<Vec<f64>>,
    nonzeros: Vec<f64>,
}

/// ρ, of what rounding to integers may have changed.
fn rounding(line: &LineStats) -> f64 {
    if line.inexact { f64::pow2(-1 - line.trailing as i32) } else { 0.0 }
}

impl Certificate {
    /// For rows and columns with these statistics, each column of so many lines, see
    /// [`Scheme::lines`].
    pub fn new(
        scheme: &Scheme,
        rows: &[LineStats],
        cols: &[LineStats],
        per_column: usize,
    ) -> Certificate {
        let planes: Vec<usize> =
            (1..=scheme.value_planes()).filter(|&q| scheme.dropped().any(|d| d.1 == q)).collect();
        let row = |line: &LineStats| {
            let mut factors = [0.0; FACTORS];
            (factors[0], factors[1]) = (rounding(line), line.norm as f64);
            for (factor, &q) in factors[2..].iter_mut().zip(&planes) {
                for (p, _) in scheme.dropped().filter(|d| d.1 == q) {
                    *factor += line.roots[p - 1] as f64 * f64::pow2(16 - 8 * (p + q) as i32);
                }
            }
            Row { factors, nonzeros: line.nonzeros as f64 }
        };
        let all = |number: &dyn Fn(&LineStats) -> f64| {
            cols.iter().flat_map(|column| repeat_n(number(column), per_column)).collect()
        };
        let mut factors = vec![all(&|line| line.norm as f64), all(&rounding)];
        factors.extend(planes.iter().map(|&q| all(&|line| line.roots[q - 1] as f64)));
        Certificate {
            rows: rows.iter().map(row).collect(),
            cols: Cols { factors, nonzeros: all(&|line| line.nonzeros as f64) },
            unit: f64::pow2(-(scheme.precision as i32)),
        }
    }

    /// Tests the entries of a row and some neighbouring lines of B, `overlaps` being the products
    /// of their leading parts: `doubts[j]` says that the j-th one is not proven.
    ///
    /// # Panics
    /// Where there are not as many overlaps and doubts as lines.
    pub fn test(&self, row: usize, lines: Range<usize>, overlaps: &[i64], doubts: &mut [bool]) {
        assert!(overlaps.len() == lines.len() && doubts.len() == lines.len());
        test(&self.rows[row], &self.cols, lines.start, self.unit, overlaps, doubts);
    }
}

widest! {
    /// [`Certificate::test`] of the columns from `first` on.
    fn test(
        row: &Row,
        cols: &Cols,
        first: usize,
        unit: f64,
        overlaps: &[i64],
        doubts: &mut [bool],
    ) => test_any;
}

#[inline(always)]
fn test_any(
    row: &Row,
    cols: &Cols,
    first: usize,
    unit: f64,
    overlaps: &[i64],
    doubts: &mut [bool],
) {
    for start in (0..overlaps.len()).step_by(COLS) {
        let width = COLS.min(overlaps.len() - start);
        let some = first + start..first + start + width;
        let nonzeros = &cols.nonzeros[some.clone()];
        let (mut errors, mut terms) = ([0.0; COLS], [0.0; COLS]);
        for (terms, &nonzeros) in terms.iter_mut().zip(nonzeros) {
            *terms = row.nonzeros.min(nonzeros);
        }
        let roundings = &cols.factors[1][some.clone()];
        for ((error, &rounding), &terms) in errors.iter_mut().zip(roundings).zip(&terms) {
            *error = row.factors[0] * rounding * terms;
        }
        for (&factor, numbers) in row.factors.iter().zip(&cols.factors) {
            for (error, &number) in errors.iter_mut().zip(&numbers[some.clone()]) {
                *error += factor * number;
            }
        }
        let (overlaps, doubts) = (&overlaps[start..][..width], &mut doubts[start..][..width]);
        for (((doubt, &overlap), &error), &terms) in
            doubts.iter_mut().zip(overlaps).zip(&errors).zip(&terms)
        {
            *doubt = error * MARGIN > terms * (overlap.max(0) as f64 * unit);
        }
    }
}

widest! {
    /// Σ F F', the product of the [leading parts](LineStats::leading) of two lines.
    pub fn overlap_of(a: &[i8], b: &[i8]) -> i64 => overlap_any;
}

#[inline(always)]
fn overlap_any(a: &[i8], b: &[i8]) -> i64 {
    /// Products of at most 127² whose sum surely fits an i32.
    const RUN: usize = 1 << 17;
    let mut total = 0;
    for (a, b) in a.chunks(RUN).zip(b.chunks(RUN)) {
        let products = a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b));
        total += i64::from(products.fold(0i32, |sum, product| sum.wrapping_add(product)));
    }
    total
}

#[cfg(test)]
mod tests {
    use super::super::class::Class;
    use super::super::holds;
    use super::*;
    use crate::npu::guard::THRESHOLDS;
    use crate::npu::scheme::crt_int8::{II_15, II_16_C};
    use crate::npu::scheme::ozaki_int8::{I_3S6P_C, I_3S8P, I_4S10P_C, I_7S28P, I_8S36P_C};
    use crate::npu::widest::Width;

    const SCHEMES: [&Scheme; 7] =
        [&I_3S6P_C, &I_3S8P, &I_4S10P_C, &I_7S28P, &I_8S36P_C, &II_15, &II_16_C];

    /// Numbers of any size that lines up to `k` may have, each now and then 0 or the greatest.
    fn lines(scheme: &Scheme, count: usize, seed: u64) -> Vec<LineStats> {
        let mut state = seed;
        let mut draw = |top: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
            match state >> 60 {
                0 => 0,
                1 => top,
                2..8 => (state >> 16) % (top + 1),
                _ => ((state >> 16) % (top + 1)) >> (state >> 56 & 31),
            }
        };
        let mut line = || {
            let nonzeros = draw(1 << 22);
            let trailing = match scheme.value_planes() {
                planes if scheme.dropped().next().is_some() => 8 * (planes as u32 - 1),
                _ => 30 + draw(26) as u32,
            };
            let mut roots = [0; MAX_DIGITS];
            for (p, _) in scheme.dropped() {
                roots[p - 1] = draw(128 * 2048);
            }
            LineStats {
                counts: [0; THRESHOLDS.len()],
                nonzeros: nonzeros as usize,
                trailing,
                norm: nonzeros + draw(127 * nonzeros),
                roots,
                inexact: draw(3) > 0,
            }
        };
        (0..count).map(|_| line()).collect()
    }

    /// The smallest L with which the test in integers holds, if any below 2^40, which is more than
    /// the greatest there is.
    fn least(scheme: &Scheme, row: &Class, col: &Class) -> Option<u64> {
        let (mut low, mut high) = (0, 1 << 40);
        while low < high {
            let middle = (low + high) / 2;
            if holds(scheme, row, col, middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        (low < 1 << 40).then_some(low)
    }

    #[test]
    fn entries_are_proven_as_integers_prove_them() {
        for (s, scheme) in SCHEMES.into_iter().enumerate() {
            let rows = lines(scheme, 40, 2 * s as u64);
            let cols = lines(scheme, 133, 2 * s as u64 + 1);
            let certificate = Certificate::new(scheme, &rows, &cols, 1);
            let mut sharp = 0;
            for (i, row) in rows.iter().map(Class::of).enumerate() {
                let least = |col: &LineStats| least(scheme, &row, &Class::of(col));
                let leasts: Vec<Option<u64>> = cols.iter().map(least).collect();
                let doubts = |change: i64| {
                    let at = |least: &Option<u64>| match least {
                        Some(least) => *least as i64 + change,
                        None => i64::from(i32::MAX) + change,
                    };
                    let overlaps: Vec<i64> = leasts.iter().map(at).collect();
                    let mut doubts = vec![false; cols.len()];
                    certificate.test(i, 0..cols.len(), &overlaps, &mut doubts);
                    doubts
                };
                let (short, just) = (doubts(-1), doubts(0));
                for j in 0..cols.len() {
                    let Some(least) = leasts[j] else {
                        assert!(just[j], "{} ({i}, {j})", scheme.name);
                        continue;
                    };
                    assert!(!just[j], "{} ({i}, {j}) {least}", scheme.name);
                    assert!(short[j] || least == 0, "{} ({i}, {j}) {least}", scheme.name);
                    sharp += usize::from(least > 1);
                }
            }
            assert!(sharp > 500, "{}: {sharp}", scheme.name);
        }
    }

    #[test]
    fn sums_that_no_device_should_return_prove_nothing() {
        let line = LineStats { norm: 9, nonzeros: 3, inexact: true, ..lines(&I_4S10P_C, 1, 5)[0] };
        let certificate = Certificate::new(&I_4S10P_C, &[line], &[line; 3], 1);
        let mut doubts = [false; 3];
        certificate.test(0, 0..3, &[-1, i64::MIN, i64::from(i32::MIN)], &mut doubts);
        assert_eq!(doubts, [true; 3]);
    }

    #[test]
    fn every_instruction_set_gives_the_same_doubts() {
        for scheme in SCHEMES {
            let (rows, cols) = (lines(scheme, 1, 7), lines(scheme, 200, 8));
            let certificate = Certificate::new(scheme, &rows, &cols, 1);
            let overlaps: Vec<i64> = (0..200).map(|j| 1 << (j % 40)).collect();
            for some in [0..200, 3..3, 5..70, 64..129] {
                let overlaps = &overlaps[some.clone()];
                let (row, unit) = (&certificate.rows[0], certificate.unit);
                let mut plain = vec![true; some.len()];
                test_any(row, &certificate.cols, some.start, unit, overlaps, &mut plain);
                Width::each(|| {
                    let mut wide = vec![false; some.len()];
                    certificate.test(0, some.clone(), overlaps, &mut wide);
                    assert_eq!(wide, plain);
                });
            }
        }
        let (a, b): (Vec<i8>, Vec<i8>) = (0..200_001).map(|i| (127 - (i % 7) as i8, 127)).unzip();
        let exact: i64 = a.iter().zip(&b).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
        Width::each(|| {
            assert_eq!(overlap_of(&a, &b), exact);
            assert_eq!(overlap_of(&b, &b), 127 * 127 * 200_001);
        });
    }
}
