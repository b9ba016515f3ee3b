//! The proof, per call, that a scheme's result meets the error bound of a conventional GEMM.
//!
//! For every entry of A·B the emulated value differs from the exact one by at most
//! `k_eff · u · (|A||B|)_ij` with u = 2^-24 and `k_eff` the smaller number of non-zeros of row i
//! and column j. (The promise has `k_eff + 2`; the rest is for the final roundings.) [`accepts`]
//! proves that for all entries at once from statistics of the lines, in integers that depend on
//! no order, and rounds every step against itself. `false` only means: not proven.
//!
//! # Units
//!
//! Let a row be scaled by 2^e and a column by 2^f, see
//! [`exponent`](super::scheme::ozaki_int8::exponent), and let x, y be scaled elements, X, Y
//! their roundings to integers of s digits. Everything is counted in units of 2^(-e-f).
//!
//! **Error.** With |x - X| ≤ q_i, |y - Y| ≤ q_j (1/2, or 0 for a line that is exact),
//! |Σ xy - Σ XY| ≤ q_i ‖Y‖₁ + q_j ‖X‖₁ + q_i q_j k_eff. Digit products that the scheme drops
//! add 256^(2s-p-q) ‖d_p(X)‖₂ ‖d_q(Y)‖₂ each, by Cauchy and Schwarz. The sum of all is E.
//!
//! **Magnitude.** F = trunc(|x| / 256^(s-1)) is the element over the unit of the leading digit,
//! an integer of 0 … 127. So Σ |x||y| ≥ 256^(2s-2) Σ F F' ≥ 2^(16(s-1)) L.
//!
//! **Test.** E ≤ k_eff · 2^-24 · 2^(16(s-1)) · L, that is **E ≤ k_eff · L · 2^σ with
//! σ = 16(s-1) - 24**: 8 for three slices, 24 for four ([`Scheme::guard_shift`]). E is given
//! 2^-40 of itself on top.
//!
//! F comes from the element itself. The leading digit rounds to nearest and may exceed it
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

mod class;
mod stats;

pub use stats::{LineScan, LineStats};

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

/// Whether the product of rows with statistics `a` and columns with statistics `b` over the
/// inner dimension `k` provably meets the bound under `scheme`, entry by entry.
///
/// Lines of zeros take no part: their results are exact zeros.
pub fn accepts(scheme: &Scheme, a: &[LineStats], b: &[LineStats], k: usize) -> bool {
    let Ok(depth) = u32::try_from(k.min(scheme.max_k())) else { return false };
    let (rows, cols) = (classes(a, k), classes(b, k));
    k <= depth as usize
        && rows.iter().all(|row| {
            cols.iter().all(|col| {
                let (needed, proven) = bounds(scheme, row, col, depth);
                needed <= proven
            })
        })
}

/// 4 E (1 + 2^-40), rounded up, and 4 k_eff L 2^σ for the lines of two classes.
fn bounds(scheme: &Scheme, row: &Class, col: &Class, k: u32) -> (u128, u128) {
    let (row_inexact, col_inexact) = (u128::from(row.inexact), u128::from(col.inexact));
    let pairs = row.max_nonzeros.min(col.max_nonzeros) as u128;
    let mut error =
        2 * row_inexact * col.norm + 2 * col_inexact * row.norm + row_inexact * col_inexact * pairs;
    for (p, q) in scheme.dropped() {
        let product = u128::from(row.roots[p - 1]) * u128::from(col.roots[q - 1]);
        error += (4 * product) << (8 * (2 * scheme.slices - p - q));
    }
    let needed = error + error.div_ceil(1 << 40);
    let pairs = row.min_nonzeros.min(col.min_nonzeros) as u128;
    let proven =
        (4 * pairs * u128::from(overlap(&row.counts, &col.counts, k))) << scheme.guard_shift;
    (needed, proven)
}

/// L for two lines with these counts.
///
/// The inner sums are at most 90 k, which fits a u32 for every k that a scheme's
/// [`max_k`](Scheme::max_k) allows.
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
