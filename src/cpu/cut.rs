//! How C is cut into pieces that threads compute one by one, each a product of its own.
//!
//! Every piece between rows has all of B again, every piece between columns all of A: to read, and where
//! the path packs it, to pack. So it is the path that says which is better, and how many pieces are
//! worth it.

use super::kernel::{Kernels, MicroKernel};
use super::path::Path;
use super::{caches, small};
use crate::problem::Gemm;

/// Most pieces per thread: enough for a thread that lags behind to be relieved of work.
const PER_THREAD: usize = 4;

/// Entries of C that are worth a piece beyond one per thread.
const ENTRIES: usize = 64 * 64;

/// Fewest bytes of a column of C that a thread writes where C is cut between rows. Where threads write
/// neighbouring lines, caches that fetch lines in pairs take them from each other.
const COLUMN_BYTES: usize = 256;

/// Fewest columns of C that A is packed for, once more for each piece.
const PACKED_COLS: usize = 128;

/// C in pieces of `rows × cols`, cut between rows or between columns; the last may be smaller.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub rows: usize,
    pub cols: usize,
    /// Those of C.
    shape: (usize, usize),
}

impl Cut {
    /// The pieces of a product on that path, for so many threads.
    pub(super) fn of<T: Kernels>(
        kernel: &MicroKernel<T>,
        p: &Gemm<'_, T>,
        path: Path,
        threads: usize,
    ) -> Cut {
        let shape = (p.m(), p.n());
        let (m, n) = shape;
        let most = (m.saturating_mul(n) / ENTRIES).clamp(threads, PER_THREAD * threads);
        let vector = 1 << kernel.lanes_log2;
        let high_enough = (m / vector.max(COLUMN_BYTES / size_of::<T>())).max(1);
        // Pieces between rows, pieces between columns, and which are better.
        let (high, wide, is_by_columns) = match path {
            // A is to be read once.
            Path::Dots { .. } => return Cut::between_rows(shape, kernel.dot_rows(n), most),
            // Every piece packs the shorter operand again.
            _ if path.packs_all(p) => (threads, threads, m < n),
            // A is to be read once.
            Path::Stream(_) => (most, most, false),
            // A is to be packed for many columns, and to be read from afar by each thread once.
            _ => {
                let core = caches::here().core();
                let stays = core.has_near_l3() || m <= kernel.sizes(p.k(), core, threads).mc;
                let wide_enough = n / if small::packs(p) { PACKED_COLS } else { kernel.nr };
                let wanted = wide_enough.min(if stays { most } else { threads });
                (most, wanted.max(threads), wanted >= threads)
            }
        };
        let by_rows = Cut::between_rows(shape, vector, high.min(high_enough));
        let by_columns = Cut::between_columns(shape, wide);
        if is_by_columns {
            by_columns.unless(by_rows, threads)
        } else {
            by_rows.unless(by_columns, threads)
        }
    }

    /// About `wanted` pieces of whole `unit`s of rows, say vectors.
    fn between_rows(shape: (usize, usize), unit: usize, wanted: usize) -> Cut {
        Cut { rows: shape.0.div_ceil(unit).div_ceil(wanted) * unit, cols: shape.1, shape }
    }

    /// About `wanted` pieces, of any number of columns.
    fn between_columns(shape: (usize, usize), wanted: usize) -> Cut {
        Cut { rows: shape.0, cols: shape.1.div_ceil(wanted), shape }
    }

    /// This cut, unless it gives the busiest of so many threads over an eighth more to do than the other.
    fn unless(self, other: Cut, threads: usize) -> Cut {
        let busiest = |cut: &Cut| {
            let pieces = cut.count().div_ceil(threads);
            pieces.saturating_mul(cut.rows).saturating_mul(cut.cols)
        };
        if busiest(&self) / 9 > busiest(&other) / 8 { other } else { self }
    }

    /// The number of pieces.
    pub(super) fn count(&self) -> usize {
        self.shape.0.div_ceil(self.rows) * self.shape.1.div_ceil(self.cols)
    }

    /// First row and column of a piece.
    pub(super) fn origin(&self, piece: usize) -> (usize, usize) {
        // One of both cuts nothing.
        let across = self.shape.1.div_ceil(self.cols);
        (piece / across * self.rows, piece % across * self.cols)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::sample;

    #[test]
    fn the_pieces_cover_c_once() {
        let sizes = [1, 3, 16, 17, 100, 640, 1023];
        for shape in sizes.iter().flat_map(|&m| sizes.map(|n| (m, n))) {
            let (m, n) = shape;
            for wanted in [1, 2, 8, 28] {
                for cut in
                    [Cut::between_rows(shape, 16, wanted), Cut::between_columns(shape, wanted)]
                {
                    let mut covered = vec![0; m * n];
                    for piece in 0..cut.count() {
                        let (i, j) = cut.origin(piece);
                        assert!(i < m && j < n, "an empty piece of {cut:?}");
                        for j in j..(j + cut.cols).min(n) {
                            for i in i..(i + cut.rows).min(m) {
                                covered[i + j * m] += 1;
                            }
                        }
                    }
                    assert!(covered.iter().all(|&times| times == 1), "{cut:?}");
                    assert!(cut.count() <= wanted, "{cut:?}");
                }
            }
        }
    }

    #[test]
    fn the_longer_share_counts() {
        // Seven vectors of rows are no two halves, a hundred columns are.
        let rows = || Cut::between_rows((100, 100), 16, 2);
        let columns = || Cut::between_columns((100, 100), 2);
        assert_eq!((rows().rows, columns().cols), (64, 50));
        assert_eq!(rows().unless(columns(), 2), columns());
        assert_eq!(columns().unless(rows(), 2), columns());
        // An eighth of the work is not worth another cut.
        let rows = || Cut::between_rows((208, 104), 16, 2);
        assert_eq!(rows().unless(Cut::between_columns((208, 104), 2), 2), rows());
    }

    #[test]
    fn a_is_packed_for_many_columns_only() {
        for kernel in sample::kernels() {
            // Pieces from top to bottom and from left to right, for two threads.
            let cut = |m, n, by_rows| {
                let mut pieces = (0, 0);
                sample::product((m, n, 20), by_rows, 1, |p| {
                    let cut = Cut::of(kernel, p, Path::Small(20), 2);
                    pieces = (m.div_ceil(cut.rows), n.div_ceil(cut.cols));
                });
                pieces
            };
            // Read as it lies.
            assert_eq!(cut(200, 200, false), (1, 8));
            // Packed: each of eight pieces of 25 columns would do it again.
            assert_eq!(cut(256, 200, true), (4, 1));
            assert_eq!(cut(256, 600, true), (1, 4));
            // Pieces of rows would be too low.
            assert_eq!(cut(100, 100, true), (1, 2));
        }
    }
}
