//! Sharing one product between threads.
//!
//! Large products share what is packed ([`blocks`]), those with a small C share out the steps of
//! their sum ([`inner`]), and of all others C is cut, one ticket for each piece: every piece is a
//! product of its own. The sum is never cut where one thread would not cut it, so that the number
//! of threads does not show in the result.

use super::cut::Cut;
use super::kernel::{Kernels, MicroKernel};
use super::path::Path;
use super::scratch::Scratch;
use super::{blocks, inner};
use crate::mat::MatMut;
use crate::problem::Gemm;
use crate::threads::Crew;

/// Most multiplications of a product whose threads are better off without packing, where A need not
/// be. A sum that is taken in one step has the same bits either way.
const UNPACKED: usize = 192 * 192 * 192;

/// Computes the problem on all threads of the crew.
pub(super) fn gemm<T: Kernels>(
    kernel: &MicroKernel<T>,
    p: &Gemm<'_, T>,
    path: Path,
    crew: &mut Crew<'_>,
) {
    share(kernel, p, path, crew, Scratch::take);
}

/// [`gemm`] with memory from `take` for what the threads have in common. Where it gives none, every
/// thread works with memory of its own.
fn share<T: Kernels>(
    kernel: &MicroKernel<T>,
    p: &Gemm<'_, T>,
    path: Path,
    crew: &mut Crew<'_>,
    take: impl Fn(usize) -> Option<Scratch>,
) {
    let is_short = p.k() <= kernel.blocking.kc && p.a.has_contiguous_rows();
    let path = match path {
        Path::Blocks
            if is_short && p.m().saturating_mul(p.n()).saturating_mul(p.k()) <= UNPACKED =>
        {
            Path::Small(p.k())
        }
        path => path,
    };
    let is_done = inner::gemm(kernel, p, path, crew, &take)
        || (path == Path::Blocks && blocks::gemm_shared(kernel, p, crew, &take));
    if !is_done {
        by_pieces(kernel, p, path, crew);
    }
}

/// Computes the problem on all threads, each piece of C on the given path.
fn by_pieces<T: Kernels>(
    kernel: &MicroKernel<T>,
    p: &Gemm<'_, T>,
    path: Path,
    crew: &mut Crew<'_>,
) {
    let cut = Cut::of(kernel, p, path, crew.count());
    crew.for_each(cut.count(), |ticket| {
        let (i, j) = cut.origin(ticket);
        let (rows, cols) = (cut.rows.min(p.m() - i), cut.cols.min(p.n() - j));
        let mut piece = Gemm {
            alpha: p.alpha,
            a: p.a.block(i, 0, rows, p.k()),
            conj_a: p.conj_a,
            b: p.b.block(0, j, p.k(), cols),
            conj_b: p.conj_b,
            beta: p.beta,
            // SAFETY: the piece lies inside C; pieces of different tickets have no element in
            // common, every ticket is handed out once, and `p` is borrowed until all are done.
            c: unsafe { MatMut::new(p.c.at(i, j), rows, cols, p.c.row_stride(), p.c.col_stride()) },
        };
        path.run(kernel, &mut piece);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{kernel, sample};
    use crate::threads::Threads;
    use std::cell::RefCell;

    /// What `run` makes of a product of such a shape: the bits of C. A is given by its rows or by its
    /// columns.
    fn product(
        shape: (usize, usize, usize),
        by_rows: bool,
        run: impl FnOnce(&mut Gemm<'_, f32>),
    ) -> Vec<u32> {
        sample::product(shape, by_rows, 1, run)
    }

    #[test]
    fn memory_that_threads_share_may_be_short() {
        let threads = Threads::new(3);
        for family in kernel::families().filter(|family| family.is_available()) {
            let kernel = f32::of(family);
            // The steps of a long sum shared out, on two paths, and packing together.
            for shape in [(64, 40, 5000), (500, 470, 600), (400, 40, 4000)] {
                for by_rows in [false, true] {
                    let path = product_path(kernel, shape, by_rows);
                    let what = format!("{}, {shape:?}, {path:?}, {by_rows}", family.name());
                    let alone = product(shape, by_rows, |p| path.run(kernel, p));
                    // What it is asked for, and where that is: memory, or none.
                    let asked = RefCell::new(Vec::new());
                    let shared = |most: usize| {
                        asked.borrow_mut().clear();
                        product(shape, by_rows, |p| {
                            share(kernel, p, path, &mut threads.crew(), |bytes| {
                                let memory =
                                    (bytes <= most).then(|| Scratch::take(bytes)).flatten();
                                let start = memory.as_ref().map(Scratch::start);
                                asked.borrow_mut().push((bytes, start));
                                memory
                            });
                        })
                    };
                    assert!(shared(usize::MAX) == alone, "plenty: {what}");
                    let &(bytes, given) = asked.borrow().last().expect(&what);
                    let kept = Scratch::take(bytes).unwrap();
                    assert_eq!(given, Some(kept.start()), "not given back: {what}");
                    for most in [bytes - 1, 0] {
                        assert!(shared(most) == alone, "{most} bytes: {what}");
                        assert!(asked.borrow().iter().all(|(_, given)| given.is_none()), "{what}");
                        assert!(!asked.borrow().is_empty(), "{what}");
                    }
                }
            }
        }
    }

    fn product_path(
        kernel: &MicroKernel<f32>,
        shape: (usize, usize, usize),
        by_rows: bool,
    ) -> Path {
        let mut path = None;
        product(shape, by_rows, |p| path = Some(Path::of(kernel, p)));
        path.unwrap()
    }
}
