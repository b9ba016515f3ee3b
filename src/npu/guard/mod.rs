//! The proof, per call, that a scheme's result meets the error bound of a conventional GEMM.
//!
//! For every entry of A·B the emulated value differs from the exact one by at most
//! `k_eff · u · (|A||B|)_ij` with u = 2^-p, p the precision of the type (24 or 53), and `k_eff`
//! the smaller number of non-zeros of row i and column j. (The promise has `k_eff + 2`; the rest is for the final roundings.) [`accepts`]
//! proves that for all entries at once from statistics of the lines, in integers that depend on
//! no order, and rounds every step against itself. `false` only means: not proven.
//!
//! # Units
//!
//! Let a row be scaled by 2^e and a column by 2^f, see [`Scheme::exponent`], and let x, y be
//! scaled elements and X, Y their roundings to integers. Everything is counted in units of
//! 2^(-e-f).
//!
//! **Leading parts.** F = trunc(|x| / 2^λ), with λ so that F is an integer of 0 … 127 and the
//! greatest of a line is about 64 or more. λ is that of the line, [`Scheme::trailing_bits`]:
//! 8(s - 1) for s digits, so that F has the unit of the leading one; for residues, where the
//! 2-norm of a line decides e, what is between e and the exponent that takes the greatest element
//! into \[64, 128).
//!
//! **Error.** With |x - X| ≤ q_i, |y - Y| ≤ q_j (1/2, or 0 for a line that is exact),
//! |Σ xy - Σ XY| ≤ q_i ‖Y‖₁ + q_j ‖X‖₁ + q_i q_j k_eff. Of a non-zero element |x| < 2^λ (F + 1),
//! and the right side is an integer, so ‖X‖₁ ≤ 2^λ n with n = Σ (F + 1) over the non-zeros.
//! Digit products that a scheme drops add 256^(2s-p-q) ‖d_p(X)‖₂ ‖d_q(Y)‖₂ each, by Cauchy and
//! Schwarz; schemes of residues drop nothing. The sum of all is E.
//!
//! **Magnitude.** Σ |x||y| ≥ 2^(λ+μ) Σ F F' ≥ 2^(λ+μ) L, with λ of the row and μ of the column.
//!
//! **Test.** E ≤ k_eff · 2^-p · 2^(λ+μ) · L, that is **E ≤ k_eff · L · 2^σ with
//! σ = λ + μ - p**: for digits 8 with three slices of single precision, 24 with four; 43 with
//! seven of double precision, 59 with eight. E is given 2^-40 of itself on top.
//!
//! Over 2^(λ+μ), the left side q_i n_j / 2^λ + q_j n_i / 2^μ + q_i q_j k_eff / 2^(λ+μ) only falls
//! when λ or μ grows, so lines of different λ may be judged by the least of them. The dropped
//! products belong to schemes where all λ are the same.
//!
//! With s = 8 and k = 2^22 the greatest numbers are ‖X‖₁ ≤ 2^85, E < 2^88 and
//! 4 k_eff L 2^σ < 2^118. With 16 residues λ is at most 56; for any k up to [`MAX_K`] E is less
//! than 2^92 and 4 k_eff L 2^σ less than 2^126. A u128 holds them all.
//!
//! F comes from the element itself. A leading digit rounds to nearest and may exceed it
//! (elements of 32640 facing zeros: accepted with |d_1|, and wrong by 132360 u where 36001 u are
//! allowed); so may X.
//!
//! # A lower bound for all pairs of lines
//!
//! Of each line only the counts c_p = #{F ≥ t_p} for the thresholds t are kept. With
//! D_p = t_p - t_(p-1), F ≥ Σ_p D_p [F ≥ t_p], and of k places at least c_p + c'_q - k have both
//! F ≥ t_p and F' ≥ t_q. Hence L = Σ_p Σ_q D_p D'_q max(0, c_p + c'_q - k).
//!
//! Rows and columns are put into classes of similar size, the extremes of every statistic are
//! taken class by class, and the test is made for all pairs of classes: one outlier then spoils
//! the bound of its class only.
//!
//! # One entry at a time
//!
//! Where that proves too little, the device can be asked for Σ F F' itself, see [`Certificate`].

mod certificate;
mod class;
mod stats;
mod verdict;

pub use super::scheme::LineScan;
pub use certificate::{Certificate, overlap_of};
pub use stats::LineStats;
pub use verdict::{Verdict, judge};

use super::scheme::Scheme;
use class::{Class, classes};

/// Lower ends of the ranges of F that are told apart.
const THRESHOLDS: [u8; 13] = [1, 2, 3, 4, 6, 8, 11, 16, 22, 32, 45, 64, 90];

/// D_p: what reaching the p-th threshold adds to the lower bound of F.
const STEPS: [u32; THRESHOLDS.len()] = {
    let mut steps = [0; THRESHOLDS.len()];
    let mut below = 0;
    let mut p = 0;
    while p < steps.len() {
        steps[p] = (THRESHOLDS[p] - below) as u32;
        below = THRESHOLDS[p];
        p += 1;
    }
    steps
};

/// Greatest inner dimension for which the inner sums of [`overlap`], at most 90 k, fit a u32.
const MAX_K: usize = u32::MAX as usize / THRESHOLDS[THRESHOLDS.len() - 1] as usize;

/// Whether the product of rows with statistics `a` and columns with statistics `b` over the
/// inner dimension `k` provably meets the bound under `scheme`, entry by entry.
///
/// Lines of zeros take no part: their results are exact zeros.
pub fn accepts(scheme: &Scheme, a: &[LineStats], b: &[LineStats], k: usize) -> bool {
    within_reach(scheme, k) && {
        let (rows, cols) = (classes(a.iter(), k), classes(b.iter(), k));
        rows.iter().all(|row| cols.iter().all(|col| meets(scheme, row, col, k)))
    }
}

/// Whether the inner dimension is one that the test, and the scheme, can take.
fn within_reach(scheme: &Scheme, k: usize) -> bool {
    k <= scheme.max_k().min(MAX_K)
}

/// Whether every entry of two classes meets the bound; `k` is [`within_reach`].
fn meets(scheme: &Scheme, row: &Class, col: &Class, k: usize) -> bool {
    holds(scheme, row, col, overlap(&row.counts, &col.counts, k as u32))
}

/// Whether every entry of two classes meets the bound if none has less than L = `overlap`:
/// E (1 + 2^-40) ≤ k_eff · L · 2^σ.
fn holds(scheme: &Scheme, row: &Class, col: &Class, overlap: u64) -> bool {
    // Four times both sides.
    let error = error(scheme, row, col);
    let needed = error + error.div_ceil(1 << 40);
    let terms = row.min_nonzeros.min(col.min_nonzeros) as u128;
    let proven = 4 * terms * u128::from(overlap);
    // σ is below 0 for two slices, of which little is ever proven but that a result is exact.
    match (row.trailing + col.trailing) as i32 - scheme.precision as i32 {
        up @ 0.. => needed <= proven << up,
        down => needed << -down <= proven,
    }
}

/// 4 E, at most, for the lines of two classes.
fn error(scheme: &Scheme, row: &Class, col: &Class) -> u128 {
    let (row_inexact, col_inexact) = (u128::from(row.inexact), u128::from(col.inexact));
    let terms = row.max_nonzeros.min(col.max_nonzeros) as u128;
    let norm = |class: &Class| u128::from(class.norm) << class.trailing;
    let mut error = 2 * row_inexact * norm(col)
        + 2 * col_inexact * norm(row)
        + row_inexact * col_inexact * terms;
    let trailing = row.trailing + col.trailing;
    for (p, q) in scheme.dropped() {
        let product = u128::from(row.roots[p - 1]) * u128::from(col.roots[q - 1]);
        error += (4 * product) << (trailing - 8 * (p + q - 2) as u32);
    }
    error
}

/// L for two lines with these counts, k at most [`MAX_K`].
fn overlap(a: &[u32; THRESHOLDS.len()], b: &[u32; THRESHOLDS.len()], k: u32) -> u64 {
    let mut total = 0;
    for (&step, &a) in STEPS.iter().zip(a) {
        let mut inner = 0u32;
        for (&step, &b) in STEPS.iter().zip(b) {
            inner = inner.wrapping_add(step.wrapping_mul(a.wrapping_add(b).saturating_sub(k)));
        }
        total += u64::from(step) * u64::from(inner);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::scheme::MAX_DIGITS;
    use crate::npu::scheme::crt_int8::{II_15, II_16};
    use crate::npu::scheme::ozaki_int8::{I_2S3P, I_3S8P, I_4S10P, I_7S28P, I_8S36P, SCHEMES};

    /// Counts of a line whose F are these.
    fn counts(line: &[u8]) -> [u32; THRESHOLDS.len()] {
        THRESHOLDS.map(|t| line.iter().filter(|f| **f >= t).count() as u32)
    }

    #[test]
    fn shifts_are_those_of_the_derivation() {
        let lambda = |scheme: &Scheme| scheme.trailing_bits(0, &LineScan::of(&[1.0]));
        let shift = |scheme: &Scheme| 2 * lambda(scheme) as i32 - scheme.precision as i32;
        assert_eq!(SCHEMES.map(shift), [-8, 8, 8, 24, 11, 43, 59]);
        assert_eq!(STEPS.iter().sum::<u32>(), 90);
    }

    #[test]
    fn overlap_is_below_every_pairing() {
        let mut state = 1u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            state >> 33
        };
        for case in 0..2000 {
            let k = 1 + draw() as usize % 40;
            let mut line = || {
                let low = draw() % 100;
                (0..k).map(|_| (low + draw() % (128 - low)) as u8).collect::<Vec<u8>>()
            };
            let (mut a, mut b) = (line(), line());
            let bound = overlap(&counts(&a), &counts(&b), k as u32);
            let dot = |a: &[u8], b: &[u8]| {
                a.iter().zip(b).map(|(&a, &b)| u64::from(a) * u64::from(b)).sum::<u64>()
            };
            assert!(bound <= dot(&a, &b), "{case}");
            a.sort_unstable();
            b.sort_unstable_by(|a, b| b.cmp(a));
            assert!(bound <= dot(&a, &b), "{case}: the least of all pairings");
        }
        // Where every F is a threshold, it is the least pairing.
        let (a, b) = ([1, 3, 8, 90, 90], [90, 22, 22, 2, 0]);
        assert_eq!(overlap(&counts(&a), &counts(&b), 5), 90 + 66 + 176 + 180);
    }

    #[test]
    fn overlap_holds_the_longest_lines() {
        let full = [MAX_K as u32; THRESHOLDS.len()];
        assert_eq!(overlap(&full, &full, MAX_K as u32), 8100 * MAX_K as u64);
    }

    /// Extremes of lines with these numbers of non-zeros, at least.
    fn class(trailing: u32, inexact: bool, nonzeros: usize, norm: u64, roots: &[u64]) -> Class {
        Class {
            lines: 1,
            counts: [2; THRESHOLDS.len()],
            min_nonzeros: nonzeros,
            max_nonzeros: nonzeros + 1,
            trailing,
            norm,
            roots: std::array::from_fn(|p| roots.get(p).copied().unwrap_or(0)),
            inexact,
        }
    }

    #[test]
    fn errors_of_one_pair_by_hand() {
        let (row, col) =
            (class(16, true, 5, 1000, &[0, 0, 7]), class(16, true, 3, 2000, &[0, 0, 11]));
        let expected = ((2 * 2000 + 2 * 1000) << 16) + 4 + 4 * 7 * 11;
        assert_eq!(error(&I_3S8P, &row, &col), expected);
        assert_eq!(error(&I_3S8P, &class(16, false, 5, 1000, &[]), &col), 2000 << 16);
        let row = class(24, false, 5, 0, &[0, 2, 3, 5]);
        let col = class(24, false, 5, 0, &[0, 7, 11, 13]);
        let dropped = ((2 * 13 + 3 * 11 + 5 * 7) << 16) + ((3 * 13 + 5 * 11) << 8) + 5 * 13;
        assert_eq!(error(&I_4S10P, &row, &col), 4 * dropped);
        let row = class(48, false, 5, 0, &[0, 2, 3, 5]);
        let last = class(48, false, 3, 0, &[0, 0, 0, 0, 0, 0, 11]);
        assert_eq!(
            error(&I_7S28P, &row, &last),
            (4 * 2 * 11) << 40 | (4 * 3 * 11) << 32 | (4 * 5 * 11) << 24
        );
        // Each line has a λ of its own.
        let (row, col) = (class(50, true, 5, 1000, &[]), class(47, true, 3, 2000, &[]));
        assert_eq!(error(&II_15, &row, &col), (4000u128 << 47) + (2000 << 50) + 4);
    }

    #[test]
    fn the_test_is_sharp() {
        // 4E = 2^30 and a little for rounding, k_eff = 3.
        let lines = |trailing: u32| {
            let col = class(trailing, false, 3, 1 << (29 - trailing), &[]);
            (class(trailing, true, 5, 1000, &[]), col)
        };
        let (row, col) = lines(16);
        let just = ((1u64 << 30) + 1).div_ceil(12 << 8);
        assert!(holds(&I_3S8P, &row, &col, just) && !holds(&I_3S8P, &row, &col, just - 1));
        let (row, col) = lines(8);
        let just = ((1u64 << 38) + 256).div_ceil(12);
        assert!(holds(&I_2S3P, &row, &col, just) && !holds(&I_2S3P, &row, &col, just - 1));
        let (row, col) = lines(24);
        // L = 90² · (2 + 2 - 3).
        assert_eq!(overlap(&row.counts, &col.counts, 3), 8100);
        assert!(meets(&I_4S10P, &row, &col, 3) && !meets(&I_4S10P, &row, &col, 4));
    }

    #[test]
    fn the_longest_lines_do_not_overflow() {
        let class = |k: usize, trailing: u32| Class {
            lines: 1,
            counts: [k as u32; THRESHOLDS.len()],
            min_nonzeros: k,
            max_nonzeros: k,
            trailing,
            norm: 128 * k as u64,
            roots: [128 * 2048; MAX_DIGITS],
            inexact: true,
        };
        // Nothing wraps, or the build's checks would end the test.
        let k = 1 << 22;
        let digits = |slices: u32| class(k, 8 * (slices - 1));
        let met = |scheme: &Scheme| {
            let class = digits(scheme.planes() as u32);
            meets(scheme, &class, &class, k)
        };
        assert!(SCHEMES.into_iter().filter(|scheme| met(scheme)).count() > 2 && met(&I_8S36P));
        assert!(error(&I_8S36P, &digits(8), &digits(8)) >= 4u128 << 85);
        // A line of one element has the greatest λ, 62 bits less 7 and one for roundings.
        let own = |line: &[f64]| {
            let scan = LineScan::of(line);
            II_16.trailing_bits(II_16.exponent(line, &scan), &scan)
        };
        assert!(own(&[1.0]) <= 56 && own(&[1.0 - f64::EPSILON / 2.0]) <= 56);
        let longest = class(MAX_K, 56);
        assert!(meets(&II_16, &longest, &longest, MAX_K));
    }

    #[test]
    fn beyond_max_k_nothing_is_proven() {
        assert!(!accepts(&I_3S8P, &[], &[], I_3S8P.max_k() + 1));
        assert!(!accepts(&I_3S8P, &[], &[], usize::MAX));
        assert!(accepts(&I_3S8P, &[], &[], I_3S8P.max_k()));
    }
}
