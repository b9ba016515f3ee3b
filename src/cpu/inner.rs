//! A small C and long sums: the steps of the sum are shared out.
//!
//! On one thread every step adds `α·A·B` of its part of the sum to C, one after another. Here each
//! step but the first writes that to memory of its own, and when all are done they are added to C
//! in the same order: every addition has the same two numbers as on one thread, hence the same
//! bits.

use super::kernel::{Kernels, MicroKernel};
use super::path::Path;
use super::scratch::Scratch;
use crate::mat::MatMut;
use crate::problem::Gemm;
use crate::threads::Crew;

/// Most entries of C: more make enough tickets, and what is added here grows with them.
const LARGEST: usize = 128 * 128;

/// Shortest step: every step costs a pass over C.
const SHORTEST: usize = 128;

/// Additions that are worth a ticket.
const TICKET: usize = 8 << 10;

/// Entries of a column of C that are kept in registers while all steps are added to them.
const RUN: usize = 16;

/// Computes the problem on all threads of the crew if its C is small and its sum long enough, with
/// memory from `take` for all steps but one; `false` when it is not, or when there is no memory: then
/// nothing has been done.
pub(super) fn gemm<T: Kernels>(
    kernel: &MicroKernel<T>,
    p: &Gemm<'_, T>,
    path: Path,
    crew: &mut Crew<'_>,
    take: impl Fn(usize) -> Option<Scratch>,
) -> bool {
    let (m, n, k) = (p.m(), p.n(), p.k());
    let step = path.step(kernel, k);
    let steps = k.div_ceil(step.max(1));
    if m.saturating_mul(n) > LARGEST || step < SHORTEST || steps < 2 * crew.count() {
        return false;
    }
    let Some(memory) = take((steps - 1) * m * n * size_of::<T>()) else { return false };
    let parts = Parts(memory.start().cast::<T>());
    let part = |step: usize| parts.part(step - 1, m * n);
    crew.for_each(steps, |ticket| {
        let l = ticket * step;
        let length = step.min(k - l);
        let (c, rs, cs, beta) = match ticket {
            0 => (p.c.at(0, 0), p.c.row_stride(), p.c.col_stride(), p.beta),
            later => (part(later), 1, m as isize, T::ZERO),
        };
        let mut problem = Gemm {
            alpha: p.alpha,
            a: p.a.block(0, l, m, length),
            conj_a: p.conj_a,
            b: p.b.block(l, 0, length, n),
            conj_b: p.conj_b,
            beta,
            // SAFETY: the memory has a part for each step, and C belongs to the first one alone.
            c: unsafe { MatMut::new(c, m, n, rs, cs) },
        };
        path.run(kernel, &mut problem);
    });
    let cols = (TICKET / (m * steps)).max(1);
    crew.for_each(n.div_ceil(cols), |ticket| {
        for j in (ticket * cols..n).take(cols) {
            for i in (0..m).step_by(RUN) {
                let rows = RUN.min(m - i);
                let mut sums = [T::ZERO; RUN];
                // SAFETY: the entries of C exist and belong to this ticket, and those of all parts
                // were written.
                unsafe {
                    (0..rows).for_each(|r| sums[r] = *p.c.at(i + r, j));
                    for step in 1..steps {
                        let part = part(step).add(i + j * m);
                        if rows == RUN {
                            (0..RUN).for_each(|r| sums[r] += *part.add(r));
                        } else {
                            (0..rows).for_each(|r| sums[r] += *part.add(r));
                        }
                    }
                    (0..rows).for_each(|r| *p.c.at(i + r, j) = sums[r]);
                }
            }
        }
    });
    memory.keep();
    true
}

/// The products of the steps but the first, one after another.
struct Parts<T>(*mut T);

// SAFETY: the memory is plain, and who writes where in it is up to those who use it.
unsafe impl<T: Sync> Sync for Parts<T> {}

impl<T> Parts<T> {
    fn part(&self, index: usize, entries: usize) -> *mut T {
        self.0.wrapping_add(index * entries)
    }
}
