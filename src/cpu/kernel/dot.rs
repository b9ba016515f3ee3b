//! Dot products of contiguous vectors, written once over [`Vector`].
//!
//! For complex numbers the loop gathers `(Σ re·re, Σ im·im)` and `(Σ re·im, Σ im·re)` from the
//! second vector as it is and with its pairs swapped; signs come in once, at the end.

use super::Kernels;
use super::vector::Vector;
use crate::cpu::LINE_BYTES;
use crate::scalar::Scalar;

/// Most rows that are taken at a time. In few streams a CPU's prefetchers do not read all that the memory
/// gives.
pub(crate) const ROWS: usize = 6;

/// Most columns that are taken at a time.
pub(crate) const COLUMNS: usize = 4;

/// For some rows and columns the sums `Σ re·re`, `Σ im·im`, `Σ re·im`, `Σ im·re`, the first of which is
/// all there is for real numbers.
pub(crate) type Sums<T> = [[[<T as Scalar>::Real; 4]; COLUMNS]; ROWS];

/// The vectors of a [`Dot`].
#[derive(Debug)]
pub(crate) struct Lines<T> {
    /// Their length.
    pub k: usize,
    /// First element of the first row.
    pub a: *const T,
    /// Elements from one row to the next.
    pub row_stride: isize,
    /// Rows that exist, one at least. In the place of the others the last one is taken once more.
    pub rows: usize,
    /// First element of the first column, which comes in vectors, as the others do.
    pub x: *const T,
    /// Elements from one column to the next.
    pub column_stride: isize,
    /// Elements from one vector of a column to the next.
    pub vector_stride: usize,
    /// Which rows are asked for meanwhile, counted from the first one...
    pub ahead: usize,
    /// ... and how many, R at most.
    pub asked: usize,
}

/// Sums of products of some rows with some columns.
///
/// # Safety
/// The CPU runs the kernel's family; all elements of the rows and columns can be read.
pub(crate) type Dot<T> = unsafe fn(&Lines<T>, &mut Sums<T>);

/// The body of a [`Dot`] of R ≤ [`ROWS`] rows and C ≤ [`COLUMNS`] columns of P-part numbers, with U vectors
/// of each at a time, or half as many of complex numbers, which need two sums each. In which order
/// a sum is added up depends on U alone.
///
/// # Safety
/// As for [`Dot`].
#[inline(always)]
pub(crate) unsafe fn dot<T, V, const P: usize, const R: usize, const C: usize, const U: usize>(
    lines: &Lines<T>,
    sums: &mut Sums<T>,
) where
    T: Kernels,
    V: Vector<Real = T::Real>,
{
    const { assert!(P == if T::COMPLEX { 2 } else { 1 } && R <= ROWS && C <= COLUMNS && U >= P) };
    let length = lines.k * P;
    let unrolled = U / P;
    let mut x: *const T::Real = lines.x.cast();
    let column_stride = lines.column_stride.wrapping_mul(P as isize);
    let vector_stride = lines.vector_stride * P;
    let mut rows = [lines.a.cast::<T::Real>(); R];
    for r in 1..R {
        let r_or_last = r.min(lines.rows - 1) as isize;
        rows[r] = lines.a.wrapping_offset(r_or_last * lines.row_stride).cast();
    }
    // To ask for what is there already is better than a branch for every row.
    let ahead = (lines.ahead as isize).wrapping_mul(lines.row_stride).wrapping_mul(P as isize);
    let mut next = rows;
    for r in 0..R {
        if r < lines.asked {
            next[r] = rows[r].wrapping_offset(ahead);
        }
    }
    let asks = lines.asked > 0;
    // SAFETY: the caller vouches for the instruction set and for `length` numbers of every row
    // and column; whole vectors end below `length`, and of the last one only what exists is
    // read.
    unsafe {
        let mut acc = [[[[V::zero(); P]; U]; C]; R];
        let mut at = 0;
        while at + unrolled * V::LANES <= length {
            for u in 0..unrolled {
                let at = at + u * V::LANES;
                if asks && at * size_of::<T::Real>() % LINE_BYTES == 0 {
                    for r in 0..R {
                        V::prefetch_far(next[r].wrapping_add(at));
                    }
                }
                let mut columns = [[V::zero(); P]; C];
                for c in 0..C {
                    columns[c][0] = V::load(x.wrapping_offset(c as isize * column_stride));
                    if P == 2 {
                        columns[c][P - 1] = columns[c][0].swap_pairs();
                    }
                }
                for r in 0..R {
                    let a = V::load(rows[r].add(at));
                    for c in 0..C {
                        for p in 0..P {
                            acc[r][c][u][p] = a.mul_add(columns[c][p], acc[r][c][u][p]);
                        }
                    }
                }
                x = x.wrapping_add(vector_stride);
            }
            at += unrolled * V::LANES;
        }
        for u in 0..unrolled {
            if at < length {
                let mask = V::mask(V::LANES.min(length - at));
                let mut columns = [[V::zero(); P]; C];
                for c in 0..C {
                    let column = x.wrapping_offset(c as isize * column_stride);
                    columns[c][0] = V::load_masked(column, mask);
                    if P == 2 {
                        columns[c][P - 1] = columns[c][0].swap_pairs();
                    }
                }
                for r in 0..R {
                    let a = V::load_masked(rows[r].add(at), mask);
                    for c in 0..C {
                        for p in 0..P {
                            acc[r][c][u][p] = a.mul_add(columns[c][p], acc[r][c][u][p]);
                        }
                    }
                }
                at += V::LANES;
                x = x.wrapping_add(vector_stride);
            }
        }
        // One short loop after another: a long one is not unrolled, and the sums would go through
        // memory all the time.
        let mut totals = [[[V::zero(); P]; C]; R];
        for r in 0..R {
            for c in 0..C {
                for p in 0..P {
                    totals[r][c][p] = acc[r][c][0][p];
                    for u in 1..unrolled {
                        let one = V::splat(T::Real::ONE);
                        totals[r][c][p] = acc[r][c][u][p].mul_add(one, totals[r][c][p]);
                    }
                }
            }
        }
        for r in 0..R {
            for c in 0..C {
                let sums = &mut sums[r][c];
                for p in 0..P {
                    let [even, odd] = totals[r][c][p].fold();
                    if P == 1 {
                        sums[0] = even + odd;
                    } else {
                        sums[2 * p] = even;
                        sums[2 * p + 1] = odd;
                    }
                }
            }
        }
    }
}
