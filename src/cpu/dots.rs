//! Few columns of C, whose entries are dot products: rows of A that lie contiguous, times columns
//! of B.
//!
//! A few rows of A at a time, whole, so that they are read in long streams, and only once from
//! memory: for the next few columns they are still in the second cache. B lies there too, packed as
//! the kernels read it, and very long sums are taken in steps for its sake.

use super::kernel::dot::Lines;
use super::kernel::micro::Scaling;
use super::kernel::{Kernels, MicroKernel};
use super::scratch::Scratch;
use crate::mat::MatRef;
use crate::problem::Gemm;

/// Most rows of A for which contiguous columns of B are read where they lie: to pack them would take
/// as long as to multiply.
const FEW_ROWS: usize = 32;

/// Computes a problem whose rows of A are contiguous, the sum cut into steps of `depth`. `is_entry`
/// says that the whole product, of which this may be a part, has one entry, `is_far` that A is in none
/// of the caches.
pub(super) fn gemm<T: Kernels>(
    kernel: &MicroKernel<T>,
    p: &mut Gemm<'_, T>,
    depth: usize,
    is_entry: bool,
    is_far: bool,
) {
    let (m, n, k) = (p.m(), p.n(), p.k());
    let lanes = 1 << kernel.lanes_log2;
    let pitch = (((depth.min(k) - 1) >> kernel.lanes_log2) + 1) << kernel.lanes_log2;
    let mut panels = None;
    if p.b.row_stride() != 1 || (n > 1 && m > FEW_ROWS) {
        panels = Scratch::take(n.saturating_mul(pitch).saturating_mul(size_of::<T>()));
        if panels.is_none() {
            return super::small::gemm(kernel, p, kernel.blocking.kc);
        }
    }
    let groups = Groups::new(n, kernel.dot_columns);
    let (mut l, mut beta) = (0, p.beta);
    while l < k {
        let length = depth.min(k - l);
        let columns = match &panels {
            None => Columns::InPlace(p.b.at(l, 0), p.b.col_stride()),
            Some(memory) => {
                let x = memory.start().cast::<T>();
                for group in 0..groups.count {
                    let (j, cols) = groups.get(group);
                    let columns = p.b.block(l, j, length, cols);
                    // SAFETY: there is room for n columns of a step, rounded up to whole vectors.
                    unsafe { pack(&columns, lanes, x.add(j * pitch)) };
                }
                Columns::Packed(x, pitch)
            }
        };
        step(kernel, p, &Step { l, length, columns, beta, is_entry, is_far }, &groups);
        l += length;
        beta = T::ONE;
    }
    if let Some(memory) = panels {
        memory.keep();
    }
}

/// One step of the sum.
struct Step<T> {
    /// Its first index.
    l: usize,
    /// How many there are.
    length: usize,
    /// The columns of B.
    columns: Columns<T>,
    /// Factor of the old C.
    beta: T,
    /// Whether the whole product has one entry.
    is_entry: bool,
    /// Whether A is asked for ahead of time.
    is_far: bool,
}

/// Where the columns of B are.
enum Columns<T> {
    /// Where they lie, contiguous: the first element, and elements from one to the next.
    InPlace(*const T, isize),
    /// Packed in groups, of each a vector of every column in turn; room of each column.
    Packed(*const T, usize),
}

/// Columns that are taken at a time, in groups as even as possible.
struct Groups {
    /// How many groups.
    count: usize,
    /// Columns of a group.
    share: usize,
    /// Groups with one more.
    more: usize,
}

impl Groups {
    fn new(n: usize, most: usize) -> Groups {
        // Divisions take as long as a short dot product.
        if n <= most {
            return Groups { count: 1, share: n, more: 0 };
        }
        let count = n.div_ceil(most);
        Groups { count, share: n / count, more: n % count }
    }

    /// The first column of a group, and how many there are.
    fn get(&self, group: usize) -> (usize, usize) {
        (group * self.share + group.min(self.more), self.share + usize::from(group < self.more))
    }
}

/// Packs columns, a vector of `lanes` elements of each in turn.
///
/// # Safety
/// `to` is writable for all of them, rounded up to whole vectors.
unsafe fn pack<T: Copy>(b: &MatRef<'_, T>, lanes: usize, to: *mut T) {
    let (k, cols) = (b.rows(), b.cols());
    for l in (0..k).step_by(lanes) {
        let length = lanes.min(k - l);
        for c in 0..cols {
            let to = to.wrapping_add(l * cols + c * lanes);
            // SAFETY: the elements of B exist, and the caller vouches for the memory.
            (0..length).for_each(|i| unsafe { to.add(i).write(*b.at(l + i, c)) });
        }
    }
}

/// One step of the sums of all entries.
fn step<T: Kernels>(kernel: &MicroKernel<T>, p: &mut Gemm<'_, T>, step: &Step<T>, groups: &Groups) {
    let m = p.m();
    let scaling = Scaling { beta: step.beta, ..Scaling::of(p) };
    let (lanes, most) = (1 << kernel.lanes_log2, kernel.dot_rows(p.n()));
    // All rows for the only group; otherwise a few for every group, which then are still in the cache.
    let rows = if groups.count == 1 { m } else { most };
    for i in (0..m).step_by(rows) {
        let mut asked = 0;
        for group in 0..groups.count {
            let (j, cols) = groups.get(group);
            let dot = if step.is_entry { kernel.dot } else { kernel.dots[cols - 1] };
            let (x, column_stride, vector_stride) = match step.columns {
                Columns::InPlace(x, stride) => {
                    (x.wrapping_offset(j as isize * stride), stride, lanes)
                }
                Columns::Packed(x, room) => {
                    (x.wrapping_add(j * room), lanes as isize, cols * lanes)
                }
            };
            // Every group asks for its share of the next rows.
            let share = if step.is_far { most * (group + 1) / groups.count - asked } else { 0 };
            let lines = Lines {
                k: step.length,
                a: p.a.at(i, step.l),
                row_stride: p.a.row_stride(),
                rows: rows.min(m - i),
                x,
                column_stride,
                vector_stride,
                ahead: most + asked,
                asked: share,
                left: m - i,
            };
            asked += share;
            let strides = (p.c.row_stride(), p.c.col_stride());
            // SAFETY: these rows of A exist, contiguous and as long as the step, and so do the
            // columns and the entries of C; the kernel's family runs here, or it would not have been
            // chosen.
            unsafe { dot(&lines, &scaling, p.c.at(i, j), strides) };
        }
    }
}
