//! Products for the tests of this folder, which compare their bits.

use super::kernel::{self, Kernels, MicroKernel};
use crate::mat::{MatMut, MatRef};
use crate::problem::Gemm;

/// The single-precision kernels that this CPU runs.
pub(super) fn kernels() -> impl Iterator<Item = &'static MicroKernel<f32>> {
    kernel::families().filter(|family| family.is_available()).map(f32::of)
}

/// What `run` makes of a product of such a shape: the bits of C. A is given by its rows or by its
/// columns, B and C by their columns; lines of A and B begin at multiples of `pitch` elements.
pub(super) fn product(
    (m, n, k): (usize, usize, usize),
    by_rows: bool,
    pitch: usize,
    run: impl FnOnce(&mut Gemm<'_, f32>),
) -> Vec<u32> {
    let number = |i: usize| (i * 7919 % 2003) as f32 / 1001.5 - 1.0;
    let (length, count) = if by_rows { (k, m) } else { (m, k) };
    let (lda, ldb) = (length.next_multiple_of(pitch), k.next_multiple_of(pitch));
    let [a, b, mut c] =
        [lda * count, ldb * n, m * n].map(|size| (0..size).map(number).collect::<Vec<_>>());
    let a = if by_rows {
        MatRef::from_row_major(&a, m, k, lda)
    } else {
        MatRef::from_col_major(&a, m, k, lda)
    };
    run(&mut Gemm {
        alpha: 0.5,
        a,
        conj_a: false,
        b: MatRef::from_col_major(&b, k, n, ldb),
        conj_b: false,
        beta: 2.0,
        c: MatMut::from_col_major(&mut c, m, n, m),
    });
    c.into_iter().map(f32::to_bits).collect()
}
