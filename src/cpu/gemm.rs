//! The product on the CPU.

use super::kernel::{Available, Kernels, MicroKernel};
use super::path::{self, Path};
use super::{parallel, small};
use crate::problem::Gemm;
use crate::threads::Threads;

/// Whether a product of this shape is large enough to be shared between threads.
#[inline]
pub fn wants_threads(m: usize, n: usize, k: usize) -> bool {
    // Sizes that are all below 128 need no product.
    (m | n | k) >= 128 && m.saturating_mul(n).saturating_mul(k) >= 128 * 128 * 128
}

/// Computes `C ← α·A·B + β·C` with the kernels of `family`, and with the help of `threads` where
/// given.
///
/// Strides may be anything, zero and negative ones included. C is not read when β = 0. A and B
/// are read even when α = 0. Works, more slowly, when there is no memory for packing.
///
/// # Panics
/// When the shapes of A, B and C do not fit together.
#[inline(always)]
pub fn gemm<T: Kernels>(problem: Gemm<'_, T>, family: Available, threads: Option<&Threads>) {
    let (m, n, k) = (problem.m(), problem.n(), problem.k());
    assert!(
        problem.a.rows() == m && problem.b.rows() == k && problem.b.cols() == n,
        "shapes of A, B and C do not fit together"
    );
    if m == 0 || n == 0 {
        return;
    }
    let kernel = T::of(family.get());
    if let Err(problem) = small::in_a_tile(kernel, problem) {
        if small::is_tiny(m, n, k) {
            small::tiny(kernel, problem);
        } else {
            by_path(kernel, problem, threads);
        }
    }
}

/// The path of a product that is not tiny.
#[inline(never)]
fn by_path<T: Kernels>(
    kernel: &MicroKernel<T>,
    mut problem: Gemm<'_, T>,
    threads: Option<&Threads>,
) {
    let (m, n, k) = (problem.m(), problem.n(), problem.k());
    if path::is_better_transposed(&problem) {
        problem.transpose();
    }
    let path = Path::of(kernel, &problem);
    match threads.filter(|threads| threads.count() > 1 && wants_threads(m, n, k)) {
        Some(threads) => parallel::gemm(kernel, &problem, threads, path),
        None => path.run(kernel, &mut problem),
    }
}
