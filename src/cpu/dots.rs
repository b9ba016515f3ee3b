//! Few columns of C, whose entries are dot products: rows of A that lie contiguous, times columns
//! of B.

use super::kernel::dot::{COLUMNS, Dot, ROWS, Sums};
use super::kernel::{Kernels, MicroKernel};
use super::scratch::Scratch;
use crate::problem::Gemm;
use crate::scalar::Scalar;

/// Computes a problem whose rows of A are contiguous. A is read once, by a few rows, for a few
/// columns at a time. `is_column` says that the whole product, of which this may be a part, has one
/// column.
pub(super) fn gemm<T: Kernels>(kernel: &MicroKernel<T>, p: &mut Gemm<'_, T>, is_column: bool) {
    let (m, n, k) = (p.m(), p.n(), p.k());
    let mut copy = None;
    if p.b.row_stride() != 1 {
        copy = Scratch::take(n.saturating_mul(k).saturating_mul(size_of::<T>()));
        let Some(memory) = &copy else {
            return super::small::gemm(kernel, p, kernel.blocking.kc);
        };
        for j in 0..n {
            for l in 0..k {
                // SAFETY: the element of B exists, and the memory holds all of them.
                unsafe { memory.start().cast::<T>().add(j * k + l).write(*p.b.at(l, j)) };
            }
        }
    }
    let (x, column_stride) = match &copy {
        Some(memory) => (memory.start().cast_const().cast::<T>(), k as isize),
        None => (p.b.ptr(), p.b.col_stride()),
    };
    let mut sums: Sums<T> = [[[T::Real::ZERO; 4]; COLUMNS]; ROWS];
    let whole = m - m % ROWS;
    for i in (0..whole).step_by(ROWS) {
        for j in (0..n).step_by(kernel.dot_columns) {
            let cols = kernel.dot_columns.min(n - j);
            let dot = if is_column { kernel.dot_column } else { kernel.dots[cols - 1] };
            let x = x.wrapping_offset(j as isize * column_stride);
            entries(dot, p, (i, j), (ROWS, cols), (x, column_stride), &mut sums);
        }
    }
    for i in whole..m {
        for j in 0..n {
            let x = x.wrapping_offset(j as isize * column_stride);
            entries(kernel.dot, p, (i, j), (1, 1), (x, column_stride), &mut sums);
        }
    }
    if let Some(memory) = copy {
        memory.keep();
    }
}

/// The entries of C from (i, j) on that `dot` computes, from columns of B at `x`.
#[inline(always)]
fn entries<T: Kernels>(
    dot: Dot<T>,
    p: &mut Gemm<'_, T>,
    (i, j): (usize, usize),
    (rows, cols): (usize, usize),
    (x, column_stride): (*const T, isize),
    sums: &mut Sums<T>,
) {
    // SAFETY: these rows of A and columns of B exist, contiguous and k long; the kernel's family
    // runs here, or it would not have been chosen.
    unsafe { dot(p.k(), p.a.at(i, 0), p.a.row_stride(), x, column_stride, sums) };
    for (r, sums) in sums[..rows].iter().enumerate() {
        for (c, &sums) in sums[..cols].iter().enumerate() {
            let sum = T::from_products(sums, p.conj_a, p.conj_b);
            let sum = if p.alpha == T::ONE { sum } else { sum * p.alpha };
            let at = p.c.at(i + r, j + c);
            // SAFETY: the entry of C exists, and is read only where β ≠ 0.
            unsafe {
                at.write(if p.beta == T::ZERO {
                    sum
                } else if p.beta == T::ONE {
                    sum + *at
                } else {
                    sum + *at * p.beta
                });
            }
        }
    }
}
