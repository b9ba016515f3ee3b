//! Dot products of contiguous vectors, written once over [`Vector`].
//!
//! For complex numbers the loop gathers `(Σ re·re, Σ im·im)` and `(Σ re·im, Σ im·re)` from the
//! second vector as it is and with its pairs swapped; signs come in once, at the end.

use super::Kernels;
use super::micro::{Scaling, product};
use super::vector::Vector;
use crate::cpu::LINE_BYTES;
use crate::scalar::Scalar;

/// Most rows that are taken at a time: in few streams a CPU's prefetchers do not read all that the memory
/// gives, and the sums of a single column have to wait for each other where there are fewer.
pub(crate) const ROWS: usize = 8;

/// Most columns that are taken at a time.
pub(crate) const COLUMNS: usize = 4;

/// The vectors of a [`Dot`].
#[derive(Debug)]
pub(crate) struct Lines<T> {
    /// Their length.
    pub k: usize,
    /// First element of the first row.
    pub a: *const T,
    /// Elements from one row to the next.
    pub row_stride: isize,
    /// How many rows, one at least.
    pub rows: usize,
    /// First element of the first column, which comes in vectors, as the others do.
    pub x: *const T,
    /// Elements from one column to the next.
    pub column_stride: isize,
    /// Elements from one vector of a column to the next.
    pub vector_stride: usize,
    /// Which rows are asked for while the first ones are taken, counted from these; as many further on
    /// while the next ones are...
    pub ahead: usize,
    /// ... how many, as many as are taken at a time at most...
    pub asked: usize,
    /// ... and how many rows there are to ask for, those of this call included.
    pub left: usize,
}

/// `C ← α·A·B + β·C` for some rows of A and some columns of B: C from its first entry on, with elements
/// from row to row and from column to column.
///
/// # Safety
/// The CPU runs the kernel's family; all elements of the rows and columns can be read, and the entries
/// of C be written and, for β ≠ 0, read.
pub(crate) type Dot<T> = unsafe fn(&Lines<T>, &Scaling<T>, *mut T, (isize, isize));

/// The body of a [`Dot`] of C ≤ [`COLUMNS`] columns of P-part numbers, R ≤ [`ROWS`] rows at a time, with U
/// vectors of each at a time. In which order a sum is added up depends on U alone.
///
/// # Safety
/// As for [`Dot`].
#[inline(always)]
pub(crate) unsafe fn dot<T, V, const P: usize, const R: usize, const C: usize, const U: usize>(
    lines: &Lines<T>,
    scaling: &Scaling<T>,
    c: *mut T,
    strides: (isize, isize),
) where
    T: Kernels,
    V: Vector<Real = T::Real>,
{
    let mut first = 0;
    // SAFETY: the caller's promises; the rows exist.
    unsafe {
        while first + R <= lines.rows {
            some_rows::<T, V, P, R, C, U>(lines, scaling, c, strides, first);
            first += R;
        }
        while first < lines.rows {
            some_rows::<T, V, P, 1, C, U>(lines, scaling, c, strides, first);
            first += 1;
        }
    }
}

/// [`dot`] of R rows, from `first` on.
///
/// # Safety
/// As for [`Dot`]; these rows exist.
#[inline(always)]
unsafe fn some_rows<T, V, const P: usize, const R: usize, const C: usize, const U: usize>(
    lines: &Lines<T>,
    scaling: &Scaling<T>,
    c: *mut T,
    (rs, cs): (isize, isize),
    first: usize,
) where
    T: Kernels,
    V: Vector<Real = T::Real>,
{
    // SAFETY: the caller's promises.
    unsafe {
        let totals = totals::<T, V, P, R, C, U>(lines, first);
        for j in 0..C {
            let mut column = [[V::zero(); P]; R];
            for r in 0..R {
                column[r] = totals[r][j];
            }
            let sums = sums::<T, V, P, R>(column, scaling);
            let mut entry = c.wrapping_offset(first as isize * rs + j as isize * cs);
            for r in 0..R {
                put(entry, sums[r], scaling.beta);
                entry = entry.wrapping_offset(rs);
            }
        }
    }
}

/// The products of R rows, from `first` on, with C columns, added up to one vector each.
///
/// # Safety
/// As for [`some_rows`].
#[inline(always)]
unsafe fn totals<T, V, const P: usize, const R: usize, const C: usize, const U: usize>(
    lines: &Lines<T>,
    first: usize,
) -> [[[V; P]; C]; R]
where
    T: Kernels,
    V: Vector<Real = T::Real>,
{
    const { assert!(P == if T::COMPLEX { 2 } else { 1 } && R <= ROWS && C <= COLUMNS) };
    let length = lines.k * P;
    let mut x: *const T::Real = lines.x.cast();
    let column_stride = lines.column_stride.wrapping_mul(P as isize);
    let vector_stride = lines.vector_stride * P;
    let row_stride = lines.row_stride.wrapping_mul(P as isize);
    let a: *const T::Real = lines.a.cast();
    let mut rows = [a.wrapping_offset(row_stride.wrapping_mul(first as isize)); R];
    for r in 1..R {
        rows[r] = rows[r - 1].wrapping_offset(row_stride);
    }
    let ahead = row_stride.wrapping_mul(lines.ahead as isize);
    let asked = if first + R < lines.left { lines.asked } else { 0 };
    // SAFETY: the caller vouches for the instruction set and for `length` numbers of every row
    // and column; whole vectors end below `length`, and of the last one only what exists is
    // read.
    unsafe {
        let mut acc = [[[[V::zero(); P]; U]; C]; R];
        let mut at = 0;
        while at + U * V::LANES <= length {
            for u in 0..U {
                let at = at + u * V::LANES;
                if asked > 0 && at * size_of::<T::Real>() % LINE_BYTES == 0 {
                    for r in 0..R {
                        if r < asked {
                            V::prefetch_far(rows[r].wrapping_offset(ahead).wrapping_add(at));
                        }
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
            at += U * V::LANES;
        }
        for u in 0..U {
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
                    for u in 1..U {
                        let one = V::splat(T::Real::ONE);
                        totals[r][c][p] = acc[r][c][u][p].mul_add(one, totals[r][c][p]);
                    }
                }
            }
        }
        totals
    }
}

/// Numbers in the longest vector of any family: room for the sums of [`ROWS`] vectors, which come in one or
/// several.
const SUMS: usize = 16;

/// Entries of α·A·B, from the sums in their vectors: the first R of what is returned.
///
/// # Safety
/// The CPU has the instruction set of `V`.
#[inline(always)]
unsafe fn sums<T, V, const P: usize, const R: usize>(
    vectors: [[V; P]; R],
    scaling: &Scaling<T>,
) -> [T; SUMS]
where
    T: Kernels,
    V: Vector<Real = T::Real>,
{
    let mut sums = [T::ZERO; SUMS];
    // SAFETY: the caller's promise; `sums` has room for whole vectors of real numbers.
    unsafe {
        if P == 1 {
            // Two vectors become one that holds half as many sums of each, until there is one of each.
            const { assert!(R <= 8 && V::LANES <= SUMS && V::LANES.is_power_of_two()) };
            let at = |r: usize| vectors[r.min(R - 1)][0];
            let mut twos = [at(0), at(2), at(4), at(6)];
            for i in 0..R.div_ceil(2) {
                twos[i] = V::pair_sums(twos[i], at(2 * i + 1));
            }
            let (mut vectors, mut count) = (twos, R.div_ceil(2));
            let mut lanes = V::LANES / 2;
            while lanes > 1 {
                for i in 0..count.div_ceil(2) {
                    vectors[i] = V::pair_sums(vectors[2 * i], vectors[(2 * i + 1).min(count - 1)]);
                }
                count = count.div_ceil(2);
                lanes /= 2;
            }
            for i in 0..count {
                let scaled = if scaling.alpha == T::ONE {
                    vectors[i]
                } else {
                    product::<T, V>(vectors[i], scaling.alpha)
                };
                scaled.store(sums.as_mut_ptr().cast::<T::Real>().add(i * V::LANES));
            }
        } else {
            for r in 0..R {
                let [re_re, im_im] = vectors[r][0].fold();
                let [re_im, im_re] = vectors[r][P - 1].fold();
                let products = [re_re, im_im, re_im, im_re];
                let sum = T::from_products(products, scaling.conj_a, scaling.conj_b);
                sums[r] = if scaling.alpha == T::ONE { sum } else { sum * scaling.alpha };
            }
        }
    }
    sums
}

/// Adds the sum to an entry of β·C.
///
/// # Safety
/// The entry can be written, and read where β ≠ 0.
#[inline(always)]
unsafe fn put<T: Scalar>(entry: *mut T, sum: T, beta: T) {
    // SAFETY: the caller's promise.
    unsafe {
        entry.write(if beta == T::ZERO {
            sum
        } else if beta == T::ONE {
            sum + *entry
        } else {
            sum + *entry * beta
        });
    }
}
