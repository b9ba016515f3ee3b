//! The product on the CPU.

use super::kernel::{Available, Kernels, MicroKernel};
use super::path::{self, Path};
use super::{caches, parallel, small};
use crate::fenv;
use crate::problem::Gemm;
use crate::threads::Threads;

/// From so much work on threads are worth it, the time to read the operands counted: about 64 × 64 × 64
/// where they share an L3 that is near...
const SHORT: usize = 64 * 64 * 64;

/// ... and where they do not, about 75 × 75 × 75: cores take longer to tell each other something.
const SHORT_AFAR: usize = 80 * 80 * 80;

/// From so much work on it is worth waking threads that sleep: about 128 × 128 × 128.
const LONG: usize = 128 * 128 * 128;

/// Multiplications in the time that it takes to read an element.
const READING: usize = 8;

/// Whether a product of this shape is large enough to be shared between threads.
#[inline]
pub(super) fn wants_threads(m: usize, n: usize, k: usize) -> bool {
    // Sizes that are all below 64 need no product.
    if (m | n | k) < 64 {
        return false;
    }
    let work = work(m, n, k);
    work >= SHORT_AFAR || (work >= SHORT && caches::here().core().has_near_l3())
}

/// How long a product takes, in multiplications.
fn work(m: usize, n: usize, k: usize) -> usize {
    let elements = [(m, k), (k, n), (m, n)].map(|(rows, cols)| rows.saturating_mul(cols));
    let reading = elements.into_iter().fold(0, usize::saturating_add).saturating_mul(READING);
    elements[0].saturating_mul(n).saturating_add(reading)
}

/// Computes `C ← α·A·B + β·C` with the kernels of `family`, and with the help of `threads` where
/// given.
///
/// Strides may be anything, zero and negative ones included. C is not read when β = 0. A and B
/// are read even when α = 0. Works, more slowly, when there is no memory for packing. Whatever the
/// floating-point environment of the caller is, it is neither used nor changed.
///
/// # Panics
/// When the shapes of A, B and C do not fit together.
pub fn gemm<T: Kernels>(problem: Gemm<'_, T>, family: Available, threads: Option<&Threads>) {
    gemm_asking(problem, family, || threads);
}

/// [`gemm`] that asks for threads only if the product is large enough to be shared.
#[inline(always)]
pub(crate) fn gemm_asking<'t, T: Kernels>(
    problem: Gemm<'_, T>,
    family: Available,
    threads: impl FnOnce() -> Option<&'t Threads>,
) {
    let (m, n, k) = (problem.m(), problem.n(), problem.k());
    assert!(
        problem.a.rows() == m && problem.b.rows() == k && problem.b.cols() == n,
        "shapes of A, B and C do not fit together"
    );
    if m == 0 || n == 0 {
        return;
    }
    let kernel = T::of(family.get());
    if let Err(mut problem) = small::in_a_row(kernel, problem) {
        let _environment = fenv::Default::enter();
        if small::is_plain(m, n, k) {
            small::gemm(kernel, &mut problem, kernel.blocking.kc);
        } else {
            by_path(kernel, &mut problem, threads);
        }
    }
}

/// The path of a product that is not tiny.
#[inline(never)]
fn by_path<'t, T: Kernels>(
    kernel: &MicroKernel<T>,
    problem: &mut Gemm<'_, T>,
    threads: impl FnOnce() -> Option<&'t Threads>,
) {
    let (m, n, k) = (problem.m(), problem.n(), problem.k());
    if path::is_better_transposed(problem) {
        problem.transpose();
    }
    let path = Path::of(kernel, problem);
    // Held to the end: a caller that computes alone has a core too, which no helper shall take.
    let threads = if wants_threads(m, n, k) { threads() } else { None };
    let mut crew = threads.map(|threads| {
        let is_long = work(m, n, k) >= LONG;
        if is_long { threads.crew() } else { threads.crew_at_hand() }
    });
    match &mut crew {
        Some(crew) if crew.count() > 1 => parallel::gemm(kernel, problem, path, crew),
        _ => path.run(kernel, problem),
    }
}
