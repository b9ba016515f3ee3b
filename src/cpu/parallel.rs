//! Sharing one product between threads: C is cut into blocks, one ticket each.
//!
//! Only rows and columns are cut, never the sum, so that the number of threads does not show in
//! the result. Every block is a product of its own and packs what it needs: a line of A is
//! packed once per column of blocks, a line of B once per row of blocks, and no thread ever
//! waits for another before the end.

use super::kernel::{Kernels, MicroKernel};
use super::path::Path;
use crate::mat::MatMut;
use crate::problem::Gemm;
use crate::threads::Threads;

/// Most tickets per thread: enough for a thread that lags behind to be relieved of work.
const TICKETS_PER_THREAD: usize = 4;

/// Entries of C that are worth a ticket beyond one per thread: in smaller blocks the packing
/// that they repeat would show.
const TICKET_SIZE: usize = 160 * 160;

/// Computes the problem on all threads, each block on the given path.
pub(super) fn gemm<T: Kernels>(
    kernel: &MicroKernel<T>,
    p: &Gemm<'_, T>,
    threads: &Threads,
    path: Path,
) {
    let (m, n) = (p.m(), p.n());
    let count = threads.count();
    let tickets = (m.saturating_mul(n) / TICKET_SIZE).clamp(count, TICKETS_PER_THREAD * count);
    let grid = Grid::new(m, n, kernel.mr, kernel.nr, tickets);
    threads.for_each(grid.tickets(), |ticket| {
        let (i, j) = grid.origin(ticket);
        let (rows, cols) = (grid.rows.min(m - i), grid.cols.min(n - j));
        let mut block = Gemm {
            alpha: p.alpha,
            a: p.a.block(i, 0, rows, p.k()),
            conj_a: p.conj_a,
            b: p.b.block(0, j, p.k(), cols),
            conj_b: p.conj_b,
            beta: p.beta,
            // SAFETY: the block lies inside C; blocks of different tickets have no element in
            // common, every ticket is handed out once, and `p` is borrowed until all are done.
            c: unsafe { MatMut::new(p.c.at(i, j), rows, cols, p.c.row_stride(), p.c.col_stride()) },
        };
        path.run(kernel, &mut block);
    });
}

/// C cut into blocks of `rows × cols`, those at the far edges smaller.
#[derive(Debug, PartialEq, Eq)]
struct Grid {
    rows: usize,
    cols: usize,
    /// Blocks in a column of blocks.
    down: usize,
    /// Blocks in a row of blocks.
    right: usize,
}

impl Grid {
    /// About `wanted` blocks of whole tiles, as square as possible: each cut halves the longer
    /// side, because the packing that blocks repeat grows with their circumference.
    fn new(m: usize, n: usize, mr: usize, nr: usize, wanted: usize) -> Grid {
        let (mut rows, mut cols) = (m, n);
        let (mut down, mut right) = (1, 1);
        while down * right < wanted {
            if rows >= cols && rows > mr {
                down += 1;
                rows = m.div_ceil(down).next_multiple_of(mr);
            } else if cols > nr {
                right += 1;
                cols = n.div_ceil(right).next_multiple_of(nr);
            } else {
                break;
            }
        }
        Grid { rows, cols, down: m.div_ceil(rows), right: n.div_ceil(cols) }
    }

    fn tickets(&self) -> usize {
        self.down * self.right
    }

    /// First row and column of a block: down the columns of C first.
    fn origin(&self, ticket: usize) -> (usize, usize) {
        (ticket % self.down * self.rows, ticket / self.down * self.cols)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_covers_c_once_with_whole_tiles() {
        let sizes = [1, 3, 16, 17, 100, 640, 1023];
        for m in sizes {
            for n in sizes {
                for wanted in [1, 2, 8, 28] {
                    let grid = Grid::new(m, n, 16, 6, wanted);
                    assert!(grid.rows.is_multiple_of(16) || grid.down == 1, "{grid:?}");
                    assert!(grid.cols.is_multiple_of(6) || grid.right == 1, "{grid:?}");
                    let mut covered = vec![0; m * n];
                    for ticket in 0..grid.tickets() {
                        let (i, j) = grid.origin(ticket);
                        assert!(i < m && j < n, "an empty block of {grid:?}");
                        for j in j..(j + grid.cols).min(n) {
                            for i in i..(i + grid.rows).min(m) {
                                covered[i + j * m] += 1;
                            }
                        }
                    }
                    assert!(covered.iter().all(|&times| times == 1), "{grid:?}");
                }
            }
        }
    }
}
