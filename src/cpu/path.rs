//! Which way a product takes: one look at its shape and strides, with thresholds that are data.
//!
//! The path decides where the sum is cut, hence the last bits of the result. It is chosen once
//! for a whole product, so that sharing the product between threads does not show.

use super::kernel::{Blocking, Kernels, MicroKernel};
use super::{blocking, blocks, caches, dots, small};
use crate::mat::MatRef;
use crate::problem::Gemm;
use crate::scalar::Scalar;

/// With so few rows or columns of C, an operand is read too few times to be worth packing.
const FEW_LINES: usize = 16;

/// Most multiplications of a small product.
const SMALL: usize = 100 * 100 * 100;

/// From so many bytes of A on, which is more than the first caches hold, it is read in place by
/// kernels that ask for it ahead of time.
const FAR_BYTES: usize = 1 << 19;

/// With so few columns, or half as many of complex numbers, and more bytes than this, all there is
/// to do is to read A: in long streams then, by columns of C, of which every one takes memory
/// traffic of its own where C is updated often.
const STREAM_BYTES: [(usize, usize); 2] = [(2, FAR_BYTES), (4, VERY_FAR_BYTES)];

/// Columns of A that are read side by side then: as many as a CPU's prefetchers follow, and as
/// lines at equal places fit the first cache.
const STREAMS: usize = 8;

/// From more bytes of A on, memory is what a product of few columns waits for: the last caches hold
/// hardly more.
const VERY_FAR_BYTES: usize = 8 << 20;

/// Which products are dot products: those with at most so many columns, sums of at least this length
/// and more bytes of A than this, where the columns are contiguous and where they have to be turned.
/// To add up the lanes of a sum takes as long as several multiplications, and other ways have no such
/// additions.
const DOTS: [(usize, usize, [usize; 2]); 2] =
    [(4, 32, [0, 0]), (32, 512, [FAR_BYTES, VERY_FAR_BYTES])];

/// Bytes of a row of A, and of all columns of B, in a step of a dot product: a few rows, as many that
/// are asked for ahead of time, and the columns share the second cache.
const ROW_BYTES: usize = 32 << 10;
const COLUMNS_BYTES: usize = 512 << 10;

/// The ways through the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// Few columns of C, or one, and rows of A that are contiguous: every entry is a dot product.
    Dots {
        /// The sum is cut into steps of this length.
        depth: usize,
        /// Whether C has one entry.
        is_entry: bool,
        /// Whether A is asked for ahead of time.
        is_far: bool,
    },
    /// B is read where it lies, and the sum is cut into steps of this length.
    Small(usize),
    /// A is read from afar, and the sum is cut into such steps: A and B are read where they lie, or
    /// packed where that would be too slow.
    Stream(usize),
    /// The five loops over packed blocks.
    Blocks,
}

/// Whether the transpose of the problem suits the paths better. They want the rows of C side by
/// side, those of A too where it is not packed, and a single line of C, or what dot products make,
/// as a column.
pub(super) fn is_better_transposed<T: Scalar>(p: &Gemm<'_, T>) -> bool {
    let (m, n) = (p.c.rows(), p.c.cols());
    let (longer, shorter) = if m < n { (p.b.t(), p.a) } else { (p.a, p.b.t()) };
    if m.min(n) == 1 || are_dots(&longer, &shorter) {
        return m < n;
    }
    if m.min(n) > FEW_LINES || m.max(n) <= 2 * FEW_LINES {
        return p.c.row_stride() != 1 && p.c.col_stride() == 1;
    }
    // C is small beside the longer operand then, which is what counts.
    match (p.a.has_contiguous_rows(), p.b.t().has_contiguous_rows()) {
        (true, true) => n > m,
        (false, false) => m > n,
        (_, b_is_contiguous) => b_is_contiguous,
    }
}

/// Whether the products of these lines, which are as long as the sum, are taken as dot products.
fn are_dots<T>(longer: &MatRef<'_, T>, shorter: &MatRef<'_, T>) -> bool {
    let k = longer.cols();
    let bytes = bytes_of(longer);
    let turns = usize::from(shorter.col_stride() != 1);
    let pays = |&(lines, length, far): &(usize, usize, [usize; 2])| {
        shorter.rows() <= lines && k >= length && bytes > far[turns]
    };
    longer.col_stride() == 1 && DOTS.iter().any(pays)
}

/// Bytes of all elements.
fn bytes_of<T>(mat: &MatRef<'_, T>) -> usize {
    mat.rows().saturating_mul(mat.cols()).saturating_mul(size_of::<T>())
}

impl Path {
    /// The path of a problem that is not better transposed.
    #[inline]
    pub(super) fn of<T: Kernels>(kernel: &MicroKernel<T>, p: &Gemm<'_, T>) -> Path {
        let (m, n, k) = (p.m(), p.n(), p.k());
        let bytes = bytes_of(&p.a);
        if n <= m && are_dots(&p.a, &p.b.t()) {
            let longest = ROW_BYTES.min(COLUMNS_BYTES / n) / size_of::<T>();
            let depth = blocking::even(k, longest);
            return Path::Dots { depth, is_entry: m == 1, is_far: bytes > VERY_FAR_BYTES };
        }
        let elements = m.saturating_mul(k);
        let Blocking { in_place, few_rows, far_cols, .. } = kernel.blocking;
        if n <= far_cols && bytes > FAR_BYTES && p.a.has_contiguous_rows() {
            let parts = if T::COMPLEX { 2 } else { 1 };
            let is_long = |&(cols, far): &(usize, usize)| n * parts <= cols && bytes > far;
            let in_streams = STREAM_BYTES.iter().any(is_long);
            return Path::Stream(if in_streams { STREAMS } else { kernel.blocking.step(k) });
        }
        let is_large = m > few_rows && m.max(n) > in_place && elements.saturating_mul(n) > SMALL;
        if m.min(n) > FEW_LINES && is_large {
            Path::Blocks
        } else {
            Path::Small(kernel.blocking.kc)
        }
    }

    /// The length of the steps in which a sum of length `k` is taken, but for the last.
    pub(super) fn step<T: Kernels>(self, kernel: &MicroKernel<T>, k: usize) -> usize {
        match self {
            Path::Small(depth) | Path::Stream(depth) | Path::Dots { depth, .. } => depth,
            Path::Blocks => kernel.blocking.step(k),
        }
    }

    /// Whether a problem is computed over packed blocks of both operands, in the same steps as it would
    /// be otherwise.
    #[inline]
    pub(super) fn packs_all<T: Scalar>(self, p: &Gemm<'_, T>) -> bool {
        match self {
            Path::Blocks => true,
            // Many columns of C are as many streams to write, and only a near L3 brings them, and A
            // again and again, soon enough.
            Path::Stream(_) => p.n() > FEW_LINES && !caches::here().core().has_near_l3(),
            Path::Small(_) | Path::Dots { .. } => false,
        }
    }

    /// Computes the problem, or a part of the one that the path was chosen for.
    #[inline]
    pub(super) fn run<T: Kernels>(self, kernel: &MicroKernel<T>, p: &mut Gemm<'_, T>) {
        match self {
            Path::Small(depth) => small::gemm(kernel, p, depth),
            Path::Stream(depth) if !self.packs_all(p) => small::stream(kernel, p, depth),
            Path::Stream(_) | Path::Blocks => blocks::gemm(kernel, p),
            Path::Dots { depth, is_entry, is_far } => {
                dots::gemm(kernel, p, depth, is_entry, is_far);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::sample::{self, kernels};

    /// The bits of C after such a product, A and B by columns of whole pages.
    fn product(shape: (usize, usize, usize), run: impl FnOnce(&mut Gemm<'_, f32>)) -> Vec<u32> {
        sample::product(shape, false, 1024, run)
    }

    #[test]
    fn how_far_the_last_cache_is_does_not_show() {
        let shape = (500, 40, 900);
        for kernel in kernels() {
            let step = kernel.blocking.step(shape.2);
            let near = product(shape, |p| small::stream(kernel, p, step));
            assert_eq!(near, product(shape, |p| blocks::gemm(kernel, p)));
        }
    }

    #[test]
    fn a_b_that_is_taken_in_parts_has_the_same_bits() {
        let (m, n, k) = (75, 901, 200);
        for kernel in kernels() {
            let at_once = product((m, n, k), |p| small::gemm(kernel, p, kernel.blocking.kc));
            let by_column = product((m, n, k), |p| {
                (0..n)
                    .for_each(|j| small::gemm(kernel, &mut p.part(0, j, m, 1), kernel.blocking.kc));
            });
            assert_eq!(at_once, by_column);
        }
    }
}
