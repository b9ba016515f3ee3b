//! Few columns of C, whose entries are dot products: rows of A that lie contiguous, times columns
//! of B.

use super::kernel::dot::ROWS;
use super::kernel::{Kernels, MicroKernel};
use super::scratch::Scratch;
use crate::problem::Gemm;
use crate::scalar::Scalar;

/// Computes a problem whose rows of A are contiguous. A is read once, by a few rows, for all
/// columns.
pub(super) fn gemm<T: Kernels>(kernel: &MicroKernel<T>, p: &mut Gemm<'_, T>) {
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
    let column = |j: usize| match &copy {
        Some(memory) => memory.start().cast_const().cast::<T>().wrapping_add(j * k),
        None => p.b.at(0, j),
    };
    let mut i = 0;
    while i < m {
        let rows = if m - i >= ROWS { ROWS } else { 1 };
        for j in 0..n {
            let mut sums = [[T::Real::ZERO; 4]; ROWS];
            // SAFETY: `rows` rows of A begin at i, contiguous and k long as the column of B is;
            // the kernel's family runs here, or it would not have been chosen.
            unsafe {
                kernel.dot[rows / ROWS](k, p.a.at(i, 0), p.a.row_stride(), column(j), &mut sums);
            }
            for (r, &sums) in sums[..rows].iter().enumerate() {
                let sum = T::from_products(sums, p.conj_a, p.conj_b);
                let sum = if p.alpha == T::ONE { sum } else { sum * p.alpha };
                let at = p.c.at(i + r, j);
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
        i += rows;
    }
    if let Some(memory) = copy {
        memory.keep();
    }
}
